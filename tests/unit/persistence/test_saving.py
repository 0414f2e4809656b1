"""When the data is saved, and what becomes of writes while the disk fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from node.persistence.saving import WAITING_MAX
from node.persistence.snapshots import Next
from tests.support.embedded import Embedded, EmbeddedClient
from tests.support.rdb import contents

START_MS = 1_000_000


class FakeDraft:
    def __init__(self, disk: FakeDisk, name: str, on_end: Callable[[OSError | None], None]) -> None:
        self.disk, self.name, self.on_end = disk, name, on_end
        self.data = b""
        self.waiting_bytes = 0
        self.state = "open"

    def write(self, piece: bytes) -> None:
        self.data += piece

    def commit(self) -> None:
        self.state = "complete"

    def discard(self) -> None:
        self.state = "discarded"

    def settle(self) -> None:
        """What the thread does in its own time."""
        assert self.state == "complete"
        if self.disk.error is None:
            self.disk.files[self.name] = self.data
        self.on_end(self.disk.error)


class FakeDisk:
    """Files in memory; `error` is what every write runs into."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.error: OSError | None = None
        self.drafts: list[FakeDraft] = []

    def map(self, name: str) -> bytes | None:
        return self.files.get(name)

    def replace(self, name: str, pieces: Iterable[bytes]) -> None:
        data = b"".join(pieces)
        if self.error is not None:
            raise self.error
        self.files[name] = data

    def draft(self, name: str, flushing: bool, on_end: Callable[[OSError | None], None]) -> FakeDraft:
        self.drafts.append(FakeDraft(self, name, on_end))
        return self.drafts[-1]


class World:
    def __init__(self) -> None:
        self.disk = FakeDisk()
        self.node = Embedded(now_ms=START_MS, disk=self.disk)
        self.client: EmbeddedClient = self.node.client()

    def __call__(self, line: str) -> object:
        reply = self.client(*line.split())
        return reply.decode() if isinstance(reply, bytes) else reply

    def walk(self) -> None:
        """Until the snapshots are through."""
        while self.node.core.snapshots.step(1000) is not Next.NEVER:
            pass

    def background(self) -> None:
        """Until the save in the background has ended."""
        self.walk()
        self.disk.drafts[-1].settle()

    def saved(self) -> dict[bytes, object]:
        return contents(self.disk.files["dump.rdb"])

    def info(self, field: str) -> str:
        text = self.client("INFO", "persistence")
        assert isinstance(text, bytes)
        return dict(line.split(":", 1) for line in text.decode().split("\r\n") if ":" in line)[field]


@pytest.fixture
def world() -> World:
    return World()


def test_a_save_in_the_background_is_of_the_moment_it_began(world: World) -> None:
    world("SET a 1")
    world("SET b 2")
    assert world("BGSAVE") == "Background saving started"
    assert world.info("rdb_bgsave_in_progress") == "1"
    world("SET a changed")
    world("SET c 3")
    world.node.advance(3000)
    world.background()
    assert world.saved() == {b"a": b"1", b"b": b"2"}
    assert world.info("rdb_bgsave_in_progress") == "0"
    assert world.info("rdb_changes_since_last_save") == "2"
    assert world.info("rdb_last_bgsave_time_sec") == "3"
    assert world.info("rdb_saves") == "1"
    assert world("LASTSAVE") == (START_MS + 3000) // 1000


def test_one_at_a_time(world: World) -> None:
    world("SET a 1")
    world("BGSAVE")
    for line in ("BGSAVE", "BGSAVE SCHEDULE", "SAVE"):
        assert "ERR Background save already in progress" in str(world(line))
    world.background()
    assert world("SAVE") == "OK"


def test_not_beside_a_rewrite_of_the_log(world: World) -> None:
    rewriting = True
    world.node.core.saving.rewriting = lambda: rewriting
    assert "Another child process is active" in str(world("BGSAVE"))
    assert world("BGSAVE SCHEDULE") == "Background saving scheduled"
    world.node.advance(100)
    assert world.disk.drafts == []
    rewriting = False
    world.node.advance(100)
    assert len(world.disk.drafts) == 1


def test_in_a_transaction_it_is_scheduled(world: World) -> None:
    world("MULTI")
    world("BGSAVE")
    assert world("EXEC") == [b"Background saving scheduled"]
    world.node.advance(100)
    assert len(world.disk.drafts) == 1


def test_the_rules(world: World) -> None:
    world.client("CONFIG", "SET", "save", "10 3")
    world("MSET a 1 b 2")
    world.node.advance(60_000)
    assert world.disk.drafts == []  # two changes are too few
    world("SET c 3")
    world.node.advance(100)
    world.background()
    assert len(world.saved()) == 3
    world("MSET a 1 b 2 c 3")
    world.node.advance(9_000)
    assert len(world.disk.drafts) == 1  # too early
    world.node.advance(2_000)
    assert len(world.disk.drafts) == 2


def test_after_a_failure_the_rules_wait_a_little(world: World) -> None:
    world.client("CONFIG", "SET", "save", "1 1")
    world.disk.error = OSError(28, "No space left on device")
    world("SET a 1")
    world.node.advance(2_000)
    world.background()
    assert world.info("rdb_last_bgsave_status") == "err"
    world.node.advance(4_000)
    assert len(world.disk.drafts) == 1
    world.node.advance(2_000)
    assert len(world.disk.drafts) == 2
    world.disk.error = None
    world.background()
    assert world.info("rdb_last_bgsave_status") == "ok"
    assert world("SET a 2") == "OK"


def test_writes_are_refused_while_the_disk_fails(world: World) -> None:
    world("SET a 1")
    world.disk.error = OSError(5, "Input/output error")
    world("BGSAVE")
    world.background()
    for line in ("SET a 2", "PING", "HSET h f v", "DEL a"):
        assert str(world(line)).startswith("MISCONF Redis is configured to save RDB snapshots"), line
    assert world("GET a") == "1"
    world("MULTI")
    assert "MISCONF" in str(world("SET a 2"))
    assert "EXECABORT" in str(world("EXEC"))
    world.client("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
    assert world("SET a 2") == "OK"
    world.client("CONFIG", "SET", "stop-writes-on-bgsave-error", "yes")
    assert "MISCONF" in str(world("SET a 3"))
    world.client("CONFIG", "SET", "save", "")
    assert world("SET a 3") == "OK"
    world.client("CONFIG", "SET", "save", "100 1")
    assert "MISCONF" in str(world("SET a 4"))
    world.disk.error = None
    world("SAVE")
    assert world("SET a 4") == "OK"


def test_a_slow_disk_slows_the_walk(world: World) -> None:
    for number in range(5000):
        world(f"SET key:{number} value")
    world("BGSAVE")
    draft = world.disk.drafts[0]
    draft.waiting_bytes = WAITING_MAX
    assert world.node.core.snapshots.step(1000) is Next.SOON
    assert draft.data == b""
    draft.waiting_bytes = 0
    world.background()
    assert len(world.saved()) == 5000


def test_flushall_ends_a_save_and_saves_the_emptiness(world: World) -> None:
    world("SET a 1")
    world("BGSAVE")
    world("FLUSHALL")
    assert world.disk.drafts[0].state == "discarded"
    assert world.info("rdb_bgsave_in_progress") == "0"
    assert world.info("rdb_last_bgsave_status") == "ok"
    assert world.saved() == {}
    assert world.info("rdb_changes_since_last_save") == "0"
