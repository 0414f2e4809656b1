"""Carries out a plan that makes empty nodes one cluster, in the steps that redis-cli takes, and waits for agreement."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from cluster.aio.client import Connection, ReplyError
from cluster.plan import Address, CreatePlan
from cluster.topology import NodeView, agreed, parse_nodes

POLL_S = 0.02


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
        for replica in plan.replicas:
            primary_id = await connections[replica.primary].call("CLUSTER", "MYID")
            await connections[replica.address].call("CLUSTER", "REPLICATE", primary_id)
    await wait_healthy(connections, timeout_s)


async def wait_healthy(connections: Connections, timeout_s: float) -> None:
    """Wait until all nodes agree on who owns what and say that the cluster is up; raises NotHealthy."""
    await _until(connections, timeout_s, needs_ok=True)


async def _until(connections: Connections, timeout_s: float, needs_ok: bool) -> None:
    problem = "no node has answered"
    try:
        async with asyncio.timeout(timeout_s):
            while problem:
                problem = await _problem(connections.values(), needs_ok)
                if problem:
                    await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise NotHealthy(f"after {timeout_s:g} s {problem}") from None


async def _problem(connections: Iterable[Connection], needs_ok: bool) -> str:
    """What still stands in the way of a healthy cluster; empty when nothing does."""
    views: list[list[NodeView]] = []
    for nodes, info in await asyncio.gather(*(_look(connection) for connection in connections)):
        if isinstance(nodes, ReplyError) or isinstance(info, ReplyError):
            return f"a node answers: {nodes if isinstance(nodes, ReplyError) else info}"
        if needs_ok and "cluster_state:ok" not in info:
            return "a node still calls the cluster down"
        views.append(parse_nodes(nodes))
    return "" if agreed(views) else "the nodes do not agree yet on who serves which slots"


async def _look(connection: Connection) -> list[str | ReplyError]:
    return await connection.pipeline([("CLUSTER", "NODES"), ("CLUSTER", "INFO")])
