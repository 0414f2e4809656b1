"""What a seed stands for: the size and the nature of its world, and independent sources of chance for its parts.

Each part draws from a source of its own, named after it. So a fault that is left out when somebody looks for the cause
of a failure does not change what the network or the clients do otherwise.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.simulator.clock import MS, SECOND

PERSISTENCE = ["always", "always", "none"]
"""How the data is kept on disk: always, everysec, or none.

Not drawn is everysec: a primary that comes back after a loss of power with older data than its replicas makes them
throw theirs away, since nobody can tell whether it is the newer data that is right.
"""

OVERLOADED = 0.2
"""How many worlds run on machines that have too much to do."""

OVERLAPPING = 0.3
"""In how many worlds, besides other faults, partitions follow each other with sides that differ by a few hosts."""


def source(seed: int, name: str) -> random.Random:
    """The source of chance for one part of a world. The same in every process, whatever PYTHONHASHSEED is."""
    return random.Random(f"{seed}/{name}")


@dataclass(frozen=True, slots=True)
class Parameters:
    """One world. Everything is derived from the seed, or given to `derive` by a caller who wants it so."""

    seed: int
    shards: int
    replicas: int
    node_timeout_ms: int
    latency_us: int
    jitter_us: int
    sync_us: int
    min_acks: int
    backlog_size: int
    persistence: str  # of the data: always, everysec or none
    clients: int
    client_pause_us: int
    faults: int
    storm_us: int  # how long faults go on
    overloaded: bool  # whether all processes stutter meanwhile
    overlapping: bool  # whether partitions overlap, with restarts and freezes inside them

    @property
    def nodes(self) -> int:
        return self.shards * (1 + self.replicas)

    def __str__(self) -> str:
        return (
            f"{self.shards} shards with {self.replicas} replicas, node timeout {self.node_timeout_ms} ms, "
            f"{self.faults} faults{' under overload' if self.overloaded else ''}"
            f"{' and overlapping partitions' if self.overlapping else ''}, min-acks {self.min_acks}, "
            f"persistence {self.persistence}"
        )


def derive(
    seed: int,
    shards: int | None = None,
    replicas: int | None = None,
    node_timeout_ms: int | None = None,
    faults: int | None = None,
    overloaded: int | None = None,
    overlapping: int | None = None,
) -> Parameters:
    """The parameters of a seed."""
    rng = source(seed, "parameters")
    drawn_shards = rng.choice([1, 2, 3, 3, 3, 3, 4, 5])
    drawn_replicas = rng.choice([0, 1, 1, 1, 2, 2, 3])
    drawn_timeout_ms = rng.choice([500, 1000, 2000, 2000, 5000])
    drawn_faults = rng.randrange(1, 9)
    chosen_replicas = drawn_replicas if replicas is None else replicas
    chosen_timeout_ms = drawn_timeout_ms if node_timeout_ms is None else node_timeout_ms
    return Parameters(
        seed=seed,
        shards=drawn_shards if shards is None else shards,
        replicas=chosen_replicas,
        node_timeout_ms=chosen_timeout_ms,
        latency_us=rng.choice([50, 200, 500, 2000]),
        jitter_us=rng.choice([0, 500, 5000, 40_000]),
        sync_us=rng.choice([100, 2000, 20_000]),
        min_acks=min(chosen_replicas, rng.choice([0, 1, 1, 1])),
        backlog_size=rng.choice([5, 50, 1000]),
        persistence=rng.choice(PERSISTENCE),
        clients=rng.choice([1, 2, 3]),
        client_pause_us=rng.choice([50, 200, 500]) * MS,
        faults=drawn_faults if faults is None else faults,
        storm_us=8 * chosen_timeout_ms * MS + 5 * SECOND,
        overloaded=source(seed, "overload").random() < OVERLOADED if overloaded is None else bool(overloaded),
        overlapping=source(seed, "overlap").random() < OVERLAPPING if overlapping is None else bool(overlapping),
    )
