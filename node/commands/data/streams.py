"""Stream commands: appending, reading ranges, deleting and trimming. Groups have modules of their own.

Trimming with `~` removes whole nodes only, as many as come up to the limit; what it did depends on how entries lie in
nodes, so replicas are told the result: the length that is left, or the lowest id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from node import flags
from node.commands.data.stream_ids import (
    LOWEST,
    UINT64_MAX,
    Id,
    id_after,
    id_text,
    note,
    parse_end,
    parse_id,
    parse_partial_id,
    parse_start,
    read_stream,
)
from node.commands.table.cursor import Cursor, require_int
from node.commands.table.spec import command
from node.engine.types.stream import MAX_ENTRY_BYTES, Stream
from node.replies import NO_SUCH_KEY, NULL_ARRAY, OK, SYNTAX, CommandError, Reply, wrong_arity

if TYPE_CHECKING:
    from node.engine.session.session import Session

ZERO_ID = CommandError("ERR The ID specified in XADD must be greater than 0-0")
ID_TOO_LOW = CommandError("ERR The ID specified in XADD is equal or smaller than the target stream top item")
IDS_EXHAUSTED = CommandError("ERR The stream has exhausted the last possible ID, unable to add more items")
TOO_LARGE = CommandError("ERR Elements are too large to be stored")
BOTH_STRATEGIES = CommandError("ERR syntax error, MAXLEN and MINID options at the same time are not compatible")
NEGATIVE_MAXLEN = CommandError("ERR The MAXLEN argument must be >= 0.")
NEGATIVE_LIMIT = CommandError("ERR The LIMIT argument must be >= 0.")
LIMIT_ALONE = CommandError("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy")
LIMIT_WHEN_EXACT = CommandError("ERR syntax error, LIMIT cannot be used without the special ~ option")
NO_STRATEGY = CommandError("ERR syntax error, XTRIM must be called with a trimming strategy")
NEGATIVE_ADDED = CommandError("ERR entries_added must be positive")
SETID_BELOW_DELETED = CommandError("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id")
SETID_BELOW_DELETED_HERE = CommandError("ERR The ID specified in XSETID is smaller than current max_deleted_entry_id")
SETID_BELOW_TOP = CommandError("ERR The ID specified in XSETID is smaller than the target stream top item")
FEWER_THAN_LENGTH = CommandError("ERR The entries_added specified in XSETID is smaller than the target stream length")

NODES_AT_ONCE = 100
LIMIT_WITHOUT_NODES = 10_000
LIMIT_MAX = 1_000_000


@command(
    "XADD",
    arity=-5,
    flags="write denyoom fast",
    keys="1 RW update (it may trim the stream)",
    group="stream",
    since="5.0.0",
    summary="Append an entry to a stream.",
    complexity="O(1); O(N) when trimming, N: entries removed",
    args=(
        "key [NOMKSTREAM @6.2.0] [((MAXLEN|MINID @6.2.0)=strategy [(equal='='|approximately='~')=operator] "
        "threshold [LIMIT count:int @6.2.0])=trim] (auto_id='*'|id)=id_or_auto (field value)=field_value..."
    ),
    tips="nondeterministic_output",
    history={"6.2.0": "`NOMKSTREAM`, `MINID` and `LIMIT`.", "7.0.0": "Ids of the form `<ms>-*`."},
)
def xadd(s: Session, argv: list[bytes]) -> Reply:
    options = AddOptions.parse(s, argv)
    fields = argv[options.at + 1 :]
    if len(fields) < 2 or len(fields) % 2:
        raise wrong_arity("xadd")
    if options.id == LOWEST:
        raise ZERO_ID
    key = argv[1]
    stream = s.write(key, Stream)
    if stream is None and options.no_mkstream:
        return None
    if sum(map(len, fields)) > MAX_ENTRY_BYTES:
        raise TOO_LARGE
    last_id = stream.last_id if stream is not None else LOWEST
    id = _id_to_add(options.id, last_id, s.db.space.now_ms)
    if stream is None:
        stream = Stream()
        s.db.set(key, stream)
    text = stream.add(id, fields)
    s.changed(key, "xadd", "t")
    if options.trim is not None and options.trim.apply(stream):
        note(s, key, "xtrim", 0)
    if s.engine.propagating and options.is_vague:
        words = [b"NOMKSTREAM"] if options.no_mkstream else []
        s.effect(b"XADD", key, *words, *(options.trim.result(stream) if options.trim else ()), text, *fields)
    return text


def _id_to_add(wanted: tuple[int, int | None] | None, last_id: Id, now_ms: int) -> Id:
    """The id of a new entry: as wanted, or the next one where all of it (None) or the sequence number is left open."""
    following = id_after(last_id)
    if following is None:
        raise IDS_EXHAUSTED
    if wanted is None:
        return max((now_ms, 0), following)
    ms, seq = wanted
    if seq is None:
        seq = last_id[1] + 1 if ms == last_id[0] else 0
    if (ms, seq) <= last_id or seq > UINT64_MAX:
        raise ID_TOO_LOW
    return ms, seq


@command(
    "XDEL",
    arity=-3,
    flags="write fast",
    keys="1 RW delete",
    group="stream",
    since="5.0.0",
    summary="Remove entries from a stream.",
    complexity="O(1) for each entry",
    args="key id...",
)
def xdel(s: Session, argv: list[bytes]) -> Reply:
    key = argv[1]
    stream = s.write(key, Stream)
    if stream is None:
        return 0
    ids = [parse_id(text) for text in argv[2:]]
    deleted = sum(stream.delete(id) for id in ids)
    if deleted:
        s.changed(key, "xdel", "t", deleted)
    return deleted


@command(
    "XLEN",
    arity=2,
    flags="readonly fast",
    keys="1 RO",
    group="stream",
    since="5.0.0",
    summary="Return the number of entries.",
    complexity="O(1)",
    args="key",
)
def xlen(s: Session, argv: list[bytes]) -> Reply:
    stream = read_stream(s, argv[1])
    return 0 if stream is None else len(stream)


@command(
    "XRANGE",
    arity=-4,
    flags="readonly",
    keys="1 RO access",
    group="stream",
    since="5.0.0",
    summary="Return the entries in a range of ids.",
    complexity="O(N), N: entries returned",
    args="key start end [COUNT count:int]",
    history={"6.2.0": "Exclusive bounds."},
)
def xrange(s: Session, argv: list[bytes]) -> Reply:
    return _range(s, argv, argv[2], argv[3], rev=False)


@command(
    "XREVRANGE",
    arity=-4,
    flags="readonly",
    keys="1 RO access",
    group="stream",
    since="5.0.0",
    summary="Return the entries in a range of ids, last one first.",
    complexity="O(N), N: entries returned",
    args="key end start [COUNT count:int]",
    history={"6.2.0": "Exclusive bounds."},
)
def xrevrange(s: Session, argv: list[bytes]) -> Reply:
    return _range(s, argv, argv[3], argv[2], rev=True)


def _range(s: Session, argv: list[bytes], start: bytes, end: bytes, rev: bool) -> Reply:
    low, high = parse_start(start), parse_end(end)
    options = Cursor(argv, 4).options(COUNT=Cursor.take_int)
    count = options.get("COUNT")
    stream = read_stream(s, argv[1])
    if stream is None:
        return []
    if count is not None and count <= 0:
        return NULL_ARRAY
    return stream.range(low, high, count or 0, rev)


@command(
    "XSETID",
    arity=-3,
    flags="write denyoom fast",
    keys="1 RW update",
    group="stream",
    since="5.0.0",
    summary="Set the last id of a stream; used between nodes.",
    complexity="O(1)",
    args="key last-id [ENTRIESADDED entries_added:int @7.0.0] [MAXDELETEDID max_deleted_entry_id @7.0.0]",
    history={"7.0.0": "`entries_added` and `max_deleted_entry_id`."},
)
def xsetid(s: Session, argv: list[bytes]) -> Reply:
    key, last_id = argv[1], parse_id(argv[2])
    entries_added, max_deleted = None, None
    args = Cursor(argv, 3)
    for word in args.words():
        if word == b"ENTRIESADDED" and args.left:
            entries_added = args.take_int()
            if entries_added < 0:
                raise NEGATIVE_ADDED
        elif word == b"MAXDELETEDID" and args.left:
            max_deleted = parse_id(args.take())
            if last_id < max_deleted:
                raise SETID_BELOW_DELETED
        else:
            raise SYNTAX
    stream = s.write(key, Stream)
    if stream is None:
        raise NO_SUCH_KEY
    if last_id < stream.max_deleted_id:
        raise SETID_BELOW_DELETED_HERE
    if len(stream):
        if last_id < stream.top_id:
            raise SETID_BELOW_TOP
        if entries_added is not None and len(stream) > entries_added:
            raise FEWER_THAN_LENGTH
    stream.set_facts(last_id, entries_added, None if max_deleted == LOWEST else max_deleted)
    note(s, key, "xsetid")
    return OK


@command(
    "XTRIM",
    arity=-4,
    flags="write",
    keys="1 RW delete",
    group="stream",
    since="5.0.0",
    summary="Remove the oldest entries of a stream.",
    complexity="O(N), N: entries removed",
    args=(
        "key ((MAXLEN|MINID @6.2.0)=strategy [(equal='='|approximately='~')=operator] threshold "
        "[LIMIT count:int @6.2.0])=trim"
    ),
    tips="nondeterministic_output",
    history={"6.2.0": "`MINID` and `LIMIT`."},
)
def xtrim(s: Session, argv: list[bytes]) -> Reply:
    key = argv[1]
    trim = AddOptions.parse(s, argv, trims_only=True).trim
    assert trim is not None
    stream = s.write(key, Stream)
    if stream is None:
        return 0
    deleted = trim.apply(stream)
    if deleted:
        s.changed(key, "xtrim", "t", deleted)
        if trim.whole_nodes:
            s.effect(b"XTRIM", key, *trim.result(stream))
    return deleted


@dataclass(slots=True)
class Trim:
    """What XADD and XTRIM are asked to remove: all but `threshold` entries, or those with lower ids."""

    threshold: int | Id
    whole_nodes: bool
    limit: int = 0

    def apply(self, stream: Stream) -> int:
        """Trim, and return how many entries went."""
        if isinstance(self.threshold, int):
            return stream.trim_to_length(self.threshold, self.whole_nodes, self.limit)
        return stream.trim_before(self.threshold, self.whole_nodes, self.limit)

    def result(self, stream: Stream) -> tuple[bytes, bytes, bytes]:
        """The options that would have done exactly what `apply` did."""
        if not self.whole_nodes:
            threshold = self.threshold
        else:
            threshold = len(stream) if isinstance(self.threshold, int) else stream.trimmed_to
        if isinstance(threshold, int):
            return b"MAXLEN", b"=", b"%d" % threshold
        return b"MINID", b"=", id_text(threshold)


@dataclass(slots=True)
class AddOptions:
    """The options of XADD and XTRIM; for XADD also the id, at argument `at`."""

    trim: Trim | None = None
    no_mkstream: bool = False
    id: tuple[int, int | None] | None = None
    at: int = 0

    @property
    def is_vague(self) -> bool:
        """Another server might do something else with the same arguments."""
        return self.id is None or self.id[1] is None or (self.trim is not None and self.trim.whole_nodes)

    @staticmethod
    def parse(s: Session, argv: list[bytes], trims_only: bool = False) -> AddOptions:
        found = AddOptions()
        limit: int | None = None
        args = Cursor(argv, 2)
        while args.left > 0:
            word = args.take_word()
            if word in (b"MAXLEN", b"MINID") and args.left:
                if found.trim is not None:
                    raise BOTH_STRATEGIES
                found.trim = _parse_trim(args, by_id=word == b"MINID")
            elif word == b"LIMIT" and args.left:
                limit = args.take_int()
                if limit < 0:
                    raise NEGATIVE_LIMIT
            elif trims_only:
                raise SYNTAX
            elif word == b"NOMKSTREAM":
                found.no_mkstream = True
            else:
                found.at = args.at - 1
                if word != b"*":
                    found.id = parse_partial_id(argv[found.at])
                break
        if limit and found.trim is None:
            raise LIMIT_ALONE
        if trims_only and found.trim is None:
            raise NO_STRATEGY
        _set_limit(s, found.trim, limit)
        return found


def _parse_trim(args: Cursor, by_id: bool) -> Trim:
    whole_nodes = False
    if args.left >= 2 and args.peek() in (b"~", b"="):
        whole_nodes = args.take() == b"~"
    text = args.take()
    if by_id:
        return Trim(parse_id(text), whole_nodes)
    length = require_int(text)
    if length < 0:
        raise NEGATIVE_MAXLEN
    return Trim(length, whole_nodes)


def _set_limit(s: Session, trim: Trim | None, limit: int | None) -> None:
    """How much may be trimmed at once. What a primary or the log says is exact already, and done in full."""
    if s.flags & flags.OBEYED:
        return
    if limit is not None and (trim is None or not trim.whole_nodes):
        raise LIMIT_WHEN_EXACT
    if trim is None or not trim.whole_nodes:
        return
    if limit is None:
        limit = NODES_AT_ONCE * s.node.config["stream-node-max-entries"] or LIMIT_WITHOUT_NODES
        limit = min(limit, LIMIT_MAX)
    trim.limit = limit
