"""Commands that wait for entries of a stream: who is served, with what, and when not."""

import pytest

from tests.support.embedded import Embedded, EmbeddedClient

GONE = "NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option"
WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"


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
        (["SET s x"], WRONGTYPE),
        (["SET t x", "RENAME t s"], WRONGTYPE),
        (["RENAME s t"], GONE),
        (["FLUSHALL"], GONE),
        (["FLUSHDB ASYNC"], GONE),
        (["SWAPDB 0 1"], GONE),
        (["PEXPIRE s 1"], GONE),
        (["XGROUP DESTROY s g"], GONE),
        (["MULTI", "DEL s", "XADD s 1-0 f v", "EXEC"], GONE),
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


def test_readers_get_what_all_their_streams_have_by_then() -> None:
    node = Embedded()
    reading, grouped, other = node.client(), node.client(), node.client()
    for key in ("s", "t"):
        other("XGROUP", "CREATE", key, "g", "$", "MKSTREAM")
    reading.send("XREAD", "BLOCK", "0", "STREAMS", "s", "t", "$", "$")
    grouped.send("XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", "t", ">", ">")
    other("MULTI")
    other("XADD", "t", "1-0", "f", "v")
    other("XADD", "s", "2-0", "f", "v")
    other("EXEC")
    both = [[b"s", [[b"2-0", [b"f", b"v"]]]], [b"t", [[b"1-0", [b"f", b"v"]]]]]
    assert (reading.take(), grouped.take()) == (both, both)


def test_a_reader_without_count_gets_all_there_is() -> None:
    node = Embedded()
    waiting, other = node.client(), node.client()
    waiting.send("XREAD", "BLOCK", "0", "STREAMS", "s", "$")
    other("MULTI")
    for i in range(1500):
        other("XADD", "s", f"{i + 1}-0", "f", "v")
    other.send("EXEC")
    ((_, entries),) = waiting.take()
    assert len(entries) == 1500


def consumers(client: EmbeddedClient) -> list[list[object]]:
    """Name, entries pending, milliseconds since it asked, milliseconds since it got something."""
    return [[each[1].decode(), *each[3::2]] for each in client("XINFO", "CONSUMERS", "s", "g")]


ASKING = (
    "XREADGROUP GROUP g c STREAMS s >",
    "XREADGROUP GROUP g c NOACK STREAMS s >",
    "XREADGROUP GROUP g c STREAMS s 0",
    "XCLAIM s g c 0 1-0",
    "XCLAIM s g c 0 9-0",
    "XAUTOCLAIM s g c 0 0",
)


@pytest.mark.parametrize("words", ASKING)
def test_a_consumer_that_gets_nothing_is_made_and_seen_but_was_not_active(words: str) -> None:
    node = group_of_one()
    client = node.client()
    client(*words.split())
    node.advance(500)
    assert consumers(client) == [["c", 0, 500, -1]]
    client(*words.split())
    assert consumers(client) == [["c", 0, 0, -1]]


def test_a_consumer_that_waits_is_seen_when_it_asks_and_active_when_it_gets_something() -> None:
    node = group_of_one()
    waiting, other = node.client(), node.client()
    waiting.send("XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">")
    node.advance(500)
    assert consumers(other) == [["c", 0, 500, -1]]
    other("XADD", "s", "1-0", "f", "v")
    assert consumers(other) == [["c", 1, 0, 0]]
    node.advance(100)
    for words in ("XREADGROUP GROUP g c STREAMS s >", "XREADGROUP GROUP g c STREAMS s 0", "XACK s g 1-0"):
        other(*words.split())
    assert consumers(other) == [["c", 0, 0, 100]]


def test_a_claim_makes_active_whoever_gets_the_entry() -> None:
    node = group_of_one()
    client = node.client()
    client("XADD", "s", "1-0", "f", "v")
    client("XREADGROUP", "GROUP", "g", "a", "STREAMS", "s", ">")
    node.advance(100)
    client("XCLAIM", "s", "g", "b", "0", "1-0")
    assert consumers(client) == [["a", 0, 100, 100], ["b", 1, 0, 0]]
    node.advance(100)
    client("XAUTOCLAIM", "s", "g", "c", "0", "0")
    assert consumers(client) == [["a", 0, 200, 200], ["b", 0, 100, 100], ["c", 1, 0, 0]]
    assert client("COPY", "s", "t") == 1
    full = client("XINFO", "STREAM", "t", "FULL")
    groups = full[full.index(b"groups") + 1]
    last = groups[0][groups[0].index(b"consumers") + 1][-1]
    assert last[:6] == [b"name", b"c", b"seen-time", 1_000_200, b"active-time", 1_000_200]


def test_a_key_renamed_over_a_stream_that_is_waited_for() -> None:
    node = group_of_one()
    waiting, other = node.client(), node.client()
    waiting.send("XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">")
    other("XGROUP", "CREATE", "t", "g", "0", "MKSTREAM")
    other("XADD", "t", "1-0", "f", "v")
    other("RENAME", "t", "s")
    assert waiting.take() == [[b"s", [[b"1-0", [b"f", b"v"]]]]]
