"""Saving all data to the snapshot file: SAVE, BGSAVE, the `save` rules, LASTSAVE.

A save in the background is a snapshot (snapshots.py) whose pieces go to a draft of the file. SAVE is the same written
in one go. After a failure writes are refused, as far as `stop-writes-on-bgsave-error` says so, until a save succeeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from node import flags
from node.basics import Basics
from node.monitoring.figure import Table, shown
from node.persistence.rdb.snapshot import snapshot
from node.persistence.snapshots import Handle, Snapshots, key_delay_us
from node.ports.disk import Disk, Draft, NoDisk
from node.ports.host import Process
from node.replies import CommandError

RETRY_S = 5
"""After a failed save the rules wait so long before they try again."""

WAITING_MAX = 8 << 20
"""Bytes that the disk may be behind before the walk pauses."""

MISCONF = CommandError(
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. "
    "Commands that may modify the data set are disabled, because this instance is configured to report errors "
    "during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). "
    "Please check the Redis logs for details about the RDB error."
)


class Saving:
    """When the data was last on disk, and what came of it."""

    def __init__(
        self,
        basics: Basics,
        disk: Disk,
        process: Process,
        snapshots: Snapshots,
        is_replica: Callable[[], bool],
        facts: Callable[[], dict[str, object]],
        saves_for_replicas: Callable[[], bool],
    ) -> None:
        """`facts`: where in which history the data is, for the head of the file (Following.facts).

        `saves_for_replicas`: whether a snapshot is being made for replicas, which INFO counts as a save, too.
        """
        self.basics = basics
        self.disk = disk
        self._process = process
        self._snapshots = snapshots
        self._is_replica = is_replica
        self._facts = facts
        self.saves_for_replicas = saves_for_replicas
        self.last_save_ms = basics.now_ms
        self.last_try_ms = 0
        self.last_status = "ok"
        self.last_took_s = -1
        self.saves = 0
        self.scheduled = False
        """BGSAVE SCHEDULE: as soon as nothing else keeps the disk busy."""
        self.rewriting: Callable[[], bool] = lambda: False
        """Is the append-only file being rewritten? The two would be in each other's way."""
        self._background: BackgroundSave | None = None
        basics.config.subscribe(["save", "stop-writes-on-bgsave-error"], lambda config: self._gate())

    # -- what others ask

    @property
    def has_disk(self) -> bool:
        return not isinstance(self.disk, NoDisk)

    @property
    def in_progress(self) -> bool:
        return self._background is not None

    @property
    def handle(self) -> Handle | None:
        """The snapshot that is being saved, while its keys are written."""
        return self._background.handle if self._background is not None else None

    @property
    def current_took_s(self) -> int:
        """How long the save in the background has been going on; -1: there is none."""
        return -1 if self._background is None else (self.basics.now_ms - self._background.started_ms) // 1000

    def refusal(self) -> CommandError | None:
        """Why writes are refused, if they are. What a primary sends is never refused, so a replica needs no reason."""
        return MISCONF if self._failing and not self._is_replica() else None

    @property
    def _failing(self) -> bool:
        config = self.basics.config
        return self.last_status == "err" and bool(config["save"]) and config["stop-writes-on-bgsave-error"]

    # -- saving

    def pieces(self, aux: Mapping[str, object] | None = None) -> Iterable[bytes]:
        """The data as it is now, as a file. Its head says where in which history that is, or what `aux` has."""
        config = self.basics.config
        return snapshot(
            self.basics.space,
            config["rdbcompression"],
            config["rdbchecksum"],
            config["maxmemory-policy"],
            aux=self._facts() if aux is None else aux,
            functions=self._snapshots.functions(),
        )

    def save(self) -> bool:
        """SAVE: write the snapshot now; False: the disk would not have it, and the log says why."""
        basics = self.basics
        self.cancel()
        try:
            self.disk.replace(basics.config["dbfilename"], self._slowed(self.pieces()))
        except OSError as error:
            self._complain(error)
            return False
        basics.log.notice("DB saved on disk")
        basics.space.dirty = 0
        self._ended(True)
        return True

    def _slowed(self, pieces: Iterable[bytes]) -> Iterable[bytes]:
        """With `rdb-key-save-delay`, which stops the whole server here as it does in Redis."""
        delay_us = key_delay_us(self.basics.config["rdb-key-save-delay"])
        if delay_us:
            self.basics.clock.sleep(delay_us * sum(map(len, self.basics.space.dbs)) / 1e6)
        yield from pieces

    def start(self) -> bool:
        """BGSAVE: begin to save in the background; False: it failed at once. There must be no other."""
        basics = self.basics
        self.scheduled = False
        self.last_try_ms = basics.now_ms
        self._background = background = BackgroundSave(self)
        try:
            background.draft = self.disk.draft(
                basics.config["dbfilename"], basics.config["rdb-save-incremental-fsync"], background.ended
            )
        except OSError as error:
            background.ended(error)
            return False
        self._snapshots.jobs += 1
        background.handle = self._snapshots.start(background, aux=self._facts())
        basics.log.notice(f"Background saving started by pid {self._process.facts().pid}")
        return True

    def cancel(self) -> None:
        """Give up a save in the background: FLUSHALL, SHUTDOWN, or a SAVE that replaces it."""
        if self._background is not None:
            self._background.cancel()
            self._background = None
            self.basics.log.warning("Background saving cancelled")

    def all_flushed(self) -> None:
        """FLUSHALL: a save of what was is pointless now, and the file must not bring it back after a crash."""
        self.cancel()
        if self.basics.config["save"] and self.has_disk:
            self.save()

    def background_ended(self, background: BackgroundSave, error: OSError | None) -> None:
        """A save in the background has come to its end."""
        basics = self.basics
        self._background = None
        self.last_took_s = (basics.now_ms - background.started_ms) // 1000
        if error is None:
            basics.space.dirty = max(0, basics.space.dirty - background.dirty)
            basics.log.notice("DB saved on disk")
            basics.log.notice("Background saving terminated with success")
        else:
            self._complain(error)
            basics.log.warning("Background saving error")
        self._ended(error is None)

    def _complain(self, error: OSError) -> None:
        self.basics.log.warning(f"Write error saving DB on disk: {error}")

    def _ended(self, well: bool) -> None:
        if well:
            self.last_save_ms = self.basics.now_ms
            self.saves += 1
        self.last_status = "ok" if well else "err"
        self._gate()

    def _gate(self) -> None:
        self.basics.set_state(flags.STATE_SAVING, self._failing)

    # -- time

    def tick(self, now_ms: int) -> None:
        """Start what is due: what was scheduled, or what a `save` rule asks for."""
        if self.in_progress or self.rewriting() or not self.has_disk:
            return
        may_try = self.last_status == "ok" or now_ms - self.last_try_ms > RETRY_S * 1000
        if not may_try:
            return
        if self.scheduled:
            self.start()
            return
        for seconds, changes in self.basics.config["save"]:
            if self.basics.space.dirty >= changes and now_ms - self.last_save_ms > seconds * 1000:
                self.basics.log.notice(f"{changes} changes in {seconds} seconds. Saving...")
                self.start()
                return


class BackgroundSave:
    """The consumer of a snapshot that puts it into a draft of the file."""

    def __init__(self, saving: Saving) -> None:
        self.saving = saving
        self.handle: Handle | None = None
        self.draft: Draft | None = None
        self.started_ms = saving.basics.now_ms
        self.dirty = saving.basics.space.dirty

    def write(self, piece: bytes) -> None:
        assert self.draft is not None
        self.draft.write(piece)

    def ready(self) -> bool:
        return self.draft is not None and self.draft.waiting_bytes < WAITING_MAX

    def done(self) -> None:
        assert self.draft is not None
        self.draft.commit()

    def failed(self, reason: str) -> None:
        self.cancel()
        self.ended(OSError(reason))

    def cancel(self) -> None:
        if self.handle is not None:
            self.handle.cancel()
        if self.draft is not None:
            self.draft.discard()

    def ended(self, error: OSError | None) -> None:
        """The draft has become the file, or something went wrong with it."""
        if self.handle is not None:
            self.handle.cancel()
        self.saving.background_ended(self, error)


def figures() -> Table[Saving]:
    return (
        shown(
            "persistence",
            "rdb_bgsave_in_progress",
            lambda own: int(own.in_progress or own.saves_for_replicas()),
            "1: a snapshot is being made.",
            after="rdb_changes_since_last_save",
        ),
        shown("persistence", "rdb_last_save_time", lambda own: own.last_save_ms // 1000, "Unix time of the last one."),
        shown("persistence", "rdb_last_bgsave_status", lambda own: own.last_status, "How it ended."),
        shown("persistence", "rdb_last_bgsave_time_sec", lambda own: own.last_took_s, "How long it took."),
        shown(
            "persistence",
            "rdb_current_bgsave_time_sec",
            lambda own: own.current_took_s,
            "How long this one has taken; -1: none.",
        ),
        shown("persistence", "rdb_saves", lambda own: own.saves, "How many were saved."),
        shown("persistence", "rdb_last_cow_size", lambda own: 0, "Always 0: nothing forks."),
    )
