from node.engine.durable.rdb import Writer
from node.engine.keyspace.table import Keyspace

PIECE_BYTES: int

def set_part(bytes: int = ...) -> None: ...

class Snapshot:
    space: Keyspace
    writer: Writer
    keys_total: int
    keys_done: int
    keys_early: int
    active: bool
    error: Exception | None
    def __init__(
        self,
        space: Keyspace,
        slots: bytes | None = None,
        compress: bool = True,
        checksum: bool = True,
        policy: str = "",
        form: int = 0,
    ) -> None: ...
    def step(self, budget_us: int = -1, max_keys: int = -1) -> bool: ...
    def take(self) -> list[bytes]: ...
    @property
    def waiting_bytes(self) -> int: ...
    def cancel(self) -> None: ...
