"""Nodes that die at any moment of a save or a rewrite, under writers, and have afterwards what their policy promises.

`make crash` runs these at many points over many keys: CRASH_POINTS and CRASH_KEYS say how many, CRASH_SEED repeats a
run.
"""

from __future__ import annotations

import os
import random
import threading
import time

from tests.support.bulk import closer_look, fill
from tests.support.ledger import Ledger
from tests.support.resp import Connection
from tests.support.servers import Fleet, Server, wait_until

POINTS = int(os.environ.get("CRASH_POINTS", "4"))
KEYS = int(os.environ.get("CRASH_KEYS", "3000"))
SEED = int(os.environ.get("CRASH_SEED") or 0) or random.SystemRandom().randrange(1, 1 << 32)
LIVE_DBS = (9, 10, 11)
PIPELINE = 20
# What may be lost: as Redis does, a write waits for a flush under way for up to two seconds.
LOST_AT_MOST_S = {"always": 0.0, "everysec": 2.0}


class Writer(threading.Thread):
    """Writes to a database of its own, in pipelines, until the server dies."""

    def __init__(self, server: Server, database: int) -> None:
        super().__init__(daemon=True)
        self.ledger = Ledger()
        self.database = database
        self._server = server

    def run(self) -> None:
        with self._server.connect(timeout_s=60) as connection:
            connection.call("SELECT", self.database)
            while self.ledger.write(connection, PIPELINE):
                pass


class Data:
    """What a server holds beside the writers' databases."""

    def __init__(self, server: Server) -> None:
        with self._asking(server) as connection:
            fill(connection, KEYS)
            self.digest = connection.call("DEBUG", "DIGEST")
            self.closer = closer_look(connection, KEYS)

    @staticmethod
    def _asking(server: Server) -> Connection:
        return server.connect(timeout_s=120)

    def check(self, server: Server, what: str) -> None:
        """All is there; the writers' databases are emptied."""
        with self._asking(server) as connection:
            for database in LIVE_DBS:
                connection.call("SELECT", database)
                connection.call("FLUSHDB")
            connection.call("SELECT", 0)
            assert connection.call("DEBUG", "DIGEST") == self.digest, what
            assert closer_look(connection, KEYS) == self.closer, what


def seconds_of(server: Server, job: str, running: str) -> float:
    """How long a job takes here, so that the moments lie in and shortly after one."""
    began_s = time.monotonic()
    server.call(job)
    wait_until(lambda: server.info("persistence")[running] == "0", f"{job} has ended", timeout_s=120)
    return time.monotonic() - began_s


def start_again(server: Server) -> None:
    """With a million keys on a busy machine loading takes its time."""
    server.start(answering=b"")
    wait_until(lambda: server.ask("PING").body == b"PONG", "everything is loaded", timeout_s=120)


def drafts(server: Server) -> list[str]:
    """What a job that was not at its end has left behind."""
    return [path.name for path in server.directory.rglob("temp-*")]


def test_the_log_has_what_its_policy_promises(fleet: Fleet) -> None:
    print(f"\nseed {SEED}: CRASH_SEED={SEED} repeats this run")
    rng = random.Random(SEED)
    server = fleet.ours(appendonly="yes", auto_aof_rewrite_percentage="0")
    data = Data(server)
    longest_s = 1.5 * seconds_of(server, "BGREWRITEAOF", "aof_rewrite_in_progress")
    for point in range(POINTS):
        job, policy = ("BGREWRITEAOF", "BGSAVE")[point % 2], ("always", "everysec")[point // 2 % 2]
        server.call("CONFIG", "SET", "appendfsync", policy, "aof-use-rdb-preamble", rng.choice(["yes", "no"]))
        writers = [Writer(server, database) for database in LIVE_DBS]
        for writer in writers:
            writer.start()
        time.sleep(1.1 * LOST_AT_MOST_S[policy])
        server.call(job)
        wait_s = rng.uniform(0, longest_s)
        time.sleep(wait_s)
        killed_s = time.monotonic()
        server.kill()
        where = "in the middle" if drafts(server) else "after its end"
        for writer in writers:
            writer.join()
        start_again(server)
        promised = there = 0
        for writer in writers:
            sure = writer.ledger.acknowledged
            if LOST_AT_MOST_S[policy]:
                sure = writer.ledger.acknowledged_until(killed_s - LOST_AT_MOST_S[policy])
            promised += sure
            with server.connect(timeout_s=120) as connection:
                connection.call("SELECT", writer.database)
                there += writer.ledger.check(connection, sure)
        acknowledged = sum(writer.ledger.acknowledged for writer in writers)
        data.check(server, f"point {point}")
        print(
            f"point {point}: {policy}, {job}, killed {where}, after {wait_s:.3f} s; "
            f"{acknowledged} writes acknowledged, {promised} of them promised, {there} there",
            flush=True,
        )


def test_without_a_log_the_last_whole_snapshot_is_there(fleet: Fleet) -> None:
    """Exactly that: what was written since is not, and of the save that was under way nothing."""
    print(f"\nseed {SEED}: CRASH_SEED={SEED} repeats this run")
    rng = random.Random(SEED)
    server = fleet.ours(appendonly="no")
    data = Data(server)
    longest_s = 1.5 * seconds_of(server, "BGSAVE", "rdb_bgsave_in_progress")
    for point in range(max(2, POINTS // 5)):
        server.call("SAVE")
        before = (server.directory / "dump.rdb").stat().st_ino
        writer = Writer(server, LIVE_DBS[0])
        with server.connect() as connection:
            connection.call("SELECT", writer.database)
            assert writer.ledger.write(connection, 10 * PIPELINE)
        kept = writer.ledger.acknowledged
        server.call("BGSAVE")
        writer.start()
        wait_s = rng.uniform(0, longest_s)
        time.sleep(wait_s)
        server.kill()
        writer.join()
        replaced = (server.directory / "dump.rdb").stat().st_ino != before
        start_again(server)
        with server.connect(timeout_s=120) as connection:
            connection.call("SELECT", writer.database)
            writer.ledger.check(connection, *([kept, kept] if replaced else [0, 0]))
        data.check(server, f"point {point}")
        where = "after its end" if replaced else "in the middle"
        print(f"point {point}: BGSAVE, killed {where}, after {wait_s:.3f} s; exactly its snapshot is there", flush=True)
