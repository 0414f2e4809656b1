# Records in the order of their stream ids: a stream's nodes, and what its groups and consumers have pending.
#
# Pages of up to PAGE_MAX records, sorted, in a sorted array. Most records come at the end and go from the front, where
# both cost next to nothing; in between a change moves half a page. A binary search over pages finds the rest.

from libc.stddef cimport size_t
from libc.stdint cimport uint32_t, uint64_t

ctypedef struct Id:
    uint64_t ms
    uint64_t seq

ctypedef struct Page:
    char* records
    uint32_t count
    uint32_t cap

ctypedef struct IdMap:
    Page* pages                # none of them is empty
    uint32_t page_count
    uint32_t page_cap
    uint32_t record_bytes      # of a record, which begins with its Id
    uint64_t count

ctypedef struct Spot:          # a record's place, valid until the next change
    uint32_t page
    uint32_t at

cdef inline int id_compare(Id a, Id b) noexcept nogil:
    if a.ms != b.ms:
        return 1 if a.ms > b.ms else -1
    return (a.seq > b.seq) - (a.seq < b.seq)

cdef inline bint id_is_zero(Id a) noexcept nogil:
    return a.ms == 0 and a.seq == 0

cdef bint id_advance(Id* id) noexcept nogil                # to the next id; False: it was the last one there is

cdef void idmap_init(IdMap* map, uint32_t record_bytes) noexcept nogil
cdef void idmap_release(IdMap* map) noexcept nogil         # everything but what records point to
cdef void idmap_copy(IdMap* source, IdMap* target) noexcept nogil    # into one that is not in use; records byte by byte
cdef size_t idmap_memory(IdMap* map) noexcept nogil
cdef void* idmap_find(IdMap* map, Id id) noexcept nogil    # NULL: no such record
cdef void* idmap_add(IdMap* map, Id id, bint* added) noexcept nogil  # the record, made and zeroed if there was none
cdef bint idmap_remove(IdMap* map, Id id) noexcept nogil   # False: no such record
# Walks: where a record stands, NULL when there is none. `after`: the first one not before id; `before`: the last one not
# after it.
cdef void* idmap_first(IdMap* map, Spot* spot) noexcept nogil
cdef void* idmap_last(IdMap* map, Spot* spot) noexcept nogil
cdef void* idmap_after(IdMap* map, Id id, Spot* spot) noexcept nogil
cdef void* idmap_before(IdMap* map, Id id, Spot* spot) noexcept nogil
cdef void* idmap_next(IdMap* map, Spot* spot) noexcept nogil
cdef void* idmap_prev(IdMap* map, Spot* spot) noexcept nogil

# Python's form of an id is the tuple (ms, seq).
cdef Id id_from(tuple value) except *
cdef tuple id_tuple(Id id)
cdef bytes id_text(Id id)
