"""The commands of `shardis` (and of `python -m cluster.operator.cli`)."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.operator.cli.check_aof import check_aof
from cluster.operator.cli.check_rdb import check_rdb
from cluster.operator.cli.down import down
from cluster.operator.cli.node import node
from cluster.operator.cli.status import status
from cluster.operator.cli.up import up

app = typer.Typer(
    name="shardis",
    help="A Redis Cluster written in Python: start one on this machine, look at it, run single nodes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"shardis {version('shardis')}")
        except PackageNotFoundError:
            typer.echo("shardis, not installed")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", "-v", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """What stands before the name of a command."""


app.command()(up)
app.command()(down)
app.command()(status)
app.command(name="check-rdb")(check_rdb)
app.command(name="check-aof")(check_aof)
# The node reads its own arguments, as redis-server does: typer must not look at them.
app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": ["-h", "--help"]}
)(node)


def main() -> None:
    """Run the command line."""
    app(prog_name="shardis")


if __name__ == "__main__":
    main()
