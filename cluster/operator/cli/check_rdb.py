"""`shardis check-rdb`: would a node load this file?"""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.operator.cli.fail import fail


def check_rdb(file: Annotated[str, typer.Argument(help="A snapshot, of ours or of Redis.")]) -> None:
    """Read an RDB file and report what is in it, or where it is broken. The exit code is 1 then."""
    from cluster.operator.aio.processes import exec_tool

    try:
        exec_tool("node.aio.tools.checkrdb", [file])
    except OSError as error:
        fail(f"the file cannot be checked: {error}")
