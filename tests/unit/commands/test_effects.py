"""What replicas are sent in the place of commands that are random, wait, depend on the time or on rounding."""

import pytest

from tests.support.embedded import Embedded

NOW_MS = 1_000_000

# what comes before | the command | what is replicated
CASES = [
    ("", "SET k v EX 10", ["SET k v PXAT 1010000"]),
    ("", "SET k v PXAT 2000000", ["SET k v PXAT 2000000"]),
    ("", "SETEX k 5 v", ["SET k v PXAT 1005000"]),
    ("", "PSETEX k 5 v", ["SET k v PXAT 1000005"]),
    ("SET k v", "GETEX k PX 7", ["PEXPIREAT k 1000007"]),
    ("SET k v", "GETEX k EXAT 1", ["DEL k"]),
    ("SET k v EX 10", "GETEX k PERSIST", ["PERSIST k"]),
    ("SET k v", "GETDEL k", ["DEL k"]),
    ("SET k v", "GETSET k w", ["SET k w"]),
    ("SET k 1.1", "INCRBYFLOAT k 0.1", ["SET k 1.2 KEEPTTL"]),
    ("HSET h f 1.1", "HINCRBYFLOAT h f 0.1", ["HSET h f 1.2"]),
    ("SADD s a", "SPOP s", ["SREM s a"]),
    ("SADD s 1 2", "SPOP s 5", ["DEL s"]),
    ("SADD s 1", "SPOP s", ["SREM s 1"]),
    ("RPUSH l a b", "BLPOP l 0", ["LPOP l"]),
    ("RPUSH l a b", "BRPOP none l 0", ["RPOP l"]),
    ("RPUSH l a b c", "LMPOP 2 none l RIGHT COUNT 2", ["RPOP l 2"]),
    ("RPUSH l a b c", "BLMPOP 0 1 l LEFT COUNT 9", ["LPOP l 3"]),
    ("RPUSH l a", "BLMOVE l d LEFT RIGHT 0", ["LMOVE l d LEFT RIGHT"]),
    ("RPUSH l a", "BRPOPLPUSH l d 0", ["RPOPLPUSH l d"]),
    ("ZADD z 1 a 2 b", "BZPOPMIN z 0", ["ZPOPMIN z"]),
    ("ZADD z 1 a 2 b", "BZPOPMAX y z 0", ["ZPOPMAX z"]),
    ("ZADD z 1 a 2 b", "ZMPOP 2 y z MIN", ["ZPOPMIN z 1"]),
    ("ZADD z 1 a 2 b", "BZMPOP 0 1 z MAX COUNT 9", ["ZPOPMAX z 2"]),
    ("SET k v", "EXPIRE k 10", ["PEXPIREAT k 1010000"]),
    ("SET k v", "PEXPIRE k 10 NX", ["PEXPIREAT k 1000010"]),
    ("SET k v", "EXPIREAT k 5000", ["PEXPIREAT k 5000000"]),
    ("SET k v", "EXPIRE k -1", ["DEL k"]),
    ("", "XADD s * f v", ["XADD s 1000000-0 f v"]),
    ("", "XADD s 5-* f v", ["XADD s 5-0 f v"]),
    ("", "XADD s NOMKSTREAM * f v", []),
    ("XADD s 5-0 f v", "XADD s NOMKSTREAM MAXLEN 1 5-1 f v", ["XADD s NOMKSTREAM MAXLEN 1 5-1 f v"]),
    ("XADD s 5-0 f v", "XADD s NOMKSTREAM MAXLEN 1 * f v", ["XADD s NOMKSTREAM MAXLEN = 1 1000000-0 f v"]),
    ("XADD s 5-0 f v", "XADD s MAXLEN ~ 1 LIMIT 7 6-0 f v", ["XADD s MAXLEN = 2 6-0 f v"]),
    ("XADD s 5-0 f v", "XADD s MINID ~ 6 7-0 f v", ["XADD s MINID = 5-0 7-0 f v"]),
    ("XADD s 5-0 f v", "XTRIM s MAXLEN ~ 0", ["XTRIM s MAXLEN = 0"]),
    ("XADD s 5-0 f v", "XTRIM s MAXLEN ~ 1", []),
    ("XADD s 5-0 f v", "XTRIM s MAXLEN 0", ["XTRIM s MAXLEN 0"]),
    ("XADD s 5-0 f v", "XDEL s 6-0", []),
]

GROUP = ["XADD s 1-0 f v", "XADD s 2-0 f v", "XGROUP CREATE s g 0"]
PENDING = [*GROUP, "XREADGROUP GROUP g ann STREAMS s >"]
NEW_BOB = "XGROUP CREATECONSUMER s g bob"
CLAIM = "XCLAIM s g {} 0 {} TIME 1000000 RETRYCOUNT {} FORCE JUSTID LASTID 2-0"

GROUP_CASES = [
    (
        GROUP,
        "XREADGROUP GROUP g ann STREAMS s >",
        [
            CLAIM.format("ann", "1-0", 1),
            CLAIM.format("ann", "2-0", 1),
            "XGROUP SETID s g 2-0 ENTRIESREAD 2",
        ],
    ),
    (
        GROUP,
        "XREADGROUP GROUP g ann NOACK COUNT 1 STREAMS s >",
        ["XGROUP CREATECONSUMER s g ann", "XGROUP SETID s g 1-0 ENTRIESREAD 1"],
    ),
    (GROUP, "XREADGROUP GROUP g ann STREAMS s 0", ["XGROUP CREATECONSUMER s g ann"]),
    (PENDING, "XREADGROUP GROUP g ann STREAMS s >", []),
    (PENDING, "XACK s g 1-0 9-0", ["XACK s g 1-0 9-0"]),
    (PENDING, "XACK s g 9-0", []),
    (PENDING, "XCLAIM s g bob 0 1-0 9-0", [CLAIM.format("bob", "1-0", 2)]),
    (PENDING, "XCLAIM s g bob 1 1-0", [NEW_BOB]),
    (PENDING, "XCLAIM s g bob 1 1-0 LASTID 9", [NEW_BOB, "XGROUP SETID s g 9-0 ENTRIESREAD 2"]),
    ([*PENDING, "XDEL s 1-0"], "XCLAIM s g bob 0 1-0", [CLAIM.format("ann", "1-0", 1), NEW_BOB]),
    ([*PENDING, "XGROUP CREATECONSUMER s g bob"], "XCLAIM s g bob 1 1-0", []),
    (PENDING, "XAUTOCLAIM s g bob 1 0", [NEW_BOB]),
    (PENDING, "XREADGROUP GROUP g bob STREAMS s >", [NEW_BOB]),
    (PENDING, "XREADGROUP GROUP g bob BLOCK 0 STREAMS s >", [NEW_BOB]),
    (PENDING, "XREADGROUP GROUP g ann STREAMS s >", []),
    (
        [*PENDING, "XDEL s 1-0"],
        "XAUTOCLAIM s g bob 0 0",
        [CLAIM.format("ann", "1-0", 1), CLAIM.format("bob", "2-0", 2)],
    ),
    (PENDING, "XPENDING s g", []),
]


@pytest.mark.parametrize(("before", "typed", "replicated"), CASES, ids=lambda v: v if isinstance(v, str) else "")
def test_effect(before: str, typed: str, replicated: list[str]) -> None:
    node = Embedded(NOW_MS)
    client = node.client()
    if before:
        client(*before.split())
    node.replicate()
    client(*typed.split())
    # Members of a set come in any order.
    assert [sorted(argv) for argv in node.replicated] == [sorted(text.encode().split()) for text in replicated]


@pytest.mark.parametrize(("before", "typed", "replicated"), GROUP_CASES)
def test_effect_on_a_group(before: list[str], typed: str, replicated: list[str]) -> None:
    node, copy = Embedded(NOW_MS), Embedded(NOW_MS)
    client = node.client()
    for line in before:
        client(*line.split())
        copy.client()(*line.split())
    node.replicate()
    client(*typed.split())
    lines = [b" ".join(argv).decode() for argv in node.replicated if argv not in ([b"MULTI"], [b"EXEC"])]
    assert lines == replicated
    for line in lines:
        copy.client()(*line.split())
    assert copy.client()("XINFO", "STREAM", "s", "FULL") == node.client()("XINFO", "STREAM", "s", "FULL")


def test_how_often_a_consumer_looks_at_its_history_is_not_replicated() -> None:
    node = Embedded(NOW_MS)
    client = node.client()
    for line in PENDING:
        client(*line.split())
    node.replicate()
    client("XREADGROUP", "GROUP", "g", "ann", "STREAMS", "s", "0")
    assert client("XPENDING", "s", "g", "-", "+", "1") == [[b"1-0", b"ann", 0, 2]]
    assert node.replicated == []


def test_a_reader_that_waited_replicates_what_became_pending() -> None:
    node = Embedded(NOW_MS)
    waiting, other = node.client(), node.client()
    other("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    other("XGROUP", "CREATECONSUMER", "s", "g", "ann")
    waiting.send("XREADGROUP", "GROUP", "g", "ann", "BLOCK", "0", "STREAMS", "s", ">")
    node.replicate()
    reading = node.client()
    reading.send("XREAD", "BLOCK", "0", "STREAMS", "s", "$")
    other("XADD", "s", "2-0", "f", "v")
    assert [b" ".join(argv).decode() for argv in node.replicated] == [
        "XADD s 2-0 f v",
        "MULTI",
        CLAIM.format("ann", "2-0", 1),
        "XGROUP SETID s g 2-0 ENTRIESREAD 1",
        "EXEC",
    ]


def test_a_client_that_waited_replicates_what_it_did_after_what_woke_it() -> None:
    node = Embedded(NOW_MS)
    waiting, other = node.client(), node.client()
    waiting.send("BLPOP", "l", "0")
    node.replicate()
    other("RPUSH", "l", "x")
    assert [b" ".join(argv) for argv in node.replicated] == [b"RPUSH l x", b"LPOP l"]
