"""The writes to some slots of a node, as they come: what somebody who moves slots elsewhere reads.

The journal offers each write with its slot; what is for other slots costs one look here, and what is taken in stays
until it is fetched. A write without a slot (FLUSHALL), or one whose keys are in several (which only a node without a
cluster has, or a script that may), is taken in, too: the reader has to see for itself what it means.

A reader that is too slow is told so, and has to begin again with a snapshot: the node must not grow without end for it.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.string cimport memcpy

NO_SLOT = -1
SEVERAL_SLOTS = -2


class Overrun(Exception):
    """More has come than may wait, and is gone: whoever reads has to begin again."""


@cython.final
cdef class SlotFeed:
    def __init__(self, bytes slots not None, size_t limit_bytes):
        """`slots` has 16384 bytes, one a slot, 0 for those to leave out. At most so many bytes may wait."""
        if len(slots) != SLOTS:
            raise ValueError("one byte for each slot")
        memcpy(self.wanted, <const char*>slots, SLOTS)
        self.writes = []
        self.limit_bytes = limit_bytes

    cdef int take_in(self, int slot, int db, uint64_t unit, const char* p, size_t n) except -1:
        if self.overrun or (slot >= 0 and not self.wanted[slot]):
            return 0
        self.waiting_bytes += n
        if self.waiting_bytes <= self.limit_bytes:
            try:
                self.writes.append((slot, db, unit, PyBytes_FromStringAndSize(p, n)))
                return 0
            except MemoryError:
                pass
        # The write is done, and nobody else must suffer from this: it is for the reader to notice.
        self.overrun = True
        self.writes = []
        self.waiting_bytes = 0
        return 0

    def take(self) -> list:
        """The writes that have come since: slot, database, unit and the command as a client would send it.

        Those of one unit leave together: nobody may see a part of them. Overrun: some are lost.
        """
        if self.overrun:
            raise Overrun
        writes, self.writes = self.writes, []
        self.waiting_bytes = 0
        return writes
