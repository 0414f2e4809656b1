"""Replicas whose link to their primary breaks, stalls or finds another role at its other end, at a moment that counts.

The plans of the seeds draw the same; here it is made sure that each moment is really met.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from tests.sim.test_failover import Trial
from tests.sim.test_overlaps import replicas_of
from tests.simulator.clock import SECOND
from tests.simulator.faults import AMBUSHES, Ambush, BusCut, CutInTransaction, Failover, Kill
from tests.simulator.parameters import Parameters, derive
from tests.simulator.world import run

SEEN = {
    "CutInHandshake": "link lost in handshake",
    "CutInSnapshot": "link lost in sync",
    "CutInTransaction": "link lost in connected, in a transaction",
    "CutBehindWrite": "link lost in connected, in a transaction behind a write of the same piece",
    "Silence": "logged: Timeout receiving bulk data from MASTER.",
    "DeathWhileLoading": "process ended with its link in loading",
    "FailoverInHandshake": "demoted while a replica synchronises",
}


def parameters(seed: int) -> Parameters:
    """Of a small cluster with much to cut."""
    drawn = derive(seed, shards=1, replicas=2, faults=0, overloaded=0, overlapping=0)
    return replace(drawn, transactions=0.5, cut_chance=0.3, repl_timeout_ms=2000, repl_ping_ms=400, load_us=SECOND)


@pytest.mark.parametrize("kind", dict.fromkeys(AMBUSHES))
def test_each_ambush_meets_its_moment(kind: type[Ambush]) -> None:
    seen: Counter[str] = Counter()
    for seed in range(1, 9):
        outcome = run(parameters(seed), plan=[kind(8 * SECOND, 8 * SECOND, (2 + seed % 2,))])
        assert not outcome.problem, f"seed {seed}: {outcome.problem}"
        seen += outcome.seen
    assert seen[f"struck: {kind.__name__}"] >= 2
    assert seen[SEEN[kind.__name__]] >= 1


def test_siblings_of_the_winner_go_on_by_the_name_that_the_history_had() -> None:
    outcome = run(parameters(1), plan=[Kill(8 * SECOND, 4 * SECOND, (1,))])
    assert not outcome.problem
    assert outcome.seen["went on by the second id"]


def test_a_replica_that_hears_nothing_follows_one_that_is_a_replica_now() -> None:
    trial = Trial(3, shards=3, replicas=2)
    world, before = trial.world, trial.owner()
    deaf, heir = replicas_of(trial, before)
    cut = BusCut(0, 0, (deaf.number,), trial.others(deaf))
    cut.begin(world)
    Failover(0, 0, (heir.number,)).begin(world)
    trial.wait(4000)
    assert trial.owner() is heir
    assert deaf.process.store.follower.primary[0] == before.process.id
    assert world.seen["a replica of a replica"]
    written = set(world.ledger.acked)
    trial.wait(500)
    assert {n for n in written if world.ledger.acked[n] == world.slots[0]} <= set(deaf.process.store.data)
    cut.end(world)
    world.finish()


def test_a_cut_within_a_transaction_is_no_matter_of_luck() -> None:
    """The same seed meets it again."""
    plan = [CutInTransaction(8 * SECOND, 4 * SECOND, (2,))]
    one, other = (run(parameters(2), plan=list(plan)) for _ in range(2))
    assert one.digest == other.digest
    assert one.seen == other.seen
