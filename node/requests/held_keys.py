"""Keys that stand still while they are on their way to another server (MIGRATE).

What were written to a key between its dump and the answer of the server that takes it would be lost with the key. So
requests that would write to a key that is held wait until it is let go, as in a pause; reads go on, for the value is
still here. They wait before any of their commands runs, so that scripts and transactions are as atomic as ever.

A few changes cannot wait, or do not say beforehand what they will change: a script that uses keys which it has not
named, a move that a waiting client makes (BLMOVE), SWAPDB, data that is loaded. The hold notes which of its keys did
change all the same, and whoever holds them leaves these where they are. That keys run out, of time or memory, is not
such a change: the one happens at the other server, too, and with the other they are gone.

The alternative, to stop the whole node until the other server has answered, is what Redis does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node import flags

if TYPE_CHECKING:
    from collections.abc import Iterable

    from node.basics import Basics
    from node.requests.request import Request

KeyId = tuple[int, bytes]

WRITES = frozenset({"write", "may_replicate"})
HARMLESS = frozenset({"expired", "hexpired"})


class Hold:
    """Keys of one database that somebody holds. `changed` are those that did not stand still."""

    __slots__ = ("changed", "db_index", "keys", "state")

    def __init__(self, db_index: int, keys: Iterable[bytes], state: int) -> None:
        self.db_index = db_index
        self.keys = frozenset(keys)
        self.changed: set[bytes] = set()
        self.state = state


class HeldKeys:
    """All holds of one node. No key is held twice."""

    def __init__(self, basics: Basics) -> None:
        self._basics = basics
        self._by_key: dict[KeyId, Hold] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def hold(self, db_index: int, keys: Iterable[bytes], asked_about: bool) -> Hold:
        """From now on these stand still. `asked_about`: the engine asks the gates about each request for their slot
        anyway, so that no other has to take that way."""
        hold = Hold(db_index, keys, flags.STATE_OPEN_KEYS_HELD if asked_about else flags.STATE_KEYS_HELD)
        for key in hold.keys:
            self._by_key[db_index, key] = hold
        self._look()
        return hold

    def let_go(self, hold: Hold) -> None:
        """Whoever waits for these may go on, once Pause.release is called. Harmless if they are not held any more."""
        for key in hold.keys:
            if self._by_key.get((hold.db_index, key)) is hold:
                del self._by_key[hold.db_index, key]
        self._look()

    def _look(self) -> None:
        states = {hold.state for hold in self._by_key.values()}
        for state in (flags.STATE_KEYS_HELD, flags.STATE_OPEN_KEYS_HELD):
            self._basics.set_state(state, state in states)
        hooks = self._basics.engine.hooks
        self._basics.engine.hooks = hooks | flags.HOOK_HELD if states else hooks & ~flags.HOOK_HELD

    def concern(self, request: Request) -> bool:
        """Whether a request would write to one of these keys."""
        db_index = request.session.db.index
        return any(
            (db_index, part.words[at]) in self._by_key
            for part in request.parts
            if part.flags & WRITES
            for at in part.command.spec.get_keys(part.words)
        )

    def touch(self, db_index: int, key: bytes, event: str) -> None:
        """A key has changed."""
        hold = self._by_key.get((db_index, key))
        if hold is not None and event not in HARMLESS:
            hold.changed.add(key)

    def touch_all(self, db_index: int) -> None:
        """All keys of a database come and go."""
        for (index, key), hold in self._by_key.items():
            if index == db_index:
                hold.changed.add(key)
