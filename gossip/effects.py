"""What a core may ask of its host, and what the host may tell it.

Effects come in one ordered list and are carried out in that order. In particular a `Persist` that stands before a
`Send` must be on disk before the packet leaves: a node that promised something (a vote, an epoch) and forgot it in a
crash could promise the opposite to someone else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Closed(Enum):
    """Why a connection ended or never began. REFUSED and RESET are evidence of a dead process; silence is not."""

    EOF = "closed by the other side"
    RESET = "reset by the other side"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timed out"
    OVERFLOW = "its send buffer grew over the limit"
    ERROR = "broken"


# Effects: core -> host.


@dataclass(frozen=True, slots=True)
class Effect:
    """Base of everything that a core asks for."""


@dataclass(frozen=True, slots=True)
class Connect(Effect):
    """Open a connection; tell how it went with LinkOpened or LinkClosed."""

    link_id: int
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Resolve(Effect):
    """Look a host name up; tell what was found with Resolved."""

    host: str


@dataclass(frozen=True, slots=True)
class Send(Effect):
    """Put a packet on a link. A link that is gone meanwhile is no error."""

    link_id: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Close(Effect):
    """Close a link. No LinkClosed is expected for it."""

    link_id: int


@dataclass(frozen=True, slots=True)
class Persist(Effect):
    """Replace nodes.conf by this text. `durable`: nothing after this may happen before it is safely on disk."""

    text: str
    durable: bool


@dataclass(frozen=True, slots=True)
class Deliver(Effect):
    """A message that another node published: give it to our own subscribers."""

    channel: bytes
    message: bytes
    sharded: bool


@dataclass(frozen=True, slots=True)
class Note(Effect):
    """Something for the log. Level: debug, verbose, notice or warning, as in redis.conf."""

    level: str
    text: str


# Events: host -> core.


@dataclass(frozen=True, slots=True)
class Event:
    """Base of everything that a host reports."""


@dataclass(frozen=True, slots=True)
class LinkAccepted(Event):
    """Somebody connected to our bus port. The id comes from `new_link_id`."""

    link_id: int
    remote_ip: str
    local_ip: str


@dataclass(frozen=True, slots=True)
class LinkOpened(Event):
    """A Connect succeeded."""

    link_id: int
    remote_ip: str
    local_ip: str


@dataclass(frozen=True, slots=True)
class LinkClosed(Event):
    """A Connect failed, or a link ended."""

    link_id: int
    reason: Closed


@dataclass(frozen=True, slots=True)
class Resolved(Event):
    """What a host name means now; no addresses if that could not be found out."""

    host: str
    ips: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Received(Event):
    """Bytes from a link."""

    link_id: int
    data: bytes
