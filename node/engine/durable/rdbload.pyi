from collections.abc import Callable

from node.engine.durable.rdb import Reader
from node.engine.keyspace.table import Db, Keyspace, Value
from node.engine.types.hash import Hash
from node.engine.types.list import List
from node.engine.types.set import Set
from node.engine.types.zset import ZSet

MORE: int
NATIVE: frozenset[int]

class KeyLoader:
    db: Db
    foreign: bool
    on_dead: Callable[[Db, bytes], None] | None
    @property
    def loaded(self) -> int: ...
    @property
    def dead(self) -> int: ...
    @property
    def elsewhere(self) -> int: ...
    @property
    def empty(self) -> int: ...
    @property
    def empty_keys(self) -> list[bytes]: ...
    @property
    def kind(self) -> int: ...
    def __init__(
        self,
        reader: Reader,
        space: Keyspace,
        read_value: Callable[[Reader, int], Value | None],
        keep_dead: bool = False,
        merge: bool = False,
        slots: bytes | None = None,
    ) -> None: ...
    def current_key(self) -> bytes | None: ...
    def some(self, until: int, keys: int) -> int: ...

def read_collection(r: Reader, kind: int, foreign: bool = False) -> Hash | List | Set | ZSet | None: ...
