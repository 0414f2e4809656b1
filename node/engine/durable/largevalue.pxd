# One large value on its way into a snapshot, a part at a time.

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t, uint64_t

from node.engine.structures.btree cimport Place
from node.engine.structures.dict cimport Entry
from node.engine.keyspace.entry cimport Raw
from node.engine.types.guard cimport Guard
from node.engine.structures.idmap cimport Spot
from node.engine.structures.items cimport Items
from node.engine.types.list cimport List
from node.engine.durable.rdb cimport Writer
from node.engine.durable.rdbvalue cimport AccessClock
from node.engine.types.stream cimport Stream
from node.engine.keyspace.table cimport Keyspace
from node.engine.types.zset cimport ZIndex

cdef class LargeValue(Guard):
    cdef Writer head             # the key with all that stands before the elements, until `begin`
    cdef Writer out              # where elements go: aside until `begin`
    cdef object value            # the collection, held until `close`
    cdef Entry* entry            # its key, if the value may not change while it is being written; else NULL
    cdef bint guarded            # it may change: what is about to, is written first
    cdef object error            # what went wrong inside a change, or None
    cdef int begin(self, Writer w) except -1           # its turn has come: to w, and from now on nothing else may go there
    cdef bint advance(self, size_t bytes) except -1    # write about so many bytes; False: that was all
    cdef int close(self, Keyspace space) except -1

cdef class LargeItems(LargeValue):
    """A hash or a set: a scan of its table."""
    cdef Items* items
    cdef uint64_t cursor         # items whose hash, read from the lowest bit up, is below it have been written
    cdef bint through
    cdef int64_t first_ms        # of a hash with fields that die, when the first does; it may not change meanwhile. Else NEVER
    cdef set touched             # others that have been written early, or were added since: they are passed over
    cdef bint passed(self, uint64_t h) noexcept
    cdef int put_item(self, void* item) except -1

cdef class LargeZSet(LargeValue):
    """A sorted set: from the highest pair down."""
    cdef ZIndex* index
    cdef bytes member            # the pair written last; None: none yet
    cdef double score
    cdef set touched
    cdef Place place(self) noexcept

cdef class LargeList(LargeValue):
    cdef uint32_t at             # node

cdef class LargeStream(LargeValue):
    cdef Spot spot
    cdef bint started

cdef class LargeString(LargeValue):
    cdef Raw* raw
    cdef size_t at

# The value of an entry, ready to be written in parts; None: it is so small that it is written at once.
# It is going to be written to a Writer like this one.
cdef LargeValue large_value(Keyspace space, Entry* e, AccessClock clock, Writer like)
# The same of a type's collections. The module that has this says so; a type that has none is written at once whatever its size.
ctypedef LargeValue (*LargeFn)(object value, Keyspace space, Entry* e, AccessClock clock, Writer like)
cdef int declare_parts(int code, LargeFn how) except -1
