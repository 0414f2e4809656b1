"""Is an RDB file whole? The report, line by line, as redis-check-rdb words it.

A file is read just as a node would load it, and what was read is dropped after every step, so that files may be larger
than memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from node.engine.durable.rdb import Malformed
from node.engine.keyspace.table import Db, Keyspace
from node.persistence.rdb import opcodes
from node.persistence.rdb.load import CHECKSUM_SINCE, RdbLoad

if TYPE_CHECKING:
    from node.persistence.rdb.load import Data

STEP_BYTES = 1 << 20
FREE_ITEMS = 1 << 20


class Check:
    """One file being checked. `lines` does it; `sound` is the verdict after the last of them.

    A `preamble` may be followed by something else, at `end`.
    """

    def __init__(self, data: Data, name: str, now_ms: int, preamble: bool = False) -> None:
        self.name = name
        self.sound = False
        self._space = Keyspace(1)
        self._space.now_ms = now_ms
        self._volatile = 0
        self._load = _Noting(self._space, data, preamble)

    @property
    def end(self) -> int:
        return self._load.at

    def lines(self) -> Iterator[str]:
        yield f"[offset 0] Checking RDB file {self.name}"
        try:
            more = True
            while more:
                more = self._load.some(STEP_BYTES)
                yield from self._load.take_notes()
                self._drop()
        except Malformed as error:
            yield from self._load.take_notes()
            yield from self._failure(str(error))
        else:
            self.sound = True
            if self._load.version >= CHECKSUM_SINCE:
                yield f"[offset {self._load.at}] Checksum OK"
            yield f"[offset {self._load.at}] \\o/ RDB looks OK! \\o/"
        yield f"[info] {self._load.loaded + self._load.dead + self._load.empty} keys read"
        yield f"[info] {self._volatile + self._load.dead} expires"
        yield f"[info] {self._load.dead} already expired"

    def _failure(self, reason: str) -> Iterator[str]:
        yield "--- RDB ERROR DETECTED ---"
        yield f"[offset {self._load.at}] {reason}"
        key = self._load.current_key()
        if key is not None:
            yield f"[additional info] Reading key {shown(key)}"
            yield f"[additional info] Reading type {self._load.current_kind}"

    def _drop(self) -> None:
        """Forget the keys of a step."""
        db = self._space.dbs[0]
        self._volatile += db.volatile_keys
        db.flush()
        while self._space.free_some(FREE_ITEMS):
            pass


class _Noting(RdbLoad):
    """A load into one database, whatever the file says, that notes what stands between the keys."""

    def __init__(self, space: Keyspace, data: Data, preamble: bool) -> None:
        super().__init__(space, data, into=space.dbs, merge=True, preamble=preamble)
        self._notes: list[str] = []

    def take_notes(self) -> list[str]:
        notes, self._notes = self._notes, []
        return notes

    def _read_opcode(self, code: int) -> None:
        super()._read_opcode(code)
        if code == opcodes.AUX:
            name, value = next(reversed(self.facts.items()))
            self._notes.append(f"[offset {self.at}] AUX FIELD {shown(name)} = '{shown(value)}'")
        elif code == opcodes.MODULE_AUX:
            self._notes.append(f"[offset {self.at}] Data of the module {self.modules_skipped[-1]}, which is skipped")
        elif code == opcodes.FUNCTION:
            self._notes.append(f"[offset {self.at}] Function library of {len(self.functions[-1])} bytes")

    def _database(self, index: int) -> Db:
        self._notes.append(f"[offset {self.at}] Selecting DB ID {index}")
        return self._dbs[0]


def shown(text: bytes) -> str:
    return text[:1024].decode("utf-8", "backslashreplace")
