"""docs/commands.md, written from the command table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from node.commands.table.argspec import synopsis
from node.commands.table.spec import CommandSpec

INTRODUCTION = """# Commands

Written by `make docs` from the declarations in `node/commands`: change those, not this page. The column "since" names
the version of Redis, or of Valkey from 8.0 on, whose behaviour the command follows.
"""


def markdown(commands: Iterable[CommandSpec]) -> str:
    """The page: a table for each group."""
    groups: dict[str, list[CommandSpec]] = defaultdict(list)
    for spec in commands:
        is_mere_container = spec.subcommands and spec.handler is None
        groups[spec.group] += [] if is_mere_container else [spec]
        groups[spec.group] += spec.subcommands.values()
    return "\n".join([INTRODUCTION, *(line for group in sorted(groups) for line in _table(group, groups[group]))])


def _table(group: str, specs: Iterable[CommandSpec]) -> Iterator[str]:
    yield f"## {group}\n"
    yield "| command | what it does | cost | since |"
    yield "|---|---|---|---|"
    for spec in specs:
        usage = f"{spec.name.replace('|', ' ').upper()} {synopsis(spec.args)}".strip()
        cells = (f"`{usage}`", spec.summary, spec.complexity, spec.since)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""
