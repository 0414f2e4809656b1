"""Where a node's data stands in a history, and whether anybody may go on from there.

A history has a name and a place in it an offset (history.py). Whatever gives the data another past goes through here:

- We become a replica: our own history is where we want to go on, for the new primary may have it too.
- The primary lets us go on, perhaps under another name.
- All data is the primary's: what we had is dropped first, and from then until the new data is whole nobody can go on.
- The stream turns out not to be what it should: nothing can be added to the data any more.
- We are promoted: what comes from here on has a name of its own.
- A file says where its data stood.

Replicas of ours know the old name and offset. Where these say something else now they are sent away, to ask again.

There is nothing here but these decisions: no session, no file, no clock. The simulator hosts this class as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from node.replication.history import History, stated_number
from node.replication.link import ID_CHARS, Position


class Stream(Protocol):
    """The stream of writes: our own, or our primary's, which our replicas read from us."""

    @property
    def offset(self) -> int:
        """Bytes of it so far."""

    def relay(self, data: bytes) -> None:
        """Bytes of our primary's that have been carried out here."""

    def restart(self, offset: int) -> None:
        """It goes on from there, with another past. Nobody reads it."""

    def keep(self) -> None:
        """Have its last bytes at hand from here on, for those who were away."""


class Lineage:
    """Where the data of one node stands. `send_away` has all replicas of ours come again."""

    def __init__(self, history: History, stream: Stream, send_away: Callable[[], None]) -> None:
        self.history = history
        self.stream = stream
        self._send_away = send_away
        self.follows = False
        """The data is a primary's, or is going to be."""
        self.resumable = False
        """As a replica: our data is a part of the history that is named, up to the offset of the stream."""
        self.database = 0
        """The database that our primary's stream last chose."""
        self.down_since_ms = 0
        """Since when there is no stream; 0: there is, or there never was one."""
        self._restored = False

    # -- what follows from it

    def position(self) -> Position | None:
        """Where we want to go on; None: nobody has what belongs behind our data."""
        return Position(self.history.id, self.stream.offset + 1) if self.resumable else None

    def stated_offset(self, applied_offset: int) -> int:
        """What others may go by: 0 while the primary's data takes the place of what we had."""
        return applied_offset if self.resumable or not self.follows else 0

    def data_age_ms(self, now_ms: int, heard_ms: int | None) -> int | None:
        """For how long nothing has come from the primary, which was last heard at `heard_ms` if the stream runs.

        None: our data is not part of its history.
        """
        since_ms = self.down_since_ms if heard_ms is None else heard_ms
        return now_ms - since_ms if self.resumable and since_ms else None

    # -- roles

    def follow(self) -> bool:
        """Become, or go on as, a replica; True: our own history is what we have to show."""
        ours = not self.follows and not self._restored
        if ours:
            self.resumable = True
            self.database = 0
        self.follows = True
        self._restored = False
        return ours

    def begin(self) -> None:
        """The node starts as a replica. What was `restored` says whether it can go on."""
        self.follows = True

    def promote(self) -> None:
        """Become a primary, with the data as it is."""
        self.follows = False
        self.down_since_ms = 0
        self.history.branch(self.stream.offset)
        self._send_away()

    # -- the stream

    def resume(self, history_id: str) -> None:
        """The primary goes on where we are, perhaps under another name: our replicas have to learn that."""
        if history_id != self.history.id:
            self.history.continued(history_id, self.stream.offset)
            self._send_away()

    def stream_runs(self) -> None:
        self.down_since_ms = 0

    def stream_ended(self, now_ms: int) -> None:
        self.down_since_ms = now_ms if self.follows else 0

    def stream_broken(self) -> None:
        """What has come cannot be what the primary has written: nothing can be added to our data any more."""
        self.resumable = False

    # -- all data at once

    def drop_past(self) -> None:
        """The data is not any more what our history and offset say: nobody can go on from there."""
        self.resumable = False
        self.history.renew()
        self._send_away()

    def replaced(self, history_id: str, offset: int, database: int) -> None:
        """All data is the primary's, as it was there. A negative offset: it has not told any."""
        self.database = database
        self.resumable = offset >= 0
        if self.resumable:
            self.history.adopt(history_id)
        self.stream.restart(max(offset, 0))

    def restored(self, facts: Mapping[bytes, bytes], databases: int, as_replica: bool) -> bool:
        """The node has started with the data of a file whose head says `facts`; True: it says where that stood."""
        history_id, offset = facts.get(b"repl-id", b"").decode("latin-1"), stated_number(facts.get(b"repl-offset", b""))
        if len(history_id) != ID_CHARS or offset is None:
            return False
        self.stream.restart(offset)
        self.stream.keep()
        if as_replica:
            self.history.adopt(history_id)
            self.database = stated_database(facts, databases)
            self.resumable = self._restored = True
            self.down_since_ms = (stated_number(facts.get(b"ctime", b"")) or 0) * 1000
        else:
            self.history.restored(history_id, offset)
        return True


def stated_database(facts: Mapping[bytes, bytes], databases: int) -> int:
    """The database that the stream had chosen where a file ends; who sends us their own stream chooses again."""
    database = stated_number(facts.get(b"repl-stream-db", b"0")) or 0
    return database if database < databases else 0
