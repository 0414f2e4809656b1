from libc.stdint cimport int64_t, uint32_t
from node.engine.dict cimport Dict, ZMember
from node.engine.listpack cimport lp_t

cdef class ZSet:
    """Members with scores, ordered by (score, member). Compact: a listpack of member, score. Indexed: a Dict of ZMember
    items and a B+ tree of pointers to them with counts, so that rank and range-by-rank take O(log n)."""
    cdef lp_t lp               # NULL once indexed
    cdef Dict* index
    cdef void* root            # the tree (zset.pyx)

cdef size_t zset_len(ZSet z) noexcept
cdef bint zset_score(ZSet z, const char* m, uint32_t n, double* score) noexcept
cdef bint zset_set(ZSet z, const char* m, uint32_t n, double score) noexcept          # True: the member is new
cdef bint zset_remove(ZSet z, const char* m, uint32_t n) noexcept
cdef long zset_rank(ZSet z, const char* m, uint32_t n) noexcept                       # -1: absent
ctypedef void (*ScoredFn)(void* arg, const char* m, uint32_t n, double score) noexcept
cdef void zset_range(ZSet z, long start, long stop, bint backwards, ScoredFn visit, void* arg) noexcept  # ranks, 0 <= start <= stop < len
cdef long zset_count_below(ZSet z, double score, bint inclusive) noexcept             # members with a score < (<=) score
