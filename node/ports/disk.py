"""What the snapshot file needs of a disk. The host provides it (node/aio/disk.py); tests have disks that fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from node.persistence.rdb.load import Data


class Draft(Protocol):
    """A file that is written beside the one it will replace, in the background.

    Whatever goes wrong, also while it is opened, is told once to `on_end`, as is success (None); from then on the
    draft is gone from the disk.
    """

    def write(self, piece: bytes) -> None:
        """Append, some time soon."""

    @property
    def waiting_bytes(self) -> int:
        """What has been given and is not written yet."""

    def commit(self) -> None:
        """No more will come: flush it to the disk and put it in its place."""

    def discard(self) -> None:
        """Remove it. `on_end` is not called any more."""


class Disk(Protocol):
    """The files of a node, in its working directory. OSError says what went wrong."""

    def map(self, name: str) -> Data | None:
        """The bytes of a file; None: there is none."""

    def replace(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write a file so that it holds, after a crash at any moment, the old content or the new one."""

    def draft(self, name: str, flushing: bool, on_end: Callable[[OSError | None], None]) -> Draft:
        """Begin to write what will replace a file; `flushing`: to the disk little by little, not all at the end."""


class NoDisk:
    """The disk of a node without a host that gives it one."""

    def map(self, name: str) -> Data | None:
        return None

    def replace(self, name: str, pieces: Iterable[bytes]) -> None:
        raise OSError("this node has no disk")

    def draft(self, name: str, flushing: bool, on_end: Callable[[OSError | None], None]) -> Draft:
        raise OSError("this node has no disk")
