"""The pieces of a snapshot turned into commands, while they come: a base file without RDB (aof-use-rdb-preamble no).

There is one walk over the data that is of one moment, and it speaks RDB; going through it costs a second look at every
value, and saves a second walk. Pieces end anywhere: what is not whole yet is kept and tried again when there is twice
as much, so that a large value is not read again for every piece of it.
"""

from __future__ import annotations

from node.engine.durable.rdb import Malformed, Reader
from node.persistence.aof.commands import commands_for
from node.persistence.rdb import opcodes
from node.persistence.rdb.values import read_value
from node.replication.write_stream import request

HEADER = len(opcodes.MAGIC) + 4
CHECKSUM = 8


class Converter:
    """Makes commands of one snapshot."""

    def __init__(self) -> None:
        self.complete = False
        self._unread = bytearray()
        self._enough = HEADER
        self._begun = False

    def feed(self, piece: bytes) -> bytes:
        """The commands that have become whole with this piece."""
        self._unread += piece
        if len(self._unread) < self._enough:
            return b""
        reader, out, used = Reader(bytes(self._unread)), bytearray(), 0
        try:
            while reader.left and not self.complete:
                self._record(reader, out)
                used = reader.at
        except Malformed:
            self._enough = 2 * (len(self._unread) - used)
        else:
            self._enough = 0
        del self._unread[:used]
        return bytes(out)

    def finish(self) -> bytes:
        """All pieces have come: the commands of the rest. Malformed if they were not a whole file."""
        self._enough = 0
        out = self.feed(b"")
        if not self.complete:
            raise Malformed("the snapshot ends too early")
        return out

    def _record(self, r: Reader, out: bytearray) -> None:
        """One part of the file, added to `out` only if it is there as a whole."""
        if not self._begun:
            r.raw(HEADER)
            self._begun = True
            return
        at_ms: int | None = None
        while True:
            match r.byte():
                case opcodes.EXPIRE_MS:
                    at_ms = int.from_bytes(r.raw(8), "little", signed=True)
                    continue
                case opcodes.IDLE:
                    r.length()
                    continue
                case opcodes.FREQ:
                    r.byte()
                    continue
                case opcodes.AUX:
                    r.string(), r.string()
                case opcodes.RESIZEDB:
                    r.length(), r.length()
                case opcodes.SELECTDB:
                    out += request([b"SELECT", b"%d" % r.length()])
                case opcodes.FUNCTION:
                    out += request([b"FUNCTION", b"LOAD", r.string()])
                case opcodes.EOF:
                    r.raw(CHECKSUM)
                    self.complete = True
                case kind:
                    key, value = r.string(), read_value(r, kind)
                    for argv in commands_for(key, value, at_ms):
                        out += request(argv)
            return
