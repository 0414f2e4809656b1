"""What must be done before a node may end: SHUTDOWN, SIGTERM, SIGINT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.core import NodeCore


@dataclass(frozen=True, slots=True)
class Leave:
    """How it was asked for. Without `save` and `nosave` the data is saved if there are `save` rules."""

    save: bool = False
    nosave: bool = False
    now: bool = False
    force: bool = False


def may_leave(node: NodeCore, leave: Leave) -> bool:
    """Bring the data to safety; False: that failed, so the node has to stay."""
    node.log.warning("User requested shutdown...")
    if node.loading.active:
        return True  # what is in memory is not the data
    saving = node.saving
    if saving.in_progress:
        node.log.warning("There is a child saving an .rdb. Killing it!")
        saving.cancel()
    if not node.aof.may_leave(leave.force):
        node.log.warning("Errors trying to shut down the server. Check the logs for more information.")
        return False
    if (leave.save or (node.config["save"] and not leave.nosave)) and saving.has_disk:
        node.log.notice("Saving the final RDB snapshot before exiting.")
        if not saving.save():
            if not leave.force:
                node.log.warning("Error trying to save the DB, can't exit.")
                node.log.warning("Errors trying to shut down the server. Check the logs for more information.")
                return False
            node.log.warning("Error trying to save the DB. Exit anyway.")
    return True
