from libc.stdint cimport int64_t, uint32_t
from node.engine.listpack cimport lp_t

cdef class List:
    """A sequence of listpacks ('quicklist' to clients), each within list-max-listpack-size; both ends in O(1)."""
    cdef lp_t* nodes           # ring or gap array of listpacks, `head` the first
    cdef uint32_t head, count, cap
    cdef size_t size           # elements

cdef size_t list_len(List l) noexcept
cdef void list_push(List l, const char* v, size_t n, bint left) noexcept
# The element at one end, removed: copied into a bytes object by pop, or handed to visit by pop_each.
cdef bytes list_pop(List l, bint left)
ctypedef void (*ElementFn)(void* arg, const char* v, size_t n) noexcept
cdef void list_range(List l, long start, long stop, bint backwards, ElementFn visit, void* arg) noexcept   # 0 <= start <= stop < len
cdef bint list_peek(List l, bint left, char* buf, char** v, size_t* n) noexcept
