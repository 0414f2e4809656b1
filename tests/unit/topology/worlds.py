"""Small states to decide from."""

import random

from cluster.agreement import nodesconf
from cluster.agreement.slots import range_set
from gossip import flags
from gossip.peer import Peer

NOW = 1_700_000_000_000


def world(*, start=0, end=5460):
    """(state, me, other): we own `start`-`end`, the other node has the rest."""
    state = nodesconf.fresh(random.Random(1), NOW)
    me = state.myself
    other = state.members.add(primary(2))
    me.ip, me.port, me.bus_port = "10.0.0.1", 6379, 16379
    state.slotmap.assign(range_set(0, 16383), other)
    state.slotmap.assign(range_set(start, end), me)
    return state, me, other


def primary(number, epoch=0):
    peer = Peer(f"{number:040x}", flags.PRIMARY, NOW, ip=f"10.0.0.{number}", port=6379, bus_port=16379)
    peer.config_epoch = epoch
    return peer
