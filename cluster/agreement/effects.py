"""What the cluster asks of the node, besides what the bus asks of its host (`gossip.effects`)."""

from __future__ import annotations

from dataclasses import dataclass

from gossip.effects import Effect


@dataclass(frozen=True, slots=True)
class StateChanged(Effect):
    """`cluster_state` is now ok, or no longer."""

    ok: bool


@dataclass(frozen=True, slots=True)
class DropKeys(Effect):
    """These slots are somebody else's now: delete the keys that are left in them."""

    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DropChannels(Effect):
    """This shard serves these slots no longer: end the subscriptions to their shard channels."""

    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PauseWrites(Effect):
    """Hold the writes of clients back, for so long at most; `Replication.writes_paused` tells when that is done."""

    most_ms: int


@dataclass(frozen=True, slots=True)
class ResumeWrites(Effect):
    """Go on with the writes that were held back."""


@dataclass(frozen=True, slots=True)
class FollowPrimary(Effect):
    """This node is now a replica: replicate from this address."""

    node_id: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class StopFollowing(Effect):
    """This node is a primary again. `empty`: its data was its old primary's, delete it."""

    empty: bool
