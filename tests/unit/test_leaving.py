"""A shutdown: the data is saved first, replicas are waited for, and it may fail or be called off."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from node.config import Config
from node.leaving import Leave
from tests.support.embedded import Embedded, EmbeddedClient
from tests.support.rdb import contents
from tests.unit.persistence.test_saving import FakeDisk
from tests.unit.replication.test_replicas import attach, stream

FAILED = "ERR Errors trying to SHUTDOWN. Check logs."


class World:
    """A node with a disk; `stopped` says whether its process would have ended."""

    def __init__(self) -> None:
        config = Config()
        config.put("repl-diskless-sync-delay", 0)
        self.disk = FakeDisk()
        self.node = Embedded(config=config, disk=self.disk)
        self.core = self.node.core
        self.log: list[str] = []
        self.core.log.sink = lambda mark, text: self.log.append(text)
        self.client = self.node.client()
        self.client("SET", "a", "1")

    @property
    def stopped(self) -> bool:
        return self.node.process.stopped

    def by_signal(self, leave: Leave) -> bool:
        """Has the process ended?"""
        self.core.leaving.schedule(leave)
        assert not self.stopped
        self.node.advance(100)
        return self.stopped

    def lagging_replica(self) -> EmbeddedClient:
        """One that has not acknowledged the last write."""
        replica = attach(self.node)
        self.client("SET", "a", "2")
        return replica

    def catch_up(self, replica: EmbeddedClient) -> None:
        replica.send("REPLCONF", "ACK", self.core.engine.journal.offset)
        self.node.advance(100)

    def shutting_down_ms(self) -> int | None:
        info = self.client("INFO", "server").decode()
        return next((int(line.split(":")[1]) for line in info.split() if "shutdown_in_milliseconds" in line), None)


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("rules", "leave", "saves"),
    [
        ("3600 1", Leave(), True),
        ("3600 1", Leave(nosave=True), False),
        ("", Leave(), False),
        ("", Leave(save=True), True),
    ],
)
def test_the_data_is_saved_where_there_are_rules(world: World, rules: str, leave: Leave, saves: bool) -> None:
    world.client("CONFIG", "SET", "save", rules)
    world.client("BGSAVE")
    assert world.by_signal(leave)
    assert world.disk.drafts[0].state == "discarded"
    assert {name: contents(file) for name, file in world.disk.files.items()} == (
        {"dump.rdb": {b"a": b"1"}} if saves else {}
    )


def test_a_node_that_cannot_save_stays_unless_it_is_forced(world: World) -> None:
    world.disk.error = OSError(28, "No space left on device")
    assert not world.by_signal(Leave())
    assert world.log[-2:] == [
        "Error trying to save the DB, can't exit.",
        "Errors trying to shut down the server. Check the logs for more information.",
    ]
    assert str(world.client("SHUTDOWN")) == FAILED
    assert not world.core.leaving.asked
    assert world.client("SHUTDOWN", "FORCE") is None
    assert world.stopped


def test_what_the_loop_still_does_while_a_node_ends_saves_nothing_again(world: World) -> None:
    assert world.by_signal(Leave())
    world.node.process.stopped = False
    saved = world.log.count("Saving the final RDB snapshot before exiting.")
    world.node.advance(1000)
    assert not world.stopped
    assert world.log.count("Saving the final RDB snapshot before exiting.") == saved == 1


def test_replicas_are_waited_for_with_writes_paused(world: World) -> None:
    replica = world.lagging_replica()
    other, writer = world.node.client(), world.node.client()
    other.send("SHUTDOWN")
    assert stream(replica)[-1] == "REPLCONF GETACK *"
    assert world.shutting_down_ms() == 10_000
    assert world.client("GET", "a") == b"2"
    assert writer("SET", "a", "3") is None
    world.node.advance(4000)
    assert world.shutting_down_ms() == 6000
    assert not world.stopped
    world.catch_up(replica)
    assert world.stopped
    assert other.take() is None
    assert "1 of 1 replicas are in sync when shutting down." in world.log


def test_replicas_are_waited_for_no_longer_than_the_timeout(world: World) -> None:
    world.lagging_replica()
    world.client("CONFIG", "SET", "shutdown-timeout", "2")
    assert not world.by_signal(Leave())
    world.node.advance(1900)
    assert not world.stopped
    world.node.advance(100)
    assert world.stopped
    written = len(b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n2\r\n")
    lagging = f"Lagging replica 127.0.0.1:7000 reported offset {written} behind master, lag=2, state=online."
    assert lagging in world.log
    assert "0 of 1 replicas are in sync when shutting down." in world.log


@pytest.mark.parametrize("how", ["NOW", "timeout"])
def test_replicas_are_not_waited_for_where_nobody_wants_it(world: World, how: str) -> None:
    world.lagging_replica()
    if how == "timeout":
        world.client("CONFIG", "SET", "shutdown-timeout", "0")
    world.client.send("SHUTDOWN", *(["NOW"] if how == "NOW" else []))
    assert world.stopped


def fail(world: World, replica: EmbeddedClient) -> None:
    world.disk.error = OSError(28, "No space left on device")
    world.catch_up(replica)


def call_off(world: World, replica: EmbeddedClient) -> None:
    assert world.client("SHUTDOWN", "ABORT") == b"OK"
    assert world.log[-1] == "Shutdown manually aborted."


@pytest.mark.parametrize("end", [fail, call_off])
def test_who_waits_in_shutdown_is_told_when_it_comes_to_nothing(
    world: World, end: Callable[[World, EmbeddedClient], None]
) -> None:
    replica = world.lagging_replica()
    first, second, writer = world.node.client(), world.node.client(), world.node.client()
    first.send("SHUTDOWN")
    second.send("SHUTDOWN")
    writer.send("SET", "a", "3")
    end(world, replica)
    assert [str(each.take()) for each in (first, second)] == [FAILED, FAILED]
    assert writer.take() == b"OK"
    assert world.shutting_down_ms() is None
    assert not world.stopped


def test_a_signal_can_be_called_off_before_it_is_heeded(world: World) -> None:
    world.core.leaving.schedule(Leave())
    assert world.client("SHUTDOWN", "ABORT") == b"OK"
    world.node.advance(100)
    assert not world.stopped
    assert str(world.client("SHUTDOWN", "ABORT")) == "ERR No shutdown in progress."


def test_a_pause_of_clients_outlives_that_of_a_shutdown(world: World) -> None:
    world.lagging_replica()
    assert not world.by_signal(Leave())
    world.client("CLIENT", "PAUSE", "60000", "ALL")
    reader = world.node.client()
    reader.send("GET", "a")
    assert world.core.leaving.abort()
    assert reader.take() is None
    world.node.advance(60_000)
    assert reader.take() == b"2"


class HandsOver:
    """As much of a cluster as a primary needs to hand over to its replica, which takes over at once."""

    def __init__(self) -> None:
        self.core = self.myself = self.manual = self
        self.is_replica = self.under_way = False

    def successors(self) -> list[str]:
        return ["the replica"]

    def leave(self, leaving: bool) -> None:
        pass

    def hand_over(self) -> None:
        self.is_replica = True


@pytest.mark.parametrize("handed_over", [False, True])
def test_a_log_that_begins_anew_keeps_nobody_who_has_handed_over(
    world: World, monkeypatch: pytest.MonkeyPatch, handed_over: bool
) -> None:
    attach(world.node)
    monkeypatch.setattr(world.core.aof, "may_leave", lambda force: force)
    if handed_over:
        monkeypatch.setattr(world.core, "clustering", HandsOver())
    world.core.leaving.schedule(Leave())
    for _ in range(20):
        world.core.space.now_ms += 100
        world.core.leaving.tick(world.core.space.now_ms)
    assert world.stopped is handed_over
