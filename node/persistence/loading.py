"""Bringing data from files into a node: at its start, when DEBUG asks for it, when a primary has sent a whole data set.

A load is a generator. It does a little and yields how many keys that were, over and over; what it returns is the
outcome. So whoever runs it decides how long it may take at a stretch: the host between turns of the loop
(node/aio/loading.py), `at_once` for a command that has to wait, a test one step at a time.

While `Loading` is active, clients get -LOADING (unless their command may run meanwhile) and INFO tells how far it is.
The data lies aside until all of the file has been read, then takes the place of what the node has: a broken file leaves
what was there. Other parts build on `rdb`: the append-only file's preamble, a replica's full synchronisation.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from node import flags
from node.engine.rdb import Malformed
from node.persistence.rdb.load import ALL_KEYS, RdbLoad
from node.replication.history import stated_number
from node.replies import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.core import NodeCore
    from node.engine.table import Db
    from node.persistence.rdb.load import Data

STEP_BYTES = 64 * 1024
DELAY_A_STEP_US = 2000
"""How long key-load-delay may hold one step."""

Result = TypeVar("Result")
Steps = Generator[int, None, Result]


class CannotLoad(Exception):
    """The data cannot be loaded: a node must not start without it. The text is for the log."""


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

    def __init__(self, node: NodeCore) -> None:
        self.node = node
        self.active = False
        self.asynchronous = False
        """The old data is served meanwhile (a replica whose primary sends a new data set)."""
        self.started_ms = 0
        self.total_bytes = 0
        self.loaded_bytes = 0
        self.last_keys = 0
        self.last_dead = 0

    def begin(self, total_bytes: int, asynchronous: bool = False) -> None:
        self.active = True
        self.asynchronous = asynchronous
        self.started_ms = self.node.space.now_ms
        self.total_bytes, self.loaded_bytes = total_bytes, 0
        self._tell()

    def end(self) -> None:
        self.active = self.asynchronous = False
        self._tell()

    def _tell(self) -> None:
        self.node.set_state(flags.STATE_LOADING, self.active and not self.asynchronous)
        self.node.set_state(flags.STATE_LOADING_ASIDE, self.active and self.asynchronous)

    def fields(self) -> dict[str, object]:
        """For INFO, while it lasts."""
        loaded, total = self.loaded_bytes, self.total_bytes
        elapsed_s = (self.node.space.now_ms - self.started_ms) // 1000
        return {
            "loading_start_time": self.started_ms // 1000,
            "loading_total_bytes": total,
            "loading_rdb_used_mem": 0,
            "loading_loaded_bytes": loaded,
            "loading_loaded_perc": f"{loaded / (total + 1) * 100:.2f}",
            "loading_eta_seconds": elapsed_s * max(0, total - loaded) // (loaded + 1) if elapsed_s else 1,
        }


def rdb(
    node: NodeCore,
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

    `at` and `preamble`: it begins there, and something else follows it. `keep_dead`: keys that have expired are loaded
    too, since somebody else decides about them (a replica's primary, the log after a preamble). `in_place`: into the
    databases as they are; a key or a library that is there already is replaced with `merge`, else an error. `on_dead`
    is told of the keys that are left out because they have expired.
    """
    load = RdbLoad(
        node.space,
        data,
        check=node.config["rdbchecksum"],
        keep_dead=keep_dead,
        at=at,
        preamble=preamble,
        into=node.space.dbs if in_place else None,
        merge=merge,
    )
    load.tell_of_dead(on_dead)
    try:
        yield from _read(node, load)
    except (Malformed, MemoryError) as error:
        load.drop()
        key = load.current_key()
        where = f", reading key {key[:100].decode('utf-8', 'backslashreplace')!r}" if key is not None else ""
        raise CannotLoad(f"{error}{where}") from error
    except GeneratorExit:
        load.drop()
        raise
    try:
        libraries = node.functions.prepare(load.functions)
        if in_place:
            node.functions.join(libraries, replace=merge)
    except CommandError as error:
        load.drop()
        raise CannotLoad(f"a library of functions cannot be loaded: {error}") from error
    if not in_place:
        node.data_replaced()
    end = load.at
    load.install()
    if not in_place:
        node.functions.install(libraries)
    node.loading.last_keys, node.loading.last_dead = load.loaded, load.dead
    for key in load.empty_keys:
        node.log.notice(f"rdbLoadObject skipping empty key: {key[:100].decode('utf-8', 'backslashreplace')}")
    for name in sorted(set(load.modules_skipped)):
        node.log.warning(f"The RDB holds data of the module {name} beside its keys, which is skipped: no modules here.")
    skipped = f", empty keys skipped: {load.empty}" if load.empty else ""
    node.log.notice(f"Done loading RDB, keys loaded: {load.loaded}, keys expired: {load.dead}{skipped}.")
    return Loaded(load.loaded, load.dead, load.facts, end)


def _read(node: NodeCore, load: RdbLoad) -> Steps[None]:
    """All of a file, aside; the number of keys of each step."""
    told, seen, more = False, 0, True
    while more:
        interval = node.config["loading-process-events-interval-bytes"]
        more = load.some(min(STEP_BYTES, interval or STEP_BYTES), _keys_a_step(node.config["key-load-delay"]))
        node.loading.loaded_bytes = load.at
        keys = load.loaded + load.dead + load.empty
        if not told and (keys or not more):
            told = True
            _tell_origin(node, load.facts)
        yield keys - seen
        seen = keys


def _keys_a_step(delay_us: int) -> int:
    return max(1, DELAY_A_STEP_US // delay_us) if delay_us > 0 else ALL_KEYS


def delay_us(keys: int, setting: int) -> float:
    """How long to wait after so many keys, by `key-load-delay`; a negative one is a microsecond every so many keys."""
    return keys * float(setting) if setting >= 0 else keys / -setting


def _tell_origin(node: NodeCore, facts: dict[bytes, bytes]) -> None:
    """What Redis logs of the facts at a file's head."""
    for name, value in facts.items():
        text = value.decode("utf-8", "backslashreplace")
        match name:
            case b"redis-ver" | b"valkey-ver":
                node.log.notice(f"Loading RDB produced by version {text}")
            case b"ctime" if (saved_s := stated_number(value)) is not None:
                node.log.notice(f"RDB age {max(node.space.now_ms // 1000 - saved_s, 0)} seconds")
            case b"used-mem" if (used := stated_number(value)) is not None:
                node.log.notice(f"RDB memory usage when created {used / (1 << 20):.2f} Mb")
            case b"aof-base" if value == b"1":
                node.log.notice("RDB is base AOF")


def snapshot_file(node: NodeCore) -> Steps[None]:
    """The file that `dbfilename` names, in the place of what the node has. CannotLoad.

    If it says which history its data is part of, the node goes on with that; replicas have to hear of the keys that
    have died since, as of every other change.
    """
    name = node.config["dbfilename"]
    try:
        data = node.saving.disk.map(name)
    except OSError as error:
        raise CannotLoad(f"{name} cannot be read: {error}") from error
    if data is None:
        return
    started_us = node.now_us()
    node.loading.begin(len(data))
    dead: list[tuple[int, bytes]] = []
    try:
        loaded = yield from rdb(
            node, data, keep_dead=node.following.starts, on_dead=lambda db, key: dead.append((db.index, key))
        )
    except CannotLoad as error:
        node.log.warning("Terminating server after rdb file reading failure.")
        raise CannotLoad(f"{name} is no good snapshot: {error}") from error
    finally:
        node.loading.end()
    node.log.notice(f"DB loaded from disk: {(node.now_us() - started_us) / 1e6:.3f} seconds")
    node.following.restored(loaded.facts, dead)


def at_once(steps: Steps[Result]) -> Result:
    """Run a load to its end, for a command that cannot go on without it."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: Result = stop.value
            return result
