"""One replica as its primary sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.persistence.types.kinds import Form

if TYPE_CHECKING:
    from node.engine.session.session import Session

WAITS, TRANSFER, ONLINE = "wait_bgsave", "send_bulk", "online"
"""The states that INFO shows. A snapshot that goes straight into the socket counts as waiting, as in Redis."""


class Replica:
    """What a client has told about itself with REPLCONF, and, once it is attached, how far it is."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.port = 0
        self.address = b""
        self.understands_eof = False
        """It takes a snapshot whose length nobody knows beforehand (`capa eof`)."""
        self.understands_psync2 = False
        self.form = Form.REDIS_70
        """The newest form of snapshots that it has told us, by its version or its capabilities, that it reads."""
        self.snapshot_only = False
        """It wants the data and nothing after: `redis-cli --rdb`."""
        self.with_data = True
        """False: `rdb-filter-only functions` leaves the keys out."""
        self.acknowledges = False
        """Old replicas (SYNC) do not; they are neither shown with a lag nor given up for silence."""
        self.state = WAITS
        self.asked_ms = 0
        self.in_transfer = False
        self.starts_on_ack = False
        """It has the snapshot; what follows is sent when it says that it has read it: it finds the end by a mark, and
        bytes behind that would hide it."""
        self.offset = 0
        self.durable_offset = 0
        """As acknowledged: read, and in its append-only file."""
        self.acked_ms = 0
        self.moved_bytes = 0
        self.moved_ms = 0
        """When its connection last took bytes of the snapshot, and how many it had taken."""

    def takes_the_same_as(self, other: Replica) -> bool:
        """One snapshot does for both."""
        return self.with_data is other.with_data and self.form is other.form

    @property
    def host(self) -> str:
        if self.address:
            return self.address.decode("utf-8", "replace")
        return (self.session.peer or b"").decode("utf-8", "replace").rpartition(":")[0].strip("[]")

    @property
    def name(self) -> str:
        """As the log has it."""
        return f"{self.host}:{self.port}" if self.port else f"{self.host}:<unknown-replica-port>"

    @property
    def is_online(self) -> bool:
        return self.state == ONLINE

    def lag_s(self, now_ms: int) -> int:
        """Seconds since it last said how far it is."""
        return max(0, now_ms - self.acked_ms) // 1000 if self.acknowledges and self.is_online else 0

    def lag_bytes(self, stream_offset: int) -> int:
        """How much of the stream it has not acknowledged."""
        return max(0, stream_offset - self.offset)
