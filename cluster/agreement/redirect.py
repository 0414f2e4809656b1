"""Where a request must be served: here, or not here and why.

This is the one decision behind MOVED, ASK, TRYAGAIN, CROSSSLOT and CLUSTERDOWN, as a pure function of the cluster's
state and the request's keys. The engine answers the plain case (one slot, ours, not moving) by itself and asks only
otherwise.

While a slot moves, its keys are on two nodes. The old owner serves what it still has and sends clients to the new one
for the rest (ASK); the new owner serves only clients that were sent (ASKING). A request for several keys of which some
have moved can be served by nobody until the rest has, too (TRYAGAIN).

While a shard elects a successor for a primary that has failed, `cluster_state` stays ok for a grace (`health`), and
requests for its slots get MOVED with the address of the primary that is gone; its replicas go on serving readers. Of
the three answers that there could be, MOVED is the one that no client hands to the application. node-redis tries again
at nothing else; at CLUSTERDOWN and TRYAGAIN it fails. ioredis tries again at each of them, the last two 100 ms later.
redis-py reads the map again after MOVED and a refused connection, waits 250 ms at CLUSTERDOWN, and at TRYAGAIN asks the
same node again without a new map, which only the successor itself could make good. Whoever's map is right does not ask
here in the first place: it is refused by the dead primary, and reads the map until it names another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from cluster.agreement.slots import key_slot
from cluster.agreement.state import ClusterSettings, ClusterState
from gossip.peer import Peer


@dataclass(frozen=True, slots=True)
class Serve:
    """Here. `slot` is None when the request has no keys."""

    slot: int | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    slot: int
    owner: Peer


@dataclass(frozen=True, slots=True)
class Ask:
    slot: int
    target: Peer


@dataclass(frozen=True, slots=True)
class CrossSlot:
    pass


@dataclass(frozen=True, slots=True)
class TryAgain:
    slot: int


class Why(Enum):
    """Why nobody serves the request."""

    CLUSTER_DOWN = "CLUSTERDOWN The cluster is down"
    READS_ONLY = "CLUSTERDOWN The cluster is down and only accepts read commands"
    UNBOUND = "CLUSTERDOWN Hash slot not served"


@dataclass(frozen=True, slots=True)
class Down:
    why: Why


Decision = Serve | Moved | Ask | CrossSlot | TryAgain | Down


@dataclass(frozen=True, slots=True)
class Request:
    """What the decision depends on. For EXEC: the keys of all queued commands, and whether any of them writes."""

    keys: Sequence[bytes]
    write: bool = False
    asking: bool = False  # the client sent ASKING, or the command implies it (RESTORE-ASKING)
    readonly: bool = False  # the client sent READONLY
    shard_channels: bool = False  # the keys are channels of sharded pub/sub
    migrate: bool = False  # MIGRATE, which moves keys of open slots and must find them here


def route(
    state: ClusterState, ok: bool, settings: ClusterSettings, request: Request, has_key: Callable[[bytes], bool]
) -> Decision:
    """Decide. `has_key` looks a key up without any side effect; it is asked only about slots on the move."""
    if not request.keys:
        return Serve()
    slotmap, me = state.slotmap, state.myself
    slot = key_slot(request.keys[0])
    owner = slotmap.owners[slot]
    if owner is None:
        return Down(Why.UNBOUND)
    distinct = set(request.keys)
    if any(key_slot(key) != slot for key in distinct):
        return CrossSlot()
    if not ok:
        down = _refusal_while_down(settings, request)
        if down is not None:
            return down
    migrating = owner is me and slot in slotmap.migrating
    importing = not migrating and slot in slotmap.importing
    if request.migrate and (migrating or importing):
        return Serve(slot)
    missing = existing = 0
    if (migrating or importing) and not request.shard_channels:
        existing = sum(1 for key in request.keys if has_key(key))
        missing = len(request.keys) - existing
    if migrating and missing:
        return TryAgain(slot) if existing else Ask(slot, slotmap.migrating[slot])
    if importing and request.asking:
        return TryAgain(slot) if len(distinct) > 1 and missing else Serve(slot)
    reads_here = (request.readonly or request.shard_channels) and not request.write
    if reads_here and me.is_replica and me.primary is owner:
        return Serve(slot)
    return Serve(slot) if owner is me else Moved(slot, owner)


def route_waiting(state: ClusterState, ok: bool, settings: ClusterSettings, request: Request) -> Decision:
    """Decide again for a client that has waited here since before the slots changed.

    While its slot moves it stays, at the old owner and at the new one: it is sent on when the slot has an owner again.
    """
    slot = key_slot(request.keys[0])
    if ok and slot in state.slotmap.importing:
        return Serve(slot)
    return route(state, ok, settings, request, lambda key: True)


def _refusal_while_down(settings: ClusterSettings, request: Request) -> Down | None:
    if request.shard_channels:
        return None if settings.allow_pubsubshard_when_down else Down(Why.CLUSTER_DOWN)
    if not settings.allow_reads_when_down:
        return Down(Why.CLUSTER_DOWN)
    return Down(Why.READS_ONLY) if request.write else None


def endpoint(settings: ClusterSettings, peer: Peer) -> str:
    """The host by which clients are told to reach `peer`; empty for "the one you are talking to"."""
    if settings.preferred_endpoint_type == "hostname":
        return peer.hostname or "?"
    return "" if settings.preferred_endpoint_type == "unknown-endpoint" else peer.ip


def client_port(peer: Peer, plain_client: bool) -> int:
    """The port for a client. `plain_client`: the cluster uses TLS, but this client does not."""
    return peer.plain_port if plain_client and peer.plain_port else peer.port


def error_text(decision: Decision, settings: ClusterSettings, plain_client: bool = False) -> str | None:
    """The error reply that says so; None for Serve."""
    match decision:
        case Serve():
            return None
        case CrossSlot():
            return "CROSSSLOT Keys in request don't hash to the same slot"
        case TryAgain():
            return "TRYAGAIN Multiple keys request during rehashing of slot"
        case Down(why):
            return why.value
        case Moved(slot, owner):
            return f"MOVED {slot} {endpoint(settings, owner)}:{client_port(owner, plain_client)}"
        case Ask(slot, target):
            return f"ASK {slot} {endpoint(settings, target)}:{client_port(target, plain_client)}"
