"""Saving all data to the snapshot file: SAVE, BGSAVE, the `save` rules, LASTSAVE.

A save in the background is a snapshot (snapshots.py) whose pieces go to a draft of the file. SAVE is the same written
in one go. After a failure writes are refused, as far as `stop-writes-on-bgsave-error` says so, until a save succeeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from node import flags
from node.persistence.disk import Disk, Draft, NoDisk
from node.persistence.rdb.snapshot import snapshot
from node.persistence.snapshots import Handle, key_delay_us
from node.replies import CommandError

if TYPE_CHECKING:
    from node.core import NodeCore

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

    def __init__(self, node: NodeCore) -> None:
        self.node = node
        self.disk: Disk = NoDisk()
        self.last_save_ms = node.space.now_ms
        self.last_try_ms = 0
        self.last_status = "ok"
        self.last_took_s = -1
        self.saves = 0
        self.scheduled = False
        """BGSAVE SCHEDULE: as soon as nothing else keeps the disk busy."""
        self.rewriting: Callable[[], bool] = lambda: False
        """Is the append-only file being rewritten? The two would be in each other's way."""
        self._background: BackgroundSave | None = None
        node.config.subscribe(["save", "stop-writes-on-bgsave-error"], lambda config: self._gate())

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
        return -1 if self._background is None else (self.node.space.now_ms - self._background.started_ms) // 1000

    def refusal(self) -> CommandError | None:
        """Why writes are refused, if they are. What a primary sends is never refused, so a replica needs no reason."""
        return MISCONF if self._failing and self.node.role == "master" else None

    @property
    def _failing(self) -> bool:
        config = self.node.config
        return self.last_status == "err" and bool(config["save"]) and config["stop-writes-on-bgsave-error"]

    # -- saving

    def pieces(self, aux: Mapping[str, object] | None = None) -> Iterable[bytes]:
        """The data as it is now, as a file. Its head says where in which history that is, or what `aux` has."""
        node, config = self.node, self.node.config
        return snapshot(
            node.space,
            config["rdbcompression"],
            config["rdbchecksum"],
            config["maxmemory-policy"],
            aux=node.following.facts() if aux is None else aux,
            functions=node.snapshots.functions(),
        )

    def save(self) -> bool:
        """SAVE: write the snapshot now; False: the disk would not have it, and the log says why."""
        node = self.node
        self.cancel()
        try:
            self.disk.replace(node.config["dbfilename"], self._slowed(self.pieces()))
        except OSError as error:
            self._complain(error)
            return False
        node.log.notice("DB saved on disk")
        node.space.dirty = 0
        self._ended(True)
        return True

    def _slowed(self, pieces: Iterable[bytes]) -> Iterable[bytes]:
        """With `rdb-key-save-delay`, which stops the whole server here as it does in Redis."""
        delay_us = key_delay_us(self.node.config["rdb-key-save-delay"])
        if delay_us:
            self.node.sleep(delay_us * sum(map(len, self.node.space.dbs)) / 1e6)
        yield from pieces

    def start(self) -> bool:
        """BGSAVE: begin to save in the background; False: it failed at once. There must be no other."""
        node = self.node
        self.scheduled = False
        self.last_try_ms = node.space.now_ms
        self._background = background = BackgroundSave(self)
        try:
            background.draft = self.disk.draft(
                node.config["dbfilename"], node.config["rdb-save-incremental-fsync"], background.ended
            )
        except OSError as error:
            background.ended(error)
            return False
        node.stats.background_jobs += 1
        background.handle = node.snapshots.start(background, aux=node.following.facts())
        node.log.notice(f"Background saving started by pid {node.process().pid}")
        return True

    def cancel(self) -> None:
        """Give up a save in the background: FLUSHALL, SHUTDOWN, or a SAVE that replaces it."""
        if self._background is not None:
            self._background.cancel()
            self._background = None
            self.node.log.warning("Background saving cancelled")

    def all_flushed(self) -> None:
        """FLUSHALL: a save of what was is pointless now, and the file must not bring it back after a crash."""
        self.cancel()
        if self.node.config["save"] and self.has_disk:
            self.save()

    def background_ended(self, background: BackgroundSave, error: OSError | None) -> None:
        """A save in the background has come to its end."""
        node = self.node
        self._background = None
        self.last_took_s = (node.space.now_ms - background.started_ms) // 1000
        if error is None:
            node.space.dirty = max(0, node.space.dirty - background.dirty)
            node.log.notice("DB saved on disk")
            node.log.notice("Background saving terminated with success")
        else:
            self._complain(error)
            node.log.warning("Background saving error")
        self._ended(error is None)

    def _complain(self, error: OSError) -> None:
        self.node.log.warning(f"Write error saving DB on disk: {error}")

    def _ended(self, well: bool) -> None:
        if well:
            self.last_save_ms = self.node.space.now_ms
            self.saves += 1
        self.last_status = "ok" if well else "err"
        self._gate()

    def _gate(self) -> None:
        self.node.set_state(flags.STATE_SAVING, self._failing)

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
        for seconds, changes in self.node.config["save"]:
            if self.node.space.dirty >= changes and now_ms - self.last_save_ms > seconds * 1000:
                self.node.log.notice(f"{changes} changes in {seconds} seconds. Saving...")
                self.start()
                return


class BackgroundSave:
    """The consumer of a snapshot that puts it into a draft of the file."""

    def __init__(self, saving: Saving) -> None:
        self.saving = saving
        self.handle: Handle | None = None
        self.draft: Draft | None = None
        self.started_ms = saving.node.space.now_ms
        self.dirty = saving.node.space.dirty

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
