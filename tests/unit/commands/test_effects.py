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
    ("SET k 1.1", "INCRBYFLOAT k 0.1", ["SET k 1.2 KEEPTTL"]),
    ("HSET h f 1.1", "HINCRBYFLOAT h f 0.1", ["HSET h f 1.2"]),
    ("SADD s a", "SPOP s", ["SREM s a"]),
    ("SADD s 1 2", "SPOP s 5", ["SREM s 1 2"]),
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


def test_a_client_that_waited_replicates_what_it_did_after_what_woke_it() -> None:
    node = Embedded(NOW_MS)
    waiting, other = node.client(), node.client()
    waiting.send("BLPOP", "l", "0")
    node.replicate()
    other("RPUSH", "l", "x")
    assert [b" ".join(argv) for argv in node.replicated] == [b"RPUSH l x", b"LPOP l"]
