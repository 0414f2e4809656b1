"""`shardis check-aof`: would a node load these append-only files, and what would mend them?"""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.operator.cli.fail import fail


def check_aof(
    file: Annotated[str, typer.Argument(help="A manifest, or a single file of commands.")],
    fix: Annotated[bool, typer.Option("--fix", help="Cut the last file back to its last whole command.")] = False,
    until: Annotated[
        int | None,
        typer.Option("--truncate-to-timestamp", help="Cut off what was written after this unix time in seconds."),
    ] = None,
) -> None:
    """Check the append-only files that a manifest lists. The exit code is 1 if a node would refuse them."""
    from cluster.operator.aio.processes import exec_tool

    options = ["--fix"] if fix else []
    if until is not None:
        options += ["--truncate-to-timestamp", str(until)]
    try:
        exec_tool("node.aio.tools.checkaof", [*options, file])
    except OSError as error:
        fail(f"the file cannot be checked: {error}")
