"""What the bus needs from the layer above it, which knows what the members agree on (slots, epochs, roles).

The bus knows who is there and who is alive, and carries packets. Each packet also carries claims that only the layer
above can judge, and each packet that we send must state ours. `Agreement` is that boundary: `gossip` calls it,
`cluster` implements it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gossip.messages import EMPTY_SLOTS, Extensions, Header, Message, Places, WishStated
from gossip.peer import Link, Peer


@dataclass(frozen=True, slots=True)
class Facts:
    """What the header of every packet says about us, besides our name and address."""

    current_epoch: int = 0
    config_epoch: int = 0  # a replica states its primary's epoch and slots
    offset: int = 0
    slots: bytes = EMPTY_SLOTS
    primary_id: str | None = None
    state_fail: bool = True
    paused: bool = False
    data_epoch: int = 0
    electorate: int = 0
    to_ours: int = 0  # message flags for nodes of this project: PRIMARY_FAILED, STANDING, IN_SYNC


class Agreement(Protocol):
    """The layer above, as the bus sees it. `now_ms` is the time of the step or tick that causes the call."""

    def facts(self) -> Facts:
        """What our next packet states."""

    def quorum_against(self, peer: Peer) -> int:
        """How many voters must find that `peer` has failed."""

    def votes(self, peer: Peer) -> bool:
        """Whether this node counts where a majority decides."""

    def refusal(self, sender: Peer, header: Header, now_ms: int) -> int:
        """Message flags of our answer to this PING, which leaves now: 0 lets its sender go on serving."""

    def grant_counts(self, sender: Peer, header: Header) -> bool:
        """Whether an answer to a PING of ours that lets us go on serving comes from somebody who may say so."""

    def needs_answers(self, peer: Peer) -> bool:
        """Whether `peer` has to answer our PINGs at least each half node timeout, whatever others tell of it."""

    def heard_header(self, sender: Peer, header: Header, now_ms: int) -> None:
        """A known node sent a packet of any kind: its epochs and offset may be news."""

    def heard_config(self, sender: Peer, header: Header, now_ms: int) -> None:
        """A known node sent a PING, PONG or MEET: its role and its slots may be news."""

    def heard(self, sender: Peer, message: Message, link: Link, now_ms: int) -> None:
        """A known node sent something that is neither gossip nor FAIL."""

    def seeks_members(self) -> bool:
        """Whether this node belongs to no cluster yet, and may join the one that its seeds lead to."""

    def offers(self, target: Peer) -> tuple[WishStated | None, Places | None]:
        """What a ping to this node of ours says about forming a cluster."""

    def heard_extensions(self, sender: Peer, extensions: Extensions, now_ms: int) -> None:
        """A known node's PING, PONG or MEET carried these (or none)."""

    def removing(self, peer: Peer) -> None:
        """`peer` is about to be forgotten."""

    def address_changed(self, peer: Peer) -> None:
        """`peer` moved."""

    def changed(self, *, state: bool = False) -> None:
        """Something that nodes.conf records has changed. `state`: also something that cluster_state depends on."""
