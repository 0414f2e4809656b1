"""The clients of a node: who is connected, who may connect, what their buffers may hold."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from node import flags
from node.engine.session.session import Session
from node.engine.session.wire import used_by_buffers
from node.monitoring.figure import Table, by, counted, measured, shown
from node.replies import CommandError
from node.requests.secrets import without_secrets
from node.requests.transactions import discard

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.basics import Basics
    from node.engine.session.session import Command
    from node.ports.host import Connections
    from node.requests.blocking import BlockedClients
    from node.requests.pause import Pause
    from node.requests.pubsub import PubSub
    from node.requests.transactions import WatchTable

FREE_OUTPUT_BYTES = 16 * 1024
"""What may wait for a client whatever its output limit is, so that no limit locks everybody out: the buffer that each
client of Redis has apart from its list of replies, which is not counted there either."""

LEAST_BUFFERS_BYTES = 128 * 1024
"""The least that maxmemory-clients stands for, so that clients can still be served, as in Redis."""

NO_LIMIT = 1 << 62

HTTP_WARNING = (
    "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Shardis. This is "
    "likely due to an attacker attempting to use Cross Protocol Scripting to compromise your Shardis instance. "
    "Connection from {} aborted."
)
HTTP_WARNING_MS = 60_000  # one warning in such a time

# Clients that are silent because they wait for what others do: no timeout ends them.
LISTENING = flags.BLOCKED | flags.PAUSED | flags.SUBSCRIBED | flags.MONITOR | flags.REPLICA | flags.RELAYED

PROTECTED_BY = {"debug": "enable-debug-command"}

ESCAPES = {34: b'\\"', 92: b"\\\\", 10: b"\\n", 13: b"\\r", 9: b"\\t", 7: b"\\a", 8: b"\\b"}


class Clients:
    """Sessions by id."""

    def __init__(
        self,
        basics: Basics,
        connections: Connections,
        pubsub: PubSub,
        blocking: BlockedClients,
        watches: WatchTable,
        pause: Pause,
        cluster_links: Callable[[], int],
    ) -> None:
        """`cluster_links` says how many connections the bus has: they count as clients do."""
        self._basics = basics
        self._config = basics.config
        self._log = basics.log
        self._connections = connections
        self._pubsub = pubsub
        self._blocking = blocking
        self._watches = watches
        self._pause = pause
        self._cluster_links = cluster_links
        self._farewells: list[Callable[[Session], None]] = []
        self.monitors: dict[Session, None] = {}
        self.by_id: dict[int, Session] = {}
        self.next_id = 1
        self._warned_of_http_ms = 0
        self.connections_received = self.connections_rejected = self.evicted_count = self.denied_logins = 0
        self.query_buffer_disconnections = self.output_buffer_disconnections = 0

    def __len__(self) -> int:
        return len(self.by_id)

    def connect(self, peer: bytes, local: bytes, unix_socket: bool = False) -> Session:
        """A new client's session."""
        session = Session(self._basics.engine, self._basics.space.dbs[0], self.next_id, peer, local)
        self.next_id += 1
        if unix_socket:
            session.flags |= flags.UNIX
        self.set_default_user(session)
        self.by_id[session.id] = session
        self.connections_received += 1
        return session

    def set_default_user(self, session: Session) -> None:
        """The state of a client that has not authenticated: it has to, where a password is set."""
        session.user = b"default"
        if self._config["requirepass"]:
            session.flags |= flags.NOAUTH
            session.set_trusted(False)
        else:
            session.flags &= ~flags.NOAUTH
            session.set_trusted(True)

    def authenticate(self, session: Session, user: bytes, password: bytes) -> bool:
        """Check a password; the session is the user's if it is right. Only the default user exists."""
        expected = self._config["requirepass"].encode("utf-8", "surrogateescape")
        if user != b"default" or (expected and not hmac.compare_digest(password, expected)):
            self.denied_logins += 1
            return False
        session.user = user
        session.flags &= ~flags.NOAUTH
        session.set_trusted(True)
        return True

    def reset(self, session: Session) -> None:
        """RESET: the state of a client that has just connected."""
        self._pubsub.forget(session)
        self.stop_monitoring(session)
        session.flags &= flags.UNIX | flags.CLOSE
        session.proto = 2
        session.name = b""
        count_names(session)
        session.db = self._basics.space.dbs[0]
        self.set_default_user(session)

    def monitor(self, session: Session) -> None:
        """MONITOR: show this client every command."""
        session.flags |= flags.MONITOR
        self.monitors[session] = None
        self._basics.set_state(flags.STATE_MONITORED, True)

    def stop_monitoring(self, session: Session) -> None:
        session.flags &= ~flags.MONITOR
        self.monitors.pop(session, None)
        if not self.monitors:
            self._basics.set_state(flags.STATE_MONITORED, False)

    def gone(self, session: Session) -> None:
        """The connection is closed: forget everything about the client."""
        self.by_id.pop(session.id, None)
        for hear in self._farewells:
            hear(session)
        self._blocking.forget(session)
        self._pause.forget(session)
        self._pubsub.forget(session)
        self.stop_monitoring(session)
        discard(session, self._watches)
        session.names_bytes = 0

    def tell_of_gone(self, hear: Callable[[Session], None]) -> None:
        """Call this for each client that is gone, before it is forgotten here."""
        self._farewells.append(hear)

    def spoke_http(self, session: Session) -> None:
        """Hang up before the commands in what may be the body of a request are run."""
        session.flags |= flags.CLOSE
        now_ms = self._basics.now_ms
        if now_ms - self._warned_of_http_ms > HTTP_WARNING_MS:
            self._warned_of_http_ms = now_ms
            self._log.warning(HTTP_WARNING.format((session.peer or b"?").decode("utf-8", "backslashreplace")))

    def disconnect(self, session: Session) -> None:
        """Close its connection at once: what was not sent yet is lost."""
        if not self._connections.disconnect(session):
            session.flags |= flags.CLOSED
            self.gone(session)

    def refusal(self, peer_is_local: bool) -> bytes | None:
        """The error that a new connection is closed with, or None to welcome it."""
        config = self._config
        if len(self.by_id) + self._cluster_links() >= config["maxclients"]:
            self.connections_rejected += 1
            if self._basics.engine.cluster:
                return b"-ERR max number of clients + cluster connections reached\r\n"
            return b"-ERR max number of clients reached\r\n"
        if config["protected-mode"] and not config["requirepass"] and not peer_is_local:
            self.connections_rejected += 1
            return (
                b"-DENIED Shardis is running in protected mode because protected mode is enabled and no password is "
                b"set for the default user. In this mode connections are only accepted from the loopback interface. "
                b"Set a password (CONFIG SET requirepass), or, if the network is trusted, CONFIG SET protected-mode no "
                b"from a client on this host.\r\n"
            )
        return None

    def protected(self, session: Session, command: Command) -> CommandError | None:
        """DEBUG may be switched off, or kept to clients on this host."""
        container = command.name.decode().partition("|")[0]
        directive = PROTECTED_BY[container]
        setting = self._config[directive]
        if setting == "yes" or (setting == "local" and is_local(session)):
            return None
        return CommandError(
            f"ERR {container.upper()} command not allowed. If the {directive} option is set to "
            '"local", you can run it from a local connection, otherwise you need to set this option in the '
            "configuration file, and then restart the server."
        )

    # -- figures

    @property
    def ordinary(self) -> list[Session]:
        """All but the links to replicas and to our primary."""
        return [each for each in self.by_id.values() if not each.flags & (flags.REPLICA | flags.RELAYED)]

    @property
    def waiting_count(self) -> int:
        """How many wait for a key, or for the end of a pause."""
        return self._blocking.count + len(self._pause.waiting)

    def by_kind(self) -> dict[str, int]:
        """How many connections there are, by what is at their other end."""
        kinds = {"normal": 0, "pubsub": 0, "replica": 0, "master": 0}
        for session in self.by_id.values():
            kinds[self.type_of(session)] += 1
        kinds["primary"] = kinds.pop("master")
        return kinds

    # -- limits

    def client_class(self, session: Session) -> str:
        """Its class for client-output-buffer-limit."""
        if session.flags & flags.REPLICA:
            return "replica"
        if session.subscriptions is not None and session.subscriptions.any:
            return "pubsub"
        return "normal"

    def type_of(self, session: Session) -> str:
        """Its type for CLIENT LIST and CLIENT KILL."""
        return "master" if session.flags & flags.RELAYED else self.client_class(session)

    def hard_limit(self, session: Session) -> int:
        """How many bytes of output may wait for it; 0: any number."""
        limit: int = self._config["client-output-buffer-limit"][self.client_class(session)].hard_bytes
        return limit + FREE_OUTPUT_BYTES if limit else 0

    def least_output_limit(self) -> int:
        """The least output at which some client, other than a replica, may have to go."""
        limits = self._config["client-output-buffer-limit"]
        sizes: list[int] = [NO_LIMIT]
        for name in ("normal", "pubsub"):
            sizes += limits[name].hard_bytes, limits[name].soft_bytes
        return FREE_OUTPUT_BYTES + min(size for size in sizes if size)

    def over_output_limit(self, session: Session, waiting_bytes: int) -> bool:
        """True if the client has to go: over the hard limit, or over the soft one for too long."""
        limit = self._config["client-output-buffer-limit"][self.client_class(session)]
        hard_bytes = limit.hard_bytes
        if session.flags & flags.REPLICA:
            # The snapshot has limits of its own; and what the backlog keeps anyway costs nothing.
            waiting_bytes = session.reader.memory_bytes if session.reader is not None else 0
            hard_bytes = max(hard_bytes, self._config["repl-backlog-size"]) if hard_bytes else 0
        else:
            waiting_bytes = max(0, waiting_bytes - FREE_OUTPUT_BYTES)
        now_ms = self._basics.now_ms
        over = bool(hard_bytes) and waiting_bytes >= hard_bytes
        if limit.soft_bytes and waiting_bytes >= limit.soft_bytes:
            if session.soft_since_ms == 0:
                session.soft_since_ms = now_ms
            elif now_ms // 1000 - session.soft_since_ms // 1000 > limit.soft_s:  # whole seconds, as Redis counts them
                over = True
        else:
            session.soft_since_ms = 0
        if over:
            self.output_buffer_disconnections += 1
            self._log.warning(
                f"Client id={session.id} closed for overcoming of output buffer limits: {waiting_bytes} bytes"
            )
        return over

    def evict(self) -> int:
        """Disconnect those who take most until all fit into maxmemory-clients.

        Returns how much everything that counts like clients (Engine's buffers, the backlog among them) may take before
        it is worth looking again.
        """
        limit_bytes = self.buffers_limit()
        exempt = flags.REPLICA | flags.RELAYED
        sizes = {each: each.memory_bytes for each in self.by_id.values() if not each.flags & exempt}
        total_bytes = sum(sizes.values())
        others_bytes = max(0, used_by_buffers() - total_bytes)
        if total_bytes > limit_bytes:
            may_go = (each for each in sizes if not each.flags & flags.NO_EVICT)
            for session in sorted(may_go, key=sizes.__getitem__, reverse=True):
                total_bytes -= sizes[session]
                self.evicted_count += 1
                self._log.notice(f"Evicting client id={session.id}: it takes {sizes[session]} bytes")
                self.disconnect(session)
                if total_bytes <= limit_bytes:
                    break
        return limit_bytes + others_bytes

    def memory_of(self, replicas: bool) -> int:
        """What replicas, or all other clients, take beside the blocks of the stream."""
        return sum(each.memory_bytes for each in self.by_id.values() if bool(each.flags & flags.REPLICA) is replicas)

    def buffers_limit(self) -> int:
        """maxmemory-clients in bytes; as good as infinite if there is no limit."""
        config = self._config
        limit_bytes: int = config["maxmemory-clients"]
        if limit_bytes < 0:  # percent
            limit_bytes = -limit_bytes * config["maxmemory"] // 100
        return max(limit_bytes, LEAST_BUFFERS_BYTES) if limit_bytes else NO_LIMIT

    def tick(self) -> None:
        """Disconnect who has been idle too long, or over the soft limit of its output."""
        timeout_ms = self._config["timeout"] * 1000
        now_ms = self._basics.now_ms
        for session in list(self.by_id.values()):
            idle = timeout_ms and now_ms - session.active_ms > timeout_ms
            if idle and not session.flags & LISTENING and not session.held_since_ms:
                self._log.verbose("Closing idle client")
                self.disconnect(session)
            elif session.output_bytes and session.soft_since_ms:
                if self.over_output_limit(session, session.output_bytes):
                    self.disconnect(session)

    # -- MONITOR

    def feed_monitors(self, session: Session, argv: list[bytes]) -> None:
        """Show a command to every client that monitors."""
        now_us = self._basics.clock.now_us()
        source = b"lua" if session.flags & flags.SCRIPT else session.peer or b"?"
        line = b"+%d.%06d [%d %s]" % (now_us // 1_000_000, now_us % 1_000_000, session.db.index, source)
        line += b"".join(b" " + quoted(arg) for arg in without_secrets(argv)) + b"\r\n"
        for monitor in self.monitors:
            if not monitor.flags & (flags.REPLY_OFF | flags.REPLY_SKIP):
                monitor.raw(line)


def check_name(name: bytes, what: str = "Client names") -> None:
    """Refuse names that would break CLIENT LIST's lines."""
    if any(not 33 <= byte <= 126 for byte in name):
        raise CommandError(f"ERR {what} cannot contain spaces, newlines or special characters.")


def count_names(session: Session) -> None:
    """A name may be as long as a request."""
    session.names_bytes = len(session.name) + len(session.lib_name) + len(session.lib_ver)


def is_local(session: Session) -> bool:
    """The client is on this host."""
    peer = session.peer or b""
    return bool(session.flags & flags.UNIX) or peer.startswith((b"127.", b"::1", b"[::1]"))


def quoted(data: bytes) -> bytes:
    """A byte string as MONITOR and the tools show it: in double quotes, with escapes."""
    out = bytearray(b'"')
    for byte in data:
        if byte in ESCAPES:
            out += ESCAPES[byte]
        elif 32 <= byte < 127:
            out.append(byte)
        else:
            out += b"\\x%02x" % byte
    return bytes(out + b'"')


def figures() -> Table[Clients]:
    return (
        shown(
            "clients", "connected_clients", lambda own: len(own.ordinary), "Clients, without replicas and the primary."
        ),
        shown(
            "clients",
            "client_recent_max_input_buffer",
            lambda own: max((each.input_capacity for each in own.ordinary), default=0),
            "The largest input buffer of a client, in bytes.",
            after="maxclients",
        ),
        shown(
            "clients",
            "client_recent_max_output_buffer",
            lambda own: max((each.output_capacity for each in own.ordinary), default=0),
            "The largest output buffer of a client, in bytes.",
        ),
        shown(
            "clients",
            "blocked_clients",
            lambda own: own.waiting_count,
            "Clients that wait for a key, or for the end of a pause.",
        ),
        shown("clients", "tracking_clients", lambda own: 0, "Always 0: keys are not tracked."),
        shown(
            "clients",
            "pubsub_clients",
            lambda own: sum(each.subscriptions is not None and each.subscriptions.any for each in own.ordinary),
            "Clients that have subscribed to something.",
        ),
        shown(
            "clients",
            "watching_clients",
            lambda own: sum(bool(each.watched) for each in own.ordinary),
            "Clients that watch keys.",
        ),
        measured(
            "connections", lambda own: by("kind", own.by_kind().items()), "Connections, by what is at their other end."
        ),
        counted(
            "stats",
            "total_connections_received",
            "connections_received",
            "Connections accepted.",
            metric="connections_received",
            metric_after="blocked_clients",
        ),
        counted(
            "stats",
            "rejected_connections",
            "connections_rejected",
            "Connections refused.",
            after="instantaneous_output_repl_kbps",
            metric="connections_rejected",
        ),
        counted(
            "stats",
            "evicted_clients",
            "evicted_count",
            "Clients disconnected for maxmemory-clients.",
            after="evicted_keys",
        ),
        counted(
            "stats",
            "client_query_buffer_limit_disconnections",
            "query_buffer_disconnections",
            "Clients disconnected because of client-query-buffer-limit.",
            after="instantaneous_eventloop_duration_usec",
        ),
        counted(
            "stats",
            "client_output_buffer_limit_disconnections",
            "output_buffer_disconnections",
            "Clients disconnected because of client-output-buffer-limit.",
        ),
        counted("stats", "acl_access_denied_auth", "denied_logins", "Passwords that were wrong."),
        shown(
            "memory",
            "mem_clients_normal",
            lambda own: own.memory_of(replicas=False),
            "What clients take, without replicas.",
            after="mem_clients_slaves",
        ),
    )
