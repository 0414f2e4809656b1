"""The primary's data on its way into the place of ours: kept while it comes, then loaded.

It is kept in a file, or in memory (repl-diskless-load). Our data stays as it is until all of it has come; with
`swapdb` until it has been loaded, too. Nobody can go on from what we had then: our own replicas have to load as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from node.ports.steps import CannotLoad, Steps
from node.replication.lineage import Lineage, stated_database

if TYPE_CHECKING:
    from node.basics import Basics
    from node.persistence.rdb.load import Data
    from node.ports.primary import Host
    from node.replication.local_expiry import LocalExpiry

LOADS = "MASTER <-> REPLICA sync: Loading DB in memory"


class Loaded(Protocol):
    """What a file held."""

    @property
    def facts(self) -> dict[bytes, bytes]: ...


class Loader(Protocol):
    """Puts the data of a file into the place of the node's (node/persistence/loading.py)."""

    def rdb(self, data: Data, *, keep_dead: bool = False) -> Steps[Loaded]: ...


class Loading(Protocol):
    """What clients are told of a load."""

    active: bool
    loaded_bytes: int

    def begin(self, total_bytes: int, asynchronous: bool = False) -> None: ...
    def goes_on(self, now_ms: int) -> None: ...
    def end(self) -> None: ...


class Disk(Protocol):
    """The files of the node."""

    def map(self, name: str) -> Data | None: ...


class Arrival:
    """Keeps and loads the primary's data for one node.

    `flush` empties its databases, `replaced` is told that other data has taken the place of all.
    """

    def __init__(
        self,
        basics: Basics,
        lineage: Lineage,
        local_expiry: LocalExpiry,
        host: Host,
        disk: Disk,
        loader: Loader,
        loading: Loading,
        flush: Callable[[bool], None],
        replaced: Callable[[], None],
    ) -> None:
        self.loading = loading
        self.replaced = replaced
        self._basics = basics
        self._lineage = lineage
        self._local_expiry = local_expiry
        self._host = host
        self._disk = disk
        self._loader = loader
        self._flush = flush
        self._in_memory: bytearray | None = None

    @property
    def to_memory(self) -> bool:
        """What comes now would be kept in memory."""
        mode = self._basics.config["repl-diskless-load"]
        return mode == "swapdb" or (mode == "on-empty-db" and not any(map(len, self._basics.space.dbs)))

    def begin(self, size: int | None, to_memory: bool, history_id: str) -> None:
        """So many bytes are coming, or as many as it takes, of the data of that history."""
        self._in_memory = bytearray() if to_memory else None
        if to_memory:
            # As if it were read as it comes: from here on the data that we have is of no use, or is old.
            self.loading.begin(size or 0, asynchronous=self._is_newer_of_ours(history_id))
            self._basics.log.notice(LOADS)
        else:
            self._host.begin_file()

    def _is_newer_of_ours(self, history_id: str) -> bool:
        """What comes is a later state of the data that we have, which may be shown meanwhile (repl-diskless-load)."""
        return self._basics.config["repl-diskless-load"] == "swapdb" and history_id == self._lineage.history.id

    def store(self, data: bytes) -> None:
        if self._in_memory is None:
            self._host.store_file(data)
        else:
            self._in_memory += data
            self.loading.loaded_bytes = len(self._in_memory)

    def drop(self) -> None:
        """It will not become whole."""
        self._host.cancel_load()
        self._host.drop_file()
        self._in_memory = None
        self.loading.end()

    def load(self, history_id: str, offset: int) -> Steps[None]:
        """The steps that put the primary's data into the place of ours."""
        config, log = self._basics.config, self._basics.log
        beside = self._in_memory is not None and config["repl-diskless-load"] == "swapdb"
        try:
            data: Data = memoryview(self._in_memory) if self._in_memory is not None else self._file()
            if not beside:
                log.notice("MASTER <-> REPLICA sync: Flushing old data")
                self._drop_past()
                self._flush(config["replica-lazy-flush"])
            if not self.loading.active:
                self.loading.begin(len(data))
            if self._in_memory is None:
                log.notice(LOADS)
            loaded = yield from self._loader.rdb(data, keep_dead=True)
        finally:
            self.loading.end()
            self._in_memory = None
        if beside:
            log.notice("MASTER <-> REPLICA sync: Swapping active DB with loaded DB")
            self._drop_past()
        space = self._basics.space
        space.dirty += 1
        self._lineage.replaced(history_id, offset, stated_database(loaded.facts, len(space.dbs)))

    def _drop_past(self) -> None:
        self._local_expiry.forget()
        self._lineage.drop_past()

    def _file(self) -> Data:
        config = self._basics.config
        name = config["dbfilename"]
        self._host.finish_file(name)
        data = self._disk.map(name)
        if data is None:
            raise CannotLoad("the file is gone")
        if config["rdb-del-sync-files"] and not config["save"] and not config["appendonly"]:
            self._host.remove_file(name)  # the mapped data stays
        return data
