"""Saving by a real process: beside clients that write, to disks that fail, and across kill -9 and signals."""

from __future__ import annotations

import random
import resource
import signal
import threading

from tests.support.peers import needs
from tests.support.servers import Fleet, Server, wait_until

KEYS = 20_000


def populated(fleet: Fleet, **directives: str) -> Server:
    server = fleet.ours(**directives)
    with server.connect() as connection:
        connection.pipeline(["SET", f"key:{i}", f"value:{i}"] for i in range(KEYS))
        for i in range(0, KEYS, 500):
            connection.pipeline(
                [
                    ["ZADD", "scores", *(word for j in range(i, i + 500) for word in (str(j), f"member:{j}"))],
                    ["HSET", "fields", *(word for j in range(i, i + 500) for word in (f"field:{j}", str(j)))],
                ]
            )
    return server


def is_saving(server: Server) -> bool:
    return server.info("persistence")["rdb_bgsave_in_progress"] == "1"


def saved(server: Server) -> None:
    wait_until(lambda: not is_saving(server), "the save has ended", timeout_s=60)


class Writers:
    """Change keys of all kinds until told to stop."""

    def __init__(self, server: Server, count: int = 3) -> None:
        self._server = server
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(count)]

    def _run(self, seed: int) -> None:
        rng = random.Random(seed)
        with self._server.connect() as connection:
            while not self._stop.is_set():
                number = rng.randrange(2 * KEYS)
                connection.ask("SET", f"key:{number}", "changed")
                connection.ask("DEL", f"key:{number + 1}")
                connection.ask("ZINCRBY", "scores", "0.5", f"member:{number}")
                connection.ask("ZREM", "scores", f"member:{number + 1}")
                connection.ask("HSET", "fields", f"field:{number}", "changed")
                connection.ask("HDEL", "fields", f"field:{number + 1}")

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@needs("redis")
def test_the_file_is_of_the_moment_at_which_the_save_began(fleet: Fleet) -> None:
    ours, redis = populated(fleet), fleet.oracle()
    before = ours.call("DEBUG", "DIGEST")
    ours.call("CONFIG", "SET", "rdb-key-save-delay", "20")  # long enough for the writers to meet it everywhere
    ours.call("BGSAVE")
    with Writers(ours):
        saved(ours)
    assert ours.info("persistence")["rdb_last_bgsave_status"] == "ok"
    assert ours.call("DEBUG", "DIGEST") != before
    redis.kill()
    (redis.directory / "dump.rdb").write_bytes((ours.directory / "dump.rdb").read_bytes())
    redis.start()
    assert redis.call("DEBUG", "DIGEST") == before


def test_killed_in_the_middle_the_old_file_stays(fleet: Fleet) -> None:
    server = populated(fleet)
    server.call("SAVE")
    before = server.call("DEBUG", "DIGEST")
    server.call("SET", "late", "1")
    server.call("CONFIG", "SET", "rdb-key-save-delay", "1000")
    server.call("BGSAVE")
    wait_until(lambda: list(server.directory.glob("temp-*.rdb")), "the draft is there")
    server.kill()
    assert len(list(server.directory.glob("temp-*.rdb"))) == 1
    server.start()
    assert server.call("DEBUG", "DIGEST") == before
    assert list(server.directory.glob("temp-*.rdb")) == []


def test_a_signal_saves_where_there_are_rules_and_ends_a_save(fleet: Fleet) -> None:
    server = populated(fleet, save="3600 1")
    before = server.call("DEBUG", "DIGEST")
    server.call("CONFIG", "SET", "rdb-key-save-delay", "1000")
    server.call("BGSAVE")
    server.call("CONFIG", "SET", "rdb-key-save-delay", "0")
    server.kill(signal.SIGTERM)
    assert list(server.directory.glob("temp-*.rdb")) == []
    assert "Saving the final RDB snapshot before exiting." in server.log_tail()
    server.start()
    assert server.call("DEBUG", "DIGEST") == before


def test_a_full_disk_stops_writes_until_there_is_room(fleet: Fleet) -> None:
    """A limit on the size of files stands for the full disk."""
    server = populated(fleet, save="3600 1")
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
    server.call("BGSAVE")
    saved(server)
    assert server.info("persistence")["rdb_last_bgsave_status"] == "err"
    assert "Background saving error" in server.log_tail()
    assert list(server.directory.glob("temp-*.rdb")) == []
    assert server.ask("SET", "a", "1").raw.startswith(b"-MISCONF Redis is configured to save RDB snapshots")
    assert server.ask("SHUTDOWN").raw.startswith(b"-ERR Errors trying to SHUTDOWN")
    assert server.call("GET", "key:1") == b"value:1"
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    server.call("BGSAVE")
    saved(server)
    assert server.call("SET", "a", "1") == b"OK"
    assert (server.directory / "dump.rdb").stat().st_size > 100_000
