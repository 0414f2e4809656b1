"""What the link of a replica to its primary (link.py) asks of the node, in order (carrier.py carries it out)."""

from __future__ import annotations

from dataclasses import dataclass

from gossip.effects import Effect


@dataclass(frozen=True, slots=True)
class Connect(Effect):
    """Open a connection; tell with `connected` or `lost`."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Send(Effect):
    data: bytes


@dataclass(frozen=True, slots=True)
class Close(Effect):
    """Close the connection; nothing is expected of it any more."""


@dataclass(frozen=True, slots=True)
class BeginSnapshot(Effect):
    """All data is coming: `size` bytes, or as many as it takes."""

    size: int | None
    to_memory: bool


@dataclass(frozen=True, slots=True)
class StoreSnapshot(Effect):
    data: bytes


@dataclass(frozen=True, slots=True)
class LoadSnapshot(Effect):
    """The snapshot is whole: make it our data, then call `loaded` or `load_failed`."""

    history_id: str
    offset: int


@dataclass(frozen=True, slots=True)
class DropSnapshot(Effect):
    """It will not become whole."""


@dataclass(frozen=True, slots=True)
class Resume(Effect):
    """The stream goes on where our data ends; the primary calls the history by this name."""

    history_id: str


@dataclass(frozen=True, slots=True)
class Apply(Effect):
    """Bytes of the stream: the writes of the primary."""

    data: bytes
