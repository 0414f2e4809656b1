"""Keys with an expiry that clients have written to a writable replica.

The primary knows nothing of them and will never delete them, so here the replica has to do it by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from node.engine.keyspace.table import Db, Keyspace

KEYS_A_RUN = 1000


class LocalExpiry:
    def __init__(self, space: Keyspace) -> None:
        self._space = space
        self._keys: dict[tuple[int, bytes], None] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def written(self, db: Db, keys: Iterable[bytes]) -> None:
        """A client has written these keys: the ones that will run out are ours to delete."""
        for key in keys:
            if db.expire_at(key) is not None:
                self._keys[db.index, key] = None

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
