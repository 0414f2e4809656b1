from libc.stdint cimport uint32_t
from node.engine.structures.btree cimport Tree
from node.engine.structures.dict cimport Dict, ZMember
from node.engine.structures.listpack cimport lp_t

ctypedef struct ZIndex:
    Dict dict
    Tree tree
    void* guard                # a Guard that sees every change first (guard.pxd), borrowed; or NULL
    size_t item_bytes          # of all ZMembers, as the allocator rounds them

cdef class ZSet:
    """Members with scores, ordered by (score, member). Compact: a listpack of member, score (zpack.pxd). Indexed: a Dict
    of ZMember items and a B+ tree of pointers to them with counts (btree.pxd)."""
    cdef lp_t lp               # NULL once indexed
    cdef ZIndex* index         # NULL while compact

cdef enum ZSetChange:
    ZSET_SAME = 0
    ZSET_ADDED = 1             # the member is new
    ZSET_MOVED = 2             # it had another score

# Native calls, for the hot commands. Scores are never NaN. What a visitor gets is valid until the next change.
cdef size_t zset_len(ZSet z) noexcept
cdef bint zset_score(ZSet z, const char* m, uint32_t n, double* score) noexcept
cdef ZSetChange zset_set(ZSet z, const char* m, uint32_t n, double score) noexcept
cdef bint zset_remove(ZSet z, const char* m, uint32_t n) noexcept
cdef long zset_rank(ZSet z, const char* m, uint32_t n) noexcept                       # -1: absent; reversed: len - 1 - rank
ctypedef void (*ScoredFn)(void* arg, const char* m, uint32_t n, double score) noexcept
cdef void zset_range(ZSet z, long start, long stop, bint backwards, ScoredFn visit, void* arg) noexcept  # ranks, 0 <= start <= stop < len
cdef void zset_pop(ZSet z, bint lowest, ScoredFn visit, void* arg) noexcept           # visits the member, then removes it; not of an empty set
cdef long zset_count_below(ZSet z, double score, bint inclusive) noexcept             # members with a score < (<=) score
cdef void zset_remove_ranks(ZSet z, long start, long count) noexcept                  # 0 <= start, start + count <= len

# The sorted set of a listpack of member, score pairs from outside; ValueError when it is not one.
cdef ZSet zset_of_listpack(const unsigned char* data, size_t n)
