"""This node as a replica: whom it follows, and what its role switches on and off.

The link (link.py) speaks with the primary, carrier.py does what it asks for. The primary's data becomes ours by way of
arrival.py, its stream by way of applier.py. Where that leaves us in which history is in lineage.py, and what files say
of it in filefacts.py.

While it follows, a node decides nothing about its data: keys that have run out are hidden, and stay until the primary
deletes them; nothing is evicted; what clients write is refused (or is theirs alone, with replica-read-only no).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from node import flags
from node.monitoring.figure import Table, measured, shown
from node.replication.link import Introduction, PrimaryLink, State
from node.replies import CommandError, Reply

if TYPE_CHECKING:
    from node.basics import Basics
    from node.engine.session.session import Session
    from node.replication.applier import Applier
    from node.replication.carrier import Carrier
    from node.replication.lineage import Lineage
    from node.replication.local_expiry import LocalExpiry
    from node.replication.stream_session import StreamSessions
    from node.replication.write_stream import WriteStream

FORCED = CommandError("UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)")
DIRECTIVES = ("replica-read-only", "replica-serve-stale-data", "replica-ignore-maxmemory")


class Clients(Protocol):
    @property
    def by_id(self) -> Mapping[int, Session]:
        """All that are connected."""


class Waits(Protocol):
    """Clients that wait, for keys and acknowledgements (node/requests/blocking.py)."""

    def answer(self, session: Session, reply: Reply) -> bool:
        """End one's wait; False: it does not wait."""

    def serve(self) -> object:
        """Go on with those whose wait has ended."""


class Following:
    """Whom this node follows, if anybody."""

    def __init__(
        self,
        basics: Basics,
        stream: WriteStream,
        lineage: Lineage,
        applier: Applier,
        carrier: Carrier,
        sessions: StreamSessions,
        local_expiry: LocalExpiry,
        clients: Clients,
        waits: Waits,
        *,
        waits_for_data: bool,
        give_up: Callable[[], None],
        limit_memory: Callable[[], None],
        link_changed: Callable[[], None],
    ) -> None:
        """`give_up` is called before another's data takes the place of ours: what goes on here by itself ends.
        `limit_memory` is to look again at whether maxmemory holds, `link_changed` at whether clients may read here."""
        self.basics = basics
        self.lineage = lineage
        self.applier = applier
        self.carrier = carrier
        self.sessions = sessions
        self.local_expiry = local_expiry
        self.primary: tuple[str, int] | None = None
        self.primary_id = ""
        self.waits_for_data = waits_for_data
        """The node still loads what it had: only then it can say where it wants to go on."""
        self._stream = stream
        self._clients = clients
        self._waits = waits
        self._give_up = give_up
        self._limit_memory = limit_memory
        self._link_changed = link_changed
        self._was_connected = False
        basics.config.subscribe(DIRECTIVES, lambda config: self._apply_role())

    # -- what others ask

    @property
    def active(self) -> bool:
        """This node is a replica."""
        return self.primary is not None

    @property
    def link(self) -> PrimaryLink:
        return self.carrier.link

    @property
    def connected(self) -> bool:
        return self.carrier.connected

    @property
    def transferring(self) -> bool:
        """The primary's data comes, or is being loaded."""
        return self.active and self.link.state in (State.SYNC, State.LOADING)

    @property
    def applied_offset(self) -> int:
        """How much of the stream has been carried out, up to the last complete request or transaction."""
        return self.applier.applied_offset

    @property
    def stated_offset(self) -> int:
        """What others may go by: `applied_offset`, but 0 while the primary's data takes the place of what we had."""
        return self.lineage.stated_offset(self.applied_offset)

    def data_age_ms(self) -> int | None:
        """For how long nothing has come from the primary; None: our data is not part of its history."""
        return self.lineage.data_age_ms(self.basics.now_ms, self.link.last_io_ms if self.connected else None)

    @property
    def ignores_maxmemory(self) -> bool:
        return self.active and self.basics.config["replica-ignore-maxmemory"]

    def stale(self) -> bool:
        """Reads would show old data, and replica-serve-stale-data says that this is worse than none."""
        return self.active and not self.connected and not self.basics.config["replica-serve-stale-data"]

    def introduction(self, to_memory: bool) -> Introduction:
        """What the primary is told of us; `to_memory`: its data would be kept there."""
        config = self.basics.config
        return Introduction(
            port=config["replica-announce-port"] or config["port"],
            announce_ip=config["replica-announce-ip"],
            user=config["masteruser"],
            password=config["masterauth"],
            timeout_ms=config["repl-timeout"] * 1000,
            to_memory=to_memory,
            primary_id=self.primary_id,
        )

    # -- changes of the role

    def follow(self, host: str, port: int, node_id: str = "") -> None:
        """Become, or go on as, a replica: of this primary, the cluster node `node_id` if one is given."""
        self._give_up()
        self._end_wait_of_clients()
        self.primary = (host, port)
        self.primary_id = node_id
        if self.lineage.follow():
            self.basics.log.notice(
                "Before turning into a replica, using my own master parameters to synthesize a cached master: I may be "
                "able to synchronize with the new master with just a partial transfer."
            )
        self._apply_role()
        self.carrier.follow(host, port)

    def begin(self, host: str, port: int) -> None:
        """The node starts as a replica. What it has loaded says whether it can go on where it was."""
        self.primary = (host, port)
        self.lineage.begin()
        self._apply_role()
        self.carrier.follow(host, port)

    def stop(self) -> None:
        """Become a primary, with the data as it is."""
        if not self.active:
            return
        self.primary = None
        self.lineage.promote()
        self.carrier.stop()
        self.local_expiry.forget()
        self._apply_role()

    def _apply_role(self) -> None:
        """Have the parts that look at the role on every command know it."""
        basics = self.basics
        basics.space.lazy_expire = not self.active
        basics.engine.read_only = self.active
        self._stream.set_relaying(self.active)
        self._limit_memory()
        basics.set_state(flags.STATE_READONLY, self.active and basics.config["replica-read-only"])
        basics.set_state(flags.STATE_STALE, self.stale())

    def _end_wait_of_clients(self) -> None:
        """Clients that wait for keys may wait in vain on a replica: they are told, and let go."""
        for client in list(self._clients.by_id.values()):
            if self._waits.answer(client, FORCED):
                client.flags |= flags.CLOSE
        self._waits.serve()

    # -- what happens

    def link_settled(self) -> None:
        """Something has happened to the link."""
        self.basics.set_state(flags.STATE_STALE, self.stale())
        if self.connected != self._was_connected:
            self._was_connected = self.connected
            self._link_changed()

    def tick(self) -> None:
        if self.active:
            self.carrier.tick()
            if self.local_expiry:
                self.local_expiry.run()

    def session_gone(self, session: Session) -> None:
        """Somebody has closed the stream's session (CLIENT KILL)."""
        if session is self.sessions.current:
            self.carrier.restart()


def _of_link(read: Callable[[Following], object]) -> Callable[[Following], object]:
    """A figure that only replicas have."""
    return lambda own: read(own) if own.active else None


def _of_transfer(read: Callable[[Following], object]) -> Callable[[Following], object]:
    """A figure that there is while the primary's data comes."""
    return lambda own: read(own) if own.transferring else None


def _silent_s(own: Following) -> int:
    return (own.basics.now_ms - own.link.last_io_ms) // 1000


def _down_s(own: Following) -> int | None:
    if own.connected:
        return None
    return (own.basics.now_ms - own.lineage.down_since_ms) // 1000 if own.lineage.down_since_ms else -1


def _read_percent(own: Following) -> str:
    total = own.link.snapshot_size or 0
    return f"{100 * own.link.snapshot_read / total if total else 0:.2f}"


def figures() -> Table[Following]:
    return (
        shown("replication", "role", lambda own: "slave" if own.active else "master", "Master or slave."),
        shown(
            "replication",
            "master_host",
            _of_link(lambda own: own.primary and own.primary[0]),
            "Whom a replica follows.",
        ),
        shown(
            "replication", "master_port", _of_link(lambda own: own.primary and own.primary[1]), "The primary's port."
        ),
        shown(
            "replication",
            "master_link_status",
            _of_link(lambda own: "up" if own.connected else "down"),
            "Up while the replica has the primary's data and its stream.",
        ),
        shown(
            "replication",
            "master_last_io_seconds_ago",
            _of_link(lambda own: _silent_s(own) if own.connected else -1),
            "Time since something has come from it.",
        ),
        shown(
            "replication",
            "master_sync_in_progress",
            _of_link(lambda own: int(own.transferring)),
            "1 while its data comes.",
        ),
        shown(
            "replication",
            "slave_read_repl_offset",
            _of_link(lambda own: own.applier.read_offset),
            "How much has come.",
        ),
        shown("replication", "slave_repl_offset", _of_link(lambda own: own.applied_offset), "How much is carried out."),
        shown(
            "replication",
            "master_sync_total_bytes",
            _of_transfer(lambda own: own.link.snapshot_size or 0),
            "The size of the data that comes.",
        ),
        shown(
            "replication",
            "master_sync_read_bytes",
            _of_transfer(lambda own: own.link.snapshot_read),
            "What has come of it.",
        ),
        shown(
            "replication",
            "master_sync_left_bytes",
            _of_transfer(lambda own: (own.link.snapshot_size or 0) - own.link.snapshot_read),
            "What is still to come.",
        ),
        shown("replication", "master_sync_perc", _of_transfer(_read_percent), "What has come in percent."),
        shown("replication", "master_sync_last_io_seconds_ago", _of_transfer(_silent_s), "Time since the last piece."),
        shown(
            "replication", "master_link_down_since_seconds", _of_link(_down_s), "For how long the link has been down."
        ),
        shown(
            "replication",
            "slave_priority",
            _of_link(lambda own: own.basics.config["replica-priority"]),
            "The directive replica-priority.",
        ),
        shown(
            "replication",
            "slave_read_only",
            _of_link(lambda own: int(own.basics.config["replica-read-only"])),
            "The directive replica-read-only.",
        ),
        shown(
            "replication",
            "replica_announced",
            _of_link(lambda own: int(own.basics.config["replica-announced"])),
            "The directive replica-announced.",
        ),
        measured(
            "primary_link_up",
            _of_link(lambda own: own.connected),
            "1 where this replica follows its primary's stream.",
            after="replication_offset_bytes",
        ),
    )
