"""nodes.conf on disk: read once, locked while the node lives, replaced whole.

The file is never written in place: a new one is written beside it and renamed over it, so that a crash leaves the old
text or the new one. Two nodes must not share a file. Redis locks the file itself (flock), and so do we, to keep a
Redis out as well; since a rename puts another file in its place, each new file is locked before it is renamed.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from cluster.aio.durable import flush, put_in_place


class ConfigInUse(Exception):
    """Another process holds the file."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"the cluster configuration file {path} is already used by a different node. "
            "Please make sure that different nodes use different cluster configuration files."
        )


class NodesFile:
    """The cluster configuration file of one node."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lock_fd = -1

    def open(self) -> str:
        """Lock the file, creating it if need be, and return its text (empty for a new one)."""
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                raise ConfigInUse(self.path) from None
            if _is_still(fd, self.path):
                break
            os.close(fd)  # replaced between our open and our lock
        self._lock_fd = fd
        return self.path.read_text(encoding="utf-8", errors="surrogateescape")

    def write(self, text: str, durable: bool) -> None:
        """Replace the text. `durable`: it is on disk, rename included, when this returns. OSError if that fails."""
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with os.fdopen(os.dup(fd), "wb") as file:
                file.write(text.encode("utf-8", "surrogateescape"))
                if durable:
                    flush(file)
            put_in_place(beside, self.path, durable)
        except BaseException:
            os.close(fd)
            beside.unlink(missing_ok=True)
            raise
        self.close()
        self._lock_fd = fd

    def close(self) -> None:
        """Let go of the file."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1


def _is_still(fd: int, path: Path) -> bool:
    """Whether `path` still names the file that is open as `fd`."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    here = os.fstat(fd)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
