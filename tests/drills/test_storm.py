"""One misfortune after the other, drawn from a seed: what the other drills leave out by being tidy.

    SHARDIS_DRILLS=1 STORM_SEED=7 STORM_ROUNDS=100 .venv/bin/python -m pytest -n 0 -s tests/drills/test_storm.py

A round strikes one or two shards, lasts about as long as the node timeout, and ends with all nodes well again. A seed
says what happens, and whether nodes have files (odd ones do); when exactly each thread runs is up to the machine.
"""

from __future__ import annotations

import os
import random
import signal
import time

from tests.drills.conftest import long_drill
from tests.support.drill import NODE_TIMEOUT_MS, RECOVERY_S, Drill
from tests.support.hosts import Network
from tests.support.servers import Fleet, Server
from tests.support.switch import Line

SEED = int(os.environ.get("STORM_SEED", "1"))
ROUNDS = int(os.environ.get("STORM_ROUNDS", "12"))
NODES = range(1, 10)


class Storm:
    """Strikes nodes: each method is a misfortune that lasts until `end`."""

    def __init__(self, drill: Drill, net: Network, rng: random.Random) -> None:
        self.drill = drill
        self._net = net
        self._rng = rng
        self._down: list[Server] = []
        self._frozen: list[Server] = []

    def kill(self, node: Server) -> None:
        self.drill.kill(node)
        self._down.append(node)

    def update(self, node: Server) -> None:
        """It is told to end, as in a rolling update."""
        node.kill(signal.SIGTERM)
        self._down.append(node)

    def freeze(self, node: Server) -> None:
        self.drill.signal(signal.SIGSTOP, node)
        self._frozen.append(node)

    def cut_off(self, node: Server) -> None:
        self._net.cut([self._number(node)], NODES)

    def cut_one_way(self, node: Server) -> None:
        sides = [[self._number(node)], list(NODES)]
        self._rng.shuffle(sides)
        self._net.cut(*sides, both=False)

    def silence_bus(self, node: Server) -> None:
        ports = frozenset(each.port + 10000 for each in self.drill.nodes)
        self._net.set_line([self._number(node)], NODES, Line(loss=1.0, ports=ports))

    def worsen_lines(self, node: Server) -> None:
        self._net.set_line([self._number(node)], NODES, Line(loss=0.3, delay_s=0.05, jitter_s=0.2))

    def end(self) -> None:
        self._net.heal()
        for node in self._frozen:
            self.drill.signal(signal.SIGCONT, node)
        self.drill.fleet.restart(*self._down)
        self._frozen.clear()
        self._down.clear()

    def _number(self, node: Server) -> int:
        return self.drill.nodes.index(node) + 1


MISFORTUNES = (
    Storm.kill,
    Storm.update,
    Storm.freeze,
    Storm.cut_off,
    Storm.cut_one_way,
    Storm.silence_bus,
    Storm.worsen_lines,
)


@long_drill
def test_a_storm(nine_hosts: Network, fleet: Fleet) -> None:
    rng = random.Random(SEED)
    hosts = [nine_hosts.hosts[number] for number in NODES]
    files = "yes" if SEED % 2 else "no"
    drill = Drill(fleet, replicas=2, hosts=hosts, min_acks="1", min_acks_timeout="1000", appendonly=files)
    storm = Storm(drill, nine_hosts, rng)
    with drill.load(everywhere=range(3)) as history:
        for number in range(1, ROUNDS + 1):
            since = time.monotonic()
            struck = [
                (rng.choice(MISFORTUNES), drill.owner(shard) if rng.random() < 0.7 else rng.choice(drill.shards[shard]))
                for shard in rng.sample(range(3), rng.choice((1, 1, 2)))
            ]
            lasts_s = rng.uniform(0.2, 2.5) * NODE_TIMEOUT_MS / 1000
            told = ", ".join(f"{misfortune.__name__} {node.name}" for misfortune, node in struck)
            print(f"seed {SEED} round {number}: {told} for {lasts_s:.1f} s", flush=True)
            for misfortune, node in struck:
                misfortune(storm, node)
            time.sleep(lasts_s)
            storm.end()
            ended = time.monotonic()
            for shard in range(3):
                history.await_write(shard, ended, RECOVERY_S)
            drill.await_health()
            fared = [f"{history.owners(at, since)} {history.outage_s(at, since):.1f} s" for at in range(3)]
            print(f"  well after {time.monotonic() - ended:.1f} s; {', '.join(fared)}", flush=True)
    drill.check(history)
