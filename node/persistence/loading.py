"""Bringing data from files into a node: at its start, when DEBUG asks for it, when a primary has sent a whole data set.

A load is a generator (node/ports/steps.py). It does a little and yields how many keys that were, over and over. So
whoever runs it decides how long it may take at a stretch: the host between turns of the loop (node/aio/stepping.py),
`at_once` for a command that has to wait, a test one step at a time.

While `Loading` is active, clients get -LOADING (unless their command may run meanwhile) and INFO tells how far it is.
The data lies aside until all of the file has been read, then takes the place of what the node has: a broken file leaves
what was there. Other parts build on `Loader.rdb`: the append-only file's preamble, a replica's full synchronisation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from node import flags
from node.basics import Basics
from node.engine.durable.rdb import Malformed
from node.monitoring.figure import Table, counted, shown
from node.persistence.rdb.load import ALL_KEYS, RdbLoad
from node.ports.disk import Disk
from node.ports.steps import CannotLoad, Steps
from node.replication.history import stated_number
from node.replies import CommandError

if TYPE_CHECKING:
    from node.engine.keyspace.table import Db
    from node.persistence.rdb.load import Data

STEP_BYTES = 64 * 1024
KEYS_A_STEP = 1000
DELAY_A_STEP_US = 2000
"""How long key-load-delay may hold one step."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What an RDB file held."""

    keys: int
    dead: int
    facts: dict[bytes, bytes]
    """repl-id, repl-offset, repl-stream-db, aof-base and so on, as they stand in the file."""
    end: int
    """The offset behind the file: where an append-only file goes on after its preamble."""


class Loading:
    """The state of loading: what clients and INFO are told."""

    def __init__(self, basics: Basics) -> None:
        self.basics = basics
        self.active = False
        self.asynchronous = False
        """The old data is served meanwhile (a replica whose primary sends a new data set)."""
        self.started_ms = 0
        self.total_bytes = 0
        self.loaded_bytes = 0
        self.last_keys = 0
        self.last_dead = 0
        self.checked_payloads = 0
        """Collections of RESTORE, which were looked through."""

    def begin(self, total_bytes: int, asynchronous: bool = False) -> None:
        self.active = True
        self.asynchronous = asynchronous
        self.started_ms = self.basics.now_ms
        self.total_bytes, self.loaded_bytes = total_bytes, 0
        self._tell()

    def goes_on(self, now_ms: int) -> None:
        """Something else had a turn meanwhile."""
        self.basics.space.now_ms = now_ms

    def end(self) -> None:
        self.active = self.asynchronous = False
        self._tell()

    def _tell(self) -> None:
        self.basics.set_state(flags.STATE_LOADING, self.active and not self.asynchronous)
        self.basics.set_state(flags.STATE_LOADING_ASIDE, self.active and self.asynchronous)

    @property
    def eta_s(self) -> int:
        """How long it may take yet."""
        elapsed_s = (self.basics.now_ms - self.started_ms) // 1000
        return elapsed_s * max(0, self.total_bytes - self.loaded_bytes) // (self.loaded_bytes + 1) if elapsed_s else 1


class Libraries(Protocol):
    """What loads the functions of a file (node/scripting/functions.py)."""

    def prepare(self, codes: Iterable[bytes]) -> Any:
        """Libraries for the others. CommandError."""

    def join(self, libraries: Any, replace: bool) -> None:
        """Beside those that are here. CommandError."""

    def install(self, libraries: Any) -> None:
        """Instead of those that are here."""


class Loader:
    """Puts the data of files into one node."""

    def __init__(
        self,
        basics: Basics,
        loading: Loading,
        libraries: Libraries,
        data_replaced: Callable[[], None],
        slots_replaced: Callable[[bytes], None],
    ) -> None:
        """`data_replaced` is called before another data set takes the place of all databases, `slots_replaced` after
        one has taken the place of what was in these slots."""
        self.basics = basics
        self._loading = loading
        self._libraries = libraries
        self._data_replaced = data_replaced
        self._slots_replaced = slots_replaced

    def rdb(
        self,
        data: Data,
        *,
        at: int = 0,
        preamble: bool = False,
        keep_dead: bool = False,
        in_place: bool = False,
        merge: bool = False,
        on_dead: Callable[[Db, bytes], None] | None = None,
    ) -> Steps[Loaded]:
        """Load an RDB file whose bytes are at hand; CannotLoad says what is wrong, and nothing has changed then.

        `at` and `preamble`: it begins there, and something else follows it. `keep_dead`: keys that have expired are
        loaded too, since somebody else decides about them (a replica's primary, the log after a preamble). `in_place`:
        into the databases as they are; a key or a library that is there already is replaced with `merge`, else an
        error. `on_dead` is told of the keys that are left out because they have expired.
        """
        space, config, log = self.basics.space, self.basics.config, self.basics.log
        load = RdbLoad(
            space,
            data,
            check=config["rdbchecksum"],
            keep_dead=keep_dead,
            at=at,
            preamble=preamble,
            into=space.dbs if in_place else None,
            merge=merge,
        )
        load.tell_of_dead(on_dead)
        yield from self._read_or_drop(load)
        try:
            libraries = self._libraries.prepare(load.functions)
            if in_place:
                self._libraries.join(libraries, replace=merge)
        except CommandError as error:
            load.drop()
            raise CannotLoad(f"a library of functions cannot be loaded: {error}") from error
        if not in_place:
            self._data_replaced()
        end = load.at
        load.install()
        if not in_place:
            self._libraries.install(libraries)
        self._loading.last_keys, self._loading.last_dead = load.loaded, load.dead
        for key in load.empty_keys:
            log.notice(f"rdbLoadObject skipping empty key: {key[:100].decode('utf-8', 'backslashreplace')}")
        for name in sorted(set(load.modules_skipped)):
            log.warning(f"The RDB holds data of the module {name} beside its keys, which is skipped: no modules here.")
        skipped = f", empty keys skipped: {load.empty}" if load.empty else ""
        log.notice(f"Done loading RDB, keys loaded: {load.loaded}, keys expired: {load.dead}{skipped}.")
        return Loaded(load.loaded, load.dead, load.facts, end)

    def slots(self, data: Data, slots: bytes, *, keep_dead: bool = False) -> Steps[Loaded]:
        """Load the keys of these slots from a file whose bytes are at hand; CannotLoad as for `rdb`.

        `slots` has 16384 bytes, one a slot, 0 for those to leave out. What the node has in these slots stays, in
        everybody's sight, until the file is whole; then it goes, whether the file has anything for its slot or not. All
        other keys, here and in the file, are left alone, and so are the functions. Clients are served meanwhile, and
        nothing of it is a write of the stream: whoever loads slots tells replicas in their own way.
        """
        load = RdbLoad(
            self.basics.space, data, check=self.basics.config["rdbchecksum"], keep_dead=keep_dead, slots=slots
        )
        yield from self._read_or_drop(load)
        try:
            while load.prepare(KEYS_A_STEP):
                yield 0
        except GeneratorExit:
            load.drop()
            raise
        end = load.at
        load.install()
        self.basics.space.dirty += load.loaded + load.replaced
        self._slots_replaced(slots)
        self.basics.log.notice(
            f"Loaded {load.loaded} keys of {len(slots) - slots.count(0)} slots in the place of {load.replaced}."
        )
        return Loaded(load.loaded, load.dead, load.facts, end)

    def _read_or_drop(self, load: RdbLoad) -> Steps[None]:
        """All of a file, aside; CannotLoad, and nothing is left of it."""
        try:
            yield from self._read(load)
        except (Malformed, MemoryError) as error:
            load.drop()
            key = load.current_key()
            where = f", reading key {key[:100].decode('utf-8', 'backslashreplace')!r}" if key is not None else ""
            raise CannotLoad(f"{error}{where}") from error
        except GeneratorExit:
            load.drop()
            raise

    def _read(self, load: RdbLoad) -> Steps[None]:
        """All of a file, aside; the number of keys of each step."""
        config, told, seen, more = self.basics.config, False, 0, True
        while more:
            interval = config["loading-process-events-interval-bytes"]
            more = load.some(min(STEP_BYTES, interval or STEP_BYTES), _keys_a_step(config["key-load-delay"]))
            self._loading.loaded_bytes = load.at
            keys = load.loaded + load.dead + load.empty + load.elsewhere
            if not told and (keys or not more):
                told = True
                self._tell_origin(load.facts)
            yield keys - seen
            seen = keys

    def _tell_origin(self, facts: dict[bytes, bytes]) -> None:
        """What Redis logs of the facts at a file's head."""
        log, now_s = self.basics.log, self.basics.now_ms // 1000
        for name, value in facts.items():
            text = value.decode("utf-8", "backslashreplace")
            match name:
                case b"redis-ver" | b"valkey-ver":
                    log.notice(f"Loading RDB produced by version {text}")
                case b"ctime" if (saved_s := stated_number(value)) is not None:
                    log.notice(f"RDB age {max(now_s - saved_s, 0)} seconds")
                case b"used-mem" if (used := stated_number(value)) is not None:
                    log.notice(f"RDB memory usage when created {used / (1 << 20):.2f} Mb")
                case b"aof-base" if value == b"1":
                    log.notice("RDB is base AOF")

    def snapshot_file(
        self, disk: Disk, name: str, keep_dead: bool
    ) -> Steps[tuple[dict[bytes, bytes], list[tuple[int, bytes]]] | None]:
        """A file in the place of what the node has; its facts, and the keys that were left out. None: there is none.

        If it says which history its data is part of, the node can go on with that; replicas have to hear of the keys
        that have died since, as of every other change. `keep_dead`: nothing is left out. CannotLoad.
        """
        log = self.basics.log
        try:
            data = disk.map(name)
        except OSError as error:
            raise CannotLoad(f"{name} cannot be read: {error}") from error
        if data is None:
            return None
        started_us = self.basics.clock.now_us()
        self._loading.begin(len(data))
        dead: list[tuple[int, bytes]] = []
        try:
            loaded = yield from self.rdb(
                data, keep_dead=keep_dead, on_dead=lambda db, key: dead.append((db.index, key))
            )
        except CannotLoad as error:
            log.warning("Terminating server after rdb file reading failure.")
            raise CannotLoad(f"{name} is no good snapshot: {error}") from error
        finally:
            self._loading.end()
        log.notice(f"DB loaded from disk: {(self.basics.clock.now_us() - started_us) / 1e6:.3f} seconds")
        return loaded.facts, dead


def _keys_a_step(delay_us: int) -> int:
    return max(1, DELAY_A_STEP_US // delay_us) if delay_us > 0 else ALL_KEYS


def delay_us(keys: int, setting: int) -> float:
    """How long to wait after so many keys, by `key-load-delay`; a negative one is a microsecond every so many keys."""
    return keys * float(setting) if setting >= 0 else keys / -setting


def _while_loading(read: Callable[[Loading], object]) -> Callable[[Loading], object]:
    return lambda own: read(own) if own.active else None


def figures() -> Table[Loading]:
    return (
        shown(
            "persistence",
            "loading",
            lambda own: int(own.active and not own.asynchronous),
            "1: data is being loaded, and clients wait.",
        ),
        shown(
            "persistence",
            "async_loading",
            lambda own: int(own.asynchronous),
            "1: data is being loaded, and the old is served meanwhile.",
        ),
        shown(
            "persistence",
            "rdb_last_load_keys_expired",
            lambda own: own.last_dead,
            "Keys of the file loaded last that had expired.",
            after="rdb_last_cow_size",
        ),
        shown("persistence", "rdb_last_load_keys_loaded", lambda own: own.last_keys, "Its other keys."),
        shown(
            "persistence",
            "loading_start_time",
            _while_loading(lambda own: own.started_ms // 1000),
            "Unix time of the beginning.",
            after="aof_delayed_fsync",
        ),
        shown(
            "persistence", "loading_total_bytes", _while_loading(lambda own: own.total_bytes), "The size of the file."
        ),
        shown("persistence", "loading_rdb_used_mem", _while_loading(lambda own: 0), "Always 0."),
        shown(
            "persistence", "loading_loaded_bytes", _while_loading(lambda own: own.loaded_bytes), "What is loaded of it."
        ),
        shown(
            "persistence",
            "loading_loaded_perc",
            _while_loading(lambda own: f"{own.loaded_bytes / (own.total_bytes + 1) * 100:.2f}"),
            "The same in percent.",
        ),
        shown("persistence", "loading_eta_seconds", _while_loading(lambda own: own.eta_s), "How long it may take yet."),
        counted(
            "stats",
            "dump_payload_sanitizations",
            "checked_payloads",
            "Collections of RESTORE that were looked through.",
            after="total_error_replies",
        ),
    )
