"""Many clients that wait for one key: how many of them are asked, and what is left of them in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from node.requests.blocking import KEPT_TIMERS, BlockedClients, Waiting
from tests.support.embedded import Embedded, EmbeddedClient

WAITING = 500


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often who waits is asked, by command."""
    counts: Counter[str] = Counter()
    ask = BlockedClients._ask

    def counting(self: BlockedClients, waiting: Waiting) -> None:
        counts[waiting.command.name.decode()] += 1
        ask(self, waiting)

    monkeypatch.setattr(BlockedClients, "_ask", counting)
    return counts


def waiting_clients(node: Embedded, words: str, count: int = WAITING) -> list[EmbeddedClient]:
    clients = [node.client() for _ in range(count)]
    for client in clients:
        client.send(*words.split())
    return clients


@pytest.mark.parametrize(
    ("words", "push"),
    [
        ("BLPOP q 0", "RPUSH q a b"),
        ("BLMPOP 0 2 p q LEFT COUNT 1", "RPUSH q a b"),
        ("BLMOVE q d LEFT LEFT 0", "RPUSH q a b"),
        ("BRPOPLPUSH q d 0", "RPUSH q a b"),
        ("BZPOPMIN q 0", "ZADD q 1 a 2 b"),
        ("BZMPOP 0 2 p q MAX", "ZADD q 1 a 2 b"),
    ],
)
def test_as_many_are_asked_as_there_is_for(asked: Counter[str], words: str, push: str) -> None:
    node = Embedded()
    clients = waiting_clients(node, words)
    other = node.client()
    other(*push.split())
    assert [client.take() is not None for client in clients] == [True, True] + [False] * (WAITING - 2)
    assert asked.total() == 2
    other("SET", "q", "x")
    other("DEL", "q")
    assert asked.total() == 2  # nothing that they wait for


def test_of_a_group_one_reader_is_asked_beyond_what_there_is(asked: Counter[str]) -> None:
    node = Embedded()
    other = node.client()
    other("XGROUP", "CREATE", "q", "g", "$", "MKSTREAM")
    other("XGROUP", "CREATE", "q", "h", "$")
    ours = waiting_clients(node, "XREADGROUP GROUP g c COUNT 1 BLOCK 0 STREAMS q >")
    theirs = waiting_clients(node, "XREADGROUP GROUP h c BLOCK 0 STREAMS q >")
    other("XADD", "q", "1-0", "f", "v")
    assert [client.take() is not None for client in ours] == [True] + [False] * (WAITING - 1)
    assert [client.take() is not None for client in theirs] == [True] + [False] * (WAITING - 1)
    assert asked["xreadgroup"] == 4
    other("XDEL", "q", "1-0")
    assert asked["xreadgroup"] == 6
    other("XGROUP", "DESTROY", "q", "g")
    assert [client.take() is not None for client in ours[1:]] == [True] * (WAITING - 1)
    assert [client.take() for client in theirs[1:]] == [None] * (WAITING - 1)


def test_readers_without_a_group_are_all_served(asked: Counter[str]) -> None:
    node = Embedded()
    clients = waiting_clients(node, "XREAD BLOCK 0 STREAMS p q $ $")
    node.client()("XADD", "q", "1-0", "f", "v")
    assert all(client.take() == [[b"q", [[b"1-0", [b"f", b"v"]]]]] for client in clients)
    assert asked["xread"] == WAITING


def test_different_kinds_at_one_key_do_not_ask_each_other(asked: Counter[str]) -> None:
    node = Embedded()
    for words in ("BLPOP q 0", "BZPOPMIN q 0", "XREAD BLOCK 0 STREAMS q $"):
        waiting_clients(node, words, 50)
    node.client()("ZADD", "q", "1", "a")
    assert asked == {"bzpopmin": 1}


def test_a_chain_of_moves_asks_one_at_each_link(asked: Counter[str]) -> None:
    node = Embedded()
    chain = [waiting_clients(node, f"BLMOVE k{i} k{i + 1} LEFT LEFT 0", 100) for i in range(10)]
    last = waiting_clients(node, "BLPOP k10 0", 100)
    node.client()("RPUSH", "k0", "x")
    assert [clients[0].take() for clients in chain] == [b"x"] * 10
    assert last[0].take() == [b"k10", b"x"]
    assert asked == {"blmove": 10, "blpop": 1}


def test_who_keeps_waiting_keeps_the_place() -> None:
    node = Embedded()
    first, second, other = node.client(), node.client(), node.client()
    other("XGROUP", "CREATE", "q", "g", "$", "MKSTREAM")
    for number, client in enumerate((first, second)):
        client.send("XREADGROUP", "GROUP", "g", f"c{number}", "BLOCK", "0", "STREAMS", "q", ">")
    for words in ("MULTI", "XADD q 1-0 f v", "XDEL q 1-0", "EXEC", "XADD q 2-0 f v"):
        other(*words.split())
    assert first.take() == [[b"q", [[b"2-0", [b"f", b"v"]]]]]
    assert second.take() is None


def by_push(node: Embedded, clients: list[EmbeddedClient]) -> None:
    node.client()("RPUSH", "q", *(["x"] * len(clients)))


def by_unblock(node: Embedded, clients: list[EmbeddedClient]) -> None:
    for client in clients:
        assert node.client()("CLIENT", "UNBLOCK", client.session.id) == 1


def by_leaving(node: Embedded, clients: list[EmbeddedClient]) -> None:
    for client in clients:
        node.core.clients.disconnect(client.session)


def by_time(node: Embedded, clients: list[EmbeddedClient]) -> None:
    node.advance(3600_000)


def by_destroying(node: Embedded, clients: list[EmbeddedClient]) -> None:
    node.client()("DEL", "s")


WAYS = [
    ("BLPOP q 3600", by_push),
    ("BLPOP q 3600", by_unblock),
    ("BLPOP q 3600", by_leaving),
    ("BLPOP q 3600", by_time),
    ("XREADGROUP GROUP g c BLOCK 3600000 STREAMS s >", by_destroying),
    ("XREADGROUP GROUP g c BLOCK 3600000 STREAMS s >", by_leaving),
    ("WAIT 1 3600000", by_unblock),
    ("WAIT 1 3600000", by_leaving),
    ("WAIT 1 3600000", by_time),
    ("WAIT 1 0", by_leaving),
    ("WAITAOF 0 1 3600000", by_unblock),
    ("WAITAOF 0 1 3600000", by_leaving),
]


@pytest.mark.parametrize(("words", "end"), WAYS)
def test_nothing_is_left_of_a_wait_that_has_ended(
    words: str, end: Callable[[Embedded, list[EmbeddedClient]], None]
) -> None:
    node = Embedded()
    for _ in range(4):
        other = node.client()
        other("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
        end_early = waiting_clients(node, words, 200)
        assert node.core.blocking.count == 200
        end(node, end_early)
        assert node.core.blocking.count == len(node.core.blocking.timers) == 0
        assert node.core.blocking.timers.kept <= KEPT_TIMERS + 1
        assert not node.core.blocking.all()
        assert not node.core.replicas.acks.waiting
        assert not node.core.durable.waiting


def test_timers_end_waits_in_the_order_of_their_deadlines_whatever_went_before() -> None:
    node = Embedded()
    clients = [node.client() for _ in range(400)]
    for number, client in enumerate(clients):
        client.send("BLPOP", f"q{number % 7}", str(1 + number * 37 % 400))
    for number in range(0, 400, 3):
        node.client()("CLIENT", "UNBLOCK", clients[number].session.id)
    for second in range(1, 401):
        node.advance(1000)
        for number, client in enumerate(clients):
            waits = number % 3 != 0 and 1 + number * 37 % 400 > second
            assert (client.session.blocked is not None) == waits
    assert len(node.core.blocking.timers) == 0


def test_info_counts_the_keys_that_are_waited_for() -> None:
    node = Embedded()
    other = node.client()
    other("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    waiting_clients(node, "BLPOP p q 0", 3)
    waiting_clients(node, "XREAD BLOCK 0 STREAMS s $", 2)
    waiting_clients(node, "XREADGROUP GROUP g c BLOCK 0 STREAMS s >", 2)
    info = other("INFO", "clients").decode().split("\r\n")
    assert {"blocked_clients:7", "total_blocking_keys:3", "total_blocking_keys_on_nokey:1"} <= set(info)


def test_client_list_names_the_command_that_was_sent_not_one_of_its_queue() -> None:
    node = Embedded()
    client, other = node.client(), node.client()
    for words in (["MULTI"], ["GET", "k"], ["EVAL", "return redis.call('GET', 'k')", "0"], ["EXEC"]):
        client(*words)
    assert b" cmd=exec " in other("CLIENT", "LIST", "ID", client.session.id)


def test_a_command_that_waits_is_in_the_slow_log_once_and_when_it_has_been_served() -> None:
    node = Embedded()
    client, waiting = node.client(), node.client()
    client("CONFIG", "SET", "slowlog-log-slower-than", "0")
    client("SLOWLOG", "RESET")

    def logged() -> int:
        return [entry[3][0] for entry in client("SLOWLOG", "GET", "-1")].count(b"BLPOP")

    waiting.send("BLPOP", "q", "0")
    assert logged() == 0
    client("RPUSH", "q", "x")
    assert waiting.take() == [b"q", b"x"]
    assert logged() == 1
