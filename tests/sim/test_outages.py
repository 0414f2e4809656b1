"""How long a shard has no writer after its primary has gone, also on machines that have too much to do."""

import pytest

from tests.simulator.outages import FAULTS, LIMITS_MS, outage_ms

SLOW_ONCE = [
    ("killed", 96),  # a stall put the second attempt to connect, which shows that a process is dead, off by seconds
    ("killed", 26),  # the same
]


@pytest.mark.parametrize("overloaded", [False, True])
@pytest.mark.parametrize("fault", FAULTS)
def test_outages_are_bounded(fault: str, overloaded: bool) -> None:
    for seed in range(1, 6):
        assert outage_ms(seed, fault, overloaded) <= LIMITS_MS[fault, overloaded], f"seed {seed}"


@pytest.mark.parametrize(("fault", "seed"), SLOW_ONCE)
def test_seeds_that_were_slow_once(fault: str, seed: int) -> None:
    assert outage_ms(seed, fault, overloaded=True) <= LIMITS_MS[fault, True]
