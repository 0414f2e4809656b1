"""One rewrite: the data of one moment becomes a new base file.

It is a consumer of a snapshot (node/persistence/snapshots.py) that puts the pieces, or the commands which they stand
for, into a draft; when the draft is whole on disk it takes the name of a base. What follows from that for the manifest
is decided in appendonly.py.
"""

from __future__ import annotations

from collections.abc import Callable

from node.persistence.aof.convert import Converter
from node.ports.aof_files import error_text
from node.ports.disk import Draft

WAITING_BYTES_MAX = 8 << 20
"""Above this the snapshot waits for the disk."""


class Rewrite:
    """`ended(reason)` is called once: reason is None when the draft is the new base, at `path`."""

    def __init__(self, path: str, as_commands: bool, ended: Callable[[str | None], None]) -> None:
        self.path = path
        self.bytes = 0
        self._converter = Converter() if as_commands else None
        self._ended = ended
        self._draft: Draft | None = None
        self._over = False

    def begin(self, draft: Draft, head: bytes) -> None:
        """Where it goes, and what stands before it."""
        self._draft = draft
        self._put(head)

    def write(self, piece: bytes) -> None:
        self._put(self._converter.feed(piece) if self._converter else piece)

    def _put(self, data: bytes) -> None:
        if data and self._draft is not None:
            self.bytes += len(data)
            self._draft.write(data)

    def ready(self) -> bool:
        return self._draft is not None and self._draft.waiting_bytes < WAITING_BYTES_MAX

    def done(self) -> None:
        if self._converter:
            self._put(self._converter.finish())
        assert self._draft is not None
        self._draft.commit()

    def on_disk(self, error: OSError | None) -> None:
        """The draft has become the file, or something has gone wrong with it."""
        self._end(None if error is None else f"Write error writing append only file on disk: {error_text(error)}")

    def failed(self, reason: str) -> None:
        self._discard()
        self._end(reason)

    def abandon(self) -> None:
        """Nobody wants it any more, nor hears of it."""
        self._over = True
        self._discard()

    def _discard(self) -> None:
        if self._draft is not None:
            self._draft.discard()

    def _end(self, reason: str | None) -> None:
        if not self._over:
            self._over = True
            self._ended(reason)
