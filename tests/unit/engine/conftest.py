"""What the engine's tests share: thresholds that go back to their defaults, and a check that nothing leaks."""

import gc
from collections.abc import Callable, Iterator

import pytest

from node.engine.memory import alloc
from node.engine.types.limits import set_limit

DEFAULTS = {
    "hash-max-listpack-entries": 512,
    "hash-max-listpack-value": 64,
    "set-max-intset-entries": 512,
    "set-max-listpack-entries": 128,
    "set-max-listpack-value": 64,
}


@pytest.fixture
def limit() -> Iterator[Callable[[str, int], None]]:
    yield set_limit
    for name, value in DEFAULTS.items():
        set_limit(name, value)


@pytest.fixture
def no_leak() -> Iterator[None]:
    gc.collect()  # What earlier tests left in cycles must not be freed in the middle of this one.
    before = alloc.mem_used()
    yield
    assert alloc.mem_used() == before
