"""active-expire-effort: with more of it, fewer dead keys are enough for the walk to come again soon."""

from __future__ import annotations

import pytest

from tests.support.embedded import Embedded


@pytest.mark.parametrize(("effort", "again"), [(1, False), (10, True)])
def test_how_many_dead_keys_are_tolerated(effort: int, again: bool) -> None:
    node = Embedded()
    client, space = node.client(), node.core.space
    for i in range(5000):
        client("SET", f"k{i}", "v", "PX", 10 if i % 20 == 0 else 1_000_000)
    space.now_ms += 100
    assert space.expire_some(100, effort) is again
