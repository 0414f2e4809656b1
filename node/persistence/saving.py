"""Saving all data to the snapshot file and loading it again: SAVE, BGSAVE, LASTSAVE, DEBUG RELOAD, the start of a node.

A snapshot is written in one go, for now also by BGSAVE: it is of one moment because nothing else runs meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from node.engine.rdb import Malformed
from node.persistence.rdb.load import load
from node.persistence.rdb.snapshot import snapshot

if TYPE_CHECKING:
    from node.core import NodeCore


class Disk(Protocol):
    """The files of a node, in its working directory. Set by the host; OSError says what went wrong."""

    def read(self, name: str) -> bytes | None:
        """The whole file; None: there is none."""

    def replace(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write a file so that it holds, after a crash at any moment, the old content or the new one."""


class NoDisk:
    """Of a node without a host that gives it one."""

    def read(self, name: str) -> bytes | None:
        return None

    def replace(self, name: str, pieces: Iterable[bytes]) -> None:
        raise OSError("this node has no disk")


class CannotLoad(Exception):
    """The snapshot is there and is not what it should be: a node must not start without its data."""


class Saving:
    """When the data was last on disk, and what came of it."""

    def __init__(self, node: NodeCore) -> None:
        self.node = node
        self.disk: Disk = NoDisk()
        self.last_save_ms = node.space.now_ms
        self.last_status = "ok"
        self.saves = 0

    def pieces(self) -> Iterable[bytes]:
        """The data as it is now, as a file."""
        config = self.node.config
        return snapshot(self.node.space, config["rdbcompression"], config["rdbchecksum"], config["maxmemory-policy"])

    def save(self) -> bool:
        """Write the snapshot; False: the disk would not have it, and the log says why."""
        node = self.node
        dirty = node.space.dirty
        try:
            self.disk.replace(node.config["dbfilename"], self.pieces())
        except OSError as error:
            node.log.warning(f"Error saving the snapshot to disk: {error}")
            self.last_status = "err"
            return False
        node.space.dirty -= dirty
        self.last_save_ms = node.space.now_ms
        self.last_status = "ok"
        self.saves += 1
        node.log.notice("DB saved on disk")
        return True

    def load(self, merge: bool = False) -> int:
        """Load the snapshot file, if there is one; how many keys there were. CannotLoad.

        `merge` is for databases that have keys already: the file's replace them.
        """
        name = self.node.config["dbfilename"]
        try:
            data = self.disk.read(name)
            return 0 if data is None else self.load_bytes(data, merge)
        except OSError as error:
            raise CannotLoad(f"{name} cannot be read: {error}") from error
        except Malformed as error:
            raise CannotLoad(f"{name} is no good snapshot: {error}") from error

    def load_bytes(self, data: bytes, merge: bool = False) -> int:
        return load(self.node.space, data, self.node.config["rdbchecksum"], merge=merge)
