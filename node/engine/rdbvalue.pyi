from node.engine.rdb import Writer
from node.engine.table import Value

def write_value(w: Writer, value: Value, key: bytes | None = None) -> None: ...
