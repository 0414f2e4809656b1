"""The table of all commands of one server, built from what the modules declare (node/commands/groups.py lists them).

A server that renames or removes commands (`rename-command`) has its own table; the specifications are shared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from node.commands.table.spec import CommandSpec, SpecError


class Registry:
    """Commands by lower-case name. `by_id` is indexed by CommandSpec.id and also holds the subcommands."""

    def __init__(self, specs: Iterable[CommandSpec]) -> None:
        self.commands: dict[bytes, CommandSpec] = {}
        self.by_id: list[CommandSpec] = []
        self.derived: dict[Any, Any] = {}
        """Whatever others compute from the table and want to keep; emptied when the table changes."""
        for spec in specs:
            self._add(spec)

    def _add(self, spec: CommandSpec) -> None:
        self.commands[spec.name.encode()] = spec
        for each in (spec, *spec.subcommands.values()):
            if each.id != len(self.by_id):
                raise SpecError(f"{each.name} has the id {each.id}, not {len(self.by_id)}")
            self.by_id.append(each)

    def __len__(self) -> int:
        return len(self.commands)

    def __iter__(self) -> Iterator[CommandSpec]:
        """The top-level commands."""
        return iter(self.commands.values())

    def lookup(self, name: bytes) -> CommandSpec | None:
        """The top-level command of that name, in any case."""
        return self.commands.get(name) or self.commands.get(name.lower())

    def find(self, full_name: bytes) -> CommandSpec | None:
        """A command by full name: `get`, or `config|get` for a subcommand."""
        name, bar, sub = full_name.partition(b"|")
        spec = self.lookup(name)
        return spec.subcommands.get(sub.lower()) if bar and spec else spec

    def resolve(self, argv: Sequence[bytes]) -> CommandSpec | None:
        """The command or subcommand that a request names. None: unknown, or an unknown subcommand of a known one."""
        spec = self.lookup(argv[0])
        if spec is None or not spec.subcommands or len(argv) == 1:
            return spec
        return spec.subcommands.get(argv[1].lower())

    def rename(self, old: bytes, new: bytes) -> None:
        """Make `old` answer to `new` alone; an empty new name removes it. KeyError: unknown, or the name is taken."""
        old, new = old.lower(), new.lower()
        if old not in self.commands:
            raise KeyError(f"no such command: {old.decode(errors='replace')}")
        if new and new in self.commands:
            raise KeyError(f"the command exists already: {new.decode(errors='replace')}")
        spec = self.commands.pop(old)
        if new:
            self.commands[new] = spec
        self.derived.clear()


def assemble(declarations: Sequence[CommandSpec]) -> tuple[CommandSpec, ...]:
    """Join subcommands to their containers, number everything, and check what concerns more than one command."""
    seen: dict[str, CommandSpec] = {}
    for spec in declarations:
        if spec.name in seen:
            raise SpecError(f"{spec.name} is declared in both {seen[spec.name].module} and {spec.module}")
        seen[spec.name] = spec
    for spec in declarations:
        if spec.container and spec.container not in seen:
            raise SpecError(f"{spec.name} has no container: declare {spec.container.upper()} too")
    of_container: dict[str, list[CommandSpec]] = {}
    for spec in sorted(declarations, key=lambda spec: spec.name):
        of_container.setdefault(spec.container, []).append(spec)
    assembled: list[CommandSpec] = []
    next_id = 0
    for spec in of_container.get("", []):
        members = of_container.get(spec.name, [])
        if spec.handler is None and not spec.native and not members:
            raise SpecError(f"{spec.name} has neither a handler nor a native form nor subcommands")
        subcommands = {
            sub.name.partition("|")[2].encode(): replace(sub, id=next_id + 1 + i) for i, sub in enumerate(members)
        }
        assembled.append(replace(spec, id=next_id, subcommands=subcommands))
        next_id += 1 + len(members)
    return tuple(assembled)
