"""Asks every node of a cluster how it is, starting from any node that answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from cluster.operator.aio.client import Connection, ReplyError, Unreachable
from cluster.operator.status import Answers, ClusterStatus, Replication, build, parse_info
from cluster.operator.topology import NodeView, parse_nodes, parse_shards
from cluster.placement import Address

TIMEOUT_S = 2.0


async def _survey(seeds: Sequence[Address], password: str) -> ClusterStatus:
    views, shards = await _any_view(seeds, password)
    answers = await asyncio.gather(*(_ask(view, password) for view in views))
    return build(views, {view.id: answer for view, answer in zip(views, answers, strict=True)}, shards)


async def _any_view(seeds: Sequence[Address], password: str) -> tuple[list[NodeView], dict[str, str]]:
    """The cluster as the first seed that answers sees it, and who is of which shard, as far as it knows.

    The seed's own address is the one that reached it.
    """
    problem: Exception = Unreachable("no address was given")
    for host, port in seeds:
        try:
            async with await Connection.open(host, port, password, TIMEOUT_S) as connection:
                nodes, shards = await connection.pipeline([("CLUSTER", "NODES"), ("CLUSTER", "SHARDS")])
                if isinstance(nodes, ReplyError):
                    raise nodes
                known = {} if isinstance(shards, ReplyError) else parse_shards(shards)
                return _with_host(parse_nodes(nodes), host), known
        except (Unreachable, ReplyError) as error:
            problem = error
    raise problem


def _with_host(views: list[NodeView], host: str) -> list[NodeView]:
    """A node that has met nobody does not know its own address."""
    return [view if view.address[0] else replace(view, address=(host, view.address[1])) for view in views]


async def _ask(view: NodeView, password: str) -> Answers:
    host, port = view.address
    try:
        async with await Connection.open(host, port, password, TIMEOUT_S) as connection:
            questions = [("DBSIZE",), ("INFO", "memory"), ("CLUSTER", "INFO"), ("INFO", "replication")]
            keys, info, cluster_info, replication = await connection.pipeline(questions)
    except (Unreachable, ReplyError) as error:
        return Answers(problem=str(error))
    for reply in (keys, info, cluster_info, replication):
        if isinstance(reply, ReplyError):
            return Answers(problem=str(reply))
    memory_bytes = int(parse_info(info).get("used_memory", 0))
    state = parse_info(cluster_info).get("cluster_state", "")
    return Answers(int(keys), memory_bytes, state, Replication.parse(parse_info(replication)))


def survey(seeds: Sequence[Address], password: str = "") -> ClusterStatus:
    """The cluster's state; raises Unreachable or ReplyError when no seed can say."""
    return asyncio.run(_survey(seeds, password))
