"""The link of a replica to its primary, as a state machine without sockets, files and clocks.

    CONNECT -> CONNECTING -> HANDSHAKE -> SYNC -> LOADING -> CONNECTED
                                    \\_______________________/        (the primary lets us go on from where we are)

The handshake is a PING, then AUTH and what REPLCONF tells about us in one go, then PSYNC with the name of our history
and the next byte that we want. The primary answers with all data and the stream after it, or with the stream alone.
From then on we say every second how far we are.

What happens outside comes in as a call (`connected`, `received`, `lost`, `loaded`, `tick` ...), what is to be done
comes out of `take_effects`, in order. A link that ends is begun again, at once if it worked before and more slowly the
more often it has failed in a row. Whatever goes wrong, the data stays as it is until a snapshot has arrived whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from gossip.effects import Effect, Note
from node.replication.effects import (
    Apply,
    BeginSnapshot,
    Close,
    Connect,
    DropSnapshot,
    LoadSnapshot,
    Resume,
    Send,
    StoreSnapshot,
)
from node.replication.history import NO_OFFSET, stated_number
from node.version import VALKEY_VERSION

MARK_BYTES = 40
ID_CHARS = 40
LONGEST_LINE = 64 * 1024
RETRY_MS = (0, 100, 200, 400, 1000)
"""How long to wait before the first, second ... attempt after a failure; the last one repeats."""
ACK_MS = 1000
NEWLINE_MS = 1000
MAY_PING = ("-NOAUTH", "-NOPERM", "-ERR operation not permitted")
LATER = ("-NOMASTERLINK", "-LOADING")


class State(Enum):
    """Where the link is. The values are what ROLE says."""

    NONE = "none"
    CONNECT = "connect"
    CONNECTING = "connecting"
    HANDSHAKE = "handshake"
    SYNC = "sync"
    LOADING = "loading"
    CONNECTED = "connected"


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a replica tells its primary about itself, and how patient it is."""

    port: int
    announce_ip: str = ""
    user: str = ""
    password: str = ""
    timeout_ms: int = 60_000
    to_memory: bool = False
    """The snapshot is not written to a file (repl-diskless-load)."""
    primary_id: str = ""
    """The cluster node that must be at the primary's address; empty: whoever is there."""


@dataclass(frozen=True, slots=True)
class Position:
    """The history that our data is part of, and the next byte of it that we want."""

    history_id: str
    next_offset: int


class PrimaryLink:
    """One replica's link. `introduction` is asked at each handshake, `position` for the PSYNC (None: we have nothing),
    `applied` for how far the stream has been carried out, `durable` for how much of that is on disk (None: nothing)."""

    def __init__(
        self,
        introduction: Callable[[], Introduction],
        position: Callable[[], Position | None],
        applied: Callable[[], int],
        durable: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._introduction = introduction
        self._durable = durable
        self._position = position
        self._applied = applied
        self.state = State.NONE
        self.host = ""
        self.port = 0
        self.last_io_ms = 0
        """When the primary was last heard of."""
        self.snapshot_size: int | None = None
        self.snapshot_read = 0
        self.knows_offsets = True
        """False for a primary so old that it only has SYNC: there is nothing to acknowledge."""
        self._now_ms = 0
        self._effects: list[Effect] = []
        self._failures = 0
        self._retry_ms = 0
        self._acked_ms = 0
        self._newline_ms = 0
        self._timeout_ms = 0
        self._expected: list[Callable[[str], None]] = []
        self._buffer = bytearray()
        self._mark = b""
        self._full: tuple[str, int] = ("", NO_OFFSET)
        self._asked = False

    def take_effects(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects

    @property
    def attached(self) -> bool:
        """There is, or is going to be, a connection."""
        return self.state not in (State.NONE, State.CONNECT)

    @property
    def offered_id(self) -> str:
        """The history of the snapshot that comes."""
        return self._full[0]

    @property
    def reading(self) -> bool:
        """False while the data is loaded: what the primary sends meanwhile may wait with it."""
        return self.state is not State.LOADING

    # -- what the node wants

    def follow(self, host: str, port: int, now_ms: int) -> None:
        """Be a replica of this primary; a link to another one ends."""
        self.stop()
        self.host, self.port = host, port
        self._now_ms = now_ms
        self._failures = 0
        self._connect()

    def stop(self) -> None:
        """Be no replica any more."""
        self._end()
        self.state = State.NONE

    def restart(self, now_ms: int) -> None:
        """Give the connection up and begin again: it is of no use any more (CLIENT KILL, an error in the stream)."""
        self._now_ms = now_ms
        self._again()

    def acknowledge(self, now_ms: int) -> None:
        """Say how far we are."""
        if self.state is State.CONNECTED and self.knows_offsets:
            self._acked_ms = now_ms
            durable = self._durable()
            on_disk = [] if durable is None else ["FACK", str(durable)]
            self._send("REPLCONF", "ACK", str(self._applied()), *on_disk)

    # -- what happens

    def connected(self, now_ms: int) -> None:
        self._now_ms = self.last_io_ms = now_ms
        if self.state is not State.CONNECTING:
            return
        self._note("notice", "Non blocking connect for SYNC fired the event.")
        self.state = State.HANDSHAKE
        self._expected = [self._hear_pong]
        self._send("PING")

    def lost(self, reason: str, now_ms: int) -> None:
        """The connection has ended, or could not be made."""
        self._now_ms = now_ms
        match self.state:
            case State.NONE | State.CONNECT:
                return
            case State.CONNECTING:
                self._note("warning", f"Error condition on socket for SYNC: {reason}")
            case State.HANDSHAKE:
                self._note("warning", f"Master did not respond to command during SYNC handshake: {reason}")
            case State.SYNC | State.LOADING:
                self._note("warning", f"I/O error trying to sync with MASTER: {reason}")
            case State.CONNECTED:
                self._note("warning", "Connection with master lost.")
        self._again()

    def received(self, data: bytes, now_ms: int) -> None:
        """Bytes from the primary."""
        self._now_ms = self.last_io_ms = now_ms
        if self.state is State.CONNECTED:
            self._effects.append(Apply(data))
            return
        self._buffer += data
        while self._step():
            pass

    def loaded(self, now_ms: int) -> None:
        """The snapshot is our data now."""
        self._now_ms = self.last_io_ms = now_ms
        if self.state is not State.LOADING:
            return
        self._note("notice", "MASTER <-> REPLICA sync: Finished with success")
        self._enter_connected()

    def load_failed(self, reason: str, now_ms: int) -> None:
        self._now_ms = now_ms
        if self.state is not State.LOADING:
            return
        self._note("warning", f"Failed trying to load the MASTER synchronization DB: {reason}")
        self._failures = max(self._failures, 1)
        self._again()

    def tick(self, now_ms: int) -> None:
        """What is due by time: attempts, acknowledgements, signs of life, and giving up a silent primary."""
        self._now_ms = now_ms
        self._timeout_ms = self._introduction().timeout_ms
        silent = now_ms - self.last_io_ms > self._timeout_ms
        match self.state:
            case State.CONNECT if now_ms >= self._retry_ms:
                self._connect()
            case State.CONNECTING | State.HANDSHAKE if silent:
                self._note("warning", "Timeout connecting to the MASTER...")
                self._again()
            case State.SYNC if silent:
                self._note(
                    "warning",
                    "Timeout receiving bulk data from MASTER... If the problem persists try to set the "
                    "'repl-timeout' parameter in redis.conf to a larger value.",
                )
                self._again()
            case State.LOADING if now_ms - self._newline_ms >= NEWLINE_MS:
                # A byte that means nothing, so that the primary does not take us for dead.
                self._newline_ms = now_ms
                self._effects.append(Send(b"\n"))
            case State.CONNECTED if silent:
                self._note("warning", "MASTER timeout: no data nor PING received...")
                self._again()
            case State.CONNECTED if now_ms - self._acked_ms >= ACK_MS:
                self.acknowledge(now_ms)

    # -- the beginning and the end of a connection

    def _connect(self) -> None:
        self._note("notice", f"Connecting to MASTER {self.host}:{self.port}")
        self.state = State.CONNECTING
        self.last_io_ms = self._now_ms
        self._effects.append(Connect(self.host, self.port))
        self._note("notice", "MASTER <-> REPLICA sync started")

    def _end(self) -> None:
        """Leave nothing behind of the connection that there was."""
        if self.state in (State.SYNC, State.LOADING):
            self._effects.append(DropSnapshot())
        if self.attached:
            self._effects.append(Close())
        self._expected = []
        self._asked = False
        self._buffer.clear()
        self._mark = b""
        self.snapshot_size, self.snapshot_read = None, 0

    def _again(self) -> None:
        worked = self.state is State.CONNECTED or (self.state is State.SYNC and self.snapshot_read > 0)
        self._end()
        if worked:
            self._failures = 0
        wait_ms = RETRY_MS[min(self._failures, len(RETRY_MS) - 1)]
        self._failures += 1
        if wait_ms == 0:
            self._note("notice", f"Reconnecting to MASTER {self.host}:{self.port} after failure")
            self._connect()
        else:
            self.state = State.CONNECT
            self._retry_ms = self._now_ms + wait_ms

    # -- reading

    def _step(self) -> bool:
        """Take one thing out of what has come; False: more has to come first."""
        match self.state:
            case State.HANDSHAKE:
                return self._line(self._hear_reply)
            case State.SYNC if self.snapshot_size is None and not self._mark:
                return self._line(self._hear_header)
            case State.SYNC:
                return self._hear_snapshot()
            case _:
                return False

    def _line(self, hear: Callable[[str], None]) -> bool:
        end = self._buffer.find(b"\n")
        if end < 0:
            if len(self._buffer) > LONGEST_LINE:
                self._note("warning", "Bad protocol from MASTER: a line without an end")
                self._again()
            return False
        line = self._buffer[:end].rstrip(b"\r").decode("utf-8", "replace")
        del self._buffer[: end + 1]
        hear(line)
        return True

    def _hear_reply(self, line: str) -> None:
        if not self._expected:
            self._note("warning", f"Unexpected reply from MASTER during the handshake: '{line[:200]}'")
            self._again()
            return
        if line == "" and self._asked:
            return  # the primary prepares its answer and shows that it lives
        self._expected.pop(0)(line)

    def _hear_pong(self, line: str) -> None:
        if not line.startswith(("+", *MAY_PING)):
            self._note("warning", f"Error reply to PING from master: '{line}'")
            self._again()
            return
        self._note("notice", "Master replied to PING, replication can continue...")
        me = self._introduction()
        if me.password:
            self._send("AUTH", *([me.user] if me.user else []), me.password)
            self._expected.append(self._hear_auth)
        if me.primary_id:
            self._send("CLUSTER", "MYID")
            self._expected.append(self._hear_id)
        self._tell("listening-port", str(me.port))
        if me.announce_ip:
            self._tell("ip-address", me.announce_ip)
        self._tell("capa", "eof", "capa", "psync2")
        self._send("REPLCONF", "version", VALKEY_VERSION)
        self._expected.append(self._hear_version)

    def _tell(self, what: str, *words: str) -> None:
        def hear(line: str) -> None:
            if line.startswith("-"):
                self._note("notice", f"(Non critical) Master does not understand REPLCONF {what}: {line}")

        self._send("REPLCONF", what, *words)
        self._expected.append(hear)

    def _hear_auth(self, line: str) -> None:
        if line.startswith("-"):
            self._note("warning", f"Unable to AUTH to MASTER: {line}")
            self._again()

    def _hear_id(self, line: str) -> None:
        """An address that was the primary's may be another's today, whose data would replace ours."""
        if line.startswith("$"):
            self._expected.insert(0, self._hear_id)
        elif line.startswith("-"):
            self._note("notice", f"(Non critical) Master does not tell its node id: {line}")
        elif line != self._introduction().primary_id:
            self._note(
                "warning",
                f"{self.host}:{self.port} is the address of node {line} now, not of our primary "
                f"{self._introduction().primary_id}: not synchronizing with it.",
            )
            self._again()

    def _hear_version(self, line: str) -> None:
        """Who does not understand it does not need it. All that was told is heard now: ask for the data."""
        position = self._position()
        self._asked = True
        self._expected.append(self._hear_psync)
        if position is None:
            self._note("notice", "Partial resynchronization not possible (no cached master)")
            self._send("PSYNC", "?", "-1")
        else:
            self._note(
                "notice",
                f"Trying a partial resynchronization (request {position.history_id}:{position.next_offset}).",
            )
            self._send("PSYNC", position.history_id, str(position.next_offset))

    def _hear_psync(self, line: str) -> None:
        self._asked = False
        if line.startswith("+FULLRESYNC"):
            self._hear_full(line.split(" "))
        elif line.startswith("+CONTINUE"):
            self._hear_continue(line.split(" "))
        elif line.startswith(LATER):
            self._note("notice", f"Master is currently unable to PSYNC but should be in the future: {line}")
            self._again()
        else:
            if line.startswith("-ERR"):
                self._note("notice", f"Master does not support PSYNC or is in error state (reply: {line})")
            else:
                self._note("warning", f"Unexpected reply to PSYNC from master: {line}")
            self._note("notice", "Retrying with SYNC...")
            self._effects.append(Send(b"SYNC\r\n"))
            self._enter_sync("", NO_OFFSET)

    def _hear_full(self, words: list[str]) -> None:
        offset = stated_number(words[2].encode()) if len(words) > 2 else None
        if offset is None or len(words[1]) != ID_CHARS:
            # The data that follows is good, but we could not go on from it after a broken link.
            self._note("warning", "Master replied with wrong +FULLRESYNC syntax.")
            self._enter_sync("", NO_OFFSET)
            return
        self._note("notice", f"Full resync from master: {words[1]}:{offset}")
        self._enter_sync(words[1], offset)

    def _hear_continue(self, words: list[str]) -> None:
        position = self._position()
        if position is None:
            self._note("warning", "Master continues a history that we have no part of.")
            self._again()
            return
        self._note("notice", "Successful partial resynchronization with master.")
        renamed = len(words) > 1 and len(words[1]) == ID_CHARS and words[1] != position.history_id
        if renamed:
            self._note("warning", f"Master replication ID changed to {words[1]}")
        self._effects.append(Resume(words[1] if renamed else position.history_id))
        self._note("notice", "MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.")
        self.knows_offsets = True
        self._enter_connected()

    # -- the snapshot

    def _enter_sync(self, history_id: str, offset: int) -> None:
        self.state = State.SYNC
        self._full = (history_id, offset)
        self.knows_offsets = offset != NO_OFFSET
        self.snapshot_size, self.snapshot_read, self._mark = None, 0, b""

    def _hear_header(self, line: str) -> None:
        if line == "":
            return
        if line.startswith("-"):
            self._note("warning", f"MASTER aborted replication with an error: {line[1:]}")
            self._again()
            return
        where = "to parser" if self._introduction().to_memory else "to disk"
        if line.startswith("$EOF:") and len(line) >= len("$EOF:") + MARK_BYTES:
            self._mark = line[len("$EOF:") :][:MARK_BYTES].encode()
            self._note("notice", f"MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF {where}")
        elif line.startswith("$") and (size := stated_number(line[1:].encode())) is not None:
            self.snapshot_size = size
            self._note("notice", f"MASTER <-> REPLICA sync: receiving {size} bytes from master {where}")
        else:
            self._note(
                "warning",
                f"Bad protocol from MASTER, the first byte is not '$' (we received '{line[:200]}'), are you sure the "
                "host and port are right?",
            )
            self._again()
            return
        self._effects.append(BeginSnapshot(self.snapshot_size, self._introduction().to_memory))

    def _hear_snapshot(self) -> bool:
        """Store what has come of it; what may be the beginning of the mark is kept back."""
        buffer = self._buffer
        if self._mark:
            found = buffer.find(self._mark)
            whole = found >= 0
            take = found if whole else max(0, len(buffer) - MARK_BYTES + 1)
        else:
            assert self.snapshot_size is not None
            take = min(len(buffer), self.snapshot_size - self.snapshot_read)
            whole = self.snapshot_read + take == self.snapshot_size
        if take:
            self.snapshot_read += take
            self._effects.append(StoreSnapshot(bytes(buffer[:take])))
        del buffer[: take + (MARK_BYTES if whole and self._mark else 0)]
        if whole:
            self.state = State.LOADING
            self._newline_ms = self._now_ms
            self._effects.append(LoadSnapshot(*self._full))
        return False

    def _enter_connected(self) -> None:
        self.state = State.CONNECTED
        self._failures = 0
        self.snapshot_size, self.snapshot_read, self._mark = None, 0, b""
        self.acknowledge(self._now_ms)  # a primary that streamed its snapshot waits for this before the stream
        if self._buffer:
            self._effects.append(Apply(bytes(self._buffer)))
            self._buffer.clear()

    # -- small things

    def _note(self, level: str, text: str) -> None:
        self._effects.append(Note(level, text))

    def _send(self, *words: str) -> None:
        encoded = [word.encode("utf-8", "surrogateescape") for word in words]
        parts = [b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded]
        self._effects.append(Send(b"*%d\r\n" % len(parts) + b"".join(parts)))
