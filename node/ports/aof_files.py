"""What the append-only file asks of its host: files. Paths are relative to the working directory.

Every method may raise OSError, which says what went wrong; node/aio/aof_files.py has the real ones, tests have disks
that fail when they are told to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from node.ports.disk import Draft

if TYPE_CHECKING:
    from node.persistence.rdb.load import Data


def error_text(error: OSError) -> str:
    """What the system says of it."""
    return error.strerror or str(error)


Done = Callable[[OSError | None], None]
"""Called on the node's loop when work in the background has ended, with what went wrong."""


class AofFile(Protocol):
    """A file that is being appended to."""

    def append(self, data: bytes) -> int:
        """How many bytes are in the file now: fewer than given when the disk is full half-way."""

    def truncate(self, size: int) -> None:
        """Cut the file back to what it was."""

    def sync(self) -> None:
        """All of it is on disk when this returns."""

    def sync_later(self, done: Done) -> None:
        """The same in the background."""

    def close_later(self) -> None:
        """Flush and close in the background: nothing more will be written."""

    def close(self) -> None:
        """Flush and close."""


class AofFiles(Protocol):
    """The files of one node."""

    def exists(self, path: str) -> bool: ...

    def size(self, path: str) -> int: ...

    def read(self, path: str) -> bytes: ...

    def map(self, path: str) -> Data:
        """A file's bytes, brought into memory where they are read and not before."""

    def make_folder(self, path: str) -> None:
        """Create it, unless it is there."""

    def replace(self, path: str, draft_path: str, pieces: Iterable[bytes]) -> None:
        """Write a file so that it holds, after a crash at any moment, the old content or the new one."""

    def rename(self, old: str, new: str) -> None: ...

    def truncate(self, path: str, size: int) -> None: ...

    def remove_later(self, path: str) -> None:
        """Delete in the background; it does not matter if there is none."""

    def open_log(self, path: str, fresh: bool) -> AofFile:
        """Append to a file; `fresh`: to an empty one."""

    def draft(self, path: str, draft_path: str, flushing: bool, on_end: Done) -> Draft:
        """Begin to write, in the background and under another name, what will be this file."""

    def die(self) -> None:
        """End the process at once: something was promised that cannot be kept."""


class NoAofFiles:
    """The files of a node without a host that gives it files."""

    def __getattr__(self, name: str) -> Callable[..., object]:
        raise OSError(f"this node has no files to {name}")
