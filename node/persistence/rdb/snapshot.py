"""Writing a whole data set as an RDB file that Redis 7.0 and later load.

    REDIS0010  aux fields  { SELECTDB RESIZEDB { [expiry] [idle or frequency] kind key value } }  EOF  CRC-64

The file comes as a sequence of pieces, slot by slot, so that whoever takes them decides how much is done at a time.
Dead keys are left out. The pieces are of one moment only if nothing changes the data between the first and the last.
"""

from __future__ import annotations

from collections.abc import Iterator

from cluster.slots import SLOTS
from node.engine.alloc import mem_used
from node.engine.rdb import Writer
from node.engine.table import Db, Keyspace
from node.persistence.rdb import kinds, opcodes
from node.persistence.rdb.values import write_value
from node.version import REDIS_VERSION

PIECE_BYTES = 64 * 1024
KEYS_A_LOOK = 256
"""Keys after which a slot's part is looked at: enough for a piece?"""


def snapshot(space: Keyspace, compress: bool = True, checksum: bool = True, policy: str = "") -> Iterator[bytes]:
    """The file of all databases. `policy` is maxmemory-policy: with some of them the access clock is kept too."""
    w = Writer(compress)
    crc = 0
    for _ in _parts(w, space, policy):
        if len(w) >= PIECE_BYTES:
            crc = w.checksum(crc)
            yield w.take()
    crc = w.checksum(crc)
    w.raw(crc.to_bytes(8, "little") if checksum else bytes(8))
    yield w.take()


def _parts(w: Writer, space: Keyspace, policy: str) -> Iterator[None]:
    """Write everything but the checksum, stopping where a piece may end."""
    w.raw(b"%s%04d" % (opcodes.MAGIC, kinds.VERSION))
    for name, value in _facts(space):
        w.byte(opcodes.AUX)
        w.string(name)
        w.string(value)
    for db in space.dbs:
        if len(db):
            w.byte(opcodes.SELECTDB)
            w.length(db.index)
            w.byte(opcodes.RESIZEDB)
            w.length(len(db))
            w.length(db.volatile_keys)
            for slot in range(SLOTS):
                if db.slot_len(slot):
                    yield from _slot(w, db, slot, policy)
    w.byte(opcodes.EOF)


def _facts(space: Keyspace) -> list[tuple[bytes, bytes]]:
    return [
        (b"redis-ver", REDIS_VERSION.encode()),
        (b"redis-bits", b"64"),
        (b"ctime", b"%d" % (space.now_ms // 1000)),
        (b"used-mem", b"%d" % mem_used()),
        (b"aof-base", b"0"),
    ]


def _slot(w: Writer, db: Db, slot: int, policy: str) -> Iterator[None]:
    for count, key in enumerate(db.slot_keys(slot, -1), 1):
        value, at_ms = db.peek(key), db.expire_at(key)
        if value is None:
            continue  # it has died since the slot was listed
        if at_ms is not None:
            w.byte(opcodes.EXPIRE_MS)
            w.raw(at_ms.to_bytes(8, "little", signed=True))
        if policy.endswith("lru"):
            w.byte(opcodes.IDLE)
            w.length(db.idle_s(key) or 0)
        elif policy.endswith("lfu"):
            w.byte(opcodes.FREQ)
            w.byte(db.freq(key) or 0)
        write_value(w, value, key)
        if count % KEYS_A_LOOK == 0:
            yield
    yield
