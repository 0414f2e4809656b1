"""How a simulated cluster begins: with the nodes.conf of a cluster that has existed before and was stopped."""

from __future__ import annotations

import random

from cluster.agreement.nodesconf import dump
from cluster.agreement.slots import SLOTS, range_set
from cluster.agreement.state import ClusterState
from gossip import flags
from gossip.membership import Members, make_node_id
from gossip.peer import Peer
from gossip.settings import BUS_PORT_OFFSET
from tests.simulator.parameters import Parameters

PORT = 6379
BUS_PORT = PORT + BUS_PORT_OFFSET


def slot_ranges(shards: int) -> list[tuple[int, int]]:
    """All slots in equal shares."""
    starts = [SLOTS * shard // shards for shard in range(shards)]
    return list(zip(starts, [start - 1 for start in starts[1:]] + [SLOTS - 1], strict=True))


def config_files(parameters: Parameters, rng: random.Random) -> list[str]:
    """nodes.conf of every node. The first nodes are the primaries, their replicas follow in turn."""
    ids = [make_node_id(rng) for _ in range(parameters.nodes)]
    shard_ids = [make_node_id(rng) for _ in range(parameters.shards)]
    return [_config_file(parameters, ids, shard_ids, number) for number in range(parameters.nodes)]


def _config_file(parameters: Parameters, ids: list[str], shard_ids: list[str], myself: int) -> str:
    peers: list[Peer] = []
    for number, node_id in enumerate(ids):
        role = flags.PRIMARY if number < parameters.shards else flags.REPLICA
        peer = Peer(node_id, role, 0, ip=f"10.0.0.{number + 1}", port=PORT, bus_port=BUS_PORT)
        peer.shard_id = shard_ids[number % parameters.shards]
        peers.append(peer)
        if peer.is_replica:
            peer.follow(peers[number % parameters.shards])
        else:
            peer.config_epoch = number + 1
    peers[myself].flags |= flags.MYSELF
    state = ClusterState(Members(peers[myself]))
    for peer in peers:
        if not peer.is_myself:
            state.members.add(peer)
    for peer, (start, end) in zip(peers, slot_ranges(parameters.shards), strict=False):
        state.slotmap.assign(range_set(start, end), peer)
    state.current_epoch = parameters.shards
    return dump(state)
