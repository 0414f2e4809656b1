"""Files of a node: mapped to be read, replaced whole, at once or by a draft that a thread writes."""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import os
import queue
import re
import threading
from collections.abc import Callable, Iterable
from typing import BinaryIO, cast

from cluster.aio.durable import flush, put_in_place, replace_file
from node.ports.aof_files import AofFiles
from node.ports.disk import Disk

FLUSH_BYTES = 4 << 20
"""A draft is flushed to the disk each time so much has come, so that the end does not flood it."""

COMMIT = None
"""Behind the last piece of a draft."""

OnEnd = Callable[[OSError | None], None]


class DiskOfNode:
    """The files of a node, as its port (node/ports/)."""

    def __init__(self, disk: WorkingDirectory, aof: AofFiles) -> None:
        self.disk: Disk = disk
        self.aof = aof

    def nameless(self) -> BinaryIO:
        """A file to read and write that is gone when it is closed."""
        from tempfile import TemporaryFile  # its imports take 0.6 MiB, and few nodes ever need one

        return cast(BinaryIO, TemporaryFile())


class WorkingDirectory:
    """The files in the directory where the process is (`dir`)."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def map(self, name: str) -> mmap.mmap | bytes | None:
        try:
            return map_file(name)
        except FileNotFoundError:
            return None

    def replace(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write a file beside the old one, flush it, and rename it over that."""
        path = os.path.abspath(name)
        replace_file(path, pieces, draft=draft_path(path))

    def draft(self, name: str, flushing: bool, on_end: OnEnd) -> FileDraft:
        """Begin to write what will replace a file."""
        return FileDraft(os.path.abspath(name), flushing, on_end, self._loop)


def map_file(path: str) -> mmap.mmap | bytes:
    """A file's bytes, brought into memory where they are read and not before."""
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return b""
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    mapped.madvise(mmap.MADV_SEQUENTIAL)
    return mapped


class FileDraft:
    """A file in the making: the loop gives pieces, a thread writes them."""

    def __init__(
        self, path: str, flushing: bool, on_end: OnEnd, loop: asyncio.AbstractEventLoop, draft: str | None = None
    ) -> None:
        self._path = path
        self._draft = draft or draft_path(path)
        self._flushing = flushing
        self._on_end = on_end
        self._loop = loop
        self._pieces: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._given = self._written = 0
        self._lock = threading.Lock()
        self._discarded = False
        threading.Thread(target=self._work, name="save", daemon=True).start()

    def write(self, piece: bytes) -> None:
        self._given += len(piece)
        self._pieces.put(piece)

    @property
    def waiting_bytes(self) -> int:
        return self._given - self._written

    def commit(self) -> None:
        self._pieces.put(COMMIT)

    def discard(self) -> None:
        """Whatever the thread is doing: the draft will not replace the file from now on."""
        with self._lock:
            self._discarded = True
            with contextlib.suppress(OSError):
                os.unlink(self._draft)
        self._pieces.put(COMMIT)

    def _work(self) -> None:
        """The thread."""
        error: OSError | None = None
        try:
            self._write_all()
        except OSError as problem:
            error = problem
            with self._lock:
                if not self._discarded:
                    with contextlib.suppress(OSError):
                        os.unlink(self._draft)
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process ends
            self._loop.call_soon_threadsafe(self._tell, error)

    def _write_all(self) -> None:
        with open(self._draft, "wb") as file:
            unflushed = 0
            while (piece := self._pieces.get()) is not COMMIT and not self._discarded:
                file.write(piece)
                self._written += len(piece)
                unflushed += len(piece)
                if self._flushing and unflushed >= FLUSH_BYTES:
                    unflushed = 0
                    file.flush()
                    os.fdatasync(file.fileno())
            if self._discarded:
                return
            flush(file)
        with self._lock:
            if not self._discarded:
                put_in_place(self._draft, self._path)

    def _tell(self, error: OSError | None) -> None:
        if not self._discarded:
            self._discarded = True
            self._on_end(error)


def draft_path(path: str) -> str:
    """Redis' name for it, by which it is found again if we die."""
    return os.path.join(os.path.dirname(path), f"temp-{os.getpid()}.rdb")


def remove_own_draft() -> None:
    """The draft of a snapshot that this process was writing into its working directory: it ends now."""
    with contextlib.suppress(OSError):
        os.unlink(draft_path(""))


def remove_old_drafts() -> None:
    """Drafts in the working directory whose process has died (a container gives each process the same id)."""
    for name in os.listdir():
        made_by = re.fullmatch(r"temp-(\d+)\.rdb", name)
        if made_by is not None and not _lives_elsewhere(int(made_by[1])):
            with contextlib.suppress(OSError):
                os.unlink(name)


def _lives_elsewhere(pid: int) -> bool:
    return pid != os.getpid() and os.path.exists(f"/proc/{pid}")
