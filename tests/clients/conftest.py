"""A cluster of three of our nodes, formed over the wire, for the clients to work with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.servers import Fleet, Server, form_cluster


@pytest.fixture(scope="module")
def trio(session_fleet: Fleet) -> Iterator[list[Server]]:
    nodes = [session_fleet.ours(f"trio-{i}", cluster_enabled="yes") for i in range(3)]
    form_cluster(nodes)
    yield nodes
    session_fleet.end(*nodes)


@pytest.fixture(autouse=True)
def _emptied(request: pytest.FixtureRequest) -> None:
    if "trio" in request.fixturenames:
        for node in request.getfixturevalue("trio"):
            node.call("FLUSHALL")
