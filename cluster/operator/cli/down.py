"""`shardis down`: stop a cluster that `shardis up` has started."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.operator.cli.fail import fail
from cluster.operator.local import DEFAULT_DIR, LocalError


def down(dir: Annotated[str, typer.Option(help="Folder that was given to `shardis up`.")] = DEFAULT_DIR) -> None:
    """Stop the cluster on this machine. Its data stays and is served again after the next `shardis up`."""
    from cluster.operator.aio.launcher import Launcher

    try:
        stopped = Launcher(dir, say=typer.echo).down()
    except LocalError as error:
        fail(str(error))
    if stopped:
        typer.echo(f"Stopped {stopped} node{'s' if stopped != 1 else ''}.")
    else:
        typer.echo(f"Nothing to stop: no node of the cluster in {dir} is running.")
