"""The marks of the session that carries out a primary's stream: five bits, of which each has one meaning."""

from __future__ import annotations

import pytest

from node import flags
from node.replication.stream_session import StreamSession
from tests.support.embedded import Embedded
from tests.support.resp import pack
from tests.unit.replication.test_following import Replica

BITS = ("OBEYED", "UNANSWERED", "RELAYED", "SEES_DEAD", "FOREIGN")


def passes_gates(bits: int) -> bool:
    """Where clients may not write."""
    node = Embedded()
    node.core.basics.set_state(flags.STATE_FEW_REPLICAS, True)
    client = node.client()
    client.session.flags |= bits
    client.send("SET", "k", "v")
    return node.client()("EXISTS", "k") == 1


def waits(bits: int) -> bool:
    node = Embedded()
    client = node.client()
    client.session.flags |= bits
    client.send("BLPOP", "q", "0")
    return bool(client.session.flags & flags.BLOCKED)


def gets_no_replies(bits: int) -> bool:
    """And its errors are the node's to know."""
    node = Embedded()
    client = node.client()
    client.session.flags |= bits
    told = [client("PING"), client("GET")]
    heard = node.core.following.sessions.errors
    assert heard == int(told == [None, None])
    return told == [None, None]


def is_the_primary(bits: int) -> bool:
    node = Embedded()
    other, client = node.client(), node.client()
    other.session.flags |= bits
    return b" flags=M " in client("CLIENT", "LIST", "TYPE", "master")


def sees_dead_keys(bits: int) -> bool:
    node = Embedded()
    node.client()("SET", "k", "5", "PX", "100")
    node.core.space.active_expire = False
    node.core.space.now_ms += 200
    client = node.client()
    client.session.flags |= bits
    StreamSession(client.session, node.core.space, lambda: None).input(pack(["INCR", "k"]))
    assert not node.core.space.show_dead
    return node.client()("GET", "k") is None  # it was counted up, and is as dead as it was


def leaves_expiry_to_others(bits: int) -> bool:
    """On a replica on which clients may write."""
    node = Replica()
    client = node.client()
    client("REPLICAOF", "there", "6379")
    node.primary.accept()
    client("CONFIG", "SET", "replica-read-only", "no")
    client.session.flags |= bits
    client.send("SET", "k", "v", "PX", "100")
    return len(node.core.following.local_expiry) == 0


MEANINGS = (passes_gates, gets_no_replies, is_the_primary, sees_dead_keys, leaves_expiry_to_others)


@pytest.mark.parametrize("bit", [*BITS, None])
def test_each_bit_has_one_meaning(bit: str | None) -> None:
    value = getattr(flags, bit) if bit else 0
    found = [meaning(value) for meaning in MEANINGS]
    assert found == [bit == each for each in BITS]
    assert waits(value) is (bit != "OBEYED")


def test_the_primary_has_them_all() -> None:
    node = Replica()
    assert node.client()("REPLICAOF", "there", "6379") == b"OK"
    node.primary.accept()
    session = node.core.following.sessions.current
    assert session is not None
    assert session.flags == sum(getattr(flags, bit) for bit in BITS) == flags.PRIMARY
