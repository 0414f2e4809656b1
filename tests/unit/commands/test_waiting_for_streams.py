"""Commands that wait for entries of a stream: who is served, with what, and when not."""

import pytest

from tests.support.embedded import Embedded

GONE = "UNBLOCKED the stream key no longer exists"
NO_GROUP = "NOGROUP the consumer group this client was blocked on no longer exists"


def group_of_one() -> Embedded:
    node = Embedded()
    node.client()("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    return node


def test_a_reader_gets_what_came_after_its_id() -> None:
    node = Embedded()
    waiting, other = node.client(), node.client()
    other("XADD", "s", "1-0", "f", "v")
    waiting.send("XREAD", "BLOCK", "0", "STREAMS", "t", "s", "$", "$")
    other("MULTI")
    other("XADD", "s", "2-0", "f", "v")
    other("XADD", "s", "3-0", "f", "v")
    other("EXEC")
    assert waiting.take() == [[b"s", [[b"2-0", [b"f", b"v"]], [b"3-0", [b"f", b"v"]]]]]


def test_time_runs_out() -> None:
    node = Embedded()
    waiting = node.client()
    waiting.send("XREAD", "BLOCK", "50", "STREAMS", "s", "$")
    node.advance(49)
    assert waiting.unread + waiting.session.take_output() == b""
    node.advance(1)
    waiting.unread += waiting.session.take_output()
    assert waiting.unread == b"*-1\r\n"


@pytest.mark.parametrize(
    "words",
    [
        ["XSETID", "s", "9-0"],
        ["XGROUP", "CREATE", "s", "h", "0"],
        ["XDEL", "s", "1-0"],
        ["XTRIM", "s", "MAXLEN", "0"],
        ["DEL", "s"],
        ["SET", "s", "x"],
        ["RPUSH", "l", "x"],
    ],
)
def test_what_adds_no_entries_wakes_no_reader(words: list[str]) -> None:
    node = Embedded()
    waiting, other = node.client(), node.client()
    other("XADD", "s", "1-0", "f", "v")
    other("XDEL", "s", "1-0")
    waiting.send("XREAD", "BLOCK", "0", "STREAMS", "s", "0")
    other(*words)
    assert waiting.take() is None


def test_each_entry_goes_to_one_reader_of_a_group() -> None:
    node = group_of_one()
    clients = [node.client() for _ in range(3)]
    for i, client in enumerate(clients):
        client.send("XREADGROUP", "GROUP", "g", f"c{i}", "BLOCK", "0", "STREAMS", "s", ">")
    other = node.client()
    other("MULTI")
    for ms in (1, 2):
        other("XADD", "s", f"{ms}-0", "f", "v")
    other("EXEC")
    assert clients[0].take() == [[b"s", [[b"1-0", [b"f", b"v"]], [b"2-0", [b"f", b"v"]]]]]
    assert clients[1].take() is None
    other("XADD", "s", "3-0", "f", "v")
    assert clients[1].take() == [[b"s", [[b"3-0", [b"f", b"v"]]]]]
    assert other("XPENDING", "s", "g") == [3, b"1-0", b"3-0", [[b"c0", b"2"], [b"c1", b"1"]]]


@pytest.mark.parametrize(
    ("commands", "error"),
    [
        (["DEL s"], GONE),
        (["SET s x"], GONE),
        (["RENAME s t"], GONE),
        (["FLUSHALL"], GONE),
        (["FLUSHDB ASYNC"], GONE),
        (["SWAPDB 0 1"], GONE),
        (["PEXPIRE s 1"], GONE),
        (["XGROUP DESTROY s g"], NO_GROUP),
        (["MULTI", "DEL s", "XADD s 1-0 f v", "EXEC"], NO_GROUP),
    ],
)
def test_readers_of_a_group_that_is_gone_are_told(commands: list[str], error: str) -> None:
    node = group_of_one()
    waiting, other = node.client(), node.client()
    waiting.send("XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">")
    for line in commands:
        other(*line.split())
    if "PEXPIRE" in commands[0]:
        node.advance(10)
        other("EXISTS", "s")
    assert waiting.take() == error


def test_a_key_renamed_over_a_stream_that_is_waited_for() -> None:
    node = group_of_one()
    waiting, other = node.client(), node.client()
    waiting.send("XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">")
    other("XGROUP", "CREATE", "t", "g", "0", "MKSTREAM")
    other("XADD", "t", "1-0", "f", "v")
    other("RENAME", "t", "s")
    assert waiting.take() == [[b"s", [[b"1-0", [b"f", b"v"]]]]]
