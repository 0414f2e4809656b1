"""A disk in memory for the append-only file, which fails when it is told to and forgets what was not flushed.

What runs in the background runs when a test calls `work`. `crash()` is what the death of the machine leaves; the death
of the process alone leaves everything that was written.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable

from node.ports.aof_files import Done


class Died(BaseException):
    """The node has ended itself."""


class MemoryDisk:
    """node.ports.aof_files.AofFiles. `room` is how many bytes still fit, `broken` what every write says."""

    def __init__(self) -> None:
        self.files: dict[str, bytearray] = {}
        self.durable: dict[str, bytes] = {}
        self.room = 1 << 40
        self.broken: OSError | None = None
        self.sync_broken: OSError | None = None
        self.syncs = 0
        self._later: list[Callable[[], None]] = []
        self._logs: list[MemoryLog] = []

    def work(self) -> None:
        """Do what waits in the background."""
        later, self._later = self._later, []
        for job in later:
            job()

    def in_background(self, job: Callable[[], None], done: Done) -> None:
        def run() -> None:
            failure = None
            try:
                job()
            except OSError as error:
                failure = error
            done(failure)

        self._later.append(run)

    def crash(self) -> None:
        self._later.clear()
        self.files = {path: bytearray(data) for path, data in self.durable.items()}

    def die(self) -> None:
        raise Died

    def sync(self, path: str) -> None:
        if self.sync_broken:
            raise self.sync_broken
        self.syncs += 1
        if path in self.files:
            self.durable[path] = bytes(self.files[path])

    def put(self, path: str, data: bytes) -> int:
        if self.broken:
            raise self.broken
        fits = min(len(data), self.room)
        if fits == 0 and data:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= fits
        self.files[path] += data[:fits]
        return fits

    # -- as the node knows it

    def exists(self, path: str) -> bool:
        return path in self.files

    def size(self, path: str) -> int:
        return len(self.read(path))

    def read(self, path: str) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        return bytes(self.files[path])

    def map(self, path: str) -> bytes:
        return self.read(path)

    def make_folder(self, path: str) -> None:
        if self.broken:
            raise self.broken

    def replace(self, path: str, draft_path: str, pieces: Iterable[bytes]) -> None:
        data = b"".join(pieces)
        if self.broken or len(data) > self.room:
            raise self.broken or OSError(errno.ENOSPC, "No space left on device")
        self.files[path] = bytearray(data)
        self.sync(path)
        for other in self.files:  # the folder is flushed too, which makes the names of new files durable
            self.durable.setdefault(other, b"")

    def rename(self, old: str, new: str) -> None:
        self.files[new] = self.files.pop(old)
        self.durable[new] = self.durable.pop(old, b"")
        for log in self._logs:
            log.path = new if log.path == old else log.path

    def truncate(self, path: str, size: int) -> None:
        self.room += len(self.files[path]) - size
        del self.files[path][size:]

    def remove_later(self, path: str) -> None:
        def remove() -> None:
            self.files.pop(path, None)
            self.durable.pop(path, None)

        self.in_background(remove, lambda error: None)

    def open_log(self, path: str, fresh: bool) -> MemoryLog:
        if self.broken:
            raise self.broken
        if fresh or path not in self.files:
            self.files[path] = bytearray()
        self._logs.append(MemoryLog(self, path))
        return self._logs[-1]

    def draft(self, path: str, draft_path: str, flushing: bool, on_end: Done) -> MemoryDraft:
        return MemoryDraft(self, path, draft_path, on_end)


class MemoryLog:
    def __init__(self, disk: MemoryDisk, path: str) -> None:
        self._disk = disk
        self.path = path

    def append(self, data: bytes) -> int:
        return self._disk.put(self.path, data)

    def truncate(self, size: int) -> None:
        self._disk.truncate(self.path, size)

    def sync(self) -> None:
        self._disk.sync(self.path)

    def sync_later(self, done: Done) -> None:
        self._disk.in_background(self.sync, done)

    def close_later(self) -> None:
        self._disk.in_background(self.sync, lambda error: None)

    def close(self) -> None:
        pass


class MemoryDraft:
    def __init__(self, disk: MemoryDisk, path: str, draft_path: str, on_end: Done) -> None:
        self.waiting_bytes = 0
        self._disk = disk
        self._path = path
        self._draft = draft_path
        self._on_end: Done | None = on_end
        self._failure: OSError | None = None
        disk.files[draft_path] = bytearray()

    def write(self, piece: bytes) -> None:
        try:
            if self._disk.put(self._draft, piece) < len(piece):
                raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            self._failure = error

    def commit(self) -> None:
        self._disk.in_background(self._finish, self._tell)

    def _finish(self) -> None:
        if self._failure:
            self._disk.files.pop(self._draft, None)
            raise self._failure
        self._disk.sync(self._draft)
        self._disk.rename(self._draft, self._path)

    def _tell(self, error: OSError | None) -> None:
        if self._on_end is not None:
            self._on_end(error)

    def discard(self) -> None:
        self._on_end = None
        self._disk.files.pop(self._draft, None)
