"""What clients make the node keep counts: in used_memory, for maxmemory and maxmemory-clients, and in CLIENT LIST."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator

import pytest

from node import flags
from node.requests.pause import NO_END, Reason
from tests.support.embedded import Embedded, EmbeddedClient
from tests.support.resp import Word, pack

BIG = "x" * 100_000
LIBRARY = "#!lua name=l{}\nredis.register_function('f{}', function() return '{}' end)"


@pytest.fixture
def node() -> Embedded:
    gc.collect()  # what is left of other nodes is counted, too
    return Embedded()


def line_of(node: Embedded, client: EmbeddedClient) -> dict[str, str]:
    """The client in CLIENT LIST."""
    (line,) = node.client()("CLIENT", "LIST", "ID", client.session.id).splitlines()
    return dict(field.split("=", 1) for field in line.decode().split(" "))


def paused(node: Embedded) -> None:
    node.core.pause.start(NO_END, all_commands=True, reason=Reason.FAILOVER)


# What is sent, the field of CLIENT LIST that shows it, and how a client gets rid of it.
WAYS: list[tuple[list[list[Word]], str, list[Word] | None]] = [
    ([["MULTI"], ["SET", "k", BIG], ["SET", "k", BIG]], "multi-mem", ["DISCARD"]),
    ([["MULTI"], ["SET", "k", BIG], ["SET", "k", BIG]], "multi-mem", ["EXEC"]),
    ([["MULTI"], ["SET", "k", BIG], ["SET", "k", BIG]], "multi-mem", ["RESET"]),
    ([["WATCH", BIG, BIG + "1"]], "multi-mem", ["UNWATCH"]),
    ([["WATCH", BIG, BIG + "1"], ["MULTI"]], "multi-mem", ["EXEC"]),
    ([["SUBSCRIBE", BIG, BIG + "1"]], "tot-mem", ["UNSUBSCRIBE"]),
    ([["PSUBSCRIBE", BIG, BIG + "1"]], "tot-mem", ["PUNSUBSCRIBE"]),
    ([["SSUBSCRIBE", BIG, BIG + "1"]], "tot-mem", ["SUNSUBSCRIBE"]),
    ([["SUBSCRIBE", BIG, BIG + "1"]], "tot-mem", ["RESET"]),
    ([["BLPOP", BIG, BIG + "1", "0"]], "argv-mem", None),
    ([["XREAD", "BLOCK", "0", "STREAMS", BIG, BIG + "1", "$", "$"]], "argv-mem", None),
    ([["CLIENT", "SETNAME", BIG + BIG]], "tot-mem", ["CLIENT", "SETNAME", ""]),
    ([["HELLO", "2", "SETNAME", BIG + BIG]], "tot-mem", ["RESET"]),
    ([["CLIENT", "SETINFO", "LIB-NAME", BIG + BIG]], "tot-mem", ["CLIENT", "SETINFO", "LIB-NAME", ""]),
]


@pytest.mark.parametrize("ending", ["given back", "disconnected"])
@pytest.mark.parametrize(("requests", "field", "back"), WAYS)
def test_what_a_client_makes_the_node_keep(
    node: Embedded, requests: list[list[Word]], field: str, back: list[Word] | None, ending: str
) -> None:
    client = node.client()
    client("PING")
    node.core.space.free_some(1000)
    before = node.core.used_memory()
    for words in requests:
        client.send(*words)
    client.unread += client.session.take_output()
    added = node.core.used_memory() - before
    assert 199_000 < added < 450_000  # a reply may have room for it, too
    assert 199_000 < int(line_of(node, client)[field]) < 450_000
    assert int(line_of(node, client)["tot-mem"]) == client.session.memory_bytes
    if ending == "disconnected":
        node.core.clients.disconnect(client.session)
    elif back is None:
        assert node.client()("CLIENT", "UNBLOCK", client.session.id) == 1
    else:
        client.send(*back)
        client.session.take_output()
        node.client()("FLUSHALL")
    assert node.core.used_memory() - before < 20_000


@pytest.mark.parametrize("ending", ["runs", "disconnected"])
def test_a_command_that_is_held_back(node: Embedded, ending: str) -> None:
    client = node.client()
    paused(node)
    before = node.core.used_memory()
    client.send("ECHO", BIG)
    assert node.core.used_memory() - before > 100_000
    assert client.session.waiting_bytes > 100_000
    if ending == "runs":
        node.core.pause.end(Reason.FAILOVER)
        assert client.take() == BIG.encode()
    else:
        node.core.clients.disconnect(client.session)
    assert client.session.waiting_bytes == 0


def test_scripts_and_libraries(node: Embedded) -> None:
    client = node.client()
    before = node.core.used_memory()
    client("SCRIPT", "LOAD", f"return '{BIG}'")
    client("EVAL", f"return '{BIG}'", "0")
    client("EVAL", f"return '{BIG}2'", "0")
    for number in range(2):
        client("FUNCTION", "LOAD", LIBRARY.format(number, number, BIG))
    client("FUNCTION", "LOAD", "REPLACE", LIBRARY.format(1, 1, BIG))
    added = node.core.used_memory() - before
    assert 400_000 < added < 500_000
    info = dict(line.split(":", 1) for line in client("INFO", "memory").decode().split("\r\n") if ":" in line)
    assert 400_000 < int(info["used_memory_scripts"]) < 410_000
    assert 200_000 < int(info["used_memory_functions"]) < 210_000
    client("SCRIPT", "FLUSH")
    client("FUNCTION", "DELETE", "l1")
    client("FUNCTION", "FLUSH")
    assert node.core.used_memory() - before < 20_000


def test_a_queue_of_a_transaction_is_evicted(node: Embedded) -> None:
    admin, queueing, listening, watching = (node.client() for _ in range(4))
    admin("CONFIG", "SET", "maxmemory-clients", "400000")
    queueing("MULTI")
    watching("WATCH", BIG)
    listening("SUBSCRIBE", BIG)
    node.core.clients.evict()
    assert not queueing.session.flags & flags.CLOSED
    for _ in range(3):
        queueing("SET", "k", BIG)
    node.core.clients.evict()
    gone = [bool(each.session.flags & flags.CLOSED) for each in (admin, queueing, listening, watching)]
    assert gone == [False, True, False, False]


def test_a_queue_counts_towards_maxmemory(node: Embedded) -> None:
    client = node.client()
    client("CONFIG", "SET", "maxmemory", node.core.used_memory() + 250_000)
    client("MULTI")
    replies = [client("SET", "k", BIG) for _ in range(4)]
    assert replies[:2] == [b"QUEUED", b"QUEUED"]
    assert str(replies[3]).startswith("OOM")
    assert str(client("EXEC")).startswith("EXECABORT")
    assert client("SET", "k", "v") == b"OK"


def test_looking_is_put_off_until_it_can_matter(node: Embedded) -> None:
    clients = [node.client() for _ in range(5)]
    clients[0]("CONFIG", "SET", "maxmemory-clients", "200000")
    script = f"return '{BIG * 5}'"
    clients[0]("SCRIPT", "LOAD", script)  # counts with the clients, but is nobody's
    again_at = node.core.clients.evict()
    assert not any(each.session.flags & flags.CLOSED for each in clients)
    assert again_at > 200_000 + len(script)
    clients[1].session.feed(b"*1\r\n$300000\r\n" + b"x" * 300_000)
    assert node.core.clients.evict() <= again_at  # what the evicted one took is no reason to wait longer
    assert clients[1].session.flags & flags.CLOSED


def test_room_for_many_arguments_is_given_back(node: Embedded) -> None:
    client = node.client()
    client("PING")
    before = client.session.memory_bytes
    client("DEL", *["x"] * 100_000)
    client("PING")
    assert client.session.memory_bytes == before


def test_the_buffer_of_requests_is_never_less_than_empty(node: Embedded) -> None:
    client = node.client()
    (line,) = client("CLIENT", "LIST").splitlines()
    assert b"qbuf-free=0 " in line


PER_CLIENT: list[list[str]] = [
    ["WATCH {}"],
    ["WATCH same"],
    [f"WATCH {{}}:{i}" for i in range(20)],
    ["SUBSCRIBE {}"],
    [f"SUBSCRIBE {{}}:{i}" for i in range(20)],
    ["PSUBSCRIBE {}*"],
    ["BLPOP {} 0"],
    ["BLPOP same 1000"],
    ["BLPOP " + " ".join(f"{{}}:{i}" for i in range(20)) + " 0"],
    ["BZPOPMIN same 1000"],
    ["XREAD BLOCK 1000 STREAMS same $"],
    ["WAIT 1 0"],
    ["MULTI", *["SET {} value"] * 20],
]


@pytest.fixture
def traced() -> Iterator[None]:
    gc.collect()
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("lines", PER_CLIENT, ids=lambda lines: lines[0][:20])
def test_the_estimates_are_near_what_python_takes(node: Embedded, lines: list[str], traced: None) -> None:
    sessions = [node.client().session for _ in range(1000)]
    taken, counted = tracemalloc.get_traced_memory()[0], sum(each.memory_bytes for each in sessions)
    for number, session in enumerate(sessions):
        for line in lines:
            words = line.replace("{}", str(number)).split()
            session.feed(pack(words))
    taken = tracemalloc.get_traced_memory()[0] - taken
    # Buffers are counted exactly and are not Python's.
    buffers = sum(each.output_capacity + each.input_capacity for each in sessions)
    counted = sum(each.memory_bytes for each in sessions) - counted - buffers
    assert 0.7 * taken < counted < 2.2 * taken


def test_a_request_that_has_come_in_part(node: Embedded) -> None:
    client = node.client()
    client.session.feed(b"*3\r\n$3\r\nSET\r\n$1000\r\n" + b"k" * 1000 + b"\r\n$100000\r\n" + b"v" * 50_000)
    line = line_of(node, client)
    assert int(line["qbuf"]) == 50_000
    assert 1000 < int(line["argv-mem"]) < 1100
    assert 50_000 <= int(line["qbuf-free"]) < 50_100
    assert client.session.memory_bytes > 101_000
