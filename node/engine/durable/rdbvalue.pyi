from node.engine.durable.rdb import Writer
from node.engine.keyspace.table import Value

def write_value(w: Writer, value: Value, key: bytes | None = None) -> None: ...
