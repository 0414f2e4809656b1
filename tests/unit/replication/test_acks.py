"""What follows from what replicas have acknowledged."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from node.replication.acks import count, descending, has_been_read, release


@dataclass
class Replica:
    offset: int
    is_online: bool = True


@dataclass
class Client:
    written: int


REPLICAS = [Replica(10), Replica(30), Replica(99, is_online=False), Replica(20)]


@pytest.mark.parametrize(("offset", "wanted"), [(0, 3), (10, 3), (11, 2), (20, 2), (30, 1), (31, 0)])
def test_replicas_that_have_not_all_data_acknowledge_nothing(offset: int, wanted: int) -> None:
    assert count(REPLICAS, offset) == wanted
    offsets = descending(REPLICAS)
    assert [has_been_read(offset, number, offsets) for number in range(5)] == [number <= wanted for number in range(5)]


def test_replies_go_when_enough_replicas_stand_behind_them() -> None:
    early, late, never = Client(20), Client(25), Client(31)
    assert release([late, early, never], 2, REPLICAS, lease_runs=True) == ([early], [late, never])
    assert release([late, early, never], 1, REPLICAS, lease_runs=True) == ([late, early], [never])
    assert release([late, early, never], 0, REPLICAS, lease_runs=True) == ([late, early, never], [])


def test_who_may_have_been_replaced_answers_nobody() -> None:
    clients = [Client(1), Client(2)]
    assert release(clients, 1, REPLICAS, lease_runs=False) == ([], clients)
