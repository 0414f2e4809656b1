"""The sorted set (zset.pxd is the contract): members with scores, in the order of (score, member).

Small sets are one listpack, exactly Redis' bytes; a set that outgrows `zset-max-listpack-entries` or `-value` becomes a
Dict (member -> ZMember) beside a B+ tree of the same ZMembers, and stays so.

Every range, by score or by member, is first turned into ranks (two walks down the tree), and ranges of ranks are what
is visited, counted and removed. So LIMIT offsets cost nothing, and one piece of code serves all flavours.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.math cimport isnan
from libc.stdint cimport uint64_t
from libc.string cimport memcpy
from node.engine.memory.alloc cimport mem_account, mem_alloc, mem_free, mem_size
from node.engine.structures.btree cimport (
    Cursor, Place, cursor_next, cursor_prev, place_of_member, place_of_pair, place_of_score, tree_at, tree_bytes,
    tree_count_before, tree_init, tree_insert, tree_move, tree_release, tree_remove, tree_remove_member,
)
from node.engine.structures.dict cimport (
    KIND_ZMEMBER, dict_bytes, dict_find, dict_init, dict_insert, dict_release, dict_remove, dict_reserve, dict_scan,
    hash_bytes, random_word,
)
from node.engine.types.guard cimport guard_change
from node.engine.types.limits cimport limits
from node.engine.structures.listpack cimport (
    LP_MAX_BYTES, lp_bytes, lp_copy, lp_count, lp_delete, lp_entry_bytes, lp_first, lp_free, lp_new, lp_seek, lp_valid,
)
from node.engine.structures.numbers cimport DOUBLE_TEXT
from node.engine.structures.zpack cimport (
    Pair, zpack_add, zpack_check, zpack_count_before, zpack_find, zpack_move, zpack_next, zpack_prev, zpack_rank,
    zpack_read, zpack_score,
)
from node.engine.types.record cimport REST_LARGE, REST_LISTPACK, TYPE_ZSET, Rested, TypeRecord, declare_type

cdef enum:
    SCAN_STEPS_PER_MEMBER = 10   # a sparse index is left after this many empty buckets for each member asked for


# --- Members of the index ------------------------------------------------------------------------------------------

cdef inline const char* text_of(ZMember* m) noexcept nogil:
    return <const char*>m + sizeof(ZMember)


cdef inline ZMember* find(ZIndex* index, const char* m, uint32_t n) noexcept nogil:
    return <ZMember*>dict_find(&index.dict, m, n, hash_bytes(m, n))


cdef void index_add(ZIndex* index, const char* m, uint32_t n, uint64_t h, double score) noexcept nogil:
    cdef ZMember* item = <ZMember*>mem_alloc(sizeof(ZMember) + n)
    item.score = score
    item.klen = n
    memcpy(<char*>text_of(item), m, n)
    index.item_bytes += mem_size(sizeof(ZMember) + n)
    dict_insert(&index.dict, item, h)
    tree_insert(&index.tree, item)


cdef void free_member(void* arg, ZMember* m) noexcept:
    """The tree let go of a member: free it. The dict must have forgotten it, or be about to go as a whole."""
    cdef ZIndex* index = <ZIndex*>arg
    index.item_bytes -= mem_size(sizeof(ZMember) + m.klen)
    mem_free(m, sizeof(ZMember) + m.klen)


cdef void forget_member(void* arg, ZMember* m) noexcept:
    cdef ZIndex* index = <ZIndex*>arg
    guard_change(index.guard, text_of(m), m.klen, m)
    dict_remove(&index.dict, text_of(m), m.klen, hash_bytes(text_of(m), m.klen))
    free_member(arg, m)


cdef ZIndex* new_index(size_t members) noexcept nogil:
    cdef ZIndex* index = <ZIndex*>mem_alloc(sizeof(ZIndex))
    dict_init(&index.dict, KIND_ZMEMBER)
    dict_reserve(&index.dict, members)
    tree_init(&index.tree)
    index.item_bytes = 0
    index.guard = NULL
    return index


cdef bint free_index(ZIndex* index, size_t budget) noexcept:
    """Free up to `budget` members from the end; True while more remains. At the end the index itself is gone."""
    cdef uint32_t count = index.tree.count
    if index.dict.used:
        dict_release(&index.dict)
        dict_init(&index.dict, KIND_ZMEMBER)
    if count > budget:
        tree_remove(&index.tree, count - <uint32_t>budget, <uint32_t>budget, free_member, index)
        return True
    tree_remove(&index.tree, 0, count, free_member, index)
    tree_release(&index.tree)
    mem_free(index, sizeof(ZIndex))
    return False


cdef void leave_listpack(ZSet z) noexcept:
    cdef lp_t lp = z.lp
    cdef lp_t p = lp_first(lp)
    cdef Pair pair
    cdef ZIndex* index = new_index(lp_count(lp) // 2 + 1)
    while p != NULL:
        zpack_read(lp, p, &pair)
        index_add(index, pair.key, pair.klen, hash_bytes(pair.key, pair.klen), pair.score)
        p = zpack_next(lp, p)
    z.lp = NULL
    z.index = index
    lp_free(lp)


cdef inline bint stays_compact(ZSet z, const char* m, uint32_t n) noexcept nogil:
    """With one more member, this one."""
    return (
        lp_count(z.lp) // 2 < limits.zset_max_listpack_entries
        and n <= limits.zset_max_listpack_value
        and <size_t>lp_bytes(z.lp) + lp_entry_bytes(m, n) + DOUBLE_TEXT <= LP_MAX_BYTES
    )


# --- The contract (zset.pxd) ---------------------------------------------------------------------------------------

cdef size_t zset_len(ZSet z) noexcept:
    return lp_count(z.lp) // 2 if z.lp != NULL else z.index.tree.count


cdef bint zset_score(ZSet z, const char* m, uint32_t n, double* score) noexcept:
    cdef lp_t p
    cdef ZMember* item
    if z.lp != NULL:
        p = zpack_find(z.lp, m, n)
        if p == NULL:
            return False
        score[0] = zpack_score(z.lp, p)
        return True
    item = find(z.index, m, n)
    if item == NULL:
        return False
    score[0] = item.score
    return True


cdef ZSetChange zset_set(ZSet z, const char* m, uint32_t n, double score) noexcept:
    cdef lp_t p
    cdef ZMember* item
    cdef uint64_t h
    if z.lp != NULL:
        p = zpack_find(z.lp, m, n)
        if p != NULL:
            if zpack_score(z.lp, p) == score:
                return ZSET_SAME
            z.lp = zpack_move(z.lp, p, m, n, score)
            return ZSET_MOVED
        if stays_compact(z, m, n):
            z.lp = zpack_add(z.lp, m, n, score)
            return ZSET_ADDED
        leave_listpack(z)
    h = hash_bytes(m, n)
    item = <ZMember*>dict_find(&z.index.dict, m, n, h)
    if item == NULL:
        guard_change(z.index.guard, m, n, NULL)
        index_add(z.index, m, n, h, score)
        return ZSET_ADDED
    if item.score == score:
        return ZSET_SAME
    guard_change(z.index.guard, m, n, item)
    tree_move(&z.index.tree, item, score)
    return ZSET_MOVED


cdef bint zset_remove(ZSet z, const char* m, uint32_t n) noexcept:
    cdef lp_t p
    cdef ZMember* item
    if z.lp != NULL:
        p = zpack_find(z.lp, m, n)
        if p == NULL:
            return False
        z.lp = lp_delete(z.lp, p, 2, NULL)
        return True
    item = <ZMember*>dict_remove(&z.index.dict, m, n, hash_bytes(m, n))
    if item == NULL:
        return False
    guard_change(z.index.guard, m, n, item)
    tree_remove_member(&z.index.tree, item)
    free_member(z.index, item)
    return True


cdef long count_before(ZSet z, Place place) noexcept:
    if z.lp != NULL:
        return zpack_count_before(z.lp, &place)
    return tree_count_before(&z.index.tree, &place)


cdef long zset_rank(ZSet z, const char* m, uint32_t n) noexcept:
    cdef lp_t p
    cdef ZMember* item
    if z.lp != NULL:
        p = zpack_find(z.lp, m, n)
        return zpack_rank(z.lp, p) if p != NULL else -1
    item = find(z.index, m, n)
    return count_before(z, place_of_pair(item.score, m, n, False)) if item != NULL else -1


cdef void zset_range(ZSet z, long start, long stop, bint backwards, ScoredFn visit, void* arg) noexcept:
    cdef long left = stop - start + 1
    cdef long first = stop if backwards else start
    cdef Pair pair
    cdef lp_t p
    cdef Cursor cursor
    cdef ZMember* m
    if z.lp != NULL:
        p = lp_seek(z.lp, first * 2)
        while left > 0:
            zpack_read(z.lp, p, &pair)
            visit(arg, pair.key, pair.klen, pair.score)
            p = zpack_prev(z.lp, p) if backwards else zpack_next(z.lp, p)
            left -= 1
        return
    cursor = tree_at(&z.index.tree, <uint32_t>first)
    while left > 0:
        m = cursor_prev(&cursor) if backwards else cursor_next(&cursor)
        visit(arg, text_of(m), m.klen, m.score)
        left -= 1


cdef void zset_pop(ZSet z, bint lowest, ScoredFn visit, void* arg) noexcept:
    cdef long rank = 0 if lowest else zset_len(z) - 1
    zset_range(z, rank, rank, False, visit, arg)
    zset_remove_ranks(z, rank, 1)


cdef long zset_count_below(ZSet z, double score, bint inclusive) noexcept:
    return count_before(z, place_of_score(score, inclusive))


cdef void zset_remove_ranks(ZSet z, long start, long count) noexcept:
    if count <= 0:
        return
    if z.lp != NULL:
        z.lp = lp_delete(z.lp, lp_seek(z.lp, start * 2), <uint32_t>count * 2, NULL)
    else:
        tree_remove(&z.index.tree, <uint32_t>start, <uint32_t>count, forget_member, z.index)


# --- For Python ----------------------------------------------------------------------------------------------------

cdef void append_pair(void* arg, const char* m, uint32_t n, double score) noexcept:
    (<list>arg).append((PyBytes_FromStringAndSize(m, n), score))


cdef void append_item(void* arg, void* item) noexcept:
    cdef ZMember* m = <ZMember*>item
    append_pair(arg, text_of(m), m.klen, m.score)


cdef list pairs(ZSet z, long start, long stop, bint backwards):
    """The pairs of the ranks start..stop-1."""
    cdef list out = []
    if start < stop:
        zset_range(z, start, stop - 1, backwards, append_pair, <void*>out)
    return out


cdef list limited(ZSet z, long start, long stop, bint backwards, long offset, long count):
    """The same after LIMIT offset count; Redis returns nothing for a negative offset, everything for a negative count."""
    if offset < 0 or offset >= stop - start:
        return []
    if backwards:
        stop -= offset
        if 0 <= count < stop - start:
            start = stop - count
    else:
        start += offset
        if 0 <= count < stop - start:
            stop = start + count
    return pairs(z, start, stop, backwards)


cdef (long, long) clamped(ZSet z, long start, long stop) noexcept:
    """Redis' inclusive and possibly negative ranks as start and end of a half-open range."""
    cdef long n = zset_len(z)
    if start < 0:
        start = max(start + n, 0)
    if stop < 0:
        stop += n
    if stop >= n:
        stop = n - 1
    return start, max(stop + 1, start)


cdef (long, long) score_ranks(ZSet z, double low, bint low_open, double high, bint high_open) noexcept:
    cdef long start = count_before(z, place_of_score(low, low_open))
    cdef long stop = count_before(z, place_of_score(high, not high_open))
    return start, max(start, stop)


cdef long lex_rank(ZSet z, tuple bound, bint upper) except -1:
    """How many members are below a bound like ("[", b"a"): those excluded by a lower bound, included by an upper one."""
    cdef bytes text
    kind, text = bound
    if kind == "-":
        return 0
    if kind == "+":
        return zset_len(z)
    if kind != "[" and kind != "(":
        raise ValueError(f"no bound begins with {kind!r}")
    return count_before(z, place_of_member(text, <uint32_t>len(text), (kind == "[") == upper))


cdef (long, long) lex_ranks(ZSet z, tuple low, tuple high) except *:
    cdef long start = lex_rank(z, low, False)
    cdef long stop = lex_rank(z, high, True)
    return start, max(start, stop)


cdef void release(ZSet z) noexcept:
    if z.lp != NULL:
        lp_free(z.lp)
        z.lp = NULL
    if z.index != NULL:
        free_index(z.index, z.index.tree.count)
        z.index = NULL


cdef ZSet zset_of_listpack(const unsigned char* data, size_t n):
    cdef ZSet z = ZSet()
    cdef lp_t lp
    cdef lp_t p
    cdef Pair pair
    cdef int state
    if not lp_valid(data, n):
        raise ValueError("not a listpack")
    lp = lp_copy(data, <uint32_t>n)
    try:
        state = zpack_check(lp)
        if state < 0:
            raise ValueError("not a listpack of members and scores")
        if state == 1 and fits_compact(lp):
            lp_free(z.lp)
            z.lp = lp
            lp = NULL
            return z
        p = lp_first(lp)
        while p != NULL:
            zpack_read(lp, p, &pair)
            zset_set(z, pair.key, pair.klen, pair.score)
            p = zpack_next(lp, p)
        return z
    finally:
        if lp != NULL:
            lp_free(lp)


@cython.final
@cython.no_gc
cdef class ZSet:
    def __cinit__(self):
        self.lp = lp_new()
        mem_account(OBJECT_BYTES)

    def __dealloc__(self):
        release(self)
        mem_account(-OBJECT_BYTES)

    @staticmethod
    def from_listpack(bytes data not None) -> ZSet:
        return zset_of_listpack(<const unsigned char*>data, len(data))

    def listpack(self) -> bytes | None:
        """The compact form's bytes, as DUMP and RDB files hold them; None when the set is indexed."""
        if self.lp == NULL:
            return None
        return PyBytes_FromStringAndSize(<char*>self.lp, lp_bytes(self.lp))

    def __len__(self):
        return zset_len(self)

    def __contains__(self, bytes member not None):
        cdef double score
        return zset_score(self, member, <uint32_t>len(member), &score)

    def score(self, bytes member not None):
        cdef double score
        return score if zset_score(self, member, <uint32_t>len(member), &score) else None

    def set(self, bytes member not None, double score):
        """Add the member, or change its score. True when it is new."""
        if isnan(score):
            raise ValueError("a score cannot be NaN")
        return zset_set(self, member, <uint32_t>len(member), score) == ZSET_ADDED

    def remove(self, bytes member not None):
        return zset_remove(self, member, <uint32_t>len(member))

    def rank(self, bytes member not None):
        cdef long rank = zset_rank(self, member, <uint32_t>len(member))
        return rank if rank >= 0 else None

    def range(self, long start, long stop, bint rev=False):
        """(member, score) pairs by rank, ends included, negative ranks from the end; rev: ranks count from the top."""
        cdef long n = zset_len(self)
        start, stop = clamped(self, start, stop)
        if rev:
            start, stop = n - stop, n - start
        return pairs(self, start, stop, rev)

    def range_by_score(self, double low, bint low_open, double high, bint high_open, bint rev=False,
                       long offset=0, long count=-1):
        start, stop = score_ranks(self, low, low_open, high, high_open)
        return limited(self, start, stop, rev, offset, count)

    def count_by_score(self, double low, bint low_open, double high, bint high_open):
        start, stop = score_ranks(self, low, low_open, high, high_open)
        return stop - start

    def range_by_lex(self, tuple low not None, tuple high not None, bint rev=False, long offset=0, long count=-1):
        start, stop = lex_ranks(self, low, high)
        return limited(self, start, stop, rev, offset, count)

    def count_by_lex(self, tuple low not None, tuple high not None):
        start, stop = lex_ranks(self, low, high)
        return stop - start

    def remove_range_by_rank(self, long start, long stop):
        """Remove the ranks start..stop as range() names them; how many they were."""
        start, stop = clamped(self, start, stop)
        zset_remove_ranks(self, start, stop - start)
        return stop - start

    def remove_range_by_score(self, double low, bint low_open, double high, bint high_open):
        start, stop = score_ranks(self, low, low_open, high, high_open)
        zset_remove_ranks(self, start, stop - start)
        return stop - start

    def remove_range_by_lex(self, tuple low not None, tuple high not None):
        start, stop = lex_ranks(self, low, high)
        zset_remove_ranks(self, start, stop - start)
        return stop - start

    def pop(self, bint lowest):
        """Remove and return the pair with the lowest or the highest score."""
        cdef list out = []
        if zset_len(self) == 0:
            raise KeyError("pop from an empty sorted set")
        zset_pop(self, lowest, append_pair, <void*>out)
        return out[0]

    def random(self):
        """Any pair, each as likely."""
        cdef long rank
        if zset_len(self) == 0:
            raise KeyError("no member in an empty sorted set")
        rank = random_word() % zset_len(self)
        return pairs(self, rank, rank + 1, False)[0]

    def sample(self, long count):
        """`count` different random pairs, or all of them when there are fewer."""
        cdef long n = zset_len(self)
        cdef long i, rank
        cdef set ranks = set()
        cdef list out = []
        if count >= n:
            return pairs(self, 0, n, False)
        # Floyd's way: each subset is as likely, with one random number for each rank.
        for i in range(n - count, n):
            rank = random_word() % <uint64_t>(i + 1)
            ranks.add(i if rank in ranks else rank)
        for rank in ranks:
            zset_range(self, rank, rank, False, append_pair, <void*>out)
        return out

    def scan(self, uint64_t cursor, long count):
        """Some of the pairs and the next cursor, 0 at the end. A compact set comes as a whole."""
        cdef list out = []
        cdef long steps = count * SCAN_STEPS_PER_MEMBER
        if self.lp != NULL:
            return 0, pairs(self, 0, zset_len(self), False)
        while True:
            cursor = dict_scan(&self.index.dict, cursor, append_item, <void*>out)
            steps -= 1
            if cursor == 0 or steps <= 0 or len(out) >= count:
                return cursor, out

    @property
    def encoding(self):
        return "listpack" if self.lp != NULL else "skiplist"

    def memory(self):
        """Bytes that the set occupies, this object included."""
        if self.lp != NULL:
            return OBJECT_BYTES + mem_size(lp_bytes(self.lp))
        return (OBJECT_BYTES + mem_size(sizeof(ZIndex)) + dict_bytes(&self.index.dict) + tree_bytes(&self.index.tree)
                + self.index.item_bytes)

    def copy(self):
        cdef ZSet z = ZSet()
        cdef Cursor cursor
        cdef ZMember* m
        lp_free(z.lp)
        z.lp = NULL
        if self.lp != NULL:
            z.lp = lp_copy(self.lp, lp_bytes(self.lp))
            return z
        z.index = new_index(self.index.tree.count)
        if self.index.tree.count:
            cursor = tree_at(&self.index.tree, 0)
            while (m := cursor_next(&cursor)) != NULL:
                index_add(z.index, text_of(m), m.klen, hash_bytes(text_of(m), m.klen), m.score)
        return z

    def free_some(self, long budget):
        """Free up to `budget` members of a set that nobody will use again; True while there is more."""
        if self.index == NULL:
            return False
        if free_index(self.index, max(budget, 1)):
            return True
        self.index = NULL
        self.lp = lp_new()
        return False


cdef bint fits_compact(lp_t lp) noexcept:
    cdef lp_t p = lp_first(lp)
    cdef Pair pair
    if lp_count(lp) // 2 > limits.zset_max_listpack_entries:
        return False
    while p != NULL:
        zpack_read(lp, p, &pair)
        if pair.klen > limits.zset_max_listpack_value:
            return False
        p = zpack_next(lp, p)
    return True


cdef ssize_t OBJECT_BYTES = (ZSet.__basicsize__ + 15) & ~15      # as Python's allocator rounds it


# -- the record of the type --------------------------------------------------------------------------------------------

cdef object wake(object spare, void* block, Rested form):
    cdef ZSet z = <ZSet>spare
    if z is None:
        z = ZSet()
        lp_free(z.lp)
    z.lp = <lp_t>block
    return z


cdef Rested rest(PyObject* value, void** block) noexcept:
    cdef ZSet z = <ZSet>value
    if z.lp == NULL:
        return REST_LARGE
    block[0] = z.lp
    z.lp = NULL
    return REST_LISTPACK


cdef TypeRecord* record = declare_type(TYPE_ZSET, "zset", ZSet)
record.wake = wake
record.rest = rest
