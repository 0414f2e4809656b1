"""Entry point of `shardis` (and of `python -m cluster.cli`)."""

from __future__ import annotations

import sys

import typer

from cluster.cli.check_aof import check_aof
from cluster.cli.check_rdb import check_rdb
from cluster.cli.down import down
from cluster.cli.node import node
from cluster.cli.status import status
from cluster.cli.up import up
from cluster.packages import shadowed

app = typer.Typer(
    name="shardis",
    help="A Redis Cluster written in Python: start one on this machine, look at it, run single nodes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
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
    """Run the command line; refuse to with a foreign package in the place of one of ours."""
    problem = shadowed()
    if problem:
        sys.exit(f"shardis: {problem}")
    app(prog_name="shardis")


if __name__ == "__main__":
    main()
