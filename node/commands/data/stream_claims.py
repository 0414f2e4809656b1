"""XCLAIM and XAUTOCLAIM: a consumer takes over what is pending for others.

Replicas get an XCLAIM with the result of each claim. An entry that was deleted from the stream cannot be claimed: it is
no longer pending then, and the same XCLAIM says so to replicas, where the entry is missing too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from node.commands.data.stream_ids import (
    LOWEST,
    Id,
    change_stream,
    effect_of_claim,
    effect_of_consumer,
    effect_of_position,
    id_after,
    id_text,
    no_key_or_group,
    parse_id,
    parse_start,
    touch_consumer,
)
from node.commands.table.cursor import Cursor
from node.commands.table.spec import command
from node.engine.types.stream import Stream
from node.engine.types.streamgroup import Consumer, Group
from node.replies import SYNTAX, CommandError, Reply

if TYPE_CHECKING:
    from node.engine.session.session import Session

BAD_COUNT = CommandError("ERR COUNT must be > 0")

COUNT_MAX = (2**63 - 1) // 16
LOOKED_AT_FOR_EACH = 10
"""XAUTOCLAIM looks at so many pending entries for each one that it may claim."""
LOOKED_AT_ONCE = 100


@command(
    "XAUTOCLAIM",
    arity=-6,
    flags="write fast",
    keys="1 RW delete",
    group="stream",
    since="6.2.0",
    summary="Take over entries that a consumer has left pending for long.",
    complexity="O(1) for a small COUNT",
    args="key group consumer min-idle-time start [COUNT count:int] [JUSTID]",
    tips="nondeterministic_output",
    history={"7.0.0": "The ids of deleted entries in the reply."},
)
def xautoclaim(s: Session, argv: list[bytes]) -> Reply:
    key = argv[1]
    min_idle_ms = _min_idle(argv, "XAUTOCLAIM")
    start = parse_start(argv[5])
    count, just_ids = 100, False
    args = Cursor(argv, 6)
    for word in args.words():
        if word == b"COUNT" and args.left:
            count = args.take_int(1, COUNT_MAX, BAD_COUNT)
        elif word == b"JUSTID":
            just_ids = True
        else:
            raise SYNTAX
    claim = Claim.start(s, key, *_stream_and_group(s, argv), argv[3], s.db.space.now_ms, just_ids)
    deleted: list[bytes] = []
    following = LOWEST
    attempts = count * LOOKED_AT_FOR_EACH
    for id, _, delivered_ms, deliveries in _pending(claim.group, start):
        if not attempts or len(claim.claimed) + len(deleted) == count:
            following = id
            break
        attempts -= 1
        if id not in claim.stream:
            claim.forget(id, id_text(id))
            deleted.append(id_text(id))
        elif not min_idle_ms or claim.now_ms - delivered_ms >= min_idle_ms:
            claim.take(id, id_text(id), deliveries + (not just_ids))
    claim.end()
    return [id_text(following), claim.claimed, deleted]


def _pending(group: Group, start: Id) -> Iterator[tuple[Id, Consumer, int, int]]:
    """Pending entries from an id on, some at a time: they may change hands or vanish meanwhile."""
    following: Id | None = start
    while following is not None and (some := group.pending_from(following, LOOKED_AT_ONCE)):
        yield from some
        following = id_after(some[-1][0])


@command(
    "XCLAIM",
    arity=-6,
    flags="write fast",
    keys="1 RW update",
    group="stream",
    since="5.0.0",
    summary="Take over pending entries for another consumer.",
    complexity="O(log(N)), N: pending entries of the group",
    args=(
        "key group consumer min-idle-time id... [IDLE ms:int] [TIME unix-time-milliseconds:time] "
        "[RETRYCOUNT count:int] [FORCE] [JUSTID] [LASTID id]"
    ),
    tips="nondeterministic_output",
)
def xclaim(s: Session, argv: list[bytes]) -> Reply:
    key = argv[1]
    stream, group = _stream_and_group(s, argv)
    min_idle_ms = _min_idle(argv, "XCLAIM")
    options = ClaimOptions.parse(s, argv)
    moved = options.last_id > group.last_id
    if moved:
        group.last_id = options.last_id
    claim = Claim.start(s, key, stream, group, argv[3], options.delivered_ms, options.just_ids)
    for id, text in options.ids:
        pending = group.pending(id)
        if id not in stream:
            if pending is not None:
                claim.forget(id, text)
        elif pending is None:
            if options.force:
                claim.take(id, text, options.deliveries(1))
        elif not min_idle_ms or claim.now_ms - pending[2] >= min_idle_ms:
            claim.take(id, text, options.deliveries(pending[3]))
    claim.end()
    if moved and not claim.told:
        effect_of_position(s, key, group)
        s.db.space.dirty += 1
    return claim.claimed


@dataclass(slots=True)
class ClaimOptions:
    """`id... [IDLE ms] [TIME ms] [RETRYCOUNT n] [FORCE] [JUSTID] [LASTID id]`."""

    ids: list[tuple[Id, bytes]]
    delivered_ms: int
    retry_count: int = -1
    force: bool = False
    just_ids: bool = False
    last_id: Id = LOWEST

    def deliveries(self, before: int) -> int:
        """How often an entry will have been delivered."""
        if self.retry_count >= 0:
            return self.retry_count
        return before + (not self.just_ids)

    @staticmethod
    def parse(s: Session, argv: list[bytes]) -> ClaimOptions:
        now_ms = s.db.space.now_ms
        found = ClaimOptions([], now_ms)
        args = Cursor(argv, 5)
        while args.left:
            try:
                found.ids.append((parse_id(argv[args.at]), argv[args.at]))
            except CommandError:
                break  # here the options begin
            args.take()
        for word in args.words():
            match word:
                case b"FORCE":
                    found.force = True
                case b"JUSTID":
                    found.just_ids = True
                case b"IDLE" if args.left:
                    found.delivered_ms = now_ms - args.take_int(error=_bad("IDLE option"))
                case b"TIME" if args.left:
                    found.delivered_ms = args.take_int(error=_bad("TIME option"))
                case b"RETRYCOUNT" if args.left:
                    found.retry_count = args.take_int(error=_bad("RETRYCOUNT option"))
                case b"LASTID" if args.left:
                    found.last_id = parse_id(args.take())
                case _:
                    raise CommandError(b"ERR Unrecognized XCLAIM option '%s'" % argv[args.at - 1])
        if not 0 <= found.delivered_ms <= now_ms:
            found.delivered_ms = now_ms  # the client's clock is not ours: no reason to fail
        return found


def _bad(what: str, command_name: str = "XCLAIM") -> CommandError:
    return CommandError(f"ERR Invalid {what} argument for {command_name}")


def _min_idle(argv: list[bytes], command_name: str) -> int:
    return max(Cursor(argv, 4).take_int(error=_bad("min-idle-time", command_name)), 0)


def _stream_and_group(s: Session, argv: list[bytes]) -> tuple[Stream, Group]:
    stream = change_stream(s, argv[1])
    group = stream.group(argv[2]) if stream is not None else None
    if stream is None or group is None:
        raise no_key_or_group(argv[1], argv[2])
    return stream, group


@dataclass(slots=True)
class Claim:
    """Claims of one consumer, which is made, and seen, even if nothing becomes of them."""

    s: Session
    key: bytes
    stream: Stream
    group: Group
    consumer: Consumer
    is_new: bool
    """The consumer was made for this."""
    delivered_ms: int
    just_ids: bool
    claimed: list[Reply] = field(default_factory=list)
    told: bool = False
    """Something was replicated, and the group's last id with it."""

    @staticmethod
    def start(
        s: Session, key: bytes, stream: Stream, group: Group, name: bytes, delivered_ms: int, just_ids: bool
    ) -> Claim:
        return Claim(s, key, stream, group, *touch_consumer(s, key, group, name), delivered_ms, just_ids)

    @property
    def now_ms(self) -> int:
        return self.s.db.space.now_ms

    def take(self, id: Id, text: bytes, deliveries: int) -> None:
        self.consumer.active_ms = self.now_ms
        self.group.assign(id, self.consumer, self.delivered_ms, deliveries)
        self.claimed.append(id_text(id) if self.just_ids else self.stream.entry(id))
        self._tell(text, self.consumer, self.delivered_ms, deliveries)

    def end(self) -> None:
        """Replicas learn of a new consumer by what it has claimed, otherwise from here."""
        if self.is_new and not self.claimed:
            effect_of_consumer(self.s, self.key, self.group, self.consumer)

    def forget(self, id: Id, text: bytes) -> None:
        """The entry is gone from the stream, so nobody can acknowledge it any more."""
        pending = self.group.pending(id)
        assert pending is not None
        self._tell(text, *pending[1:])
        self.group.acknowledge(id)

    def _tell(self, text: bytes, consumer: Consumer, delivered_ms: int, deliveries: int) -> None:
        effect_of_claim(self.s, self.key, self.group, text, (consumer, delivered_ms, deliveries))
        self.s.db.space.dirty += 1
        self.told = True
