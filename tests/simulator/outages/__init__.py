"""How long a shard is without a writer, seed by seed.

One primary of three shards goes, and nothing else happens, so that each outage that is longer than the others is a
story of its own. When overloaded, all processes stutter, as on a machine that has too much to do.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.simulator.clock import MS, SECOND
from tests.simulator.faults import Fault, Freeze, Kill, Stop, Stutter
from tests.simulator.parameters import derive
from tests.simulator.world import World

TIMEOUT_MS = 5000
SETTLING_US = 5 * SECOND
LONGEST_MS = 60_000
LOOK_US = 5 * MS

FAULTS: dict[str, type[Fault]] = {"killed": Kill, "frozen": Freeze, "stopped": Stop}

LIMITS_MS = {
    ("killed", False): 500,
    ("killed", True): 3000,
    ("frozen", False): TIMEOUT_MS + 1000,
    ("frozen", True): TIMEOUT_MS + 4000,
    ("stopped", False): 300,
    ("stopped", True): 3000,
}
"""By fault and overload, what no outage may take. Silence is not counted while the one who waits is stalled itself."""


def outage_ms(seed: int, fault: str, overloaded: bool, tell: Callable[[str], None] | None = None) -> int:
    """From the moment at which the primary of the first shard is struck to the next at which another accepts writes."""
    world = World(derive(seed, shards=3, replicas=1, node_timeout_ms=TIMEOUT_MS), tell=tell)
    world.form()
    world.start_clients()
    timeline, slot = world.timeline, world.slots[0]
    if overloaded:
        Stutter(timeline.now_us, LONGEST_MS * MS, tuple(host.number for host in world.hosts)).begin(world)
    timeline.run_until(timeline.now_us + SETTLING_US)
    while not _can_be_replaced(world, slot):
        timeline.run_until(timeline.now_us + LOOK_US)
    victim = next(process.host for process in world.running() if process.accepts(slot))
    struck_us = timeline.now_us
    world.trace.story(struck_us, "!", f"{victim.name} is {fault}")
    FAULTS[fault](struck_us, 0, (victim.number,)).begin(world)
    while not any(process.host is not victim and process.accepts(slot) for process in world.running()):
        if timeline.now_us - struck_us > LONGEST_MS * MS:
            break
        timeline.run_until(timeline.now_us + LOOK_US)
    return (timeline.now_us - struck_us) // MS


def _can_be_replaced(world: World, slot: int) -> bool:
    """Whether the slot has a writer, and all replicas have data."""
    replicas = [host.process for host in world.hosts if host.process and host.process.core.myself.is_replica]
    synced = all(process.store.in_sync and process.store.offset for process in replicas)
    return synced and any(process.accepts(slot) for process in world.running())
