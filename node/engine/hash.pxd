from libc.stddef cimport size_t
from libc.stdint cimport uint32_t
from node.engine.items cimport Items
from node.engine.listpack cimport lp_t

cdef class Hash:
    """Fields and values. Compact: one listpack of field, value pairs. Indexed: a Dict of Field items."""
    cdef lp_t lp               # NULL once indexed
    cdef Items* index          # NULL while compact

# Native calls, for the hot commands. Pointers that come back are valid until the next change.
cdef size_t hash_len(Hash h) noexcept
cdef bint hash_get(Hash h, const char* f, uint32_t fn, char* buf, char** v, uint32_t* vn) noexcept    # buf: 24 bytes
cdef bint hash_set(Hash h, const char* f, uint32_t fn, const char* v, uint32_t vn) noexcept           # True: the field is new
cdef bint hash_delete(Hash h, const char* f, uint32_t fn) noexcept
ctypedef void (*PairFn)(void* arg, const char* f, uint32_t fn, const char* v, uint32_t vn) noexcept
cdef void hash_each(Hash h, PairFn visit, void* arg) noexcept

# The hash of a listpack from outside; ValueError when it is not a whole and sensible one.
cdef Hash hash_of_listpack(const unsigned char* p, size_t n)
