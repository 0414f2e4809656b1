"""A cluster of processes under load, to which something is done: the frame of all drills.

    with drill.load() as history:
        since = drill.kill(0)
        history.await_write(0, since, timeout_s=10)
    drill.check(history)

Shards are numbered by the primaries they began with. A drill waits for conditions with generous limits; how long things
took is printed, not asserted, since a machine may be busy.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from cluster.agreement.slots import SLOTS, key_slot
from tests.support import peers
from tests.support.history import Ack, History
from tests.support.hosts import Host
from tests.support.resp import Connection
from tests.support.servers import Fleet, Server, form_cluster, wait_until
from tests.support.writers import Writer

NODE_TIMEOUT_MS = 2000
RECOVERY_S = 20.0  # a generous bound on any fail-over at that timeout, also on a busy machine

OURS_ONLY = {"min_acks", "min_acks_timeout", "cluster_coverage_grace_ms"}  # directives that redis-server does not know
UNSAFE_S = 0.5  # by so much a replica may be behind on a busy machine
WARM = 100  # writes to each shard before something is done to it


class Drill:
    """`shards` shards with `replicas` replicas each. `kinds` says of each node whether it is "ours" or "redis", the
    primaries first; `hosts` where it runs."""

    def __init__(
        self,
        fleet: Fleet,
        shards: int = 3,
        replicas: int = 1,
        kinds: Sequence[str] = (),
        hosts: Sequence[Host] = (),
        **directives: str,
    ) -> None:
        settings = {
            "cluster_enabled": "yes",
            "cluster_node_timeout": str(NODE_TIMEOUT_MS),
            "repl_diskless_sync_delay": "0",
            **directives,
        }
        count = shards * (1 + replicas)
        self.fleet = fleet
        self.nodes: list[Server] = []
        for at in range(count):
            kind = kinds[at] if kinds else "ours"
            command = fleet.ours_command if kind == "ours" else peers.command(kind)
            own = dict(settings)
            if hosts:
                own |= {"bind": f"127.0.0.1 {hosts[at].address}", "protected_mode": "no"}
            if kind != "ours":
                own = {name: value for name, value in own.items() if name not in OURS_ONLY}
            server = fleet.prepare(command, f"{kind}-{at}", own)
            if hosts:
                server.host, server.enter = hosts[at].address, hosts[at].enter
            self.nodes.append(server)
        fleet.start_together(*self.nodes)
        form_cluster(self.nodes[:shards], self.nodes[shards:])
        self.shards = [self.nodes[shard::shards] for shard in range(shards)]
        self.tags = [_tag_in(shard * SLOTS // shards, (shard + 1) * SLOTS // shards) for shard in range(shards)]

    def primary(self, shard: int) -> Server:
        """The shard's node that was its primary in the beginning."""
        return self.shards[shard][0]

    @contextlib.contextmanager
    def load(self, everywhere: Sequence[int] = ()) -> Iterator[History]:
        """Clients write to all shards meanwhile; to each node of the shards in `everywhere` on its own, too."""
        history = History()
        writers = [Writer(history, at, self.tags[at], nodes) for at, nodes in enumerate(self.shards)]
        writers += [Writer(history, at, self.tags[at], [node]) for at in everywhere for node in self.shards[at]]
        for writer in writers:
            writer.start()
        try:
            wait_until(lambda: all(len(history.acks[at]) >= WARM for at in range(len(self.shards))), "writes flow")
            yield history
        finally:
            for writer in writers:
                writer.stop()

    def kill(self, *servers: Server) -> float:
        """End these processes at the same moment, as a crash does; returns when."""
        since = self.signal(signal.SIGKILL, *servers)
        for server in servers:
            server.kill()
        return since

    def signal(self, number: int, *servers: Server) -> float:
        """Send a signal to these processes; returns when."""
        since = time.monotonic()
        for server in servers:
            os.kill(server.pid, number)
        return since

    def owner(self, shard: int) -> Server:
        """The node that accepts the shard's writes, which must be one; waits until there is one."""

        def accepting() -> list[Server]:
            return [node for node in self.nodes if node.alive() and self._accepts(node, shard)]

        found = wait_until(accepting, f"shard {shard} has an owner", RECOVERY_S)
        assert len(found) == 1, f"shard {shard} is owned by {[node.name for node in found]}"
        return found[0]

    def _accepts(self, server: Server, shard: int) -> bool:
        return server.ask("SET", f"{{{self.tags[shard]}}}:owner", server.name).body == b"OK"

    def await_health(self, *without: Server, timeout_s: float = 3 * RECOVERY_S) -> None:
        """Wait until all living nodes agree that the cluster serves all slots, each shard has one owner, and all its
        other living nodes follow that one."""
        nodes = [node for node in self.nodes if node not in without]
        wait_until(lambda: all(_content(node) for node in nodes), "all nodes are content", timeout_s, every_s=0.05)
        wait_until(lambda: len({_ownership(node) for node in nodes}) == 1, "all nodes name the same owners", timeout_s)

    def lost(self, history: History, shard: int) -> list[Ack]:
        """The acknowledged writes that the shard's owner does not have."""
        with self.owner(shard).connect() as connection:
            return history.lost(shard, partial(_values, connection))

    def check(self, history: History, unsafe: Mapping[int, tuple[float, float]] | None = None) -> None:
        """Every acknowledged write is there; prints the figures. Replication is asynchronous: of a shard that does not
        wait for it (`min-acks`), what was sent in an `unsafe` time, before its primary was lost, may be missing."""
        for shard in range(len(self.shards)):
            lost, total = self.lost(history, shard), len(history.acks[shard])
            print(f"shard {shard}: {total} writes acknowledged, longest outage {history.outage_s(shard):.3f} s")
            begin, end = (unsafe or {}).get(shard, (0.0, 0.0))
            lost = [ack for ack in lost if not begin - UNSAFE_S < ack.sent < end]
            assert not lost, f"{len(lost)} of {total} acknowledged writes are lost: {lost[:2]} ... {lost[-2:]}"


def _values(connection: Connection, keys: Sequence[str]) -> list[bytes | None]:
    return [frame.value for frame in connection.pipeline(("GET", key) for key in keys)]


def _tag_in(first: int, end: int) -> str:
    return next(tag for tag in map(str, range(SLOTS)) if first <= key_slot(tag.encode()) < end)


def _content(server: Server) -> bool:
    """Whether the node serves, and follows its primary where it is a replica. One that loads its data does not."""
    if not server.alive() or b"cluster_state:ok" not in server.ask("CLUSTER", "INFO").body:
        return False
    replication = server.info("replication")
    return replication["role"] == "master" or replication["master_link_status"] == "up"


def _ownership(server: Server) -> str:
    """What CLUSTER NODES says of the owners, in a form that is the same at every node that does not load its data."""
    answer = server.ask("CLUSTER", "NODES")
    if answer.is_error:
        return f"{server.name}: {answer.value}"
    rows = (line.split() for line in answer.value.decode().splitlines())
    return "\n".join(
        sorted(f"{row[0]} {row[3]} {' '.join(row[8:])}" for row in rows if "fail" not in row[2].split(","))
    )
