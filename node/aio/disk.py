"""Files of a node: read whole, replaced whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable


class WorkingDirectory:
    """The files in the directory where the process is (`dir`)."""

    def read(self, name: str) -> bytes | None:
        """The whole file; None: there is none."""
        try:
            with open(name, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def replace(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write a file beside the old one, flush it, and rename it over that."""
        replace_file(os.path.abspath(name), pieces)


def replace_file(path: str, pieces: Iterable[bytes]) -> None:
    """After a crash at any moment the file holds the old content or the new one."""
    draft = f"{path}.{os.getpid()}.draft"
    try:
        with open(draft, "wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
