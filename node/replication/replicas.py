"""The replicas of this node: how they attach, how far they are, when they are given up.

A replica asks with PSYNC (or the old SYNC), is sent a snapshot of all data and from then on the stream of writes. Every
second it acknowledges how much of that it has read. Each attaches by a full synchronisation, for which the snapshot is
made in one go: it is of that moment because nothing else runs meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from node import flags

if TYPE_CHECKING:
    from node.core import NodeCore
    from node.engine.session import Command, Session
    from node.replication.stream import Sink


class Replica:
    """What a client has told about itself with REPLCONF, and, once it is attached, how far it is."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.port = 0
        self.address = b""
        self.snapshot_only = False
        """It wants the data and nothing after: `redis-cli --rdb`."""
        self.acknowledges = False
        """Old replicas (SYNC) do not; they are neither shown with a lag nor given up for silence."""
        self.offset = 0
        self.acked_ms = 0
        self.stream_starts = 0
        """How many bytes its session will have sent when the snapshot is through."""
        self.sink: Sink | None = None

    @property
    def snapshot_left(self) -> int:
        """Bytes of the snapshot that wait to be sent: they do not count against the limit of its output."""
        return max(0, self.stream_starts - self.session.bytes_out)

    @property
    def state(self) -> str:
        return "send_bulk" if self.snapshot_left else "online"

    @property
    def host(self) -> str:
        if self.address:
            return self.address.decode("utf-8", "replace")
        return (self.session.peer or b"").decode("utf-8", "replace").rpartition(":")[0].strip("[]")

    def lag_s(self, now_ms: int) -> int:
        """Seconds since it last said how far it is."""
        return max(0, now_ms - self.acked_ms) // 1000 if self.acknowledges else 0


class Replicas:
    """All of them, in the order in which they came."""

    def __init__(self, node: NodeCore) -> None:
        self.node = node
        self.attached: dict[Session, Replica] = {}
        self._handshakes: dict[Session, Replica] = {}
        self._pinged_ms = node.space.now_ms

    def of(self, session: Session) -> Replica:
        """What is known of a client that is, or is going to be, a replica."""
        found = self.attached.get(session) or self._handshakes.get(session)
        if found is None:
            found = self._handshakes[session] = Replica(session)
        return found

    def attach(self, session: Session, acknowledges: bool) -> None:
        """Send a client all data and, unless it wanted no more, every write from now on."""
        node = self.node
        replica = self.of(session)
        replica.acknowledges = acknowledges
        replica.acked_ms = node.space.now_ms
        node.stats.full_syncs += 1
        node.log.notice(f"Replica {replica.host}:{replica.port} asks for synchronization")
        node.stream.end_unit()
        if acknowledges:
            session.raw(b"+FULLRESYNC %s %d\r\n" % (node.history.id.encode(), node.stream.offset))
        pieces = list(node.saving.pieces())
        session.raw(b"$%d\r\n" % sum(map(len, pieces)))
        for piece in pieces:
            session.raw(piece)
        if replica.snapshot_only:
            session.flags |= flags.CLOSE
            return
        del self._handshakes[session]
        session.flags |= flags.REPLICA
        replica.stream_starts = session.bytes_out + session.output_bytes
        replica.offset = node.stream.offset
        replica.sink = session.raw
        self.attached[session] = replica
        node.stream.attach(replica.sink)

    def acknowledge(self, session: Session, offset: int) -> None:
        """REPLCONF ACK."""
        replica = self.attached.get(session)
        if replica is not None:
            replica.offset = max(replica.offset, offset)
            replica.acked_ms = self.node.space.now_ms

    def good(self) -> int:
        """How many are in reach, by min-replicas-max-lag."""
        now_ms, longest_s = self.node.space.now_ms, self.node.config["min-replicas-max-lag"]
        return sum(each.state == "online" and each.lag_s(now_ms) <= longest_s for each in self.attached.values())

    def too_few(self) -> bool:
        """Writes have to be refused: fewer replicas are in reach than min-replicas-to-write asks for."""
        return self.good() < self.node.config["min-replicas-to-write"]

    def understands(self, session: Session, command: Command) -> bool:
        """A replica reads the stream: whatever would be replied to it would be taken for a part of that."""
        if command.name == b"replconf":
            return True
        name = command.name.decode()
        self.node.log.warning(f"Replica generated a reply to command '{name}', disconnecting it: id={session.id}")
        session.flags |= flags.CLOSE
        return False

    def disconnect_all(self) -> None:
        """Have all of them come again: the history that they are part of has another name, or has ended."""
        for session in list(self.attached):
            self.node.clients.disconnect(session)

    def gone(self, session: Session) -> None:
        """The connection is closed."""
        self._handshakes.pop(session, None)
        replica = self.attached.pop(session, None)
        if replica is not None and replica.sink is not None:
            self.node.stream.detach(replica.sink)
            self.node.log.notice(f"Connection with replica {replica.host}:{replica.port} lost.")

    def tick(self, now_ms: int, disconnect: Callable[[Session], None]) -> None:
        """Ping when it is time, and give up replicas that have been silent for too long."""
        config = self.node.config
        if not self.attached:
            return
        if not self.node.following.active and now_ms - self._pinged_ms >= config["repl-ping-replica-period"] * 1000:
            self._pinged_ms = now_ms
            self.node.stream.ping()
        for replica in list(self.attached.values()):
            silent = replica.acknowledges and now_ms - replica.acked_ms > config["repl-timeout"] * 1000
            if silent and replica.state == "online":
                self.node.log.warning(f"Disconnecting timedout replica: {replica.host}:{replica.port}")
                disconnect(replica.session)
