"""`shardis node`: one node in the foreground, with redis-server's arguments."""

from __future__ import annotations

import typer

from cluster.operator.cli.fail import fail


def node(context: typer.Context) -> None:
    """Run one node: [FILE] [--directive value ...], as redis-server takes them.

    FILE is a redis.conf. Without cluster-enabled the node is a plain server with 16 databases.
    """
    from cluster.operator.aio.processes import exec_node

    try:
        exec_node(context.args)
    except OSError as error:
        fail(f"the node cannot be started: {error}")
