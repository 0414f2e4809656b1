"""Commands that wait for a list: who is served, with what, and when not."""

import pytest

from node import flags
from tests.support.embedded import Embedded

WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"


def test_the_first_key_that_has_something_is_served_not_the_one_that_changed_first() -> None:
    node = Embedded()
    waiting, other = node.client(), node.client()
    waiting.send("BLPOP", "a", "b", "0")
    other("MULTI")
    other("RPUSH", "b", "from b")
    other("RPUSH", "a", "from a")
    other("EXEC")
    assert waiting.take() == [b"a", b"from a"]
    assert other("LRANGE", "b", "0", "-1") == [b"from b"]


def test_a_key_of_another_type_before_the_one_that_changed_is_an_error() -> None:
    node = Embedded()
    waiting, other = node.client(), node.client()
    waiting.send("BLPOP", "a", "b", "0")
    other("SET", "a", "x")
    assert waiting.take() is None
    other("RPUSH", "b", "from b")
    assert waiting.take() == WRONGTYPE
    assert other("LRANGE", "b", "0", "-1") == [b"from b"]


def test_first_come_first_served_and_only_as_far_as_elements_go() -> None:
    node = Embedded()
    clients = [node.client() for _ in range(3)]
    for client in clients:
        client.send("BLMPOP", "0", "1", "q", "LEFT", "COUNT", "2")
    node.client().send("RPUSH", "q", "1", "2", "3")
    assert [client.take() for client in clients] == [[b"q", [b"1", b"2"]], [b"q", [b"3"]], None]


@pytest.mark.parametrize("words", [["SET", "q", "x"], ["SADD", "q", "x"], ["HSET", "q", "f", "v"]])
def test_another_type_at_the_key_wakes_nobody(words: list[str]) -> None:
    node = Embedded()
    popping, moving, other = node.client(), node.client(), node.client()
    popping.send("BLPOP", "q", "0")
    moving.send("BLMOVE", "q", "d", "LEFT", "LEFT", "0")
    other(*words)
    assert (popping.take(), moving.take()) == (None, None)
    other("DEL", "q")
    other("RPUSH", "q", "1", "2")
    assert (popping.take(), moving.take()) == ([b"q", b"1"], b"2")


def test_a_list_that_came_and_went_inside_a_transaction_was_never_there() -> None:
    node = Embedded()
    waiting, other = node.client(), node.client()
    waiting.send("BLPOP", "q", "0")
    for words in (["MULTI"], ["RPUSH", "q", "x"], ["DEL", "q"], ["EXEC"]):
        other(*words)
    assert waiting.take() is None


def test_a_wrong_destination_is_an_error_and_the_element_stays() -> None:
    node = Embedded()
    waiting, other = node.client(), node.client()
    other("SET", "d", "x")
    waiting.send("BRPOPLPUSH", "q", "d", "0")
    other("RPUSH", "q", "e")
    assert waiting.take() == WRONGTYPE
    assert other("LRANGE", "q", "0", "-1") == [b"e"]


def test_a_chain_of_moves_runs_to_its_end() -> None:
    node = Embedded()
    first, second, last, other = (node.client() for _ in range(4))
    first.send("BLMOVE", "a", "b", "LEFT", "LEFT", "0")
    second.send("BLMOVE", "b", "c", "LEFT", "LEFT", "0")
    last.send("BRPOP", "c", "0")
    other("RPUSH", "a", "x")
    assert (first.take(), second.take(), last.take()) == (b"x", b"x", [b"c", b"x"])
    assert other("EXISTS", "a", "b", "c") == 0


def test_a_wait_ends_when_its_time_is_up_and_not_before() -> None:
    node = Embedded()
    client = node.client()
    client.send("BLPOP", "q", "1.5")
    node.advance(1499)
    assert client.session.flags & flags.BLOCKED
    assert client.take() is None
    node.advance(1)
    assert client.session.take_output() == b"*-1\r\n"
    client.send("BLMOVE", "q", "d", "LEFT", "LEFT", "0.001")
    node.advance(1)
    assert client.session.take_output() == b"*-1\r\n"


def test_requests_behind_a_waiting_one_wait_too() -> None:
    node = Embedded()
    waiting, other = node.client(), node.client()
    waiting.send("BLPOP", "q", "0")
    waiting.send("PING")
    assert waiting.take() is None
    other("RPUSH", "q", "x")
    assert (waiting.take(), waiting.take()) == ([b"q", b"x"], b"PONG")


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        (["BLPOP", "q", "0"], b"*-1\r\n"),
        (["BLMPOP", "0", "1", "q", "LEFT"], b"*-1\r\n"),
        (["BLMOVE", "q", "d", "LEFT", "LEFT", "0"], b"$-1\r\n"),
        (["BRPOPLPUSH", "q", "d", "0"], b"$-1\r\n"),
    ],
)
def test_nothing_waits_inside_a_transaction(words: list[str], reply: bytes) -> None:
    client = Embedded().client()
    client("MULTI")
    client(*words)
    client.send("EXEC")
    assert client.unread == b"*1\r\n" + reply
