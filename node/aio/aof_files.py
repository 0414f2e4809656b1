"""The files of the append-only log: appended to on the loop, flushed and removed by a thread in the order of asking.

A slow disk holds the loop only where appendfsync asks for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from mmap import mmap

from cluster.aio.durable import put_in_place, replace_file
from node.aio.disk import FileDraft, map_file
from node.ports.aof_files import Done

APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


class AppendFile:
    """A log file."""

    def __init__(self, fd: int, files: AofFilesOnDisk) -> None:
        self._fd = fd
        self._files = files

    def append(self, data: bytes) -> int:
        """One write as a rule; a write that was cut short is gone on with, and the error then says why."""
        view, written = memoryview(data), 0
        while written < len(data):
            try:
                written += os.write(self._fd, view[written:])
            except InterruptedError:
                continue
            except OSError:
                if written:
                    return written
                raise
        return written

    def truncate(self, size: int) -> None:
        os.ftruncate(self._fd, size)

    def sync(self) -> None:
        os.fdatasync(self._fd)

    def sync_later(self, done: Done) -> None:
        # A descriptor of its own: the file may be closed meanwhile.
        fd = os.dup(self._fd)
        self._files.in_background(lambda: _sync_and_close(fd), done)

    def close_later(self) -> None:
        fd = self._fd
        self._files.in_background(lambda: _sync_and_close(fd), lambda error: None)

    def close(self) -> None:
        os.close(self._fd)


def _sync_and_close(fd: int) -> None:
    try:
        os.fdatasync(fd)
    finally:
        os.close(fd)


class AofFilesOnDisk:
    """The files of the process, in its working directory."""

    def __init__(self, loop: asyncio.AbstractEventLoop, die: Callable[[], None]) -> None:
        self._loop = loop
        self.die = die
        self._threads = ThreadPoolExecutor(1, "aof")

    def in_background(self, work: Callable[[], None], done: Done) -> None:
        """Do it in the thread, in the order of asking, and tell on the loop."""

        def run() -> None:
            failure: OSError | None = None
            try:
                work()
            except OSError as error:
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(done, failure)

        self._threads.submit(run)

    def finish(self) -> None:
        """Wait for what is being done in the background: the node ends."""
        self._threads.shutdown(wait=True)

    def exists(self, path: str) -> bool:
        return os.path.exists(path)

    def size(self, path: str) -> int:
        return os.stat(path).st_size

    def read(self, path: str) -> bytes:
        with open(path, "rb") as file:
            return file.read()

    def map(self, path: str) -> mmap | bytes:
        return map_file(path)

    def make_folder(self, path: str) -> None:
        os.makedirs(path, 0o755, exist_ok=True)

    def replace(self, path: str, draft_path: str, pieces: Iterable[bytes]) -> None:
        replace_file(path, pieces, draft_path)

    def rename(self, old: str, new: str) -> None:
        put_in_place(old, new)

    def truncate(self, path: str, size: int) -> None:
        os.truncate(path, size)

    def remove_later(self, path: str) -> None:
        def remove() -> None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

        self.in_background(remove, lambda error: None)

    def open_log(self, path: str, fresh: bool) -> AppendFile:
        return AppendFile(os.open(path, APPEND | (os.O_TRUNC if fresh else 0), 0o644), self)

    def draft(self, path: str, draft_path: str, flushing: bool, on_end: Done) -> FileDraft:
        return FileDraft(os.path.abspath(path), flushing, on_end, self._loop, draft_path)
