"""maxmemory-clients on real connections: who takes too much is gone before the next client's command runs."""

from __future__ import annotations

import pytest

from tests.support.resp import CLOSED
from tests.support.servers import Fleet

LIMIT = 500_000
TOO_MUCH = LIMIT + 20_000
BIG = b"x" * 200_000


@pytest.fixture
def limits() -> dict[str, str]:
    return {"save": "", "maxmemory-clients": str(LIMIT)}


def test_a_client_that_announces_too_much_is_gone_for_the_next_one(fleet: Fleet, limits: dict[str, str]) -> None:
    node = fleet.ours(**limits)
    for number in range(20):
        with node.connect() as greedy:
            greedy.call("CLIENT", "SETNAME", f"greedy{number}")
            greedy.send_raw(b"*1\r\n$%d\r\n" % TOO_MUCH + b"x" * TOO_MUCH)
            assert f"name=greedy{number} ".encode() not in node.call("CLIENT", "LIST")


def test_a_queue_that_grows_too_long_costs_the_connection(fleet: Fleet, limits: dict[str, str]) -> None:
    node = fleet.ours(**limits)
    with node.connect() as modest, node.connect() as greedy:
        for client in (modest, greedy):
            assert client.call("MULTI") == b"OK"
        assert modest.call("SET", "k", BIG) == b"QUEUED"
        frames = []
        try:
            for _ in range(4):
                frames.append(greedy.ask("SET", "k", BIG))
        except OSError:
            frames.append(CLOSED)
        assert CLOSED in frames
        assert modest.call("EXEC") == [b"OK"]
    assert node.info("stats")["evicted_clients"] == "1"
