"""Partial resynchronisation: a replica that was away for a moment goes on where it was.

It names a history and the first byte that it lacks. It may go on if that history is ours, now or up to the place where
ours parted from it (history.py), and the backlog still holds everything from that byte on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from node.replication.replica import ONLINE

if TYPE_CHECKING:
    from node.engine.session.session import Session
    from node.replication.history import History
    from node.replication.replicas import Replicas


class Backlog(Protocol):
    """The last bytes of the stream of writes."""

    @property
    def offset(self) -> int:
        """Where it ends."""

    def holds(self, position: int) -> bool:
        """Whether all is there that follows the first `position` bytes of the stream."""


def refusal(history: History, backlog: Backlog, name: str, history_id: str, offset: int) -> str | None:
    """Why the replica needs everything, as the log says it; None: it can go on from the byte `offset`."""
    if not history.covers(history_id, offset):
        if history_id == "?":
            return f"Full resync requested by replica {name}"
        if history_id not in (history.id, history.second_id):
            return (
                f"Partial resynchronization not accepted: Replication ID mismatch (Replica asked for '{history_id}', "
                f"my replication IDs are '{history.id}' and '{history.second_id}')"
            )
        return (
            f"Partial resynchronization not accepted: Requested offset for second ID was {offset}, "
            f"but I can reply up to {history.second_offset}"
        )
    if backlog.holds(offset - 1):
        return None
    reason = f"Unable to partial resync with replica {name} for lack of backlog (Replica request was: {offset})."
    if offset > backlog.offset:
        reason += f" Warning: replica {name} tried to PSYNC with an offset that is greater than the master "
        reason += "replication offset."
    return reason


def go_on(replicas: Replicas, session: Session, offset: int) -> None:
    """Attach the replica where it was."""
    replica = replicas.attach(session)
    replica.acknowledges = True
    replica.offset = offset - 1
    if replica.understands_psync2:
        session.raw(b"+CONTINUE %s\r\n" % replicas.history.id.encode())
    else:
        session.raw(b"+CONTINUE\r\n")
    replicas.stream.end_unit()
    reader = session.reader = replicas.stream.journal.reader(offset - 1)
    reader.live = True
    replica.state = ONLINE
    replicas.partial_syncs += 1
    replicas.basics.log.notice(
        f"Partial resynchronization request from {replica.name} accepted. Sending {reader.bytes_left} bytes of backlog "
        f"starting from offset {offset}."
    )
    replicas.acks.look_who_is_good()
