"""What the engine tells the node that it is the engine of, and asks it. It knows nothing else of a node.

Each of these calls leaves compiled code, so none of them is on the way of a request that nothing stops and nobody
watches: `Engine.hooks`, `Engine.states` and the limits beside them say whether somebody listens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from node.engine.keyspace.table import Db
    from node.engine.session.session import Command, Session
    from node.replies import Blocked, CommandError


class Hooks(Protocol):
    """What one node answers."""

    # -- requests

    def execute(self, session: Session, argv: list[bytes]) -> None:
        """A request that cannot run at once: run it, keep it, or refuse it."""

    def run_locally(self, session: Session, command: Command, argv: list[bytes]) -> None:
        """A client's command on a replica that may write there."""

    def block(self, session: Session, command: Command, argv: list[bytes], blocked: Blocked) -> None:
        """A command has to wait before it can reply."""

    def after_command(self) -> None:
        """A command has ended, after which something is due."""

    def feed_monitors(self, session: Session, argv: list[bytes]) -> None:
        """A command begins while somebody sees all of them (MONITOR)."""

    def slow_command(self, session: Session, command: Command, argv: list[bytes], duration_ns: int) -> None:
        """A command took as long as slowlog-log-slower-than, or longer."""

    def late_command(self, command: Command, duration_ns: int) -> None:
        """A command took as long as latency-monitor-threshold, or longer."""

    # -- keys

    def key_changed(self, session: Session | None, db: Db, key: bytes, event: str, kind: str) -> None:
        """A key has changed while somebody listens."""

    def key_missed(self, session: Session, key: bytes) -> None:
        """A reading command has found no key there."""

    # -- the stream of writes

    def propagate(self, session: Session, command: Command, argv: list[bytes]) -> None:
        """A command has changed the data: record it for whoever follows."""

    def write_lost(self) -> None:
        """There is no memory to record a write that has been done."""

    def ask_for_acknowledgement(self) -> None:
        """Somebody waits for replicas: they are to say how far they are."""

    def drained(self, session: Session) -> None:
        """A replica has been sent all that there was for it before the stream."""

    def stream_error(self, session: Session, text: bytes) -> None:
        """A command that came with the stream of our primary has failed."""

    # -- clients

    def output_grew(self, session: Session, waiting_bytes: int) -> bool:
        """So much waits for a client to read it. True: that is too much, and the client is disconnected."""

    def query_buffer_overrun(self, session: Session) -> None:
        """A client is disconnected, since its requests exceed client-query-buffer-limit."""

    def protocol_error(self, session: Session, error: CommandError) -> None:
        """What a client has sent is no request."""

    def accept_failed(self, error: str) -> None:
        """A connection came that could not be accepted."""

    def internal_error(self, session: Session, argv: list[bytes], error: Exception) -> CommandError:
        """A command has raised what it never should: the error that its client is told."""
