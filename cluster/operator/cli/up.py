"""`shardis up`: a whole cluster on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cluster.operator.cli.fail import fail
from cluster.operator.local import (
    DEFAULT_DIR,
    DEFAULT_PORT,
    DEFAULT_REPLICAS,
    DEFAULT_SHARDS,
    HOST,
    LocalError,
    Shape,
    Wish,
    parse_setting,
)

if TYPE_CHECKING:
    from cluster.operator.aio.launcher import Launcher


def up(
    shards: Annotated[
        int | None, typer.Option(min=1, help="Number of primaries.", show_default=str(DEFAULT_SHARDS))
    ] = None,
    replicas: Annotated[
        int | None, typer.Option(min=0, help="Replicas of each primary.", show_default=str(DEFAULT_REPLICAS))
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, help="First port; the nodes take the next ones.", show_default=str(DEFAULT_PORT)
        ),
    ] = None,
    dir: Annotated[str, typer.Option(help="Folder of the data, the logs and the record of processes.")] = DEFAULT_DIR,
    set: Annotated[
        list[str] | None, typer.Option(metavar="DIRECTIVE=VALUE", help="A directive for all nodes; may be repeated.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return once the cluster is healthy.")] = False,
) -> None:
    """Start a cluster on this machine, or start a stopped one again, or those of its nodes that have ended.

    Waits until the cluster is healthy and says how to connect. In the foreground it runs until Ctrl-C; with
    --detach, or when some of its nodes ran already, it goes on in the background until `shardis down`.
    """
    from cluster.operator.aio.launcher import Interrupted, Launcher

    launcher = Launcher(dir, say=typer.echo)
    try:
        settings = tuple(parse_setting(text) for text in set or [])
        with launcher.signals():
            shape = launcher.up(Wish(shards, replicas, port, settings))
            stays = not detach and not launcher.found
            typer.echo(_what_was_done(launcher, shape) + welcome(shape, dir, detached=not stays))
            if stays:
                _stay(launcher)
    except LocalError as error:
        fail(str(error))
    except Interrupted:
        fail("interrupted; what was started is stopped again", 130)


def _what_was_done(launcher: Launcher, shape: Shape) -> str:
    if not launcher.found:
        return f"The cluster is up: {shape}.\n"
    started = sorted(launcher.processes)
    if not started:
        return f"The cluster is up already: {shape}.\n"
    nodes = f"node {started[0]} was" if len(started) == 1 else f"nodes {', '.join(map(str, started))} were"
    return f"The cluster is whole again: {shape}; {nodes} started.\n"


def _stay(launcher: Launcher) -> None:
    if launcher.wait():
        typer.echo("Stopping.")
    launcher.down()


def welcome(shape: Shape, directory: str, detached: bool) -> str:
    """How to connect and how to stop."""
    stop = f"shardis down --dir {directory}" if detached else "Ctrl-C"
    return (
        "\n"
        f"  redis-cli    redis-cli -c -p {shape.port}\n"
        f'  redis-py     redis.RedisCluster(host="{HOST}", port={shape.port})\n'
        f"  status       shardis status --dir {directory}\n"
        f"  stop         {stop}\n"
    )
