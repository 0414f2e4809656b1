# The indexed form of a hash or a set: a Dict of its items, what the items occupy, and how far freeing has come.

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from node.engine.structures.dict cimport Dict, Field, Member

ctypedef struct Items:
    Dict dict
    void* ttls            # of a hash with fields that will die: its FieldTtls (hash.pxd), else NULL
    size_t bytes          # of the items, as the allocator rounds them
    void* guard           # a Guard that sees every change first (guard.pxd), borrowed; or NULL
    uint64_t freed        # position up to which free_some has freed the items: from then on nothing else may be asked

cdef Items* items_new(uint8_t kind) noexcept nogil
cdef void items_free(Items* t) noexcept nogil                             # the items, the arrays and t itself
cdef bint items_free_some(Items* t, long budget) noexcept nogil           # up to budget items; True while more remain
cdef size_t items_memory(Items* t) noexcept nogil
cdef void* items_alloc(Items* t, size_t n) noexcept nogil                 # memory for one item, counted in t.bytes
cdef void* items_realloc(Items* t, void* item, size_t old, size_t new) noexcept nogil
cdef void items_drop(Items* t, void* item) noexcept nogil                 # an item that is out of the dict
