# The compact form of a sorted set: Redis' listpack of member, score, member, score, ... in the order of (score, member).

from libc.stdint cimport uint32_t
from node.engine.structures.btree cimport Place
from node.engine.structures.listpack cimport lp_t

ctypedef struct Pair:     # a member and its score, as read from a listpack
    const char* key
    uint32_t klen
    double score
    char digits[24]       # where key points when the member is stored as an integer

cdef void zpack_read(lp_t lp, lp_t member, Pair* pair) noexcept nogil       # the pair whose member is at this element
cdef lp_t zpack_next(lp_t lp, lp_t member) noexcept nogil                   # the next pair's member; NULL at the end
cdef lp_t zpack_prev(lp_t lp, lp_t member) noexcept nogil
cdef lp_t zpack_find(lp_t lp, const char* m, uint32_t n) noexcept nogil     # NULL when absent
cdef double zpack_score(lp_t lp, lp_t member) noexcept nogil
cdef long zpack_rank(lp_t lp, lp_t member) noexcept nogil
cdef long zpack_count_before(lp_t lp, Place* place) noexcept nogil
cdef lp_t zpack_add(lp_t lp, const char* m, uint32_t n, double score) noexcept nogil             # the member must be absent
cdef lp_t zpack_move(lp_t lp, lp_t member, const char* m, uint32_t n, double score) noexcept nogil    # the member at `member`, whose text is m
# What a listpack from outside holds, which must be a valid one: 1 a compact sorted set as we write it, 0 pairs in
# another order, -1 none (no pairs, half a pair, no score, a member twice).
cdef int zpack_check(lp_t lp)
