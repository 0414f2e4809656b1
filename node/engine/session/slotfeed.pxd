# The writes to some slots, for somebody who moves them elsewhere.

from libc.stddef cimport size_t
from libc.stdint cimport uint64_t

from node.engine.keyspace.keyslot cimport SLOTS

cdef enum:
    WITHOUT_SLOT = -1             # a write that has no keys
    WITH_SEVERAL = -2             # one whose keys are in more than one slot

cdef class SlotFeed:
    cdef char wanted[SLOTS]
    cdef list writes              # of (slot, database, unit, bytes) that nobody has fetched yet
    cdef readonly size_t waiting_bytes
    cdef size_t limit_bytes       # more than that may not wait
    cdef readonly bint overrun    # it did: the feed is of no use any more
    cdef int take_in(self, int slot, int db, uint64_t unit, const char* p, size_t n) except -1
