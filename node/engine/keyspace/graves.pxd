# What was taken out of the keyspace at once and is freed bit by bit.

from libc.stddef cimport size_t
from libc.stdint cimport uint64_t

from node.engine.structures.dict cimport Dict, Entry
from node.engine.keyspace.entry cimport Raw

cdef class Grave:
    """The slots of a flushed database, one long string, or one large collection."""
    cdef Dict* slots             # or NULL
    cdef int slot                # the next slot to empty, and the place in its dict
    cdef uint64_t pos
    cdef Raw* raw                # or NULL
    cdef object value            # or None
    cdef size_t pending          # objects still waiting
    cdef bint counted            # as lazily freed objects: a command asked for that
    # Free about *budget items, which is lowered by what was done; True while there is more. What turns out to be large
    # itself becomes a grave of its own at the end of `graves`.
    cdef bint free_some(self, long* budget, list graves) except -1

cdef Grave grave_of_slots(Dict* slots, size_t pending)
cdef Grave grave_of_value(object value)           # of a collection that nobody else holds
# What an entry holds besides itself: freed, or returned as a grave if that would take long (more elements than `limit`).
cdef Grave dispose_value(Entry* e, size_t limit)

cdef enum:
    LARGE = 64                   # elements of a collection that is worth a grave
