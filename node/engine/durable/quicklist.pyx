"""A list as Redis would lay it out in nodes, for DUMP and snapshots.

Our own nodes at the ends stay small while they are busy (list.pyx), so they are not what goes out: each node here takes
elements until Redis' rule says that it is full, as a list does that was only ever pushed to at its right end. A list that
fits one node, which most do, comes out as Redis has it whatever its history was.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from node.engine.types.limits cimport limits
from node.engine.types.list cimport List, list_len, list_range
from node.engine.structures.listpack cimport LP_MAX_BYTES, lp_append, lp_bytes, lp_count, lp_free, lp_new, lp_t

cdef enum:
    PLAIN = 1                   # a node that is the bytes of one huge element
    PACKED = 2                  # a node that is a listpack
    ENTRY_OVERHEAD = 8          # what an element is taken to need beside its bytes
    SAFETY_BYTES = 8192         # a node's limit where the directive limits its elements only


ctypedef struct Packing:
    void* nodes                 # the list of what is finished
    lp_t lp                     # the node that is being filled


cdef inline bint has_room(lp_t lp, size_t n) noexcept nogil:
    cdef long fill = limits.list_max_listpack_size
    cdef size_t limit = SAFETY_BYTES if fill >= 0 else <size_t>2048 << (-fill if fill > -5 else 5)
    if lp_count(lp) == 0:
        return True
    return lp_bytes(lp) + n + ENTRY_OVERHEAD <= limit and (fill < 0 or <long>lp_count(lp) < fill)


cdef inline void finish(Packing* packing) noexcept:
    if lp_count(packing.lp):
        (<list>packing.nodes).append((PACKED, PyBytes_FromStringAndSize(<char*>packing.lp, lp_bytes(packing.lp))))
        lp_free(packing.lp)
        packing.lp = lp_new()


cdef void pack_element(void* arg, const char* v, size_t n) noexcept:
    cdef Packing* packing = <Packing*>arg
    if n > LP_MAX_BYTES:
        finish(packing)
        (<list>packing.nodes).append((PLAIN, PyBytes_FromStringAndSize(v, n)))
        return
    if not has_room(packing.lp, n):
        finish(packing)
    packing.lp = lp_append(packing.lp, v, <unsigned int>n)


def quicklist_nodes(List value not None) -> list:
    """(1, an element's bytes) or (2, a listpack) for each node."""
    cdef list nodes = []
    cdef Packing packing
    packing.nodes = <void*>nodes
    packing.lp = lp_new()
    if list_len(value):
        list_range(value, 0, list_len(value) - 1, False, pack_element, &packing)
    finish(&packing)
    lp_free(packing.lp)
    return nodes
