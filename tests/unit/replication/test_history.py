"""Which replicas may go on from where they are."""

from __future__ import annotations

import random

from node.replication.history import NO_ID, History

A = "a" * 40
B = "b" * 40


def history() -> History:
    return History(random.Random(1))


def test_a_new_node_knows_its_own_history_alone() -> None:
    ours = history()
    assert ours.covers(ours.id, 1)
    assert not ours.covers(A, 1)
    assert not ours.covers(NO_ID, 1)
    assert ours.id != History(random.Random(2)).id


def test_a_promoted_replica_keeps_the_old_name_up_to_where_the_ways_part() -> None:
    ours = history()
    ours.adopt(A)
    ours.branch(100)
    assert (ours.second_id, ours.second_offset) == (A, 101)
    assert ours.covers(A, 100)
    assert ours.covers(A, 101)  # the next byte that a replica wants which has them all
    assert not ours.covers(A, 102)  # that one has writes which we never saw
    assert ours.covers(ours.id, 5000)


def test_a_primary_that_was_promoted_renames_the_history_of_its_replicas() -> None:
    ours = history()
    ours.adopt(A)
    ours.continued(B, 100)
    assert ours.id == B
    assert ours.covers(A, 101)
    assert not ours.covers(A, 102)


def test_all_data_of_another_ends_what_was_known() -> None:
    ours = history()
    ours.adopt(A)
    ours.branch(100)
    ours.adopt(B)
    assert ours.covers(B, 1)
    assert not ours.covers(A, 1)
    ours.renew()
    assert not ours.covers(B, 1)
