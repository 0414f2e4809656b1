from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t
from node.engine.structures.items cimport Items
from node.engine.structures.listpack cimport lp_t
from node.engine.types.zset cimport ZSet

cdef class FieldTtls:
    """When fields of one hash die. Those that are dead at `now_ms` are hidden from whoever reads the hash."""
    cdef ZSet order            # fields by unix ms
    cdef int64_t due_ms        # the first of them
    cdef int64_t now_ms

cdef class Hash:
    """Fields and values. Compact: one listpack of field, value pairs. Indexed: a Dict of Field items."""
    cdef lp_t lp               # NULL once indexed
    cdef Items* index          # NULL while compact

# Native calls, for the hot commands. Pointers that come back are valid until the next change.
cdef size_t hash_len(Hash h) noexcept
cdef size_t hash_visible(Hash h) noexcept                                     # without dead fields: what hash_each visits
cdef bint hash_get(Hash h, const char* f, uint32_t fn, char* buf, char** v, uint32_t* vn) noexcept    # buf: 24 bytes
cdef bint hash_put(Hash h, const char* f, uint32_t fn, const char* v, uint32_t vn) noexcept           # as hash_set, but the field dies when it would have
cdef bint hash_set(Hash h, const char* f, uint32_t fn, const char* v, uint32_t vn) noexcept           # True: the field is new
cdef bint hash_delete(Hash h, const char* f, uint32_t fn) noexcept
ctypedef void (*PairFn)(void* arg, const char* f, uint32_t fn, const char* v, uint32_t vn) noexcept
cdef void hash_each(Hash h, PairFn visit, void* arg) noexcept

# When fields die. NEVER: it does not, or is not there.
cdef enum:
    NEVER = -1
cdef bint hash_has_ttls(Hash h) noexcept
cdef int64_t hash_first_death(Hash h) noexcept
cdef int64_t hash_death(Hash h, const char* f, uint32_t fn) noexcept

# The hash of a listpack from outside; ValueError when it is not a whole and sensible one.
cdef Hash hash_of_listpack(const unsigned char* p, size_t n)
