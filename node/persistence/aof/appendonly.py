"""The append-only file of a node, as a whole: whether it is on, which files it has, when it is rewritten.

    OFF       nothing is logged
    WAITING   it was switched on while the node runs: a first rewrite has to bring the data that is there to disk. What
              is written meanwhile goes to a temporary increment, which counts once the base is whole
    ON        every write goes to the last increment of the manifest

A rewrite begins with a new increment, so that the base which it writes and the increments from that one on are the data
at any time. If it fails, the old base and all increments still are. The manifest is replaced, on disk, before anything
relies on what it says; files that it no longer needs are deleted after that.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from node import flags
from node.basics import Basics
from node.config import BadValue, Config
from node.monitoring.figure import Table, shown
from node.persistence.aof.backoff import Backoff
from node.persistence.aof.convert import Converter
from node.persistence.aof.log import AppendLog
from node.persistence.aof.parts import Parts
from node.persistence.aof.rewrite import Rewrite
from node.persistence.saving import Saving
from node.persistence.snapshots import Snapshots
from node.ports.aof_files import AofFiles, error_text
from node.ports.host import Process
from node.ports.steps import CannotLoad
from node.replication.write_stream import WriteStream
from node.replies import CommandError

FIRST_REWRITE_FAILED = "Unable to turn on AOF. Check server logs."


class State(Enum):
    OFF = 0
    WAITING = 1
    ON = 2


class AppendOnly:
    """The append-only file of one node."""

    def __init__(
        self,
        basics: Basics,
        files: AofFiles,
        process: Process,
        stream: WriteStream,
        saving: Saving,
        snapshots: Snapshots,
        reached_disk: Callable[[], None],
    ) -> None:
        """`reached_disk` is told that more of the stream is on disk."""
        self.basics = basics
        self._process = process
        self._stream = stream
        self._saving = saving
        self._snapshots = snapshots
        self.parts = Parts(basics.config, basics.log, files)
        self.state = State.OFF
        self.log = AppendLog(basics, stream, lambda: self.disk_is_busy, reached_disk, lambda: files.die())
        self.backoff = Backoff()
        self.scheduled = False
        self.rewrites = 0
        self.last_status = "ok"
        self.last_rewrite_s = -1
        self.base_size = 0
        self._rewrite: Rewrite | None = None
        self._handle: Any = None
        self.rewrite_started_ms = 0
        self._attached = False
        saving.rewriting = lambda: self.rewriting
        basics.config.subscribe(["appendonly"], self._switched)
        basics.config.subscribe(["aof-disable-auto-gc"], lambda config: self.parts.delete_history())

    # -- what others ask

    @property
    def rewriting(self) -> bool:
        return self._rewrite is not None

    @property
    def disk_is_busy(self) -> bool:
        """Large files are being written in the background."""
        return self.rewriting or self._saving.in_progress

    def refusal(self) -> CommandError | None:
        """Why writes are refused, if they are: the disk does not take them."""
        error = self.log.error or self.log.sync_error
        if error is None or self.state is State.OFF:
            return None
        return CommandError(f"MISCONF Errors writing to the AOF file: {error_text(error)}")

    @property
    def durable_offset(self) -> int | None:
        """How much of the stream is on disk; None: nothing goes there."""
        return self.log.durable_offset if self.state is State.ON else None

    def _gate(self) -> None:
        refusing = self.refusal() is not None
        if refusing != bool(self.basics.engine.states & flags.STATE_AOF):
            self.basics.set_state(flags.STATE_AOF, refusing)

    # -- on and off

    def open(self) -> None:
        """After loading, at the start of the node: go on in the last increment. CannotLoad."""
        if not self.basics.config["appendonly"]:
            return
        try:
            self._open()
        except OSError as error:
            raise CannotLoad(f"Can't open the append-only file: {error.filename or ''} {error_text(error)}") from error
        self.parts.delete_history()

    def _open(self) -> None:
        basics, manifest = self.basics, self.parts.manifest
        self.parts.files.make_folder(basics.config["appenddirname"])
        if not manifest.parts:
            manifest = manifest.with_new_base(self.parts.prefix, self._base_suffix())
            assert manifest.base is not None
            self._write_base_now(manifest.base.name)
            basics.log.notice(f"Creating AOF base file {manifest.base.name} on server start")
        verb = "Opening"
        if not manifest.increments:
            manifest, verb = manifest.with_new_increment(self.parts.prefix), "Creating"
        name = manifest.increments[-1].name
        file = self.parts.files.open_log(self.parts.path(name), fresh=False)
        self.parts.persist(manifest)
        size = self.parts.files.size(self.parts.path(name))
        before = sum(self.parts.files.size(self.parts.path(part.name)) for part in manifest.parts[:-1])
        self.log.open(file, size, before)
        self.log.synced_offset = self._stream.offset
        if manifest.base is not None:
            self.base_size = self.parts.files.size(self.parts.path(manifest.base.name))
        self.state = State.ON
        self._attach()
        basics.log.notice(f"{verb} AOF incr file {name} on server start")

    def _write_base_now(self, name: str) -> None:
        """The base of a node that starts with what it has in memory, which is nothing or a snapshot's data."""
        pieces = self._saving.pieces({"aof-base": 1})
        if not self.basics.config["aof-use-rdb-preamble"]:
            converter = Converter()
            pieces = [self._stamp(), *(converter.feed(piece) for piece in pieces), converter.finish()]
        self.parts.files.replace(self.parts.path(name), f"temp-rewriteaof-{self._process.facts().pid}.aof", pieces)

    def _attach(self) -> None:
        if not self._attached:
            self._stream.attach(self._take)
            self._attached = True

    def _detach(self) -> None:
        if self._attached:
            self._stream.detach(self._take)
            self._attached = False

    def _take(self, data: bytes) -> None:
        """The stream's sink."""
        self.log.add(data)
        self._gate()

    def _switched(self, config: Config) -> None:
        """CONFIG SET appendonly."""
        if config["appendonly"] == (self.state is not State.OFF):
            return
        if not config["appendonly"]:
            self.switch_off()
        elif not self.switch_on():
            raise BadValue(FIRST_REWRITE_FAILED)

    def switch_off(self) -> None:
        """The files stay; a rewrite that was under way is of no use any more."""
        self._detach()
        self.log.close()
        self.state = State.OFF
        self.scheduled = False
        self._stop_rewrite()
        self.log.error = self.log.sync_error = None
        self._gate()

    def switch_on(self) -> bool:
        """Begin with a rewrite; False if that cannot be."""
        basics = self.basics
        self.state = State.WAITING
        current = basics.engine.current
        if self._saving.in_progress:
            self.scheduled = True
            basics.log.warning(
                "AOF was enabled but there is already another background operation. An AOF background was scheduled to "
                "start when possible."
            )
        elif current is not None and current.flags & flags.EXEC:
            self.scheduled = True
            basics.log.warning(
                "AOF was enabled during a transaction. An AOF background was scheduled to start when possible."
            )
        else:
            if self.rewriting:
                basics.log.warning(
                    "AOF was enabled but there is already an AOF rewriting in background. Stopping background AOF and "
                    "starting a rewrite now."
                )
                self._stop_rewrite()
            if not self.start_rewrite():
                self.state = State.OFF
                basics.log.warning(
                    "Redis needs to enable the AOF but can't trigger a background AOF rewrite operation. Check the "
                    "above logs for more info about the error."
                )
                return False
        self.log.ignore_errors()
        return True

    def data_replaced(self) -> None:
        """All data is somebody else's now (a replica after a full synchronization): begin again with a rewrite."""
        if self.state is not State.OFF:
            self.switch_off()
            if not self.switch_on():
                self.basics.log.warning("AOF cannot be started again after the synchronization: nothing is logged.")

    def may_leave(self, force: bool) -> bool:
        """The node is going to end; False: what it has was never on disk, and is on its way there."""
        if self.rewriting:
            if self.state is State.WAITING and not force:
                self.basics.log.warning("Writing initial AOF, can't exit.")
                return False
            self.basics.log.warning("There is a child rewriting the AOF. Killing it!")
            self._stop_rewrite()
        return True

    def shutdown(self) -> None:
        """The node ends: the file is closed when all of it is on disk."""
        if self.state is State.ON:
            self.basics.log.notice("Calling fsync() on the AOF file.")
            self._detach()
            self.log.close()

    # -- rewriting

    def bgrewriteaof(self, in_transaction: bool) -> str:
        """The command; what is replied."""
        if self.rewriting:
            raise CommandError("ERR Background append only file rewriting already in progress")
        if self._saving.in_progress or in_transaction:
            self.scheduled = True
            self.backoff.failures = 0
            return "Background append only file rewriting scheduled"
        if self.start_rewrite():
            return "Background append only file rewriting started"
        raise CommandError(
            "ERR Can't execute an AOF background rewriting. Please check the server logs for more information."
        )

    def _base_suffix(self) -> str:
        return "rdb" if self.basics.config["aof-use-rdb-preamble"] else "aof"

    def _stamp(self) -> bytes:
        """What a base of commands begins with, if times are wanted."""
        return b"#TS:%d\r\n" % (self.basics.now_ms // 1000) if self.basics.config["aof-timestamp-enabled"] else b""

    def start_rewrite(self) -> bool:
        """Begin; False: it cannot be, and the log says why."""
        basics = self.basics
        logged = self._attached
        self._detach()  # what was written so far belongs to the increment that is open
        self.log.flush(force=True)
        if self.log.buffer and self.log.error is not None:
            # The base would hold these writes, and the increment that follows it would repeat them.
            return self._not_started(self.log.error, logged)
        base = self.parts.manifest.with_new_base(self.parts.prefix, self._base_suffix()).base
        assert base is not None
        as_commands = not basics.config["aof-use-rdb-preamble"]
        rewrite = Rewrite(self.parts.path(base.name), as_commands, self._rewritten)
        try:
            self.parts.files.make_folder(basics.config["appenddirname"])
            self._begin_increment()
            draft = self.parts.files.draft(
                rewrite.path,
                f"temp-rewriteaof-bg-{self._process.facts().pid}-{self.rewrites}.aof",
                basics.config["aof-rewrite-incremental-fsync"],
                rewrite.on_disk,
            )
        except OSError as error:
            return self._not_started(error, logged)
        rewrite.begin(draft, self._stamp() if as_commands else b"")
        self._rewrite = rewrite
        self.rewrites += 1
        self._snapshots.jobs += 1
        self.rewrite_started_ms = basics.now_ms
        self.scheduled = False
        basics.log.notice(f"Background append only file rewriting started by pid {self._process.facts().pid}")
        self._handle = self._snapshots.start(rewrite, aux={"aof-base": 1})
        return True

    def _not_started(self, error: OSError, logged: bool) -> bool:
        """The rewrite cannot be: everything stays as it was."""
        self.basics.log.warning(f"Can't rewrite append only file in background: {error_text(error)}")
        self.last_status = "err"
        if logged:
            self._attach()
        return False

    def _begin_increment(self) -> None:
        """What is written from now on is not in the base that is being made."""
        if self.state is State.OFF:
            return
        if self.state is State.WAITING:
            manifest, name = self.parts.manifest, self.parts.temporary
        else:
            manifest = self.parts.manifest.with_new_increment(self.parts.prefix)
            name = manifest.increments[-1].name
        file = self.parts.files.open_log(self.parts.path(name), fresh=True)
        if self.state is State.ON:
            try:
                self.parts.persist(manifest)
            except OSError:
                file.close_later()
                raise
        self.basics.log.notice(f"Creating AOF incr file {name} on background rewrite")
        self.log.open(file, 0, self.log.total_size)
        self._attach()

    def _rewritten(self, reason: str | None) -> None:
        """The rewrite has ended."""
        basics = self.basics
        rewrite, self._rewrite = self._rewrite, None
        if self._handle is not None and self._handle.active:
            self._handle.cancel()
        self._handle = None
        self.last_rewrite_s = (basics.now_ms - self.rewrite_started_ms) // 1000
        assert rewrite is not None
        if reason is None:
            basics.log.notice("Background AOF rewrite terminated with success")
            try:
                self._use_base(rewrite)
            except OSError as error:
                reason = f"Error trying to use the new AOF base file: {error_text(error)}"
                self.parts.files.remove_later(rewrite.path)
        if reason is not None:
            basics.log.warning(reason)
            basics.log.warning("Background AOF rewrite terminated with error")
            self.last_status = "err"
            self.backoff.failures += 1
            self._forget_temporary()
            return
        self.last_status = "ok"
        self.backoff.failures = 0
        basics.log.notice("Background AOF rewrite finished successfully")

    def _use_base(self, rewrite: Rewrite) -> None:
        """The base is on disk under its name: write it into the manifest, and what it makes superfluous out of it."""
        manifest = self.parts.manifest.with_new_base(self.parts.prefix, rewrite.path.rpartition(".")[2])
        if self.state is State.WAITING:
            manifest = manifest.with_new_increment(self.parts.prefix)
            self._name_temporary(manifest.increments[-1].name)
        try:
            self.parts.persist(manifest.rewritten(keep_last=self.state is not State.OFF))
        except OSError:
            if self.state is State.WAITING:
                self.parts.files.remove_later(self.parts.path(manifest.increments[-1].name))
            raise
        if self.state is not State.OFF:
            self.log.written_before = rewrite.bytes
            self.base_size = self.log.total_size
        if self.state is State.WAITING:
            self.state = State.ON
        self.parts.delete_history()

    def _name_temporary(self, name: str) -> None:
        self.parts.files.rename(self.parts.path(self.parts.temporary), self.parts.path(name))
        self.basics.log.notice(f"Successfully renamed the temporary AOF incr file {self.parts.temporary} into {name}")

    def _stop_rewrite(self) -> None:
        """Give up the one that is under way."""
        if self._rewrite is not None:
            self.basics.log.notice(f"Killing running AOF rewrite child: {self._process.facts().pid}")
            self._rewrite.abandon()
            if self._handle is not None:
                self._handle.cancel()
            self._rewrite = self._handle = None
            self._forget_temporary()

    def _forget_temporary(self) -> None:
        """A first rewrite has failed: what was written meanwhile belongs to no base."""
        if self.state is State.WAITING:
            self._detach()
            if self.log.file is not None:
                self.log.file.close_later()
            self.log.forget()
            self.basics.log.notice(f"Removing the temp incr aof file {self.parts.temporary} in the background")
            self.parts.files.remove_later(self.parts.path(self.parts.temporary))
            self.scheduled = True

    # -- time

    def tick(self) -> None:
        """The regular look."""
        if self.state is not State.OFF:
            self.log.tick()
            self._gate()
        if self.disk_is_busy:
            return
        if self.scheduled:
            if not self._held_back():
                self.start_rewrite()
        elif self.state is State.ON:
            self._rewrite_if_grown()

    def _rewrite_if_grown(self) -> None:
        config, size = self.basics.config, self.log.total_size
        percentage = config["auto-aof-rewrite-percentage"]
        if not percentage or size <= config["auto-aof-rewrite-min-size"]:
            return
        growth = size * 100 // (self.base_size or 1) - 100
        if growth >= percentage and not self._held_back():
            self.basics.log.notice(f"Starting automatic rewriting of AOF on {growth}% growth")
            self.start_rewrite()

    def _held_back(self) -> bool:
        if self.log.buffer:  # what the disk does not take now belongs before a rewrite
            return True
        holds = self.backoff.holds(self.basics.now_ms)
        if self.backoff.began:
            self.basics.log.warning(
                "Background AOF rewrite has repeatedly failed and triggered the limit, will retry in "
                f"{self.backoff.minutes} minutes"
            )
        return holds

    # -- figures


def _current_rewrite_s(own: AppendOnly) -> int:
    return (own.basics.now_ms - own.rewrite_started_ms) // 1000 if own.rewriting else -1


def _last_write(own: AppendOnly) -> str:
    return "ok" if own.log.error is None and own.log.sync_error is None else "err"


def _while_on(read: Callable[[AppendOnly], object]) -> Callable[[AppendOnly], object]:
    """A figure that there is only while writes are logged."""
    return lambda own: None if own.state is State.OFF else read(own)


def figures() -> Table[AppendOnly]:
    return (
        shown(
            "memory",
            "mem_aof_buffer",
            lambda own: len(own.log.buffer),
            "Writes that are not in the file yet.",
            after="mem_cluster_links",
        ),
        shown(
            "persistence",
            "aof_enabled",
            lambda own: int(own.state is not State.OFF),
            "1: writes are logged.",
            after="rdb_last_load_keys_loaded",
        ),
        shown(
            "persistence", "aof_rewrite_in_progress", lambda own: int(own.rewriting), "1: the log is being rewritten."
        ),
        shown(
            "persistence", "aof_rewrite_scheduled", lambda own: int(own.scheduled), "1: it will be, after a snapshot."
        ),
        shown(
            "persistence", "aof_last_rewrite_time_sec", lambda own: own.last_rewrite_s, "How long the last one took."
        ),
        shown(
            "persistence", "aof_current_rewrite_time_sec", _current_rewrite_s, "How long this one has taken; -1: none."
        ),
        shown("persistence", "aof_last_bgrewrite_status", lambda own: own.last_status, "How the last one ended."),
        shown("persistence", "aof_rewrites", lambda own: own.rewrites, "How many there were."),
        shown(
            "persistence",
            "aof_rewrites_consecutive_failures",
            lambda own: own.backoff.failures,
            "How many have failed since one succeeded.",
        ),
        shown("persistence", "aof_last_write_status", _last_write, "How the last write to the log ended."),
        shown("persistence", "aof_last_cow_size", lambda own: 0, "Always 0: nothing forks."),
        shown("persistence", "module_fork_in_progress", lambda own: 0, "Always 0."),
        shown("persistence", "module_fork_last_cow_size", lambda own: 0, "Always 0."),
        shown("persistence", "aof_current_size", _while_on(lambda own: own.log.total_size), "Bytes of the log."),
        shown(
            "persistence", "aof_base_size", _while_on(lambda own: own.base_size), "Its bytes after the last rewrite."
        ),
        shown("persistence", "aof_pending_rewrite", _while_on(lambda own: int(own.scheduled)), "1: a rewrite is due."),
        shown(
            "persistence",
            "aof_buffer_length",
            _while_on(lambda own: len(own.log.buffer)),
            "Bytes that are not in the file yet.",
        ),
        shown("persistence", "aof_pending_bio_fsync", _while_on(lambda own: int(own.log.syncing)), "1: an fsync runs."),
        shown(
            "persistence",
            "aof_delayed_fsync",
            _while_on(lambda own: own.log.delayed_fsyncs),
            "Writes that have waited for an fsync.",
        ),
    )
