"""The session through which our primary's stream is carried out: its requests pass all gates and get no replies."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from node import flags
from node.monitoring.figure import Table, shown

if TYPE_CHECKING:
    from node.basics import Basics
    from node.engine.keyspace.table import Keyspace
    from node.engine.session.session import Session


class Clients(Protocol):
    """Who makes sessions."""

    def connect(self, peer: bytes, local: bytes) -> Session: ...
    def disconnect(self, session: Session) -> None: ...


class StreamSession:
    """One stream's: what node/replication/applier.py takes for an Executor."""

    def __init__(self, session: Session, space: Keyspace, close: Callable[[], None]) -> None:
        self.session = session
        self.close = close
        self._space = space

    @property
    def bytes_whole(self) -> int:
        return self.session.bytes_whole

    @property
    def database(self) -> int:
        return self.session.db.index

    @property
    def broken(self) -> bool:
        return bool(self.session.flags & flags.CLOSE)

    def input(self, data: bytes) -> None:
        space = self._space
        space.show_dead = bool(self.session.flags & flags.SEES_DEAD)  # a primary knows what it has deleted
        try:
            self.session.input(data)
        finally:
            space.show_dead = False


class StreamSessions:
    """Those of one node, of which there is one at a time, and what goes wrong in them. `panic` ends the node."""

    def __init__(self, basics: Basics, clients: Clients, panic: Callable[[str], None]) -> None:
        self._basics = basics
        self._clients = clients
        self._panic = panic
        self.current: Session | None = None
        self.errors = 0
        """Commands of the stream that failed: our data is not what the primary takes it for."""

    def open(self, primary: tuple[str, int], database: int) -> StreamSession:
        """For a stream of this primary that goes on in this database."""
        host, port = primary
        session = self._clients.connect(f"{host}:{port}".encode(), b"")
        session.flags = flags.PRIMARY
        session.user = None
        session.set_trusted(True)
        session.db = self._basics.space.dbs[database]
        self.current = session
        return StreamSession(session, self._basics.space, self._close)

    def _close(self) -> None:
        session, self.current = self.current, None
        if session is not None and not session.flags & flags.CLOSED:
            self._clients.disconnect(session)

    def errored(self, session: Session, text: bytes) -> None:
        """A command of the stream has failed, though it succeeded on the primary."""
        self.errors += 1
        name = session.command.name.decode() if session.command is not None else "<unknown>"
        self._basics.log.warning(
            "== CRITICAL == This replica is sending an error to its master: "
            f"'{text.decode('utf-8', 'replace')}' after processing the command '{name}'"
        )
        if self._basics.config["propagation-error-behavior"] in ("panic", "panic-on-replicas"):
            self._panic(f"This replica panicked sending an error to its master after processing the command '{name}'")


def figures() -> Table[StreamSessions]:
    return (
        shown(
            "stats",
            "unexpected_error_replies",
            lambda own: own.errors,
            "Commands of the primary's stream that failed.",
            after="tracking_total_prefixes",
        ),
    )
