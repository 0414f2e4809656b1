"""The replica's side of the link: every conversation whole and byte by byte, and broken at every step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from gossip.effects import Effect, Note
from node.replication.effects import (
    Apply,
    BeginSnapshot,
    Close,
    Connect,
    DropSnapshot,
    LoadSnapshot,
    Resume,
    Send,
    StoreSnapshot,
)
from node.replication.link import ACK_MS, Introduction, Position, PrimaryLink, State

ID = "a" * 40
OTHER = "b" * 40
MARK = "0123456789" * 4
HELLO = "+OK\r\n" * 3  # listening-port, capa, version


@dataclass
class Bench:
    """A link, its clock, and what it has asked for."""

    introduction: Introduction = field(default_factory=lambda: Introduction(port=7001, timeout_ms=60_000))
    position: Position | None = None
    offset: int = 0
    now_ms: int = 1_000_000
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.link = PrimaryLink(lambda: self.introduction, lambda: self.position, lambda: self.offset)

    def effects(self) -> list[Effect]:
        """What is asked for, without the notes; parts of one thing that follow each other are put together."""
        out: list[Effect] = []
        for effect in self.link.take_effects():
            match effect, out[-1] if out else None:
                case Note(_, text), _:
                    self.notes.append(text)
                case StoreSnapshot(data), StoreSnapshot(before):
                    out[-1] = StoreSnapshot(before + data)
                case Apply(data), Apply(before):
                    out[-1] = Apply(before + data)
                case Send(data), Send(before):
                    out[-1] = Send(before + data)
                case _:
                    out.append(effect)
        return out

    def begin(self) -> Bench:
        self.link.follow("primary", 6379, self.now_ms)
        assert self.effects() == [Connect("primary", 6379)]
        self.link.connected(self.now_ms)
        assert words(self.effects()) == ["PING"]
        return self

    def hear(self, text: str | bytes, step: int = 0) -> Bench:
        data = text.encode() if isinstance(text, str) else text
        size = step or len(data) or 1
        for at in range(0, len(data), size):
            self.link.received(data[at : at + size], self.now_ms)
        return self

    def advance(self, ms: int) -> Bench:
        self.now_ms += ms
        self.link.tick(self.now_ms)
        return self


def words(effects: list[Effect]) -> list[str]:
    """The requests that are sent, as one would type them."""
    assert all(isinstance(effect, Send) for effect in effects), effects
    data = b"".join(effect.data for effect in effects if isinstance(effect, Send))
    out = []
    lines = iter(data.decode().split("\r\n"))
    for line in lines:
        if line.startswith("*"):
            out.append(" ".join([next(lines), next(lines)][1] for _ in range(int(line[1:]))))
    return out


def test_the_handshake() -> None:
    bench = Bench(position=Position(ID, 95)).begin().hear("+PONG\r\n")
    assert words(bench.effects()) == [
        "REPLCONF listening-port 7001",
        "REPLCONF capa eof capa psync2",
        "REPLCONF version 9.0.0",
    ]
    bench.hear(HELLO)
    assert words(bench.effects()) == [f"PSYNC {ID} 95"]
    assert bench.link.state is State.HANDSHAKE


def test_everything_that_can_be_told() -> None:
    me = Introduction(port=7001, announce_ip="10.0.0.7", user="repl", password="secret")
    bench = Bench(introduction=me).begin().hear("-NOAUTH Authentication required.\r\n")
    assert words(bench.effects()) == [
        "AUTH repl secret",
        "REPLCONF listening-port 7001",
        "REPLCONF ip-address 10.0.0.7",
        "REPLCONF capa eof capa psync2",
        "REPLCONF version 9.0.0",
    ]
    bench.hear("+OK\r\n-ERR what\r\n-ERR what\r\n-ERR what\r\n-ERR what\r\n")  # only the password is critical
    assert words(bench.effects()) == ["PSYNC ? -1"]
    assert sum("(Non critical)" in note for note in bench.notes) == 3


SNAPSHOT = b"REDIS0010 and so on \x00\xff" * 9
LENGTH_FIRST = b"$%d\r\n" % len(SNAPSHOT) + SNAPSHOT
MARKED = b"$EOF:%s\r\n" % MARK.encode() + SNAPSHOT + MARK.encode()


@pytest.mark.parametrize("step", [0, 1, 2, 7, 39, 41])
@pytest.mark.parametrize("alive", ["", "\n", "\n\n\n"])
@pytest.mark.parametrize("body", [LENGTH_FIRST, MARKED], ids=["length", "mark"])
def test_all_data_and_then_the_stream(step: int, alive: str, body: bytes) -> None:
    bench = Bench().begin()
    bench.hear(f"+PONG\r\n{HELLO}", step).effects()
    bench.hear(f"{alive}+FULLRESYNC {ID} 94\r\n{alive}".encode() + body + b"after", step)
    begin, store, load = bench.effects()
    assert begin == BeginSnapshot(len(SNAPSHOT) if body is LENGTH_FIRST else None, to_memory=False)
    assert store == StoreSnapshot(SNAPSHOT)
    assert load == LoadSnapshot(ID, 94)
    assert not bench.link.reading
    assert bench.link.snapshot_read == len(SNAPSHOT)
    bench.offset = 94
    bench.link.loaded(bench.now_ms)
    acknowledged, stream = bench.effects()
    assert words([acknowledged]) == ["REPLCONF ACK 94"]
    assert stream == Apply(b"after")
    bench.hear(" more")
    assert bench.effects() == [Apply(b" more")]


@pytest.mark.parametrize("step", [0, 1, 5])
@pytest.mark.parametrize(("reply", "name"), [(f"+CONTINUE {OTHER}", OTHER), (f"+CONTINUE {ID}", ID), ("+CONTINUE", ID)])
def test_the_stream_alone(step: int, reply: str, name: str) -> None:
    bench = Bench(position=Position(ID, 95), offset=94).begin()
    bench.hear(f"+PONG\r\n{HELLO}").effects()
    bench.hear(f"{reply}\r\nstream", step)
    resume, acknowledged, *stream = bench.effects()
    assert resume == Resume(name)
    assert words([acknowledged]) == ["REPLCONF ACK 94"]
    assert stream == [Apply(b"stream")]
    assert bench.link.state is State.CONNECTED


def test_a_primary_so_old_that_it_only_knows_sync() -> None:
    bench = Bench().begin().hear(f"+PONG\r\n{HELLO}")
    bench.effects()
    bench.hear("-ERR unknown command 'PSYNC'\r\n")
    assert bench.effects() == [Send(b"SYNC\r\n")]
    bench.hear(LENGTH_FIRST)
    assert bench.effects()[-1] == LoadSnapshot("", -1)
    bench.link.loaded(bench.now_ms)
    bench.advance(5000)
    assert bench.effects() == []  # it takes no acknowledgements


def test_it_says_every_second_how_far_it_is() -> None:
    bench = Bench(position=Position(ID, 95), offset=94).begin().hear(f"+PONG\r\n{HELLO}+CONTINUE\r\n")
    bench.effects()
    bench.advance(ACK_MS - 1)
    assert bench.effects() == []
    bench.offset = 200
    bench.advance(1)
    assert words(bench.effects()) == ["REPLCONF ACK 200"]
    bench.link.acknowledge(bench.now_ms)  # asked for (GETACK)
    assert words(bench.effects()) == ["REPLCONF ACK 200"]


def test_signs_of_life_while_the_data_is_loaded() -> None:
    bench = Bench().begin().hear(f"+PONG\r\n{HELLO}+FULLRESYNC {ID} 0\r\n".encode() + LENGTH_FIRST)
    bench.effects()
    bench.advance(999)
    assert bench.effects() == []
    bench.advance(1)
    assert bench.effects() == [Send(b"\n")]
    bench.advance(10 * 60_000)
    assert bench.link.state is State.LOADING  # however long it takes


UNTIL_PONG = ""
UNTIL_PSYNC = f"+PONG\r\n{HELLO}"
UNTIL_HEADER = f"{UNTIL_PSYNC}+FULLRESYNC {ID} 7\r\n"
UNTIL_DATA = f"{UNTIL_HEADER}$100\r\n"
STEPS = {"ping": UNTIL_PONG, "psync": UNTIL_PSYNC, "header": UNTIL_HEADER, "data": UNTIL_DATA}


def lose(bench: Bench) -> None:
    bench.link.lost("reset by peer", bench.now_ms)


def fall_silent(bench: Bench) -> None:
    bench.advance(60_001)


@pytest.mark.parametrize("how", [lose, fall_silent])
@pytest.mark.parametrize("heard", STEPS.values(), ids=STEPS)
def test_broken_at_any_step_it_begins_again(heard: str, how: Callable[[Bench], None]) -> None:
    bench = Bench().begin().hear(heard)
    bench.effects()
    how(bench)
    dropped = [DropSnapshot()] if "FULLRESYNC" in heard else []
    assert bench.effects() == [*dropped, Close(), Connect("primary", 6379)]
    bench.link.connected(bench.now_ms)
    assert words(bench.effects()) == ["PING"]
    bench.hear(f"{UNTIL_PSYNC}+FULLRESYNC {ID} 7\r\n".encode() + LENGTH_FIRST)  # nothing is left of the first try
    assert bench.effects()[-2:] == [StoreSnapshot(SNAPSHOT), LoadSnapshot(ID, 7)]


@pytest.mark.parametrize(
    ("heard", "note"),
    [
        ("-ERR go away\r\n", "Error reply to PING from master: '-ERR go away'"),
        (f"{UNTIL_PSYNC}-NOMASTERLINK Can't\r\n", "Master is currently unable to PSYNC"),
        (f"{UNTIL_PSYNC}-LOADING Redis is\r\n", "Master is currently unable to PSYNC"),
        (f"{UNTIL_PSYNC}+CONTINUE\r\n", "Master continues a history that we have no part of."),
        (f"{UNTIL_HEADER}-ERR disk full\r\n", "MASTER aborted replication with an error: ERR disk full"),
        (f"{UNTIL_HEADER}*3\r\n", "Bad protocol from MASTER, the first byte is not '$'"),
        (f"{UNTIL_HEADER}$12x\r\n", "Bad protocol from MASTER, the first byte is not '$'"),
        ("x" * 70_000, "a line without an end"),
    ],
)
def test_what_the_primary_may_not_say(heard: str, note: str) -> None:
    bench = Bench().begin().hear(heard)
    assert bench.effects()[-2:] == [Close(), Connect("primary", 6379)]
    assert any(note in each for each in bench.notes), bench.notes


MYID = "c" * 40


@pytest.mark.parametrize(
    "reply",
    [f"$40\r\n{MYID}\r\n", "-ERR This instance has cluster support disabled\r\n", "-NOPERM no permission\r\n"],
)
def test_a_primary_that_is_who_we_expect_or_does_not_say(reply: str) -> None:
    bench = Bench(introduction=Introduction(port=1, primary_id=MYID)).begin().hear("+PONG\r\n")
    assert words(bench.effects())[0] == "CLUSTER MYID"
    bench.hear(reply + HELLO)
    assert words(bench.effects()) == ["PSYNC ? -1"]


def test_another_node_at_the_address_of_our_primary() -> None:
    """Addresses are given out again: its data must not replace ours."""
    bench = Bench(introduction=Introduction(port=1, primary_id=MYID)).begin().hear("+PONG\r\n")
    bench.effects()
    bench.hear(f"$40\r\n{OTHER}\r\n{HELLO}")
    assert bench.effects() == [Close(), Connect("primary", 6379)]
    assert any(f"is the address of node {OTHER} now" in note for note in bench.notes)


def test_wrong_password() -> None:
    bench = Bench(introduction=Introduction(port=1, password="x")).begin()
    bench.hear("-NOAUTH\r\n").effects()
    bench.hear("-WRONGPASS invalid\r\n")
    assert bench.effects()[0] == Close()
    assert "Unable to AUTH to MASTER: -WRONGPASS invalid" in bench.notes


def test_attempts_become_slower_while_they_fail_and_quick_again_after_one_that_worked() -> None:
    bench = Bench(position=Position(ID, 1))
    bench.link.follow("primary", 6379, bench.now_ms)
    waits = []
    for _ in range(6):
        bench.effects()
        bench.link.lost("refused", bench.now_ms)
        waited = 0
        while Connect("primary", 6379) not in bench.effects():
            bench.advance(100)
            waited += 100
        waits.append(waited)
    assert waits == [0, 100, 200, 400, 1000, 1000]
    bench.link.connected(bench.now_ms)
    bench.hear(f"{UNTIL_PSYNC}+CONTINUE\r\n").effects()
    lose(bench)
    assert bench.effects() == [Close(), Connect("primary", 6379)]


def test_a_snapshot_that_cannot_be_loaded_is_asked_for_again_but_not_at_once() -> None:
    bench = Bench().begin().hear(UNTIL_HEADER.encode() + LENGTH_FIRST)
    bench.effects()
    bench.link.load_failed("the checksum is wrong", bench.now_ms)
    assert bench.effects() == [DropSnapshot(), Close()]
    bench.advance(100)
    assert bench.effects() == [Connect("primary", 6379)]


def test_another_primary_and_none() -> None:
    bench = Bench(position=Position(ID, 1)).begin().hear(f"{UNTIL_PSYNC}+CONTINUE\r\n")
    bench.effects()
    bench.link.follow("other", 1, bench.now_ms)
    assert bench.effects() == [Close(), Connect("other", 1)]
    bench.link.stop()
    assert bench.effects() == [Close()]
    bench.link.lost("closed", bench.now_ms)
    bench.advance(100_000)
    assert bench.effects() == []
    assert bench.link.state is State.NONE


def test_a_timed_out_stream() -> None:
    bench = Bench(position=Position(ID, 1)).begin().hear(f"{UNTIL_PSYNC}+CONTINUE\r\n")
    bench.advance(60_000)
    bench.effects()
    assert bench.link.state is State.CONNECTED
    bench.advance(1)
    assert bench.effects() == [Close(), Connect("primary", 6379)]
    assert "MASTER timeout: no data nor PING received..." in bench.notes
