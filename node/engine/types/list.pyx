"""The list (list.pxd is the contract): a ring of listpacks, so that both ends are cheap and small elements stay small.

A node takes what `list-max-listpack-size` allows, by Redis' rules: a negative value limits its bytes, a positive one its
elements (and its bytes to 8 KiB). An element that is larger than any node may be has a node of its own. Nodes are never
empty, and two neighbours that a deletion has left small become one.

The nodes at the ends are kept small while they are busy: a push goes to a node of up to YOUNG_BYTES, which joins its
neighbour when it is full, and pops from the left first cut a few elements off a large node. A push or a pop in front of
a full node would move 8 KiB each time; so it moves at most one, and the rest now and then.

Redis links its nodes; the ring instead keeps their element counts side by side, so that finding an index in a list of
millions reads a few cache lines instead of chasing a pointer for each node.

Redis 7.2 keeps a list that fits one node in a bare listpack, and clients ask which of the two it is. Here that is no
more than a word about the list (`quick`): it becomes a quicklist when what is about to be added might not fit one node,
and a listpack again when what is left fits half of one.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.string cimport memcpy, memmove
from node.engine.memory.alloc cimport mem_account, mem_alloc, mem_free, mem_size
from node.engine.types.limits cimport limits
from node.engine.structures.listpack cimport (
    LP_MAX_BYTES, element, lp_append, lp_bytes, lp_copy, lp_count, lp_delete, lp_equals, lp_find, lp_first, lp_free,
    lp_get, lp_insert, lp_join, lp_last, lp_new, lp_next, lp_prepend, lp_prev, lp_replace, lp_seek, lp_split, lp_valid,
)
from node.engine.types.record cimport TYPE_LIST, declare_type

cdef enum:
    PLAIN = 1                     # containers of an RDB file's QUICKLIST_2: an element's bytes, or a listpack
    PACKED = 2
    ENTRY_OVERHEAD = 8            # what an element is taken to need beside its bytes, as in Redis
    SAFETY_BYTES = 8192           # a node's limit where only its elements are limited
    YOUNG_BYTES = 1024            # of a node at an end that small elements are pushed to: a block of the allocator's slabs
    EMPTY_BYTES = 7               # a listpack without elements
    SMALLEST_ELEMENT = 2          # bytes in a listpack
    FREED_AT_ONCE = 16384         # bytes that free_some counts as one more unit of work


# --- How large a node may be ---------------------------------------------------------------------------------------

cdef inline size_t bytes_limit() noexcept nogil:
    cdef long fill = limits.list_max_listpack_size
    if fill >= 0:
        return SAFETY_BYTES
    return <size_t>2048 << (-fill if fill > -5 else 5)


cdef inline bint has_room(ListNode* node, size_t n) noexcept nogil:
    """For an element of n bytes."""
    cdef long fill = limits.list_max_listpack_size
    if lp_bytes(node.lp) + n + ENTRY_OVERHEAD > bytes_limit():
        return False
    return fill < 0 or <long>node.count < fill


cdef inline bint fit(ListNode* a, ListNode* b, int parts) noexcept nogil:
    """Together they would take at most so many quarters of a node."""
    cdef long fill = limits.list_max_listpack_size
    if (<size_t>lp_bytes(a.lp) + lp_bytes(b.lp)) * 4 > bytes_limit() * parts:
        return False
    return fill < 0 or (<long>a.count + <long>b.count) * 4 <= fill * parts


# --- The ring ------------------------------------------------------------------------------------------------------

cdef inline ListNode* node_at(List l, uint32_t i) noexcept nogil:
    return &l.ring[(l.head + i) & (l.cap - 1)]


cdef void grow_ring(List l) noexcept nogil:
    cdef uint32_t cap = l.cap * 2 if l.cap else 1
    cdef ListNode* ring = <ListNode*>mem_alloc(cap * sizeof(ListNode))
    cdef uint32_t first = min(l.node_count, l.cap - l.head)          # nodes before the ring's end
    if l.cap:
        memcpy(ring, &l.ring[l.head], first * sizeof(ListNode))
        memcpy(ring + first, l.ring, (l.node_count - first) * sizeof(ListNode))
        mem_free(l.ring, l.cap * sizeof(ListNode))
    l.ring = ring
    l.cap = cap
    l.head = 0


cdef ListNode* add_node(List l, uint32_t i, lp_t lp) noexcept nogil:
    """Put a listpack before node i, moving the nodes of the shorter side."""
    cdef ListNode* node
    cdef uint32_t j
    if l.node_count == l.cap:
        grow_ring(l)
    l.node_count += 1
    if i < l.node_count // 2:
        l.head = (l.head - 1) & (l.cap - 1)
        for j in range(i):
            node_at(l, j)[0] = node_at(l, j + 1)[0]
    else:
        for j in range(l.node_count - 1, i, -1):
            node_at(l, j)[0] = node_at(l, j - 1)[0]
    node = node_at(l, i)
    node.lp = lp
    node.count = lp_count(lp)
    return node


cdef void remove_node(List l, uint32_t i) noexcept nogil:
    """Take node i out of the ring; its listpack is the caller's."""
    cdef uint32_t j
    if i < l.node_count // 2:
        for j in range(i, 0, -1):
            node_at(l, j)[0] = node_at(l, j - 1)[0]
        l.head = (l.head + 1) & (l.cap - 1)
    else:
        for j in range(i, l.node_count - 1):
            node_at(l, j)[0] = node_at(l, j + 1)[0]
    l.node_count -= 1


cdef void free_node(List l, uint32_t i) noexcept nogil:
    cdef ListNode* node = node_at(l, i)
    l.size -= node.count
    lp_free(node.lp)
    remove_node(l, i)


cdef bint join(List l, uint32_t i, int parts) noexcept nogil:
    """Make nodes i and i + 1 one if that fills at most so many quarters of it. True when it was done."""
    cdef ListNode* left
    cdef ListNode* right
    if i + 1 >= l.node_count:
        return False
    left = node_at(l, i)
    right = node_at(l, i + 1)
    if not fit(left, right, parts):
        return False
    left.count += right.count
    left.lp = lp_join(left.lp, right.lp)
    remove_node(l, i + 1)
    return True


cdef inline bint merge(List l, uint32_t i) noexcept nogil:
    """Join nodes i and i + 1 if they are small enough not to be split again by the next insertion."""
    return join(l, i, 3)


cdef uint32_t find_node(List l, size_t index, uint32_t* offset) noexcept nogil:
    """The node that holds the element of this index, and where in the node it is."""
    cdef uint32_t i
    cdef size_t first
    if index < l.size // 2:
        i = 0
        while index >= node_at(l, i).count:
            index -= node_at(l, i).count
            i += 1
        offset[0] = <uint32_t>index
        return i
    i = l.node_count - 1
    first = l.size - node_at(l, i).count
    while index < first:
        i -= 1
        first -= node_at(l, i).count
    offset[0] = <uint32_t>(index - first)
    return i


# --- What clients are told that the list is -----------------------------------------------------------------------

cdef size_t packed_bytes(List l, size_t enough) noexcept nogil:
    """The bytes of all elements in one listpack; counting stops when they are more than enough."""
    cdef size_t n = EMPTY_BYTES
    cdef uint32_t i
    for i in range(l.node_count):
        n += lp_bytes(node_at(l, i).lp) - EMPTY_BYTES
        if n > enough:
            break
    return n


cdef inline bint fits_one_node(List l, int share) noexcept nogil:
    """The elements would take at most that share of a node: a whole one, half of one."""
    cdef long fill = limits.list_max_listpack_size
    if fill >= 0:
        return l.size <= <size_t>max(fill, 1) // share
    if l.size * SMALLEST_ELEMENT > bytes_limit() // share:
        return False
    return packed_bytes(l, bytes_limit() // share) <= bytes_limit() // share


cdef void list_settle(List l) noexcept nogil:
    l.quick = not fits_one_node(l, 1)


cdef void list_growing(List l, size_t bytes, size_t count) noexcept nogil:
    cdef long fill = limits.list_max_listpack_size
    if l.quick:
        return
    if packed_bytes(l, bytes_limit()) + bytes > bytes_limit():
        l.quick = True
    elif fill >= 0 and l.size + count > <size_t>max(fill, 1):
        l.quick = True


cdef void list_shrunk(List l) noexcept nogil:
    if l.quick and fits_one_node(l, 2):
        l.quick = False


# --- Changes inside ------------------------------------------------------------------------------------------------

cdef inline lp_t packed(const char* v, size_t n) noexcept nogil:
    return lp_append(lp_new(), v, <uint32_t>n)


cdef inline void append_to(ListNode* node, const char* v, size_t n) noexcept nogil:
    node.lp = lp_append(node.lp, v, <uint32_t>n)
    node.count += 1


cdef inline void prepend_to(ListNode* node, const char* v, size_t n) noexcept nogil:
    node.lp = lp_prepend(node.lp, v, <uint32_t>n)
    node.count += 1


cdef void insert_at(List l, uint32_t i, uint32_t offset, const char* v, size_t n) noexcept nogil:
    """Insert an element before the one at `offset` of node i, or behind its last one."""
    cdef ListNode* node = node_at(l, i)
    cdef lp_t rest
    l.size += 1
    if 0 < offset < node.count:
        if has_room(node, n):
            node.lp = lp_insert(node.lp, v, <uint32_t>n, lp_seek(node.lp, offset), False, NULL)
            node.count += 1
            return
        node.lp = lp_split(node.lp, lp_seek(node.lp, offset), &rest)
        node.count = offset
        add_node(l, i + 1, rest)
    if offset > 0:
        i += 1
    # Now its place is between node i - 1 and node i.
    if i > 0 and has_room(node_at(l, i - 1), n):
        append_to(node_at(l, i - 1), v, n)
    elif i < l.node_count and has_room(node_at(l, i), n):
        prepend_to(node_at(l, i), v, n)
    else:
        add_node(l, i, packed(v, n))


cdef lp_t delete_in(List l, uint32_t i, lp_t p, uint32_t count) noexcept nogil:
    """Delete `count` elements from p on, all of node i; returns what follows them there. The node may end up empty."""
    cdef ListNode* node = node_at(l, i)
    cdef lp_t after
    node.lp = lp_delete(node.lp, p, count, &after)
    node.count -= count
    l.size -= count
    return after


cdef void settle(List l, uint32_t i) noexcept nogil:
    """After deletions in node i: it goes when it is empty, and may merge with a neighbour."""
    if node_at(l, i).count == 0:
        lp_free(node_at(l, i).lp)
        remove_node(l, i)
    else:
        merge(l, i)
    if i > 0:
        merge(l, i - 1)


cdef size_t remove_in(List l, uint32_t i, const char* v, uint32_t n, size_t most) noexcept nogil:
    """Remove up to `most` elements that equal v from node i, from its front."""
    cdef lp_t p = lp_find(node_at(l, i).lp, lp_first(node_at(l, i).lp), v, n, 0)
    cdef lp_t q
    cdef uint32_t run
    cdef size_t removed = 0
    while p != NULL and removed < most:
        run = 1                                       # what stands together is deleted together
        q = lp_next(node_at(l, i).lp, p)
        while q != NULL and removed + run < most and lp_equals(q, v, n):
            run += 1
            q = lp_next(node_at(l, i).lp, q)
        p = delete_in(l, i, p, run)
        removed += run
        if p != NULL:
            p = lp_find(node_at(l, i).lp, p, v, n, 0)
    return removed


cdef size_t remove_forwards(List l, const char* v, uint32_t n, size_t most) noexcept nogil:
    cdef uint32_t i = 0
    cdef size_t removed = 0, here
    cdef bint worth_merging = False                   # nodes i - 1 and i: one of them shrank, or they are new neighbours
    while i < l.node_count and removed < most:
        here = remove_in(l, i, v, n, most - removed)
        removed += here
        if node_at(l, i).count == 0:
            free_node(l, i)
            worth_merging = True
        elif i > 0 and (worth_merging or here) and merge(l, i - 1):
            worth_merging = True
        else:
            worth_merging = here > 0
            i += 1
    if i > 0:
        merge(l, i - 1)
    return removed


cdef size_t remove_backwards(List l, const char* v, uint32_t n, size_t most) noexcept nogil:
    cdef uint32_t i = l.node_count, before
    cdef size_t removed = 0
    cdef size_t offset
    cdef lp_t p
    cdef lp_t previous
    while i > 0 and removed < most:
        i -= 1
        before = node_at(l, i).count
        p = lp_last(node_at(l, i).lp)
        while p != NULL and removed < most:
            previous = lp_prev(node_at(l, i).lp, p)
            if lp_equals(p, v, n):
                offset = previous - node_at(l, i).lp if previous != NULL else 0
                delete_in(l, i, p, 1)
                removed += 1
                if previous != NULL:
                    previous = node_at(l, i).lp + offset         # the listpack may have moved
            p = previous
        if node_at(l, i).count < before:
            settle(l, i)
    return removed


# --- The contract (list.pxd) ---------------------------------------------------------------------------------------

cdef size_t list_len(List l) noexcept:
    return l.size


cdef void list_push(List l, const char* v, size_t n, bint left) noexcept:
    cdef ListNode* node
    l.size += 1
    if l.node_count:
        node = node_at(l, 0 if left else l.node_count - 1)
        if has_room(node, n) and (lp_bytes(node.lp) + n <= YOUNG_BYTES or n >= YOUNG_BYTES // 4):
            if left:
                prepend_to(node, v, n)
            else:
                append_to(node, v, n)
            return
        if l.node_count > 1:
            join(l, 0 if left else l.node_count - 2, 4)
    add_node(l, 0 if left else l.node_count, packed(v, n))


cdef bint list_peek(List l, bint left, char* buf, const char** v, uint32_t* n) noexcept:
    cdef lp_t lp
    if l.size == 0:
        return False
    lp = node_at(l, 0 if left else l.node_count - 1).lp
    lp_get(lp_first(lp) if left else lp_last(lp), buf, <char**>v, n)
    return True


cdef void cut_head(List l) noexcept nogil:
    """Make a node of the first elements of a large head, before it shrinks from the left."""
    cdef ListNode* head = node_at(l, 0)
    cdef uint32_t count = 0
    cdef lp_t p = lp_first(head.lp)
    cdef lp_t rest
    while p != NULL and p - head.lp < YOUNG_BYTES:
        p = lp_next(head.lp, p)
        count += 1
    if p != NULL:
        head.lp = lp_split(head.lp, p, &rest)
        head.count = count
        add_node(l, 1, rest)


cdef void list_drop(List l, bint left, size_t count) noexcept:
    cdef ListNode* node
    cdef uint32_t i
    while count:
        i = 0 if left else l.node_count - 1
        node = node_at(l, i)
        if left and node.count > count and lp_bytes(node.lp) > 2 * YOUNG_BYTES:
            cut_head(l)
            node = node_at(l, i)
        if node.count <= count:
            count -= node.count
            free_node(l, i)
        else:
            delete_in(l, i, lp_first(node.lp) if left else lp_seek(node.lp, -<long>count), <uint32_t>count)
            return


cdef bytes list_pop(List l, bint left):
    cdef char[24] buf
    cdef const char* v
    cdef uint32_t n
    cdef bytes out
    if not list_peek(l, left, buf, &v, &n):
        return None
    out = PyBytes_FromStringAndSize(v, n)
    list_drop(l, left, 1)
    return out


cdef inline void visit_element(lp_t p, ElementFn visit, void* arg) noexcept:
    cdef char[24] buf
    cdef char* v
    cdef uint32_t n
    lp_get(p, buf, &v, &n)
    visit(arg, v, n)


cdef void list_range(List l, size_t start, size_t stop, bint backwards, ElementFn visit, void* arg) noexcept:
    cdef uint32_t offset
    cdef uint32_t i = find_node(l, stop if backwards else start, &offset)
    cdef size_t left = stop - start + 1
    cdef lp_t lp = node_at(l, i).lp
    cdef lp_t p = lp_seek(lp, offset)
    while True:
        while p != NULL:
            visit_element(p, visit, arg)
            left -= 1
            if left == 0:
                return
            p = lp_prev(lp, p) if backwards else lp_next(lp, p)
        i = i - 1 if backwards else i + 1
        lp = node_at(l, i).lp
        p = lp_last(lp) if backwards else lp_first(lp)


# --- For Python ----------------------------------------------------------------------------------------------------

cdef void append_element(void* arg, const char* v, size_t n) noexcept:
    (<list>arg).append(PyBytes_FromStringAndSize(v, n))


cdef (size_t, size_t) clamped(List l, long start, long stop) noexcept:
    """Redis' inclusive and possibly negative indexes as start and end of a half-open range."""
    cdef long n = l.size
    if start < 0:
        start = max(start + n, 0)
    if stop < 0:
        stop += n
    if stop >= n:
        stop = n - 1
    if start > stop:
        return 0, 0
    return start, stop + 1


cdef long index_of(List l, long index) except -1:
    if index < 0:
        index += l.size
    if index < 0 or index >= <long>l.size:
        raise IndexError("list index out of range")
    return index


cdef void replace_at(List l, size_t index, bytes value):
    cdef uint32_t offset
    cdef uint32_t i = find_node(l, index, &offset)
    cdef ListNode* node = node_at(l, i)
    cdef lp_t p = lp_seek(node.lp, offset)
    cdef lp_t after = lp_next(node.lp, p)
    cdef size_t old = (after if after != NULL else node.lp + lp_bytes(node.lp) - 1) - p
    cdef size_t new = len(value) + ENTRY_OVERHEAD
    if node.count == 1 or new <= old or lp_bytes(node.lp) - old + new <= bytes_limit():
        node.lp = lp_replace(node.lp, p, value, <uint32_t>len(value), NULL)
        return
    delete_in(l, i, p, 1)
    insert_at(l, i, offset, value, len(value))


cdef void release(List l) noexcept:
    while l.node_count:
        free_node(l, l.node_count - 1)
    if l.cap:
        mem_free(l.ring, l.cap * sizeof(ListNode))
        l.cap = 0


cdef int list_add_node(List l, uint64_t container, const unsigned char* p, size_t n) except -1:
    cdef lp_t lp
    if container == PLAIN:
        lp = packed(<const char*>p, n)
    elif container == PACKED and lp_valid(p, n):
        lp = lp_copy(p, <uint32_t>n)
        if lp_first(lp) == NULL:
            lp_free(lp)
            raise ValueError("an empty node")
    else:
        raise ValueError("not a node of a list")
    l.size += add_node(l, l.node_count, lp).count
    return 0


@cython.final
@cython.no_gc
cdef class List:
    def __cinit__(self):
        mem_account(OBJECT_BYTES)

    def __dealloc__(self):
        release(self)
        mem_account(-OBJECT_BYTES)

    @staticmethod
    def from_nodes(nodes) -> List:
        """The list of an RDB file's nodes: (1, an element's bytes) or (2, a listpack). ValueError when one is broken."""
        cdef List l = List()
        cdef bytes data
        for container, data in nodes:
            list_add_node(l, container, <const unsigned char*>data, len(data))
        if l.size == 0:
            raise ValueError("a list without elements")
        list_settle(l)
        return l

    def nodes(self) -> list:
        """What from_nodes takes. Only what is too large for a listpack goes as plain bytes."""
        cdef list out = []
        cdef uint32_t i
        cdef lp_t lp
        for i in range(self.node_count):
            lp = node_at(self, i).lp
            if lp_bytes(lp) > LP_MAX_BYTES:
                out.append((PLAIN, element(lp_first(lp))))
            else:
                out.append((PACKED, PyBytes_FromStringAndSize(<char*>lp, lp_bytes(lp))))
        return out

    def __len__(self):
        return self.size

    def push(self, bytes value not None, bint left):
        list_growing(self, len(value), 1)
        list_push(self, value, len(value), left)

    def pop(self, bint left):
        """Remove and return the first or the last element."""
        cdef bytes out
        if self.size == 0:
            raise IndexError("pop from an empty list")
        out = list_pop(self, left)
        list_shrunk(self)
        return out

    def move(self, List target not None, bint from_left, bint to_left):
        """Take an element from one end to an end of the target, which may be this list; returns it."""
        cdef bytes element
        if self.size == 0:
            raise IndexError("move from an empty list")
        element = list_pop(self, from_left)
        target.push(element, to_left)
        list_shrunk(self)
        return element

    def pop_many(self, bint left, long count):
        """Remove up to `count` elements of one end; they come in the order in which single pops would give them."""
        cdef list out = []
        cdef size_t n = min(<size_t>max(count, 0), self.size)
        if n == 0:
            return out
        if left:
            list_range(self, 0, n - 1, False, append_element, <void*>out)
        else:
            list_range(self, self.size - n, self.size - 1, True, append_element, <void*>out)
        list_drop(self, left, n)
        list_shrunk(self)
        return out

    def index(self, long index):
        """The element at an index, negative from the end; None when it is out of range."""
        cdef uint32_t i, offset
        if index < 0:
            index += self.size
        if index < 0 or index >= <long>self.size:
            return None
        i = find_node(self, index, &offset)
        return element(lp_seek(node_at(self, i).lp, offset))

    def set(self, long index, bytes value not None):
        """Replace the element at an index; IndexError when it is out of range."""
        list_growing(self, len(value), 1)
        replace_at(self, index_of(self, index), value)
        list_shrunk(self)

    def range(self, long start, long stop):
        """The elements start..stop, ends included, negative indexes from the end."""
        cdef list out = []
        cdef size_t begin, end
        begin, end = clamped(self, start, stop)
        if begin < end:
            list_range(self, begin, end - 1, False, append_element, <void*>out)
        return out

    def insert(self, bytes pivot not None, bytes value not None, bint before):
        """Insert beside the first element that equals pivot; False when there is none."""
        cdef uint32_t i, offset
        cdef lp_t p
        cdef lp_t lp
        list_growing(self, len(value), 1)
        for i in range(self.node_count):
            lp = node_at(self, i).lp
            p = lp_find(lp, lp_first(lp), pivot, <uint32_t>len(pivot), 0)
            if p == NULL:
                continue
            offset = 0 if before else 1
            while (p := lp_prev(lp, p)) != NULL:
                offset += 1
            insert_at(self, i, offset, value, len(value))
            return True
        return False

    def remove(self, bytes value not None, long count):
        """Remove elements that equal value: the first `count`, the last -count, or all for 0; how many they were."""
        cdef size_t removed
        if count < 0:
            removed = remove_backwards(self, value, <uint32_t>len(value), -count)
        else:
            removed = remove_forwards(self, value, <uint32_t>len(value), count if count else self.size)
        list_shrunk(self)
        return removed

    def trim(self, long start, long stop):
        """Keep only the elements that range(start, stop) names."""
        cdef size_t begin, end
        begin, end = clamped(self, start, stop)
        list_drop(self, False, self.size - end)
        list_drop(self, True, begin)
        list_shrunk(self)

    def positions(self, bytes value not None, long rank, long count, long maxlen):
        """Indexes of elements that equal value, from the rank-th match on (negative: from the end, backwards): at most
        `count` (0: all) after looking at no more than `maxlen` elements (0: all)."""
        cdef list out = []
        cdef bint backwards = rank < 0
        cdef long skipped = (-rank if backwards else rank) - 1
        cdef long looked = 0
        cdef uint32_t i, nodes = self.node_count
        cdef lp_t lp
        cdef lp_t p
        for i in range(nodes):
            lp = node_at(self, nodes - 1 - i if backwards else i).lp
            p = lp_last(lp) if backwards else lp_first(lp)
            while p != NULL:
                if maxlen and looked >= maxlen:
                    return out
                if lp_equals(p, value, <uint32_t>len(value)):
                    if skipped > 0:
                        skipped -= 1
                    else:
                        out.append(<long>self.size - 1 - looked if backwards else looked)
                        if count and len(out) >= count:
                            return out
                looked += 1
                p = lp_prev(lp, p) if backwards else lp_next(lp, p)
        return out

    @property
    def encoding(self):
        return "quicklist" if self.quick else "listpack"

    def memory(self):
        """Bytes that the list occupies, this object included."""
        cdef size_t n = OBJECT_BYTES
        cdef uint32_t i
        if self.cap:
            n += mem_size(self.cap * sizeof(ListNode))
        for i in range(self.node_count):
            n += mem_size(lp_bytes(node_at(self, i).lp))
        return n

    def copy(self):
        cdef List l = List()
        cdef uint32_t i
        cdef lp_t lp
        for i in range(self.node_count):
            lp = node_at(self, i).lp
            add_node(l, i, lp_copy(lp, lp_bytes(lp)))
        l.size = self.size
        l.quick = self.quick
        return l

    def free_some(self, long budget):
        """Free up to `budget` nodes of a list that nobody will use again; True while there is more."""
        while self.node_count and budget > 0:
            budget -= 1 + lp_bytes(node_at(self, self.node_count - 1).lp) // FREED_AT_ONCE
            free_node(self, self.node_count - 1)
        return self.node_count > 0


cdef ssize_t OBJECT_BYTES = (List.__basicsize__ + 15) & ~15      # as Python's allocator rounds it
declare_type(TYPE_LIST, "list", List)
