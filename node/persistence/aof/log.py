"""What has been written to the data and is on its way to the disk.

Writes come in batches, before the replies of a turn of the loop are sent, and go to the file at once: what a client was
told is in the file, and survives the death of the process. When it is on the *disk*, and so survives the death of
the machine, is decided by appendfsync:

    always     before the replies are sent, one fsync for all clients that were served in a turn of the loop
    everysec   an fsync in the background every second
    no         when the system sees fit

Under everysec a write is put off for up to two seconds while an fsync is under way, since the system would let it wait
(as Redis does, and as there, what waits is lost if the process is killed just then).

A write that fails is taken back from the file, stays in the buffer and is tried again; meanwhile writes of clients are
refused (`error`). Under always there is no such way out: the replies are ready and what they say cannot be taken back,
so the node ends, as Redis does.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from node.basics import Basics
from node.ports.aof_files import AofFile, error_text
from node.replication.write_stream import WriteStream

POSTPONE_MS = 2000
LOG_ERRORS_EVERY_MS = 30_000
RETRY_MS = 1000
"""Between two attempts to write what the disk did not take."""


class AppendLog:
    """The file that is being appended to, and the buffer in front of it."""

    def __init__(
        self,
        basics: Basics,
        stream: WriteStream,
        disk_is_busy: Callable[[], bool],
        reached_disk: Callable[[], None],
        die: Callable[[], None],
    ) -> None:
        """`disk_is_busy`: large files are being written in the background. `reached_disk` is told that more is on disk.

        `die` ends the process at once: what clients are about to be told cannot be kept.
        """
        self.basics = basics
        self._stream = stream
        self._disk_is_busy = disk_is_busy
        self._on_reached_disk = reached_disk
        self._die = die
        self.file: AofFile | None = None
        self.buffer = bytearray()
        self.size = 0
        """How many bytes the file has."""
        self.synced_size = 0
        self.written_before = 0
        """Bytes of the other files that are loaded beside this one."""
        self.error: OSError | None = None
        self.sync_error: OSError | None = None
        self.syncing = False
        self.delayed_fsyncs = 0
        self.flush_sleep_us = 0
        """DEBUG AOF-FLUSH-SLEEP."""
        self.offset = 0
        """How far the stream of writes was when the buffer last grew; `synced_offset` of that is on disk."""
        self.synced_offset = 0
        self._written_offset = 0
        self._postponed_since_ms = 0
        self._synced_s = basics.now_ms // 1000
        self._stamped_s = 0
        self._complained_ms = 0
        self._tried_ms = 0

    # -- in

    @property
    def total_size(self) -> int:
        """How many bytes would be loaded at a start."""
        return self.written_before + self.size

    @property
    def durable_offset(self) -> int:
        """How much of the stream is on disk."""
        self.basics.engine.journal.deliver()
        if not self.buffer and self.synced_size == self.size:
            self.synced_offset = max(self.synced_offset, self._stream.offset)
        return self.synced_offset

    def add(self, data: bytes) -> None:
        """What all clients of a turn of the loop have written. It is in the file before any of them hears of it."""
        now_s = self.basics.now_ms // 1000
        if now_s > self._stamped_s and self.basics.config["aof-timestamp-enabled"]:
            self._stamped_s = now_s
            self.buffer += b"#TS:%d\r\n" % now_s
        self.buffer += data
        self.offset = self._stream.offset
        self.flush()

    def open(self, file: AofFile, size: int, written_before: int) -> None:
        """Go on in this file. What waits for the one before has to be flushed first."""
        if self.file is not None:
            self.file.close_later()
            self._synced_s = self.basics.now_ms // 1000
        self.file = file
        self.size = self.synced_size = size
        self.written_before = written_before

    def close(self) -> None:
        """Write and flush what there is, then stop. What the disk does not take is lost, and said to be."""
        self.flush(force=True)
        if self.file is not None:
            try:
                self.file.sync()
                self.file.close()
            except OSError as error:
                self.basics.log.warning(f"Fail to fsync the AOF file: {error_text(error)}")
            else:
                self.synced_offset = self._written_offset
        self.forget()

    def forget(self) -> None:
        """There is no file any more, and nothing waits."""
        self.file = None
        self.buffer.clear()
        self.size = self.synced_size = self.written_before = 0
        self._postponed_since_ms = 0

    def ignore_errors(self) -> None:
        """The file begins anew: what went wrong with the old one does not matter."""
        if self.sync_error is not None:
            self.basics.log.warning("AOF reopen, just ignore the AOF fsync error in bio job")
        if self.error is not None:
            self.basics.log.warning("AOF reopen, just ignore the last error.")
        self.error = self.sync_error = None

    # -- out

    def flush(self, force: bool = False) -> None:
        """Bring the buffer into the file, and the file to the disk as far as appendfsync wants it now."""
        if self.file is None:
            return
        if self.buffer:
            if not force and self._postponed():
                return
            if not self._write():
                return
        elif self.synced_size == self.size:
            return
        self._sync()

    def tick(self) -> None:
        """The regular look: writes that were put off or have failed, and the fsync of the last second of writes."""
        if self.file is not None and (self.error is None or self.basics.now_ms - self._tried_ms >= RETRY_MS):
            self.flush()

    def _postponed(self) -> bool:
        """True if the write waits for an fsync that is under way."""
        if self.basics.config["appendfsync"] != "everysec" or not self.syncing:
            return False
        now_ms = self.basics.now_ms
        if self._postponed_since_ms == 0:
            self._postponed_since_ms = now_ms
            return True
        if now_ms - self._postponed_since_ms < POSTPONE_MS:
            return True
        self.delayed_fsyncs += 1
        self.basics.log.notice(
            "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without waiting for "
            "fsync to complete, this may slow down Redis."
        )
        return False

    def _write(self) -> bool:
        """True if the whole buffer is in the file."""
        assert self.file is not None
        basics, buffer = self.basics, self.buffer
        if self.flush_sleep_us:
            basics.clock.sleep(self.flush_sleep_us / 1e6)
        started_us = basics.clock.now_us()
        self._tried_ms = basics.now_ms
        try:
            written = self.file.append(bytes(buffer))
        except OSError as error:
            self._complain(f"Error writing to the AOF file: {error_text(error)}")
            written = 0
            self.error = error
        self._note_latency((basics.clock.now_us() - started_us) // 1000)
        self._postponed_since_ms = 0
        if written == len(buffer):
            self._all_written(written)
            return True
        if written:
            self._take_back(written)
        if basics.config["appendfsync"] == "always":
            basics.log.warning("Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...")
            self._die()
        return False

    def _all_written(self, count: int) -> None:
        if self.error is not None:
            self.basics.log.warning("AOF write error looks solved, Redis can write again.")
            self.error = None
        self.size += count
        self._written_offset = self.offset
        self.buffer.clear()

    def _take_back(self, written: int) -> None:
        """A part of the buffer is in the file: remove it, for a file that ends within a write is a damaged one."""
        assert self.file is not None
        expected = len(self.buffer)
        self._complain(f"Short write while writing to the AOF file: (nwritten={written}, expected={expected})")
        self.error = OSError(errno.ENOSPC, "No space left on device")
        try:
            self.file.truncate(self.size)
        except OSError as error:
            self.basics.log.warning(
                "Could not remove short write from the append-only file.  Redis may refuse to load the AOF the next "
                f"time it starts.  ftruncate: {error_text(error)}"
            )
            self.size += written
            del self.buffer[:written]

    def _complain(self, text: str) -> None:
        """Not more often than every so often: a full disk fails many times a second."""
        now_ms = self.basics.now_ms
        if now_ms - self._complained_ms > LOG_ERRORS_EVERY_MS:
            self._complained_ms = now_ms
            self.basics.log.warning(text)

    def _note_latency(self, took_ms: int) -> None:
        when = "pending-fsync" if self.syncing else "active-child" if self._disk_is_busy() else "alone"
        for event in (f"aof-write-{when}", "aof-write"):
            self.basics.latency.add(event, self.basics.now_ms // 1000, took_ms)

    # -- to the disk

    def _sync(self) -> None:
        basics = self.basics
        if basics.config["no-appendfsync-on-rewrite"] and self._disk_is_busy():
            return
        match basics.config["appendfsync"]:
            case "always":
                self._sync_now()
            case "everysec" if basics.now_ms // 1000 > self._synced_s:
                self._synced_s = basics.now_ms // 1000
                self._sync_in_background()

    def _sync_now(self) -> None:
        assert self.file is not None
        basics = self.basics
        started_us = basics.clock.now_us()
        try:
            self.file.sync()
        except OSError as error:
            basics.log.warning(
                "Can't persist AOF for fsync error when the AOF fsync policy is 'always': "
                f"{error_text(error)}. Exiting..."
            )
            self._die()
        basics.latency.add("aof-fsync-always", basics.now_ms // 1000, (basics.clock.now_us() - started_us) // 1000)
        self.synced_size = self.size
        self._synced_s = basics.now_ms // 1000
        self._reached_disk(self._written_offset)

    def _sync_in_background(self) -> None:
        assert self.file is not None
        if self.syncing:
            return
        size, offset, file = self.size, self._written_offset, self.file

        def done(error: OSError | None) -> None:
            self.syncing = False
            if error is not None:
                if self.sync_error is None:
                    self.basics.log.warning(f"Fail to fsync the AOF file: {error_text(error)}")
                self.sync_error = error
                return
            self.sync_error = None
            if self.file is file:
                self.synced_size = max(self.synced_size, size)
            self._reached_disk(offset)

        self.syncing = True
        file.sync_later(done)

    def _reached_disk(self, offset: int) -> None:
        """Whoever waits for this (WAITAOF) looks again."""
        self.synced_offset = max(self.synced_offset, offset)
        self._on_reached_disk()
