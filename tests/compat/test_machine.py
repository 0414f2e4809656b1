"""Random sequences of commands, told to ours and to redis-server: replies agree, and so does what is left.

A failure is shrunk by hypothesis to the shortest sequence that still differs, and printed as a session. The profile
`ci` is bounded; `make fuzz` draws thousands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from tests.compat.grammar import Command, commands
from tests.compat.templates import GROUPS, KEYS, KEYSPACE, POOLS
from tests.support.compare import Check, difference, encoding_in_7_0
from tests.support.compare import form as check_named
from tests.support.resp import Connection, Frame, pack
from tests.support.servers import Pair, Server

# Small limits make sequences of a few commands cross from the compact form of a collection to the indexed one.
SMALL_LIMITS = {
    "hash-max-listpack-entries": "4",
    "hash-max-listpack-value": "64",
    "zset-max-listpack-entries": "4",
    "set-max-intset-entries": "3",
    "set-max-listpack-entries": "3",
    "list-max-listpack-size": "3",
    "stream-node-max-entries": "3",
}
READERS: dict[bytes, tuple[tuple[str, ...], str]] = {
    b"string": (("GET",), ""),
    b"list": (("LRANGE", "0", "-1"), ""),
    b"hash": (("HGETALL",), "pairs"),
    b"set": (("SMEMBERS",), "sorted"),
    b"zset": (("ZRANGE", "0", "-1", "WITHSCORES"), ""),
    b"stream": (("XRANGE", "-", "+"), ""),
}
# In these encodings the payload of DUMP has one possible form; hash tables may come in any order.
ORDERED = (b"int", b"embstr", b"raw", b"listpack", b"intset", b"skiplist")


def check_of(form: str) -> Check:
    return check_named(form, old_doubles=True)


@pytest.fixture(scope="module", params=["usual limits", "small limits"])
def limits(request: pytest.FixtureRequest) -> dict[str, str]:
    return SMALL_LIMITS if request.param == "small limits" else {}


@pytest.mark.parametrize("group", GROUPS)
def test_replies_and_state_agree(group: str, limits: dict[str, str], pair: Pair) -> None:
    servers = (pair.ours("standalone"), pair.oracle("standalone"))
    sequence = st.lists(commands({**GROUPS[group], **KEYSPACE}, POOLS), min_size=5, max_size=40)
    before = [_configure(server, limits) for server in servers]

    @given(script=sequence, proto=st.sampled_from([2, 3]))
    def run(script: list[Command], proto: int) -> None:
        play(script, proto, servers)

    try:
        run()
    finally:
        for server, old in zip(servers, before, strict=True):
            _configure(server, old)


def _configure(server: Server, wanted: dict[str, str]) -> dict[str, str]:
    """Set the directives that the server knows, which for 7.0 are not all; returns what they were."""
    shown = {name: server.call("CONFIG", "GET", name) for name in wanted}
    old = {name: pair[1].decode() for name, pair in shown.items() if pair}
    for name in old:
        server.call("CONFIG", "SET", name, wanted[name])
    return old


def play(script: Sequence[Command], proto: int, servers: tuple[Server, Server]) -> None:
    """Run the commands on both servers, then compare the replies and what the keys hold."""
    ours, oracle = servers
    with ours.connect(proto) as one, oracle.connect(proto) as other:
        both = (one, other)
        _ask(both, ("FLUSHALL",))
        for connection in both:
            connection.send_raw(b"".join(pack(command.words) for command in script))
        queued: list[Command] = []
        for step, command in enumerate(script):
            mine, theirs = (connection.read() for connection in both)
            if not _agrees(command, mine, theirs, queued):
                for earlier in script[:step]:
                    note(f"    {earlier!r}")
                raise AssertionError(difference(repr(command), mine, theirs))
        _ask(both, ("DISCARD",))
        # Redis' SORT leaves a compact sorted set in its indexed form; ours leaves it alone.
        _compare_state(both, compact_zsets=all(command.words[0] != b"SORT" for command in script))


def _agrees(command: Command, mine: Frame, theirs: Frame, queued: list[Command]) -> bool:
    """Whether the replies agree in the command's form; those within EXEC in the forms of the commands in the queue.

    Errors and simple strings have no other form than their bytes. `queued` follows what has been queued so far.
    """
    name = command.words[0]
    if theirs.body == b"QUEUED":
        queued.append(command)
    elif name in (b"EXEC", b"DISCARD"):
        parts, queued[:] = list(queued), []
        if theirs.items and mine.head == theirs.head:
            pairs = zip(parts, mine.items, theirs.items, strict=True)
            return all(_agrees(part, one, other, []) for part, one, other in pairs)
    form = "" if theirs.is_error or theirs.kind == b"+" else command.form
    return check_of(form)(mine, theirs)


def _ask(both: tuple[Connection, Connection], argv: tuple[str | bytes, ...]) -> tuple[Frame, Frame]:
    mine, theirs = (connection.ask(*argv) for connection in both)
    return mine, theirs


def _compare_state(both: tuple[Connection, Connection], compact_zsets: bool) -> None:
    _agree(both, ("DBSIZE",))
    for key in KEYS:
        kind = _agree(both, ("TYPE", key)).body
        if kind == b"none":
            continue
        reader, form = READERS[kind]
        _agree(both, (reader[0], key, *reader[1:]), form)
        _agree(both, ("PTTL", key), "near 10000")
        encoding = b""
        if kind != b"zset" or compact_zsets:
            ours, theirs = (frame.body for frame in _ask(both, ("OBJECT", "ENCODING", key)))
            assert encoding_in_7_0(kind, ours) == theirs, f"at the end: {key} is {ours!r} here and {theirs!r} there"
            encoding = theirs
        # Redis 7.0 writes 17 digits of a score into digests and compact sorted sets: test_doubles.py has these.
        if kind != b"zset":
            _agree(both, ("DEBUG", "DIGEST-VALUE", key))
        if kind == b"stream":
            _agree(both, ("XINFO", "STREAM", key))
            _agree_about_groups(both, key)
        if encoding in ORDERED and (kind, encoding) != (b"zset", b"listpack"):
            _agree(both, ("DUMP", key))
        _exchange(both, key, reader, form)


def _pairs_of(items: list[Frame]) -> Iterator[tuple[Frame, Frame]]:
    """Names and values of a map, which in RESP2 is an array."""
    return zip(items[::2], items[1::2], strict=True)


def _agree_about_groups(both: tuple[Connection, Connection], key: str) -> None:
    """All but the number of consumers: since 7.2 who claims or reads is one also when there is nothing for it."""
    ours, theirs = (
        [
            [(name.body, value.raw) for name, value in _pairs_of(group.items) if name.body != b"consumers"]
            for group in frame.items
        ]
        for frame in _ask(both, ("XINFO", "GROUPS", key))
    )
    assert ours == theirs, f"at the end: the groups of {key} are {ours} here and {theirs} there"


def _agree(both: tuple[Connection, Connection], argv: tuple[str | bytes, ...], form: str = "") -> Frame:
    mine, theirs = _ask(both, argv)
    if not check_of(form)(mine, theirs):
        raise AssertionError("at the end: " + difference(b" ".join(map(_bytes, argv)).decode("latin-1"), mine, theirs))
    return theirs


def _exchange(both: tuple[Connection, Connection], key: str, reader: tuple[str, ...], form: str) -> None:
    """Each server restores what the other has dumped, and it still reads the same."""
    payloads = _ask(both, ("DUMP", key))
    for connection, payload in zip(both, reversed(payloads), strict=True):
        restored = connection.ask("RESTORE", "{t}restored", 0, payload.body, "REPLACE")
        assert restored.body == b"OK", f"RESTORE of the other's {key}: {restored.raw!r} for {payload.body!r}"
    _agree(both, (reader[0], "{t}restored", *reader[1:]), form)


def _bytes(word: str | bytes) -> bytes:
    return word.encode() if isinstance(word, str) else word
