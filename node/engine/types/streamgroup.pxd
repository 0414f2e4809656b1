# Consumer groups of a stream: what was delivered to whom and is still to be acknowledged.

from libc.stdint cimport int64_t, uint64_t
from node.engine.structures.idmap cimport Id, IdMap

ctypedef struct Pending:           # a record of Group.pel; Consumer.pel has the ids only
    Id id
    int64_t delivered_ms
    uint64_t deliveries
    void* consumer                 # a Consumer, kept alive by the group; NULL only while a payload is read

cdef class Consumer:
    cdef readonly bytes name
    cdef public int64_t seen_ms    # when it last asked for entries, whether it got any or not
    cdef public int64_t active_ms  # when it last got some that it has to acknowledge; -1: never
    cdef IdMap pel

cdef class Group:
    """Consumers that share the entries of a stream, each of which goes to one of them."""
    cdef readonly bytes name
    cdef Id last                   # the last entry delivered
    cdef public int64_t entries_read     # how many entries were added up to `last`; -1: unknown
    cdef IdMap pel
    cdef dict consumers            # by name

cdef Group group_new(bytes name, Id last, int64_t entries_read)
cdef Group group_copy(Group g)
cdef size_t group_memory(Group g)
cdef int group_assign(Group g, Id id, Consumer consumer, int64_t delivered_ms, uint64_t deliveries) except -1
