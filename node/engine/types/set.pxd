from libc.stddef cimport size_t
from libc.stdint cimport uint32_t
from node.engine.structures.intset cimport ints_t
from node.engine.structures.items cimport Items
from node.engine.structures.listpack cimport lp_t

cdef class Set:
    """Members. Compact: an intset (Redis' bytes) or a listpack. Indexed: a Dict of Member items. Exactly one of the
    three is there, and none in a set that never had a member."""
    cdef ints_t ints
    cdef lp_t lp
    cdef Items* index

cdef size_t set_len(Set s) noexcept
cdef bint set_add(Set s, const char* m, uint32_t n) noexcept          # True: it is new
cdef void set_expect(Set s, const char* first, uint32_t n, size_t members) noexcept  # before so many are added, this one first (NULL: not known)
cdef bint set_remove(Set s, const char* m, uint32_t n) noexcept
cdef bint set_has(Set s, const char* m, uint32_t n) noexcept
cdef bytes set_pop(Set s)                                             # a random member, removed; the set must not be empty
cdef void set_popped(Set s, size_t count) noexcept                    # after so many pops in one go: the rest may be compact again
ctypedef void (*MemberFn)(void* arg, const char* m, uint32_t n) noexcept
cdef void set_each(Set s, MemberFn visit, void* arg) noexcept

# The set of an intset, or of a listpack, from outside; ValueError when it is not a whole and sensible one.
cdef Set set_of_intset(const unsigned char* p, size_t n)
cdef Set set_of_listpack(const unsigned char* p, size_t n)
