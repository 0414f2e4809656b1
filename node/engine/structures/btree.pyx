"""The order of a large sorted set (btree.pxd is the contract).

What holds between any two calls:

- all pairs below child i precede all pairs below child i + 1; an inner node's i-th score and member are exactly the
  first pair below child i, and its i-th count is exactly the number of pairs below it;
- no node is empty, except for the root of an empty tree, which is a leaf.

A member's address stays the same for as long as it lives, so the first pairs can name it without owning it. Scores are
stored beside the pointers: most comparisons are decided by them, within a few cache lines, and only equal scores look
into the members.

A full leaf splits in the middle, except for the first and the last one, and an inner node does unless its first or last
child split: otherwise sets that are filled in order would leave half of everything empty. A node that falls below a quarter merges with a neighbour when both fit into three quarters of a
node; one that does not fit stays sparse until it empties. That is simpler than borrowing pairs, and each pair of
neighbours still holds at least a quarter of what it could on average.

A skip list, Redis' choice, was rejected: it needs about 40 bytes a member for pointers and spans, this tree about 24,
and it misses the cache at each step.
"""

from libc.string cimport memcmp, memmove
from node.engine.memory.alloc cimport mem_alloc, mem_free, mem_size

cdef enum:
    MAX_DEPTH = 16               # 2**32 pairs in nodes that are a quarter full need eight levels
    LEAF_MIN = LEAF_MAX // 4
    LEAF_FILL = LEAF_MAX * 3 // 4
    INNER_MIN = FANOUT // 4
    INNER_FILL = FANOUT * 3 // 4

ctypedef struct Path:
    # The way from the root to a leaf: which child was taken at each inner node.
    Inner* nodes[MAX_DEPTH]
    uint32_t at[MAX_DEPTH]
    int depth


# --- Order ---------------------------------------------------------------------------------------------------------

cdef inline int compare_keys(const char* a, uint32_t an, const char* b, uint32_t bn) noexcept nogil:
    cdef int order = memcmp(a, b, an if an < bn else bn)
    if order:
        return order
    return (an > bn) - (an < bn)


cdef bint is_before(double score, const char* key, uint32_t klen, Place* place) noexcept nogil:
    cdef int order
    if place.by_score and score != place.score:
        return score < place.score
    if not place.by_member:
        return place.inclusive
    order = compare_keys(key, klen, place.key, place.klen)
    return order < 0 or (order == 0 and place.inclusive)


cdef inline bint member_before(double score, ZMember* m, Place* place) noexcept nogil:
    if place.by_score and score != place.score:        # decided without touching the member
        return score < place.score
    return is_before(score, <char*>m + sizeof(ZMember), m.klen, place)


cdef inline uint32_t position(double* scores, ZMember** members, uint32_t n, Place* place) noexcept nogil:
    """How many of a node's pairs are before the place."""
    cdef uint32_t low = 0, high = n, middle
    while low < high:
        middle = (low + high) >> 1
        if member_before(scores[middle], members[middle], place):
            low = middle + 1
        else:
            high = middle
    return low


cdef inline Place place_of(ZMember* m, bint inclusive) noexcept nogil:
    return place_of_pair(m.score, <char*>m + sizeof(ZMember), m.klen, inclusive)


# --- Walking down --------------------------------------------------------------------------------------------------

cdef inline Leaf* descend(Tree* t, Place* place, Path* path) noexcept nogil:
    """The leaf that holds the last pair before the place (or the first leaf), and the way to it."""
    cdef Node* node = t.root
    cdef Inner* inner
    cdef uint32_t at
    path.depth = 0
    while node.level:
        inner = <Inner*>node
        at = position(inner.scores, inner.members, inner.n, place)
        if at:
            at -= 1
        path.nodes[path.depth] = inner
        path.at[path.depth] = at
        path.depth += 1
        node = inner.children[at]
    return <Leaf*>node


cdef Leaf* descend_to_rank(Tree* t, uint32_t* rank, Path* path) noexcept nogil:
    """The leaf that holds the pair of this rank, which becomes the position in the leaf."""
    cdef Node* node = t.root
    cdef Inner* inner
    cdef uint32_t at
    path.depth = 0
    while node.level:
        inner = <Inner*>node
        at = 0
        while rank[0] >= inner.counts[at]:
            rank[0] -= inner.counts[at]
            at += 1
        path.nodes[path.depth] = inner
        path.at[path.depth] = at
        path.depth += 1
        node = inner.children[at]
    return <Leaf*>node


cdef uint32_t tree_count_before(Tree* t, Place* place) noexcept nogil:
    cdef Node* node = t.root
    cdef Inner* inner
    cdef Leaf* leaf
    cdef uint32_t at, i, before = 0
    while node.level:
        inner = <Inner*>node
        at = position(inner.scores, inner.members, inner.n, place)
        if at == 0:                                     # not even the first pair below is before it
            return before
        for i in range(at - 1):
            before += inner.counts[i]
        node = inner.children[at - 1]
    leaf = <Leaf*>node
    return before + position(leaf.scores, leaf.members, leaf.n, place)


cdef Cursor tree_at(Tree* t, uint32_t rank) noexcept nogil:
    cdef Path path
    cdef Cursor c
    c.leaf = descend_to_rank(t, &rank, &path)
    c.at = rank
    return c


# --- Nodes ---------------------------------------------------------------------------------------------------------

cdef Leaf* new_leaf(Tree* t) noexcept nogil:
    cdef Leaf* leaf = <Leaf*>mem_alloc(sizeof(Leaf))
    leaf.n = leaf.level = 0
    leaf.prev = leaf.next = NULL
    t.leaves += 1
    return leaf


cdef Inner* new_inner(Tree* t, uint16_t level) noexcept nogil:
    cdef Inner* inner = <Inner*>mem_alloc(sizeof(Inner))
    inner.n = 0
    inner.level = level
    t.inners += 1
    return inner


cdef void free_node(Tree* t, Node* node) noexcept nogil:
    """Free a node; a leaf leaves the chain of leaves."""
    cdef Leaf* leaf
    if node.level:
        mem_free(node, sizeof(Inner))
        t.inners -= 1
        return
    leaf = <Leaf*>node
    if leaf.prev != NULL:
        leaf.prev.next = leaf.next
    if leaf.next != NULL:
        leaf.next.prev = leaf.prev
    mem_free(node, sizeof(Leaf))
    t.leaves -= 1


cdef inline uint32_t weight(Node* node) noexcept nogil:
    """How many pairs are below."""
    cdef uint32_t i, total = 0
    if node.level == 0:
        return node.n
    for i in range(node.n):
        total += (<Inner*>node).counts[i]
    return total


cdef inline void set_first(Inner* parent, uint32_t at) noexcept nogil:
    """Note the first pair below child `at`."""
    cdef Node* node = parent.children[at]
    if node.level == 0:
        parent.scores[at] = (<Leaf*>node).scores[0]
        parent.members[at] = (<Leaf*>node).members[0]
    else:
        parent.scores[at] = (<Inner*>node).scores[0]
        parent.members[at] = (<Inner*>node).members[0]


cdef inline void shift_leaf(Leaf* target, uint32_t to, Leaf* source, uint32_t at, uint32_t n) noexcept nogil:
    memmove(&target.scores[to], &source.scores[at], n * sizeof(double))
    memmove(&target.members[to], &source.members[at], n * sizeof(ZMember*))


cdef inline void shift_inner(Inner* target, uint32_t to, Inner* source, uint32_t at, uint32_t n) noexcept nogil:
    memmove(&target.counts[to], &source.counts[at], n * sizeof(uint32_t))
    memmove(&target.children[to], &source.children[at], n * sizeof(Node*))
    memmove(&target.scores[to], &source.scores[at], n * sizeof(double))
    memmove(&target.members[to], &source.members[at], n * sizeof(ZMember*))


cdef inline void put_pair(Leaf* leaf, uint32_t at, ZMember* m) noexcept nogil:
    shift_leaf(leaf, at + 1, leaf, at, leaf.n - at)
    leaf.scores[at] = m.score
    leaf.members[at] = m
    leaf.n += 1


cdef inline void put_child(Inner* inner, uint32_t at, Node* child) noexcept nogil:
    shift_inner(inner, at + 1, inner, at, inner.n - at)
    inner.children[at] = child
    inner.counts[at] = weight(child)
    inner.n += 1
    set_first(inner, at)


cdef void tree_init(Tree* t) noexcept nogil:
    t.count = t.leaves = t.inners = 0
    t.root = <Node*>new_leaf(t)


cdef void tree_release(Tree* t) noexcept nogil:
    free_node(t, t.root)
    t.root = NULL


cdef size_t tree_bytes(Tree* t) noexcept nogil:
    return t.leaves * mem_size(sizeof(Leaf)) + t.inners * mem_size(sizeof(Inner))


# --- Growing -------------------------------------------------------------------------------------------------------

cdef Leaf* split_leaf(Tree* t, Leaf* leaf, uint32_t at) noexcept nogil:
    """Move a full leaf's second half to a new leaf behind it. `at`: where a pair is about to be inserted."""
    cdef Leaf* right = new_leaf(t)
    cdef uint32_t cut = LEAF_MAX // 2
    if at == LEAF_MAX and leaf.next == NULL:
        cut = LEAF_MAX
    elif at == 0 and leaf.prev == NULL:
        cut = 0
    right.n = LEAF_MAX - cut
    shift_leaf(right, 0, leaf, cut, right.n)
    leaf.n = cut
    right.prev = leaf
    right.next = leaf.next
    if right.next != NULL:
        right.next.prev = right
    leaf.next = right
    return right


cdef Inner* split_inner(Tree* t, Inner* inner, uint32_t at) noexcept nogil:
    """The same for an inner node; neither half is ever empty."""
    cdef Inner* right = new_inner(t, inner.level)
    cdef uint32_t cut = FANOUT // 2
    if at == FANOUT:
        cut = FANOUT - 1
    elif at == 1:                                       # the child that split is the first one
        cut = 1
    right.n = FANOUT - cut
    shift_inner(right, 0, inner, cut, right.n)
    inner.n = cut
    return right


cdef void add_sibling(Tree* t, Path* path, Node* child) noexcept nogil:
    """Hang a new node into the tree, right of the node at the path's end, from which it was split; adjust the counts."""
    cdef Inner* inner
    cdef Inner* right
    cdef uint32_t at
    cdef int i, d = path.depth
    while d > 0:
        d -= 1
        inner = path.nodes[d]
        at = path.at[d]
        inner.counts[at] = weight(inner.children[at])
        at += 1
        if inner.n < FANOUT:
            put_child(inner, at, child)
            for i in range(d):
                path.nodes[i].counts[path.at[i]] += 1
            return
        right = split_inner(t, inner, at)
        if at <= inner.n:
            put_child(inner, at, child)
        else:
            put_child(right, at - inner.n, child)
        child = <Node*>right
    inner = new_inner(t, t.root.level + 1)
    put_child(inner, 0, t.root)
    put_child(inner, 1, child)
    t.root = <Node*>inner


cdef inline void note_new_first(Path* path) noexcept nogil:
    """The first pair of the leaf at the path's end is another one: tell the nodes above whose first pair it is as well."""
    cdef int d = path.depth
    while d > 0:
        d -= 1
        set_first(path.nodes[d], path.at[d])
        if path.at[d]:
            return


cdef void tree_insert(Tree* t, ZMember* m) noexcept nogil:
    cdef Path path
    cdef Place place = place_of(m, True)
    cdef Leaf* leaf = descend(t, &place, &path)
    cdef Leaf* right = NULL
    cdef uint32_t at = position(leaf.scores, leaf.members, leaf.n, &place)
    cdef int d
    t.count += 1
    if leaf.n == LEAF_MAX:
        right = split_leaf(t, leaf, at)
    if right != NULL and (at > leaf.n or leaf.n == LEAF_MAX):
        put_pair(right, at - leaf.n, m)
    else:
        put_pair(leaf, at, m)
    if at == 0:
        note_new_first(&path)
    if right != NULL:
        add_sibling(t, &path, <Node*>right)
    else:
        for d in range(path.depth):
            path.nodes[d].counts[path.at[d]] += 1


# --- Shrinking -----------------------------------------------------------------------------------------------------

cdef inline bint fits(Node* a, Node* b) noexcept nogil:
    return a.n + b.n <= (INNER_FILL if a.level else LEAF_FILL)


cdef void drop_child(Inner* parent, uint32_t at) noexcept nogil:
    shift_inner(parent, at, parent, at + 1, parent.n - at - 1)
    parent.n -= 1


cdef void merge_children(Tree* t, Inner* parent, uint32_t at) noexcept nogil:
    """Move all of child at + 1 into child at."""
    cdef Node* left = parent.children[at]
    cdef Node* right = parent.children[at + 1]
    if left.level:
        shift_inner(<Inner*>left, left.n, <Inner*>right, 0, right.n)
    else:
        shift_leaf(<Leaf*>left, left.n, <Leaf*>right, 0, right.n)
    left.n += right.n
    parent.counts[at] += parent.counts[at + 1]
    free_node(t, right)
    drop_child(parent, at + 1)


cdef void shrink_root(Tree* t) noexcept nogil:
    cdef Node* root = t.root
    while root.level and root.n == 1:
        t.root = (<Inner*>root).children[0]
        free_node(t, root)
        root = t.root
    if root.level and root.n == 0:
        t.root = <Node*>new_leaf(t)
        free_node(t, root)


cdef void cut(Tree* t, Path* path, Leaf* leaf, uint32_t at, uint32_t n) noexcept nogil:
    """Take n pairs out of the leaf at the path's end, and mend the way up."""
    cdef Node* node = <Node*>leaf
    cdef Inner* parent
    cdef uint32_t i
    cdef int d = path.depth
    shift_leaf(leaf, at, leaf, at + n, leaf.n - at - n)
    leaf.n -= n
    t.count -= n
    while d > 0:
        d -= 1
        parent = path.nodes[d]
        i = path.at[d]
        parent.counts[i] -= n
        if node.n == 0:
            free_node(t, node)
            drop_child(parent, i)
        else:
            set_first(parent, i)
            if node.n < (INNER_MIN if node.level else LEAF_MIN):
                if i + 1 < parent.n and fits(node, parent.children[i + 1]):
                    merge_children(t, parent, i)
                elif i > 0 and fits(parent.children[i - 1], node):
                    merge_children(t, parent, i - 1)
        node = <Node*>parent
    shrink_root(t)


cdef void tree_remove_member(Tree* t, ZMember* m) noexcept nogil:
    cdef Path path
    cdef Place place = place_of(m, True)
    cdef Leaf* leaf = descend(t, &place, &path)
    cut(t, &path, leaf, position(leaf.scores, leaf.members, leaf.n, &place) - 1, 1)


cdef void tree_remove(Tree* t, uint32_t rank, uint32_t count, RemovedFn removed, void* arg) noexcept:
    cdef Path path
    cdef Leaf* leaf
    cdef uint32_t at, n, i
    while count:
        at = rank
        leaf = descend_to_rank(t, &at, &path)
        n = leaf.n - at
        if n > count:
            n = count
        for i in range(at, at + n):
            removed(arg, leaf.members[i])
        cut(t, &path, leaf, at, n)
        count -= n


# --- Moving --------------------------------------------------------------------------------------------------------

cdef inline bint stays(Leaf* leaf, uint32_t at, Place* place) noexcept nogil:
    """With the place as its new one, the pair still stands between its neighbours."""
    cdef Leaf* other
    if at > 0:
        if not member_before(leaf.scores[at - 1], leaf.members[at - 1], place):
            return False
    elif leaf.prev != NULL:
        other = leaf.prev
        if not member_before(other.scores[other.n - 1], other.members[other.n - 1], place):
            return False
    if at + 1 < leaf.n:
        return not member_before(leaf.scores[at + 1], leaf.members[at + 1], place)
    other = leaf.next
    return other == NULL or not member_before(other.scores[0], other.members[0], place)


cdef void tree_move(Tree* t, ZMember* m, double score) noexcept nogil:
    cdef Path path
    cdef Place place = place_of(m, True)
    cdef Leaf* leaf = descend(t, &place, &path)
    cdef uint32_t at = position(leaf.scores, leaf.members, leaf.n, &place) - 1
    place.score = score
    m.score = score
    if stays(leaf, at, &place):
        leaf.scores[at] = score
        if at == 0:
            note_new_first(&path)
        return
    cut(t, &path, leaf, at, 1)
    tree_insert(t, m)
