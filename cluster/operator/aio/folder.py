"""The folder of a local cluster: its record, its nodes' configurations, and the lock that keeps launchers apart."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cluster.aio.durable import replace_file
from cluster.operator.local import (
    NODE_CONF,
    NODE_LOG,
    RECORD,
    LocalError,
    Record,
    Shape,
    log_tail,
    node_conf,
    setting_of,
    with_settings,
)


class Folder:
    """`shown` is how the user named it, which is how messages do. Every method may raise LocalError."""

    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.path = Path(shown).absolute()

    def of(self, port: int) -> Path:
        """Where a node has its files."""
        return self.path / str(port)

    @contextmanager
    def made(self) -> Iterator[bool]:
        """The folder exists meanwhile; yields whether it did before. What this has made goes again after a failure."""
        try:
            existed = self.path.exists()
            self.path.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise LocalError(f"{self.shown} is not a folder") from None
        except OSError as error:
            raise LocalError(f"the folder {self.shown} cannot be made: {error.strerror}") from None
        try:
            yield existed
        except BaseException:
            if not existed:
                self._remove_if_empty()
            raise

    def _remove_if_empty(self) -> None:
        try:
            self.path.rmdir()
        except OSError:
            return  # Somebody else has put something there meanwhile: it is theirs.

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Keeps other launchers away meanwhile. The lock is the folder's own, and goes with the process."""
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LocalError(
                    f"another `shardis up` or `shardis down` is at work in {self.shown}: try again when it has ended"
                ) from None
            except OSError:
                pass  # A file system without locks: launchers are not kept apart there.
            yield
        finally:
            os.close(fd)

    def read_record(self) -> Record | None:
        """What the folder's record says; None if there is none."""
        path = self.path / RECORD
        try:
            return Record.from_json(path.read_text(encoding="utf-8", errors="replace"), str(path))
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            raise LocalError(f"{self.shown} is not a folder") from None
        except OSError as error:
            raise LocalError(f"{path} cannot be read: {error.strerror}") from None

    def write_record(self, record: Record) -> None:
        path = self.path / RECORD
        draft = path.with_suffix(".draft")
        try:
            replace_file(path, [record.to_json().encode()], draft, durable=False)
        except OSError as error:
            raise LocalError(f"{path} cannot be written: {error.strerror}") from None

    def refuse_others(self) -> None:
        """Only an empty folder becomes a cluster's: what else is in one might be lost."""
        try:
            if any(self.path.iterdir()):
                raise LocalError(f"{self.shown} is not empty and holds no cluster of ours: choose another --dir")
        except OSError as error:
            raise LocalError(f"{self.shown} cannot be read: {error.strerror}") from None

    def lay_out(self, shape: Shape) -> None:
        """Make the folders of a new cluster; what a launcher that was killed left of one is removed first."""
        self.write_record(Record(shape))
        try:
            for port in shape.ports:
                shutil.rmtree(self.of(port), ignore_errors=True)
                self.of(port).mkdir()
                (self.of(port) / NODE_CONF).write_text(node_conf(port, str(self.of(port))), encoding="utf-8")
        except OSError as error:
            raise LocalError(f"{self.shown} cannot be written: {error.strerror}") from None

    def configure(self, shape: Shape, settings: Sequence[tuple[str, str]]) -> None:
        """Set these directives in every node's configuration."""
        if not settings:
            return
        for port in shape.ports:
            path = self.of(port) / NODE_CONF
            draft = path.with_suffix(".draft")
            try:
                conf = path.read_text(encoding="utf-8", errors="surrogateescape")
                changed = with_settings(conf, settings).encode("utf-8", "surrogateescape")
                replace_file(path, [changed], draft, durable=False)
            except OSError as error:
                raise LocalError(f"{path} cannot be changed: {error.strerror}") from None

    def _setting(self, port: int, name: str) -> str:
        try:
            conf = (self.of(port) / NODE_CONF).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return setting_of(conf, name)

    def password(self, port: int) -> str:
        """The password that the node's configuration sets."""
        return self._setting(port, "requirepass")

    def nodes_conf(self, port: int) -> Path:
        """The file that a node of the cluster keeps locked while it lives."""
        return self.of(port) / (self._setting(port, "cluster-config-file") or "nodes.conf")

    def log_tail(self, port: int) -> str:
        try:
            return log_tail((self.of(port) / NODE_LOG).read_text(encoding="utf-8", errors="replace"))
        except OSError as error:
            return f"    (the log cannot be read: {error.strerror})"

    def clear(self, shape: Shape) -> None:
        """Remove what a cluster that was never formed has left."""
        for port in shape.ports:
            shutil.rmtree(self.of(port), ignore_errors=True)
        for name in (RECORD, Path(RECORD).with_suffix(".draft").name):
            (self.path / name).unlink(missing_ok=True)
