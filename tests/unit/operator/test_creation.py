"""What the operator's client takes for an obstacle on the way to a healthy cluster, and what for the end of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from cluster.operator.aio.client import Connection, ReplyError
from cluster.operator.aio.creation import NotHealthy, create_cluster, wait_healthy
from cluster.plan import CreatePlan, NewPrimary, NewReplica


class Node:
    """Answers every question with the same error."""

    def __init__(self, error: str) -> None:
        self.error = error

    async def pipeline(self, questions: Sequence[Sequence[str]]) -> list[Any]:
        return [ReplyError(self.error) for _ in questions]


def wait(error: str) -> None:
    connections = {("127.0.0.1", 7000): cast(Connection, Node(error))}
    asyncio.run(wait_healthy(connections, timeout_s=0.02))


def test_a_node_that_loads_is_waited_for() -> None:
    with pytest.raises(NotHealthy, match=r"after 0\.02 s a node still loads its data"):
        wait("LOADING Redis is loading the dataset in memory")


def test_any_other_error_ends_the_wait() -> None:
    with pytest.raises(ReplyError, match="NOAUTH"):
        wait("NOAUTH Authentication required.")


class Busy:
    """Answers like a node of a cluster that is as it should be, a moment later, one question at a time."""

    def __init__(self, own: str, nodes: str) -> None:
        self.own, self.nodes = own, nodes
        self.asked: list[tuple[str, ...]] = []
        self._answering = False

    async def call(self, *words: Any) -> Any:
        assert not self._answering, f"{words} while another question waits for its answer"
        self._answering = True
        await asyncio.sleep(0)
        self._answering = False
        self.asked.append(tuple(map(str, words)))
        return self.own if words[1] == "MYID" else "OK"

    async def pipeline(self, questions: Sequence[Sequence[str]]) -> list[Any]:
        known = "cluster_known_nodes:3\r\ncluster_state:ok\r\n"
        answers = {"INFO": known, "replication": "role:master\r\n", "NODES": self.nodes}
        return [answers[question[1]] for question in questions]


def test_a_primary_may_have_several_replicas() -> None:
    a, b, c = (("127.0.0.1", port) for port in (7000, 7001, 7002))
    ids = {a: "a" * 40, b: "b" * 40, c: "c" * 40}
    lines = [f"{ids[a]} 127.0.0.1:7000@17000 master - 0 0 1 connected 0-16383"]
    lines += [f"{ids[each]} {each[0]}:{each[1]}@1 slave {ids[a]} 0 0 1 connected" for each in (b, c)]
    nodes = {each: Busy(ids[each], "\n".join(lines)) for each in (a, b, c)}
    plan = CreatePlan((NewPrimary(a, (0, 16383), 1),), (NewReplica(b, a), NewReplica(c, a)))
    asyncio.run(create_cluster(plan, cast(Any, nodes), timeout_s=5))
    for replica in (b, c):
        assert ("CLUSTER", "REPLICATE", ids[a]) in nodes[replica].asked
