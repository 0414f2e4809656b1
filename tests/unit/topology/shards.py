"""States with three shards: primaries 1, 2 and 3, each with its replicas (11, 12 ... of 1; 21 ... of 2)."""

import random

from cluster.agreement import nodesconf
from cluster.agreement.slots import range_set, to_bitmap
from cluster.agreement.state import ClusterSettings, NoReplication
from cluster.core import ClusterCore
from gossip import flags
from gossip.effects import Send
from gossip.messages import OURS, Header
from gossip.peer import Peer
from gossip.wire import decode
from tests.unit.topology.worlds import NOW

SHARES = (range_set(0, 5460), range_set(5461, 10922), range_set(10923, 16383))
TIMEOUT_MS = 5000


def node_id(number):
    return f"{number:040x}"


def shards(me=1, replicas=2):
    """(state, nodes by number), seen by `me`. The epochs of the primaries are their numbers, the current one is 3."""
    state = nodesconf.fresh(random.Random(1), NOW)
    state.members.rename(state.myself, node_id(me))
    nodes = {me: state.myself}
    for shard, slots in enumerate(SHARES, 1):
        _add(state, nodes, shard)
        nodes[shard].become_primary()
        nodes[shard].config_epoch = shard
        state.slotmap.assign(slots, nodes[shard])
        for number in range(10 * shard + 1, 10 * shard + 1 + replicas):
            _add(state, nodes, number)
            nodes[number].become_replica()
            nodes[number].follow(nodes[shard])
    state.current_epoch = 3
    return state, nodes


def _add(state, nodes, number):
    if number not in nodes:
        nodes[number] = state.members.add(Peer(node_id(number), flags.PRIMARY, NOW, ours=True))


def request(state, candidate, epoch=4, **changes):
    """What a candidate's AUTH_REQUEST says."""
    primary = candidate.primary
    said = {
        "current_epoch": epoch,
        "config_epoch": primary.config_epoch if primary else 0,
        "primary_id": primary.id if primary else None,
        "slots": to_bitmap(state.slotmap.owned_by(primary)) if primary else bytes(2048),
        "mflags": (0, OURS, 0),
    }
    return Header(candidate.id, **{**said, **changes})


def core_of(me=1, **settings):
    """The core of one node of three shards, and the nodes by number."""
    state, _ = shards(me=me)
    settings = ClusterSettings(node_timeout_ms=TIMEOUT_MS, **settings)
    core = ClusterCore(settings, random.Random(1), NOW, nodesconf.dump(state))
    found = {number: core.members.get(node_id(number)) for number in (1, 2, 3, 11, 12, 21, 22, 31, 32)}
    for peer in core.members:
        peer.ours = True
    core.state.forgetful_until_ms = 0
    core.changed(state=True)
    core.settle(NOW)
    return core, found


def sent(core):
    """The messages that the core has just sent."""
    return [decode(effect.data) for effect in core.take_effects() if isinstance(effect, Send)]


class SomeData(NoReplication):
    """150 bytes of a history, whosever it is; in step with node `synced_with`, if any."""

    offset = 150
