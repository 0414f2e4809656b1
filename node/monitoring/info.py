"""INFO: its sections, as clients and monitoring tools parse them. What stands in them is said beside its owner.

Sections may be empty (`modules`), and their order is Redis'.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from node.monitoring.figure import Reading

DEFAULT = (
    "server",
    "clients",
    "memory",
    "persistence",
    "stats",
    "replication",
    "cpu",
    "modules",
    "errorstats",
    "cluster",
    "keyspace",
)
ALL = (*DEFAULT[:7], "modules", "commandstats", "errorstats", "latencystats", "cluster", "keyspace")
TITLES = {"cpu": "CPU"}


def title(section: str) -> str:
    return TITLES.get(section, section.capitalize())


def text(figures: Reading[Any], wanted: Iterable[str]) -> str:
    """The sections asked for (lower case; `default`, `all` and `everything` are sets of them), default if none."""
    chosen: dict[str, None] = {}
    for name in list(wanted) or ["default"]:
        chosen.update(dict.fromkeys({"default": DEFAULT, "all": ALL, "everything": ALL}.get(name, (name,))))
    parts = []
    for name in ALL:
        if name in chosen:
            lines = [f"# {title(name)}"]
            lines += [f"{field}:{value}" for field, value in figures.fields(name)]
            parts.append("".join(f"{line}\r\n" for line in lines))
    return "\r\n".join(parts)
