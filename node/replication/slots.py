"""The slot of each write in the stream, and what a reader of some slots makes of it.

Whoever moves slots elsewhere reads the writes to them from a feed (`WriteStream.follow_slots`), which costs nothing
while there is none: the slots of effects are looked up here then, those of native commands are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from node.engine.keyspace.keyslot import slot_of
from node.engine.session.slotfeed import NO_SLOT, SEVERAL_SLOTS
from node.replication.write_stream import EXEC, MULTI, request

if TYPE_CHECKING:
    from node.engine.session.session import Command


class Write(NamedTuple):
    """One command of the stream. Those of the same unit leave together."""

    slot: int
    """NO_SLOT: it has no keys; SEVERAL_SLOTS: they are not in one."""
    database: int
    unit: int
    data: bytes
    """As a client would send it."""


class SlotsOfCommands:
    """Finds the slot of a command's keys. `commands` has them by the names that clients know (rename-command)."""

    def __init__(self, commands: Mapping[bytes, Command]) -> None:
        self._by_own_name = {command.name: command for command in commands.values()}

    def __call__(self, argv: list[bytes]) -> int:
        command = self._by_own_name.get(argv[0].lower())
        if command is not None and command.subcommands and len(argv) > 1:
            command = command.subcommands.get(argv[1].lower())
        if command is None:
            return NO_SLOT
        slots = {slot_of(argv[at]) for at in command.spec.get_keys(argv) if at < len(argv)}
        if len(slots) > 1:
            return SEVERAL_SLOTS
        return slots.pop() if slots else NO_SLOT


def as_stream(writes: Iterable[Write], database: int) -> tuple[bytes, int]:
    """The writes as a node is sent them that is in this database: the bytes, and the database in which it is then."""
    out = bytearray()
    units: dict[int, list[Write]] = {}
    for write in writes:
        units.setdefault(write.unit, []).append(write)
    for unit in units.values():
        if len(unit) > 1:
            out += request(MULTI)
        for write in unit:
            if write.database != database:
                database = write.database
                out += request([b"SELECT", b"%d" % database])
            out += write.data
        if len(unit) > 1:
            out += request(EXEC)
    return bytes(out), database
