"""May traffic be sent to this node? What /readyz answers, and why not.

Alive and ready are two things. A node that loads its data, or waits for its cluster, is alive: killing it would help
nobody. It is not ready: a client that is sent to it is served better elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.core import NodeCore


def reasons_not_ready(node: NodeCore) -> list[str]:
    """Everything that stands in the way; empty: the node is ready."""
    reasons = []
    if node.loading.active:
        reasons.append("the data is being loaded")
    if node.following.active and not node.following.connected:
        reasons.append("the link to the primary is down")
    if node.clustering is not None:
        if not node.clustering.core.ok:
            reasons.append("cluster_state is fail")
        elif not len(node.clustering.core.slotmap.owners_with_slots()):
            reasons.append("the cluster has no slots yet")
    return reasons
