"""Writing data sets as RDB files that Redis 7.0 and later load, or in a form for newer readers (kinds.Form).

    REDIS0010  aux fields  functions  { SELECTDB RESIZEDB { [expiry] [idle or frequency] kind key value } }  EOF  CRC-64

What stands before the keys is written here; the keys, the end and the checksum come from the engine
(node/engine/durable/snapshot.pyx), which can write them while the data changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from node.engine.durable.rdb import Writer
from node.engine.durable.snapshot import Snapshot
from node.engine.keyspace.table import Keyspace
from node.engine.memory.alloc import mem_used
from node.persistence.rdb import opcodes
from node.persistence.types import kinds
from node.version import REDIS_VERSION

SLICE_KEYS = 1000


def write_head(
    w: Writer, space: Keyspace, aux: Mapping[str, object] | None = None, functions: Iterable[bytes] = ()
) -> None:
    """Open a file: what it is, facts about it (`aux` adds to them, or replaces them), and the code of libraries."""
    if w.form == kinds.Form.VALKEY_9:
        w.raw(b"%s%03d" % (opcodes.MAGIC_VALKEY, kinds.VERSION_VALKEY))
    else:
        plain = kinds.VERSION if w.form == kinds.Form.REDIS_70 else kinds.VERSION_72
        w.raw(b"%s%04d" % (opcodes.MAGIC, kinds.VERSION_EXPIRING if space.mortal_hashes else plain))
    for name, value in {**_facts(space), **(aux or {})}.items():
        w.byte(opcodes.AUX)
        w.string(name.encode())
        w.string(str(value).encode())
    for library in functions:
        w.byte(opcodes.FUNCTION)
        w.string(library)


def _facts(space: Keyspace) -> dict[str, object]:
    return {
        "redis-ver": REDIS_VERSION,
        "redis-bits": 64,
        "ctime": space.now_ms // 1000,
        "used-mem": mem_used(),
        "aof-base": 0,
    }


def snapshot(
    space: Keyspace,
    compress: bool = True,
    checksum: bool = True,
    policy: str = "",
    aux: Mapping[str, object] | None = None,
    functions: Iterable[bytes] = (),
    form: kinds.Form = kinds.Form.REDIS_70,
) -> Iterator[bytes]:
    """The file of all databases, in pieces. It is of the moment at which the first piece is asked for.

    `policy` is maxmemory-policy: with some of them the access clock is kept too.
    """
    walk = Snapshot(space, compress=compress, checksum=checksum, policy=policy, form=form)
    try:
        write_head(walk.writer, space, aux, functions)
        more = True
        while more:
            more = walk.step(max_keys=SLICE_KEYS)
            yield from walk.take()
    finally:
        walk.cancel()
