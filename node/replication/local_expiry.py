"""Keys with an expiry that clients have written to a writable replica.

The primary knows nothing of them and will never delete them, so here the replica has to do it by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from node.monitoring.figure import Table, shown

if TYPE_CHECKING:
    from node.engine.keyspace.table import Keyspace
    from node.engine.session.session import Command, Session

KEYS_A_RUN = 1000


class LocalExpiry:
    """The keys with an expiry that clients wrote to a replica; `is_replica` tells whether it is a replica now."""

    def __init__(self, space: Keyspace, is_replica: Callable[[], bool]) -> None:
        self._space = space
        self._is_replica = is_replica
        self._keys: dict[tuple[int, bytes], None] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def run_command(self, session: Session, command: Command, argv: list[bytes]) -> None:
        """A client's command on a replica. Where it may write, a dead key in its way is as good as none."""
        space, writes = self._space, "write" in command.spec.flags
        dirty = space.dirty
        space.lazy_expire = writes
        try:
            session.invoke(command, argv)
        finally:
            space.lazy_expire = not self._is_replica()
        if space.dirty != dirty and writes and self._is_replica():
            # Those that will run out are ours to delete.
            for key in (argv[at] for at in command.spec.get_keys(argv)):
                if session.db.expire_at(key) is not None:
                    self._keys[session.db.index, key] = None

    def forget(self) -> None:
        """All data is somebody else's, or all expiry our own business again."""
        self._keys.clear()

    def run(self) -> None:
        """Look at some of them, and delete those that are dead."""
        space = self._space
        for index, key in list(self._keys)[:KEYS_A_RUN]:
            db = space.dbs[index]
            space.lazy_expire = True
            try:
                at_ms = db.expire_at(key)
            finally:
                space.lazy_expire = False
            del self._keys[index, key]
            if at_ms is not None:
                self._keys[index, key] = None  # at the end: others are looked at first the next time


def figures() -> Table[LocalExpiry]:
    return (
        shown(
            "stats",
            "slave_expires_tracked_keys",
            len,
            "Keys with an expiry that clients have written to this replica.",
            after="migrate_cached_sockets",
        ),
    )
