# The order of a large sorted set: a B+ tree of (score, member) pairs with counts, so that rank and the n-th take O(log n).
#
# Leaves hold scores beside pointers to the members, and are linked both ways; inner nodes hold, for each child, how many
# pairs are below it and its first pair. The members themselves belong to the caller.

from libc.stdint cimport uint16_t, uint32_t
from node.engine.structures.dict cimport ZMember

cdef enum:
    LEAF_MAX = 62         # a leaf fits a block of 1 KiB
    FANOUT = 64

ctypedef struct Node:     # what Leaf and Inner begin with
    uint16_t n
    uint16_t level        # 0: a leaf

ctypedef struct Leaf:
    uint16_t n
    uint16_t level
    Leaf* prev
    Leaf* next
    double scores[LEAF_MAX]
    ZMember* members[LEAF_MAX]

ctypedef struct Inner:
    uint16_t n
    uint16_t level
    uint32_t counts[FANOUT]
    Node* children[FANOUT]
    double scores[FANOUT]
    ZMember* members[FANOUT]

ctypedef struct Tree:
    Node* root            # never NULL between tree_init and tree_release
    uint32_t count        # pairs
    uint32_t leaves
    uint32_t inners

# A place in the order: every pair is before it or not. A pair's own place, or a bound of a range by score or by member.
ctypedef struct Place:
    double score          # by_score
    const char* key       # by_member
    uint32_t klen
    bint by_score
    bint by_member
    bint inclusive        # the pairs that equal it are before it

ctypedef struct Cursor:
    Leaf* leaf            # NULL beyond either end
    uint32_t at

ctypedef void (*RemovedFn)(void* arg, ZMember* m) noexcept

cdef inline Place place_of_pair(double score, const char* key, uint32_t klen, bint inclusive) noexcept nogil:
    cdef Place p
    p.score, p.key, p.klen, p.inclusive = score, key, klen, inclusive
    p.by_score = p.by_member = True
    return p

cdef inline Place place_of_score(double score, bint inclusive) noexcept nogil:
    cdef Place p
    p.score, p.key, p.klen, p.inclusive = score, NULL, 0, inclusive
    p.by_score, p.by_member = True, False
    return p

cdef inline Place place_of_member(const char* key, uint32_t klen, bint inclusive) noexcept nogil:
    """A bound by member alone, for sets whose scores are all equal (as ZRANGEBYLEX demands of its users)."""
    cdef Place p
    p.score, p.key, p.klen, p.inclusive = 0, key, klen, inclusive
    p.by_score, p.by_member = False, True
    return p

cdef bint is_before(double score, const char* key, uint32_t klen, Place* place) noexcept nogil

cdef void tree_init(Tree* t) noexcept nogil
cdef void tree_release(Tree* t) noexcept nogil                    # of an empty tree
cdef size_t tree_bytes(Tree* t) noexcept nogil
cdef void tree_insert(Tree* t, ZMember* m) noexcept nogil         # at m.score; the pair must be absent
cdef void tree_move(Tree* t, ZMember* m, double score) noexcept nogil         # give a member of the tree another score
cdef uint32_t tree_count_before(Tree* t, Place* place) noexcept nogil
cdef Cursor tree_at(Tree* t, uint32_t rank) noexcept nogil        # rank < count
cdef void tree_remove_member(Tree* t, ZMember* m) noexcept nogil
# Remove `count` pairs from `rank` on, in O(log n) a leaf; `removed` gets each member in order, and may free it.
cdef void tree_remove(Tree* t, uint32_t rank, uint32_t count, RemovedFn removed, void* arg) noexcept

cdef inline ZMember* cursor_next(Cursor* c) noexcept nogil:
    """The member under the cursor, which moves on; NULL at the end."""
    cdef ZMember* m
    if c.leaf == NULL:
        return NULL
    m = c.leaf.members[c.at]
    c.at += 1
    if c.at == c.leaf.n:
        c.leaf = c.leaf.next
        c.at = 0
    return m

cdef inline ZMember* cursor_prev(Cursor* c) noexcept nogil:
    """The member under the cursor, which moves back; NULL at the end."""
    cdef ZMember* m
    if c.leaf == NULL:
        return NULL
    m = c.leaf.members[c.at]
    if c.at == 0:
        c.leaf = c.leaf.prev
        c.at = c.leaf.n - 1 if c.leaf != NULL else 0
    else:
        c.at -= 1
    return m
