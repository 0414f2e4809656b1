"""A cluster on this machine: what its folder holds, the configuration of its nodes, and the record of its processes.

    DIR/cluster.json       the record: shape, ports, processes, whether the cluster was formed
    DIR/7000/node.conf     one node's configuration; nodes.conf, snapshots and node.log are beside it

All of this is text and decisions; aio/launcher.py starts and stops the processes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from cluster.plan import PlanError, check_replicas
from gossip.settings import BUS_PORT_OFFSET

RECORD = "cluster.json"
NODE_CONF = "node.conf"
NODE_LOG = "node.log"
HOST = "127.0.0.1"
DEFAULT_DIR = "shardis-data"
DEFAULT_PORT = 7000
SEEDS = 3
DEFAULT_SHARDS = 3
DEFAULT_REPLICAS = 1


class LocalError(Exception):
    """The request cannot be carried out on this machine; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How many nodes, and on which ports."""

    shards: int = DEFAULT_SHARDS
    replicas: int = DEFAULT_REPLICAS
    port: int = DEFAULT_PORT

    @property
    def ports(self) -> list[int]:
        return list(range(self.port, self.port + self.shards * (1 + self.replicas)))

    def __str__(self) -> str:
        plural = "s" if self.shards != 1 else ""
        replicas = f" with {self.replicas} replica{'s' if self.replicas != 1 else ''} each" if self.replicas else ""
        ports = self.ports
        return f"{self.shards} shard{plural}{replicas} on port{_span(ports)}"


def _span(ports: Sequence[int]) -> str:
    return f" {ports[0]}" if len(ports) == 1 else f"s {ports[0]}-{ports[-1]}"


@dataclass(frozen=True, slots=True)
class Wish:
    """What `shardis up` was asked for; None is "as it was, or the default"."""

    shards: int | None = None
    replicas: int | None = None
    port: int | None = None
    settings: tuple[tuple[str, str], ...] = ()

    def shape(self, before: Shape | None, directory: str) -> Shape:
        """The shape to start, given the one that the folder holds. Raises LocalError."""
        base = before or Shape()
        wanted = {"shards": self.shards, "replicas": self.replicas, "port": self.port}
        shape = replace(base, **{name: value for name, value in wanted.items() if value is not None})
        if before and shape != before:
            raise LocalError(
                f"{directory} holds a cluster of {before}, not of {shape}: "
                "start it without these options, or choose another --dir"
            )
        try:
            check_replicas(shape.replicas)
        except PlanError as error:
            raise LocalError(str(error)) from None
        last_bus_port = shape.ports[-1] + BUS_PORT_OFFSET
        if last_bus_port > 65535:
            raise LocalError(f"--port {shape.port} is too high: the last node's bus would need port {last_bus_port}")
        return shape


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """A node's process. Its start time tells it from a later process that was given the same id."""

    port: int
    pid: int
    started: int


@dataclass(frozen=True, slots=True)
class Record:
    """What DIR/cluster.json says."""

    shape: Shape
    formed: bool = False
    processes: tuple[ProcessRecord, ...] = field(default=())

    def to_json(self) -> str:
        return json.dumps({"version": 1, **asdict(self)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, path: str) -> Record:
        try:
            data: dict[str, Any] = json.loads(text)
            processes = tuple(ProcessRecord(**each) for each in data["processes"])
            return cls(Shape(**data["shape"]), bool(data["formed"]), processes)
        except (ValueError, KeyError, TypeError):
            raise LocalError(f"{path} is not a record that `shardis up` has written") from None


@dataclass(frozen=True, slots=True)
class Taken:
    """A port on which no server can listen now. `by` is who has it, empty if we may not see that."""

    port: int
    by: str = ""
    outgoing: bool = False
    """A connection of somebody to somewhere else has got the port."""
    lingers: bool = False
    """That connection has ended, and the kernel keeps its port for a minute."""


def busy_text(taken: Sequence[Taken], shape: Shape, formed: bool) -> str:
    """Why the cluster cannot start while these ports are taken, and what to do."""
    told = ", ".join(
        f"{'port' if each.port in shape.ports else 'bus port'} {each.port} is in use{each.by and f' by {each.by}'}"
        for each in taken
    )
    what_to_do = "wait until that has ended" if all(each.outgoing for each in taken) else "stop what listens there"
    # The ports of a cluster that has been formed are part of what its nodes know of each other.
    return f"{told}: {what_to_do}" + ("" if formed else ", or choose another --port")


def outgoing_note(shape: Shape, low: int, high: int) -> str:
    """What to know of ports in the range from which the kernel serves outgoing connections; empty if none is there."""
    groups = [("port", shape.ports), ("bus port", [port + BUS_PORT_OFFSET for port in shape.ports])]
    within = [f"{name}{_span(ports)}" for name, ports in groups if ports[-1] >= low and ports[0] <= high]
    if not within:
        return ""
    highest = low - BUS_PORT_OFFSET - len(shape.ports)
    return (
        f"Note: {' and '.join(within)} may be taken by outgoing connections, which get theirs from {low} to {high} "
        "on this machine; then a node cannot start. " + (f"Take --port {highest} or lower." if highest > 1023 else "")
    ).rstrip()


_SETTING = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=(.*)", re.DOTALL)


def parse_setting(text: str) -> tuple[str, str]:
    """`DIRECTIVE=VALUE`; raises LocalError."""
    found = _SETTING.fullmatch(text)
    if not found:
        raise LocalError(f"--set takes DIRECTIVE=VALUE, for example --set maxmemory=100mb, not '{text}'")
    return found[1].lower(), found[2]


def node_conf(port: int, directory: str) -> str:
    """The first configuration of a node of a local cluster."""
    return (
        "# Written by `shardis up`. Yours to edit: a restart keeps what is here.\n"
        f"port {port}\n"
        f"bind {HOST}\n"
        f"dir {_quoted(directory)}\n"
        "cluster-enabled yes\n"
        "cluster-config-file nodes.conf\n"
    )


def forming_settings(shape: Shape) -> tuple[tuple[str, str], ...]:
    """What makes our nodes form the cluster by themselves: where they find each other, and what they shall become."""
    return (
        ("cluster-seeds", " ".join(f"{HOST}:{port}" for port in shape.ports[:SEEDS])),
        ("cluster-shards", str(shape.shards)),
        ("cluster-replicas", str(shape.replicas)),
    )


def with_settings(conf: str, settings: Sequence[tuple[str, str]]) -> str:
    """A configuration in which each of these directives is set once, in place of whatever set it before."""
    names = {name for name, _ in settings}
    kept = [line for line in conf.splitlines() if (line.split(maxsplit=1) or [""])[0].lower() not in names]
    return "\n".join([*kept, *(f"{name} {_quoted(value)}" for name, value in settings)]) + "\n"


def setting_of(conf: str, name: str) -> str:
    """What a configuration that this module wrote sets a directive to; empty if it does not. The last line counts."""
    for line in reversed(conf.splitlines()):
        directive, _, value = line.strip().partition(" ")
        if directive.lower() == name:
            return _unquoted(value.strip())
    return ""


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value


def log_tail(log: str, lines: int = 15) -> str:
    """The end of a node's log, indented for a message."""
    tail = log.rstrip().splitlines()[-lines:]
    return "\n".join(f"    {line}" for line in tail) or "    (the log is empty)"
