"""Where our data stands in which history, after whatever may happen to it."""

from __future__ import annotations

import random

import pytest

from node.replication.history import NO_ID, History
from node.replication.lineage import Lineage, stated_database
from node.replication.link import Position

A = "a" * 40
B = "b" * 40
AT_A = {b"repl-id": A.encode(), b"repl-offset": b"100", b"repl-stream-db": b"3", b"ctime": b"7"}


class Stream:
    """Counts what is relayed, and notes what becomes of it."""

    def __init__(self) -> None:
        self.offset = 0
        self.kept = False

    def relay(self, data: bytes) -> None:
        self.offset += len(data)

    def restart(self, offset: int) -> None:
        self.offset = offset

    def keep(self) -> None:
        self.kept = True


class Node:
    """One whose replicas are counted each time that they are sent away."""

    def __init__(self) -> None:
        self.stream = Stream()
        self.sent_away = 0
        self.lineage = Lineage(History(random.Random(1)), self.stream, self.send_away)
        self.history = self.lineage.history

    def send_away(self) -> None:
        self.sent_away += 1


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def replica(node: Node) -> Node:
    """A node in the history A, at 100."""
    node.lineage.follow()
    node.lineage.drop_past()
    node.lineage.replaced(A, 100, 3)
    node.sent_away = 0
    return node


def test_a_primary_that_becomes_a_replica_offers_its_own_history(node: Node) -> None:
    node.stream.offset = 50
    assert node.lineage.position() is None
    assert node.lineage.follow()
    assert node.lineage.position() == Position(node.history.id, 51)
    assert not node.lineage.follow()  # of another primary: what it has to show is the same


def test_a_node_that_starts_with_nothing_wants_everything(node: Node) -> None:
    node.lineage.begin()
    assert node.lineage.position() is None


def test_while_other_data_takes_its_place_nobody_can_go_on_from_there(node: Node) -> None:
    node.stream.offset = 50
    ours = node.history.id
    node.lineage.follow()
    assert node.lineage.stated_offset(50) == 50
    node.lineage.drop_past()
    assert node.sent_away == 1
    assert node.history.id != ours
    assert node.lineage.position() is None
    assert node.lineage.stated_offset(50) == 0
    node.lineage.replaced(A, 100, 3)
    assert (node.history.id, node.history.second_id, node.stream.offset) == (A, NO_ID, 100)
    assert node.lineage.position() == Position(A, 101)
    assert node.lineage.database == 3


def test_data_of_a_primary_that_told_no_offset_is_nothing_to_go_on_from(node: Node) -> None:
    node.lineage.follow()
    node.lineage.drop_past()
    node.lineage.replaced("", -1, 0)
    assert node.lineage.position() is None
    assert node.stream.offset == 0


@pytest.mark.parametrize(("name", "sent_away", "second"), [(A, 0, NO_ID), (B, 1, A)])
def test_replicas_learn_the_new_name_of_the_history_alone(
    replica: Node, name: str, sent_away: int, second: str
) -> None:
    replica.lineage.resume(name)
    assert (replica.history.id, replica.history.second_id, replica.sent_away) == (name, second, sent_away)
    assert replica.lineage.position() == Position(name, 101)


def test_nothing_is_added_to_a_broken_stream(replica: Node) -> None:
    replica.lineage.stream_broken()
    assert replica.lineage.position() is None
    assert replica.lineage.stated_offset(100) == 0


def test_a_promoted_replica_branches_off(replica: Node) -> None:
    replica.lineage.promote()
    assert (replica.history.second_id, replica.history.second_offset) == (A, 101)
    assert replica.sent_away == 1
    assert replica.lineage.stated_offset(100) == 100
    replica.lineage.stream_ended(5_000)  # of the link that ends with the role
    assert replica.lineage.down_since_ms == 0


def test_the_age_of_the_data_counts_from_the_end_of_the_stream(replica: Node) -> None:
    lineage = replica.lineage
    assert lineage.data_age_ms(9_000, heard_ms=8_000) == 1_000
    lineage.stream_ended(8_500)
    assert lineage.data_age_ms(9_000, heard_ms=None) == 500
    lineage.drop_past()
    assert lineage.data_age_ms(9_000, heard_ms=None) is None


def test_a_replica_goes_on_from_its_file(node: Node) -> None:
    assert node.lineage.restored(AT_A, databases=16, as_replica=True)
    assert node.stream.kept
    node.lineage.begin()
    assert node.lineage.position() == Position(A, 101)
    assert (node.lineage.database, node.lineage.down_since_ms) == (3, 7_000)


def test_a_member_that_starts_as_a_replica_is_told_whom_to_follow(node: Node) -> None:
    """By the cluster, which calls `follow`: it must not take the name for its own."""
    node.lineage.restored(AT_A, databases=16, as_replica=True)
    assert not node.lineage.follow()
    assert node.lineage.position() == Position(A, 101)
    assert node.lineage.database == 3


def test_a_primary_that_starts_again_has_a_new_name_and_knows_the_old_one(node: Node) -> None:
    new = node.history.id
    assert node.lineage.restored(AT_A, databases=16, as_replica=False)
    assert (node.history.id, node.history.second_id, node.history.second_offset) == (new, A, 101)
    assert not node.lineage.resumable


@pytest.mark.parametrize("left_out", [b"repl-id", b"repl-offset"])
def test_a_file_that_says_half_of_it_says_nothing(node: Node, left_out: bytes) -> None:
    facts = {name: value for name, value in AT_A.items() if name != left_out}
    assert not node.lineage.restored(facts, databases=16, as_replica=True)
    assert node.lineage.position() is None


@pytest.mark.parametrize(
    ("stated", "database"), [(b"3", 3), (b"15", 15), (b"16", 0), (b"-1", 0), (b"03", 0), (b"x", 0), (b"", 0)]
)
def test_a_database_that_there_is_not_is_the_first_one(stated: bytes, database: int) -> None:
    assert stated_database({b"repl-stream-db": stated}, 16) == database
    assert stated_database({}, 16) == 0
