"""`shardis status`: the shards of a cluster and how each node is."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.agreement.slots import SLOTS
from cluster.operator.cli.fail import fail
from cluster.operator.local import DEFAULT_DIR, HOST, LocalError
from cluster.operator.status import ClusterStatus, rows
from cluster.placement import Address

WIDE = 200


def status(
    address: Annotated[
        str | None, typer.Argument(metavar="[HOST:PORT]", help="Any node; by default those of --dir.")
    ] = None,
    dir: Annotated[str, typer.Option(help="Folder that was given to `shardis up`.")] = DEFAULT_DIR,
    password: Annotated[str, typer.Option(envvar="SHARDIS_PASSWORD", help="Password of the nodes.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the shards: slots, keys, memory, lag and state of every node; exits with 1 unless all is healthy."""
    from cluster.operator.aio.client import ReplyError, Unreachable
    from cluster.operator.aio.survey import survey

    try:
        seeds, stored_password = _seeds(address, dir)
        found = survey(seeds, password or stored_password)
    except (LocalError, Unreachable, ReplyError) as error:
        fail(str(error))
    if json:
        from json import dumps

        typer.echo(dumps(found.to_dict(), indent=2))
    else:
        _print_table(found)
    if not found.is_healthy:
        raise typer.Exit(1)


def _seeds(address: str | None, directory: str) -> tuple[list[Address], str]:
    """Whom to ask, and the password that the folder's configuration names."""
    from cluster.operator.aio.launcher import Launcher

    if address is not None:
        host, _, port = address.rpartition(":")
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise LocalError(f"'{address}' is not HOST:PORT")
        return [(host.strip("[]") or HOST, int(port))], ""
    launcher = Launcher(directory)
    record = launcher.folder.read_record()
    if record is None:
        raise LocalError(
            f"{directory} holds no cluster: make one there with `shardis up{_option(directory)}`, "
            f"or name a node of another one: `shardis status HOST:PORT`"
        )
    if not launcher.running(record):
        raise LocalError(
            f"no node of the cluster in {directory} is running: start it with `shardis up{_option(directory)}`"
        )
    return [(HOST, port) for port in record.shape.ports], launcher.folder.password(record.shape.port)


def _option(directory: str) -> str:
    return "" if directory == DEFAULT_DIR else f" --dir {directory}"


def _print_table(found: ClusterStatus) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("shard", "node", "role", "slots", "keys", "memory", "lag", "state", box=None, pad_edge=False)
    for column in (4, 5, 6):
        table.columns[column].justify = "right"
    for row in rows(found):
        table.add_row(*row, style="" if row[-1] == "ok" else "red")
    console = Console(soft_wrap=True)
    if not console.is_terminal:
        console = Console(soft_wrap=True, width=WIDE)  # a file or a pipe has no edge at which to wrap
    console.print(table)
    for shard in found.shards:
        for node in shard.nodes:
            if node.answers.problem:
                console.print(f"{node.address}: {node.answers.problem}", style="red", highlight=False, markup=False)
    verdict = "healthy" if found.is_healthy else "not healthy"
    console.print(f"\n{found.slots_served} of {SLOTS} slots served: the cluster is {verdict}.", highlight=False)
