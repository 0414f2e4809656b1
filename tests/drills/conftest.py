"""What the drills share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.hosts import Network, network

# The long ones are for `make drills`; those without this mark belong to the ordinary suite.
long_drill = pytest.mark.skipif(not os.environ.get("SHARDIS_DRILLS"), reason="a long drill: make drills")


@pytest.fixture
def nine_hosts() -> Iterator[Network]:
    """Hosts 1 to 9 for the nodes of a drill; the test is on a host that reaches all of them."""
    with network(9) as net:
        yield net
