"""Carries out a plan that makes empty nodes one cluster, in the steps that redis-cli takes, and waits for agreement."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from cluster.operator.aio.client import Connection, ReplyError
from cluster.operator.status import Replication, parse_info
from cluster.operator.topology import agreed, parse_nodes
from cluster.placement import Address
from cluster.plan import CreatePlan

POLL_S = 0.004
"""Between two looks at a cluster, for each of its nodes: the more nodes there are, the more a look costs them."""


class NotHealthy(Exception):
    """The nodes did not become one healthy cluster in time; the text says what they said last."""


Connections = Mapping[Address, Connection]


async def create_cluster(plan: CreatePlan, connections: Connections, timeout_s: float) -> None:
    """Give out slots, introduce the nodes, make replicas; returns when every node calls the cluster healthy."""
    for primary in plan.primaries:
        connection = connections[primary.address]
        await connection.call("CLUSTER", "ADDSLOTSRANGE", *primary.slots)
        # Distinct epochs from the start, or the nodes would have to settle collisions first.
        await connection.call("CLUSTER", "SET-CONFIG-EPOCH", primary.epoch)
    for node, other in plan.meetings:
        await connections[node].call("CLUSTER", "MEET", *other)
    if plan.replicas:
        await _until(connections, timeout_s, needs_ok=False)
        # A connection is asked one question at a time, and a primary may have several replicas.
        names = {replica.primary: "" for replica in plan.replicas}
        for address in names:
            names[address] = await connections[address].call("CLUSTER", "MYID")
        await asyncio.gather(
            *(
                connections[replica.address].call("CLUSTER", "REPLICATE", names[replica.primary])
                for replica in plan.replicas
            )
        )
    await wait_healthy(connections, timeout_s)


async def wait_healthy(connections: Connections, timeout_s: float) -> None:
    """Wait until all nodes agree on who owns what and say that the cluster is up, and until every replica is in sync.

    Raises NotHealthy.
    """
    await _until(connections, timeout_s, needs_ok=True)


async def _until(connections: Connections, timeout_s: float, needs_ok: bool) -> None:
    problem = "no node has answered"
    try:
        async with asyncio.timeout(timeout_s):
            while problem:
                problem = await _problem(connections.values(), needs_ok)
                if problem:
                    await asyncio.sleep(POLL_S * len(connections))
    except TimeoutError:
        raise NotHealthy(f"after {timeout_s:g} s {problem}") from None


async def _problem(connections: Iterable[Connection], needs_ok: bool) -> str:
    """What still stands in the way of a healthy cluster; empty when nothing does."""
    try:
        return await _disagreement(list(connections), needs_ok)
    except ReplyError as error:
        if str(error).startswith("LOADING"):
            return "a node still loads its data, or that of its primary"
        raise


async def _disagreement(connections: Sequence[Connection], needs_ok: bool) -> str:
    for info, replication in await _ask_all(connections, ("CLUSTER", "INFO"), ("INFO", "replication")):
        if int(parse_info(info).get("cluster_known_nodes", 0)) < len(connections):
            return "the nodes do not all know each other yet"
        if needs_ok and "cluster_state:ok" not in info:
            return "a node still calls the cluster down"
        if needs_ok and not Replication.parse(parse_info(replication)).link_up:
            return "a replica is still not in sync with its primary"
    # What each node thinks of all others is long, so it is asked for only now.
    views = [parse_nodes(nodes) for (nodes,) in await _ask_all(connections, ("CLUSTER", "NODES"))]
    return "" if agreed(views) else "the nodes do not agree yet on who serves which slots"


async def _ask_all(connections: Iterable[Connection], *questions: Sequence[str]) -> list[list[str]]:
    """Every node's replies; raises ReplyError if one is an error."""
    answers = await asyncio.gather(*(connection.pipeline(questions) for connection in connections))
    for reply in chain.from_iterable(answers):
        if isinstance(reply, ReplyError):
            raise reply
    return answers
