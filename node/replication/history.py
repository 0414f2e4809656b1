"""The names of the history that a node's data is part of.

A replication id names one sequence of writes, and an offset a place in it: two nodes with the same id and offset have
the same data. Who follows a primary takes over its id. Who is promoted gives the writes from there on a new name, and
keeps the old one as a second id that holds up to the place where the ways part: so the other replicas of the old
primary, which only know the old name, can go on from where they are.
"""

from __future__ import annotations

import random
import re

from node.monitoring.figure import Table, shown

NO_ID = "0" * 40
NO_OFFSET = -1
NUMBER_MAX = 1 << 62
"""No offset, size or time is larger: whoever states one errs, and the engine would have no room to count on."""
_NUMBER = re.compile(rb"0|[1-9][0-9]{0,18}")


def new_id(rng: random.Random) -> str:
    return f"{rng.getrandbits(160):040x}"


def stated_number(text: bytes) -> int | None:
    """An offset, a size or a time as a primary or a file states it; None if it cannot be one."""
    value = int(text) if _NUMBER.fullmatch(text) else -1
    return value if 0 <= value <= NUMBER_MAX else None


class History:
    """`id` is what the data is called now; `second_id` what it was called before `second_offset`."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.id = new_id(rng)
        self.second_id = NO_ID
        self.second_offset = NO_OFFSET

    def renew(self) -> None:
        """The data has no past that anybody knows: nobody can go on from it."""
        self.id = new_id(self._rng)
        self.forget_second()

    def branch(self, offset: int) -> None:
        """A promotion: what comes after `offset` has a name of its own, what came before keeps the old one."""
        self.second_id, self.second_offset = self.id, offset + 1
        self.id = new_id(self._rng)

    def adopt(self, primary_id: str) -> None:
        """All data is the primary's (a full synchronisation)."""
        self.id = primary_id
        self.forget_second()

    def continued(self, primary_id: str, offset: int) -> None:
        """The primary lets us go on under another name: it was promoted in the meantime."""
        self.second_id, self.second_offset = self.id, offset + 1
        self.id = primary_id

    def restored(self, history_id: str, offset: int) -> None:
        """The data of a primary that has restarted was called so, up to this offset."""
        self.second_id, self.second_offset = history_id, offset + 1

    def forget_second(self) -> None:
        self.second_id, self.second_offset = NO_ID, NO_OFFSET

    def covers(self, history_id: str, offset: int) -> bool:
        """Whether a replica that wants the byte `offset` of that history has the same data as we had there."""
        return history_id == self.id or (history_id == self.second_id and offset <= self.second_offset)


def figures() -> Table[History]:
    return (
        shown(
            "replication", "master_failover_state", lambda own: "no-failover", "Always no-failover.", after="slave<N>"
        ),
        shown("replication", "master_replid", lambda own: own.id, "The name of the data's history."),
        shown("replication", "master_replid2", lambda own: own.second_id, "Its name before the last failover."),
        shown(
            "replication",
            "second_repl_offset",
            lambda own: own.second_offset,
            "Where the two names part.",
            after="master_repl_offset",
        ),
    )
