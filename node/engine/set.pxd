from libc.stdint cimport int64_t, uint8_t, uint32_t
from node.engine.dict cimport Dict
from node.engine.listpack cimport lp_t

cdef class Set:
    """Members. Compact: an intset (Redis' bytes: encoding, count, sorted integers) or a listpack. Indexed: a Dict of Member items."""
    cdef unsigned char* ints   # the intset, or NULL
    cdef lp_t lp               # the listpack, or NULL
    cdef Dict* index           # or NULL

cdef size_t set_len(Set s) noexcept
cdef bint set_add(Set s, const char* m, uint32_t n) noexcept          # True: it is new
cdef bint set_remove(Set s, const char* m, uint32_t n) noexcept
cdef bint set_has(Set s, const char* m, uint32_t n) noexcept
cdef bytes set_pop(Set s)                                             # a random member, removed; the set must not be empty
ctypedef void (*MemberFn)(void* arg, const char* m, uint32_t n) noexcept
cdef void set_each(Set s, MemberFn visit, void* arg) noexcept
