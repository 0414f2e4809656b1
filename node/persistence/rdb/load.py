"""Reading an RDB file, Redis' or our own, some of it at a time.

    REDIS0010 | VALKEY080   { opcode ... | [expiry] [idle or frequency] kind key value }   EOF  CRC-64

A file is somebody's word: every part is checked while it is read, and what is wrong is named with its offset. So
nothing of it may count before its end, with the checksum, has been seen: keys go into databases that stand aside, and
`install` puts those in the place of the node's at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.engine.durable.rdb import Malformed, Reader
from node.engine.durable.rdbload import MORE, KeyLoader
from node.engine.keyspace.adoption import Adoption
from node.engine.keyspace.table import Db, Keyspace
from node.persistence.rdb import opcodes
from node.persistence.rdb.modules import skip_aux
from node.persistence.rdb.values import read_value
from node.persistence.types import kinds
from node.persistence.types.reading import Empty

if TYPE_CHECKING:
    from collections.abc import Callable
    from mmap import mmap

    from node.engine.keyspace.table import Value

    Data = bytes | memoryview | mmap

HEADER = 9
CHECKSUM_SINCE = 5
"""Versions before this one end with EOF."""
ALL_KEYS = 2**62


class RdbLoad:
    """One file on its way into databases. Malformed, from any step: throw it away with `drop`.

    `check` is rdbchecksum. A primary leaves out what has expired meanwhile; with `keep_dead` that is left to whoever
    decides about expiry. A `preamble` begins at `at` and need not be followed by the end of the data. `into` names
    databases that are in use: their keys stay, and with `merge` a key of the file replaces one that is there.
    `slots` (16384 bytes, one a slot, 0 for those to leave out) chooses what is loaded, and what it replaces: the keys
    of all other slots stay as they are, here and in the file.
    """

    def __init__(
        self,
        space: Keyspace,
        data: Data,
        *,
        check: bool = True,
        keep_dead: bool = False,
        at: int = 0,
        preamble: bool = False,
        into: list[Db] | None = None,
        merge: bool = False,
        slots: bytes | None = None,
    ) -> None:
        self.space = space
        self.facts: dict[bytes, bytes] = {}
        """What the file says about itself: redis-ver, repl-id, aof-base and so on."""
        self.functions: list[bytes] = []
        self.modules_skipped: list[str] = []
        """The modules whose data about the whole file was left out."""
        self.version = 0
        self.foreign = False
        """It is Valkey's, where one kind of value has another meaning."""
        self.done = False
        self.replaced = 0
        """Keys that had to go for those of chosen slots."""
        self.keys_expected = 0
        """As the file announces it."""
        self._check = check
        self._aside = into is None
        self._dbs = space.dbs_aside() if into is None else into
        self._reader = Reader(data, at)
        self._loader = KeyLoader(self._reader, space, self._read_value, keep_dead, merge, slots)
        self._adoption = Adoption(space, self._dbs, slots) if slots is not None else None
        self._loader.db = self._dbs[0]
        self._preamble = preamble
        self._summed_to = at
        self._crc = 0

    @property
    def at(self) -> int:
        """How far the data is read; at last, where the file ended."""
        return self._reader.at

    @property
    def loaded(self) -> int:
        return self._loader.loaded

    @property
    def dead(self) -> int:
        """Keys left out because they have expired."""
        return self._loader.dead

    @property
    def empty(self) -> int:
        """Keys left out because they have no elements, as old versions of Redis could save them."""
        return self._loader.empty

    @property
    def elsewhere(self) -> int:
        """Keys left out because they belong to other slots."""
        return self._loader.elsewhere

    def tell_of_dead(self, tell: Callable[[Db, bytes], None] | None) -> None:
        """Have each key told that is left out because it has expired."""
        self._loader.on_dead = tell

    @property
    def empty_keys(self) -> list[bytes]:
        """The first of them."""
        return self._loader.empty_keys

    def current_key(self) -> bytes | None:
        return self._loader.current_key()

    @property
    def current_kind(self) -> int:
        """The kind of its value."""
        return self._loader.kind

    def some(self, size: int, keys: int = ALL_KEYS) -> bool:
        """Read about so many bytes, and not more keys than that; True: there is more."""
        until = self.at + size
        try:
            if self.version == 0:
                self._read_header()
            while not self.done and self.at < until:
                code = self._loader.some(until, keys)
                if code == MORE:
                    break
                self._read_opcode(code)
            self._add_to_sum()
        except Malformed as error:
            raise Malformed(f"{error} (at byte {self.at})") from error
        return not self.done

    def prepare(self, keys: int) -> bool:
        """Of chosen slots: do some of what has to be done before `install`; True: there is more."""
        return self._adoption is not None and self._adoption.prepare(keys)

    def install(self) -> None:
        """What was loaded takes the place of what the node has, or has in the chosen slots. `prepare` has ended."""
        assert self.done
        if self._adoption is not None:
            self.replaced = self._adoption.finish()
        elif self._aside:
            self.space.adopt(self._dbs)
        self._reader.release()

    def drop(self) -> None:
        """Nothing comes of it; what was loaded is freed in slices."""
        if self._aside:
            for db in self._dbs:
                db.flush()
        self._reader.release()

    # -- what is not a key

    def _read_header(self) -> None:
        header = self._reader.raw(min(HEADER, self._reader.left))
        magic = next((each for each in (opcodes.MAGIC, opcodes.MAGIC_VALKEY) if header.startswith(each)), None)
        digits = header[len(magic) :] if magic else b""
        if magic is None or len(header) < HEADER or not digits.isdigit():
            raise Malformed("not an RDB file: wrong signature")
        self.version = int(digits)
        self.foreign = self._loader.foreign = magic == opcodes.MAGIC_VALKEY
        first, last = (kinds.VERSION_VALKEY, kinds.VERSION_VALKEY) if self.foreign else (1, kinds.VERSION_MAX)
        if not first <= self.version <= last:
            raise Malformed(f"Can't handle RDB format version {self.version}")

    def _read_opcode(self, code: int) -> None:
        r = self._reader
        match code:
            case opcodes.EOF:
                self._read_end()
            case opcodes.SELECTDB:
                self._loader.db = self._database(r.length())
            case opcodes.RESIZEDB:
                self.keys_expected += r.length()
                r.length()
            case opcodes.SLOT_INFO:
                r.length(), r.length(), r.length()
            case opcodes.AUX:
                name = r.string()
                self.facts[name] = r.string()
            case opcodes.FUNCTION:
                self.functions.append(r.string())
            case opcodes.FUNCTION_PRE_GA:
                raise Malformed("the file holds functions in the form of a release candidate of Redis 7.0")
            case opcodes.MODULE_AUX:
                self.modules_skipped.append(skip_aux(r))
            case opcodes.SLOT_IMPORT:
                raise Malformed("the file holds slots whose import had not ended")
            case _:
                raise Malformed(f"unknown kind of value: {code}")

    def _database(self, index: int) -> Db:
        if index >= len(self._dbs):
            raise Malformed(f"the file has a database {index}, here are only {len(self._dbs)}")
        return self._dbs[index]

    def _read_end(self) -> None:
        self._add_to_sum()
        if self.version >= CHECKSUM_SINCE:
            stored = int.from_bytes(self._reader.raw(8), "little")
            if self._check and stored and stored != self._crc:  # zeros stand for no checksum
                raise Malformed(f"RDB CRC error: Wrong RDB checksum expected: ({stored:x}) but got ({self._crc:x})")
            self._summed_to = self.at
        if self._reader.left and not self._preamble:
            raise Malformed("something follows the end")
        self.done = True

    def _add_to_sum(self) -> None:
        if self._check:
            self._crc = self._reader.checksum(self._summed_to, self._crc)
        self._summed_to = self.at

    def _read_value(self, r: Reader, kind: int) -> Value | None:
        """A value that is not read natively; None: a collection without elements."""
        try:
            return read_value(r, kinds.HASH_VALKEY if self.foreign and kind == kinds.HASH_EXPIRING_PRE_GA else kind)
        except Empty:
            return None


def load(space: Keyspace, data: Data, check: bool = True, keep_dead: bool = False) -> RdbLoad:
    """Read a file in one go, and put what it holds in the place of what is there."""
    reading = RdbLoad(space, data, check=check, keep_dead=keep_dead)
    try:
        while reading.some(len(data) + 1):
            pass
    except Malformed:
        reading.drop()
        raise
    reading.install()
    return reading
