from libc.stdint cimport uint32_t, uint64_t
from node.engine.structures.listpack cimport lp_t

ctypedef struct ListNode:
    lp_t lp
    uint32_t count             # its elements, so that finding an index reads the ring only

cdef class List:
    """A sequence of listpacks, each within list-max-listpack-size; both ends in O(1)."""
    cdef ListNode* ring        # of cap nodes, a power of two; the first is ring[head]
    cdef uint32_t head, node_count, cap
    cdef bint quick            # clients are told 'quicklist', else 'listpack'
    cdef size_t size           # elements

# Native calls, for the hot commands. What a visitor or a peek gets is valid until the next change.
cdef size_t list_len(List l) noexcept
cdef void list_push(List l, const char* v, size_t n, bint left) noexcept
cdef bint list_peek(List l, bint left, char* buf, const char** v, uint32_t* n) noexcept     # buf: 24 bytes; False: empty
cdef void list_drop(List l, bint left, size_t count) noexcept              # count <= len elements of one end
cdef bytes list_pop(List l, bint left)                                     # None when empty
ctypedef void (*ElementFn)(void* arg, const char* v, size_t n) noexcept
cdef void list_range(List l, size_t start, size_t stop, bint backwards, ElementFn visit, void* arg) noexcept   # start <= stop < len

# What clients are told the list is. Before so many elements of so many bytes in all are pushed; after some were removed;
# after the list was built.
cdef void list_growing(List l, size_t bytes, size_t count) noexcept nogil
cdef void list_shrunk(List l) noexcept nogil
cdef void list_settle(List l) noexcept nogil

# Append a node of an RDB file: container 1, an element's bytes; 2, a listpack. ValueError when it is broken.
cdef int list_add_node(List l, uint64_t container, const unsigned char* p, size_t n) except -1
