"""What the head of a file says of where its data stood, and what a node that starts with the file makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from node.replication.lineage import Lineage

if TYPE_CHECKING:
    from node.basics import Basics
    from node.replication.applier import Applier
    from node.replication.write_stream import WriteStream


class FileFacts:
    """What the files of one node say of its history.

    `starts_as_replica` tells what it is going to be once it has loaded its data.
    """

    def __init__(
        self,
        basics: Basics,
        stream: WriteStream,
        lineage: Lineage,
        applier: Applier,
        starts_as_replica: Callable[[], bool],
    ) -> None:
        self._starts_as_replica = starts_as_replica
        self._basics = basics
        self._stream = stream
        self._lineage = lineage
        self._applier = applier

    def now(self) -> dict[str, object]:
        """For the head of a file: where in which history our data is, if anybody could go on from there."""
        journal, lineage = self._stream.journal, self._lineage
        known = lineage.resumable if lineage.follows else journal.keeps
        if not known or journal.unit_open:
            return {}
        database = lineage.database if lineage.follows else max(journal.database, 0)
        return {
            "repl-stream-db": database,
            "repl-id": lineage.history.id,
            "repl-offset": self._applier.applied_offset,
        }

    def restored(self, facts: Mapping[bytes, bytes], dead: Sequence[tuple[int, bytes]]) -> None:
        """The node has started with the data of a file: it goes on from there, and so can its replicas.

        `dead` are the keys that were left out: replicas still have them.
        """
        as_replica, dbs = self._starts_as_replica(), self._basics.space.dbs
        if not self._lineage.restored(facts, len(dbs), as_replica) or as_replica:
            return
        for db_index, key in dead:
            self._stream.deleted(dbs[db_index], key, self._basics.config["lazyfree-lazy-expire"])
        self._stream.end_unit(atomic=False)
