"""One MIGRATE: keys are sent to another server, and what that says of each decides what becomes of it here.

A conversation: AUTH if it was asked for, SELECT if another database was chosen last, and a RESTORE a key, all sent
without waiting for answers, in pieces, each when the one before it has left. It ends when every request has been
answered, when the connection ends, or when nothing has moved for the time that the client has given. A connection that
ends before the first RESTORE was answered is replaced once, since one that was kept may have been closed at the other
end; that is what Redis does, and so are the texts. Which keys have arrived is known only from the answers: where one is
missing the key stays here, so that at worst it is in both places, and never in none.

This module touches neither data nor sockets. `dump` gives the request for one key when its turn has come, or None if
the key is gone by then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from node.replication.write_stream import request
from node.replies import CommandError
from node.transfer.targets import Target, Targets

PIECE_BYTES = 64 * 1024
"""So much is made before it is looked whether the other side takes it. One large value is more, and one piece."""
LONGEST_LINE = 64 * 1024

CONNECTING = CommandError("IOERR error or timeout connecting to the client")
WRITING = CommandError("IOERR error or timeout writing to target instance")
READING = CommandError("IOERR error or timeout reading to target instance")

Dump = Callable[[bytes, int], "bytes | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What MIGRATE asks for."""

    host: bytes
    port: bytes
    database: int
    timeout_ms: int
    keys: Sequence[bytes]
    copy: bool = False
    replace: bool = False
    login: tuple[bytes, ...] = ()
    """What follows AUTH, if anything."""


class Transfer:
    """From the first attempt to connect to the last answer; then `done` is called, and `over` is True."""

    def __init__(self, order: Order, targets: Targets, dump: Dump, done: Callable[[Transfer], None]) -> None:
        self.order = order
        self.accepted: list[bytes] = []
        """Keys that the other server has."""
        self.failure: CommandError | None = None
        self.deadline_ms = 0
        self.over = False
        self._targets = targets
        self._dump = dump
        self._done = done
        self._target: Target | None = None
        self._connecting = False
        self._again = False
        """This is the second attempt."""
        self._unsent: deque[bytes] = deque()
        self._unanswered: deque[bytes] = deque()
        self._answered = 0
        self._prelude = 0
        """How many answers are to come before those about keys."""
        self._refusal = b""
        """What was said to AUTH or SELECT, if that was an error: then no key has arrived where it should."""
        self._all_written = False
        self._input = b""

    def start(self, now_ms: int) -> None:
        self._moved(now_ms)
        address = (self.order.host, self.order.port, self.order.login)
        self._unsent = deque(self.order.keys)
        self._unanswered.clear()
        self._refusal = self._input = b""
        self._all_written = False
        target = None if self._again else self._targets.take(address, self)
        self._connecting = target is None
        self._target = target or self._targets.connect(address, self)
        if not self._connecting:
            self._speak(now_ms)

    def give_up(self) -> None:
        """End it without a word. What the other server has by now is not known."""
        self.over = True
        if self._target is not None:
            self._target.close()

    def fail(self, error: CommandError) -> None:
        """End it with this error, if there was none before."""
        self.failure = self.failure or error
        self.give_up()
        self._done(self)

    def tick(self, now_ms: int) -> None:
        if not self.over and now_ms >= self.deadline_ms:
            self.fail(self._broken())

    # -- what happens to the connection

    def connected(self, now_ms: int) -> None:
        self._moved(now_ms)
        self._connecting = False
        self._speak(now_ms)

    def written(self, now_ms: int) -> None:
        self._moved(now_ms)
        piece = self._piece(now_ms)
        if piece:
            self._send(piece)
        else:
            self._all_written = True
            self._look(now_ms)

    def received(self, data: bytes, now_ms: int) -> None:
        self._moved(now_ms)
        lines = (self._input + data).split(b"\r\n")
        self._input = lines.pop()
        for line in lines:
            self._heard(line)
        if len(self._input) > LONGEST_LINE:
            self.fail(READING)
        else:
            self._look(now_ms)

    def lost(self, now_ms: int) -> None:
        self._target = None
        if self._connecting or self._answered or self._again:
            self.fail(self._broken())
        else:
            self._again = True
            self.start(now_ms)

    # -- the conversation

    def _moved(self, now_ms: int) -> None:
        self.deadline_ms = now_ms + self.order.timeout_ms

    def _broken(self) -> CommandError:
        return CONNECTING if self._connecting else READING if self._all_written else WRITING

    def _speak(self, now_ms: int) -> None:
        assert self._target is not None
        prelude = [[b"AUTH", *self.order.login]] if self.order.login else []
        if self._target.database != self.order.database:
            prelude.append([b"SELECT", b"%d" % self.order.database])
        self._prelude = len(prelude)
        self._target.database = -1  # until all has gone well
        data = b"".join(map(request, prelude)) + self._piece(now_ms)
        if data:
            self._send(data)
        else:
            self._look(now_ms)

    def _send(self, data: bytes) -> None:
        assert self._target is not None
        self._target.send(data)

    def _piece(self, now_ms: int) -> bytes:
        out = bytearray()
        while self._unsent and len(out) < PIECE_BYTES:
            key = self._unsent.popleft()
            restore = self._dump(key, now_ms)
            if restore is not None:
                self._unanswered.append(key)
                out += restore
        return bytes(out)

    def _heard(self, line: bytes) -> None:
        good = line.startswith(b"+")
        if self._prelude:
            self._prelude -= 1
            if not good:
                self._refusal = self._refusal or line
        elif self._unanswered:
            key = self._unanswered.popleft()
            self._answered += 1
            if good and not self._refusal:
                self.accepted.append(key)
            elif self.failure is None:
                said = (self._refusal or line).removeprefix(b"-")
                self.failure = CommandError(b"ERR Target instance replied with error: " + said)

    def _look(self, now_ms: int) -> None:
        """End it if nothing is left to be sent or answered."""
        if self.over or self._unsent or self._prelude or self._unanswered:
            return
        self.over = True
        if self._target is not None:
            if self.failure is None and not self._refusal:
                self._target.database = self.order.database
            self._targets.give_back(self._target, now_ms)
        self._done(self)
