"""How a file is replaced: a crash at any moment leaves its old content or the new one, and what was told stays.

The new content is written beside the file (the draft), brought to disk, and renamed over it; the rename itself is on
disk once the folder is. Whoever writes a draft little by little calls `flush` and `put_in_place` when it is whole.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from typing import IO

AnyPath = str | os.PathLike[str]


def replace_file(path: AnyPath, pieces: Iterable[bytes], draft: AnyPath | None = None, durable: bool = True) -> None:
    """Give a file this content; OSError: it may still have the old one. Not `durable`: whole, but perhaps later."""
    draft = draft or f"{os.fspath(path)}.{os.getpid()}.draft"
    try:
        with open(draft, "wb") as file:
            file.writelines(pieces)
            if durable:
                flush(file)
        put_in_place(draft, path, durable)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise


def flush(file: IO[bytes]) -> None:
    """All that was written is on disk."""
    file.flush()
    os.fsync(file.fileno())


def put_in_place(draft: AnyPath, path: AnyPath, durable: bool = True) -> None:
    """A draft whose content is on disk takes the place, and the name, of the file."""
    os.replace(draft, path)
    if durable:
        flush_folder(path)


def flush_folder(path: AnyPath) -> None:
    """Have the names in a file's folder survive a crash."""
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
