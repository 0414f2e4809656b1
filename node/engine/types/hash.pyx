"""Hashes.

A small hash is a listpack of field, value, field, value ... in the order in which fields came. Once it has more than
`hash-max-listpack-entries` fields, or a field or value longer than `hash-max-listpack-value`, it is an index of fields
for good: going back and forth at the threshold would cost more than it saves.

Fields may die (HEXPIRE). A hash with such fields is always indexed, and the index has a FieldTtls: fields ordered by the time
of their death. That costs a hash without them nothing. Nobody here knows the time: the database tells a hash what time it
is before it hands it out (Db.find), and fields that are dead then are hidden, whether or not they may be deleted yet.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport INT64_MAX, uint64_t
from libc.string cimport memcpy
from node.engine.memory.alloc cimport mem_account, mem_size
from node.engine.structures.dict cimport (
    KIND_FIELD, KLEN_MASK, VOLATILE, Field, dict_find, dict_find_word, dict_insert, dict_next, dict_random,
    dict_remove, dict_reserve, dict_scan, hash_bytes, random_word, word_set,
)
from node.engine.types.guard cimport guard_change
from node.engine.structures.items cimport (
    items_alloc, items_drop, items_free, items_free_some, items_memory, items_new, items_realloc,
)
from node.engine.types.limits cimport limits
from node.engine.structures.listpack cimport (
    LP_MAX_BYTES, element, lp_append, lp_bytes, lp_copy, lp_count, lp_delete, lp_find, lp_first, lp_free, lp_get,
    lp_new, lp_next, lp_replace, lp_seek, lp_valid,
)
from node.engine.types.zset cimport zset_count_below, zset_len, zset_range, zset_remove, zset_score, zset_set
from node.engine.types.record cimport REST_LARGE, REST_LISTPACK, TYPE_HASH, Rested, TypeRecord, declare_type

cdef enum:
    ENTRY_OVERHEAD = 10         # the most that a listpack entry takes beside its string
    SCAN_STEPS_PER_FIELD = 10   # a sparse index is left after this many empty buckets for each field asked for
    FEW = 16                    # so many fields are compared with one another sooner than put into a Python set


# --- Field items -------------------------------------------------------------------------------------------------

cdef inline uint32_t field_len(Field* item) noexcept nogil:
    return item.klen_flags & KLEN_MASK


cdef inline size_t field_at(Field* item) noexcept nogil:
    return sizeof(Field) + (8 if item.klen_flags & VOLATILE else 0)


cdef inline char* field_text(Field* item) noexcept nogil:
    return <char*>item + field_at(item)


cdef inline char* value_text(Field* item) noexcept nogil:
    return field_text(item) + field_len(item)


cdef inline tuple pair_of(Field* item):
    return (
        PyBytes_FromStringAndSize(field_text(item), field_len(item)),
        PyBytes_FromStringAndSize(value_text(item), item.vlen),
    )


cdef inline void index_add(Items* index, const char* f, uint32_t fn, const char* v, uint32_t vn, uint64_t h) noexcept:
    cdef Field* item = <Field*>items_alloc(index, sizeof(Field) + <size_t>fn + vn)
    item.klen_flags = fn
    item.vlen = vn
    memcpy(field_text(item), f, fn)
    memcpy(value_text(item), v, vn)
    dict_insert(&index.dict, item, h)


cdef bint index_set(Items* index, const char* f, uint32_t fn, const char* v, uint32_t vn) noexcept:
    cdef uint64_t h = hash_bytes(f, fn)
    cdef Field* item = <Field*>dict_find(&index.dict, f, fn, h)
    cdef uint64_t* word
    cdef size_t fixed
    guard_change(index.guard, f, fn, item)
    if item == NULL:
        index_add(index, f, fn, v, vn, h)
        return True
    if item.vlen != vn:
        fixed = field_at(item) + fn
        word = dict_find_word(&index.dict, f, fn, h)          # before the item moves: the search reads it
        item = <Field*>items_realloc(index, item, fixed + item.vlen, fixed + vn)
        word_set(word, item)
        item.vlen = vn
    memcpy(value_text(item), v, vn)
    return False


# --- Fields that die ---------------------------------------------------------------------------------------------

cdef inline FieldTtls ttls_of(Items* index):
    return <FieldTtls>index.ttls


cdef void note_score(void* arg, const char* f, uint32_t fn, double score) noexcept:
    (<int64_t*>arg)[0] = <int64_t>score


cdef void find_due(FieldTtls t) noexcept:
    t.due_ms = INT64_MAX
    if zset_len(t.order):
        zset_range(t.order, 0, 0, False, note_score, &t.due_ms)


cdef inline bint hidden(Items* index, const char* f, uint32_t fn) noexcept:
    """Is the field dead, and only not deleted yet?"""
    cdef FieldTtls t
    cdef double at_ms
    if index.ttls == NULL:
        return False
    t = ttls_of(index)
    return t.due_ms < t.now_ms and zset_score(t.order, f, fn, &at_ms) and at_ms < t.now_ms


cdef void forget_death(Items* index, const char* f, uint32_t fn) noexcept:
    cdef FieldTtls t = ttls_of(index)
    if zset_remove(t.order, f, fn):
        find_due(t)


cdef bint hash_has_ttls(Hash h) noexcept:
    return h.index != NULL and h.index.ttls != NULL and zset_len(ttls_of(h.index).order) != 0


cdef int64_t hash_first_death(Hash h) noexcept:
    return ttls_of(h.index).due_ms if hash_has_ttls(h) else NEVER


cdef size_t hash_visible(Hash h) noexcept:
    cdef size_t n = hash_len(h)
    return n - zset_count_below(ttls_of(h.index).order, ttls_of(h.index).now_ms, False) if hides_any(h) else n


cdef bint hides_any(Hash h) noexcept:
    return hash_has_ttls(h) and ttls_of(h.index).due_ms < ttls_of(h.index).now_ms


cdef bint is_small(Hash h):
    cdef size_t most = limits.hash_max_listpack_value
    if h.index.dict.used > limits.hash_max_listpack_entries:
        return False
    return all([<size_t>len(f) <= most and <size_t>len(v) <= most for f, v in h.items()])


cdef size_t index_memory(Hash h):
    cdef size_t n = items_memory(h.index)
    return n + TTLS_BYTES + ttls_of(h.index).order.memory() if h.index.ttls != NULL else n


cdef int64_t hash_death(Hash h, const char* f, uint32_t fn) noexcept:
    cdef double at_ms
    if hash_has_ttls(h) and zset_score(ttls_of(h.index).order, f, fn, &at_ms):
        return <int64_t>at_ms
    return NEVER


# --- The compact form --------------------------------------------------------------------------------------------

cdef void leave_listpack(Hash h) noexcept:
    cdef lp_t lp = h.lp
    cdef lp_t p = lp_first(lp)
    cdef char fbuf[24]
    cdef char vbuf[24]
    cdef char* f
    cdef char* v
    cdef uint32_t fn, vn
    h.lp = NULL
    h.index = items_new(KIND_FIELD)
    dict_reserve(&h.index.dict, lp_count(lp) // 2 + 1)
    while p != NULL:
        lp_get(p, fbuf, &f, &fn)
        p = lp_next(lp, p)
        lp_get(p, vbuf, &v, &vn)
        p = lp_next(lp, p)
        index_add(h.index, f, fn, v, vn, hash_bytes(f, fn))
    lp_free(lp)


cdef inline bint too_long(lp_t lp, uint32_t fn, uint32_t vn) noexcept nogil:
    """A field or a value that no listpack should hold, or that would make this one too large."""
    if fn > limits.hash_max_listpack_value or vn > limits.hash_max_listpack_value:
        return True
    return <size_t>lp_bytes(lp) + fn + vn + 2 * ENTRY_OVERHEAD > LP_MAX_BYTES


cdef bint compact_set(Hash h, const char* f, uint32_t fn, const char* v, uint32_t vn) noexcept:
    cdef lp_t p
    if too_long(h.lp, fn, vn):
        leave_listpack(h)
        return index_set(h.index, f, fn, v, vn)
    p = lp_find(h.lp, lp_first(h.lp), f, fn, 1)
    if p != NULL:
        h.lp = lp_replace(h.lp, lp_next(h.lp, p), v, vn, NULL)
        return False
    if lp_count(h.lp) // 2 >= limits.hash_max_listpack_entries:
        leave_listpack(h)
        return index_set(h.index, f, fn, v, vn)
    h.lp = lp_append(h.lp, f, fn)
    h.lp = lp_append(h.lp, v, vn)
    return True


# --- The contract (hash.pxd) -------------------------------------------------------------------------------------

cdef size_t hash_len(Hash h) noexcept:
    return h.index.dict.used if h.index != NULL else lp_count(h.lp) // 2


cdef bint hash_get(Hash h, const char* f, uint32_t fn, char* buf, char** v, uint32_t* vn) noexcept:
    cdef Field* item
    cdef lp_t p
    if h.index != NULL:
        item = <Field*>dict_find(&h.index.dict, f, fn, hash_bytes(f, fn))
        if item == NULL or hidden(h.index, f, fn):
            return False
        v[0] = value_text(item)
        vn[0] = item.vlen
        return True
    p = lp_find(h.lp, lp_first(h.lp), f, fn, 1)
    if p == NULL:
        return False
    lp_get(lp_next(h.lp, p), buf, v, vn)
    return True


cdef bint hash_put(Hash h, const char* f, uint32_t fn, const char* v, uint32_t vn) noexcept:
    if h.index != NULL:
        return index_set(h.index, f, fn, v, vn)
    return compact_set(h, f, fn, v, vn)


cdef bint hash_set(Hash h, const char* f, uint32_t fn, const char* v, uint32_t vn) noexcept:
    cdef bint was_hidden = False
    if h.index != NULL and h.index.ttls != NULL:
        was_hidden = hidden(h.index, f, fn)
        forget_death(h.index, f, fn)
    return hash_put(h, f, fn, v, vn) or was_hidden


cdef bint hash_delete(Hash h, const char* f, uint32_t fn) noexcept:
    cdef void* item
    cdef lp_t p
    if h.index != NULL:
        item = dict_remove(&h.index.dict, f, fn, hash_bytes(f, fn))
        if item == NULL:
            return False
        guard_change(h.index.guard, f, fn, item)
        items_drop(h.index, item)
        if h.index.ttls != NULL:
            forget_death(h.index, f, fn)
        return True
    p = lp_find(h.lp, lp_first(h.lp), f, fn, 1)
    if p == NULL:
        return False
    h.lp = lp_delete(h.lp, p, 2, NULL)
    return True


cdef void hash_each(Hash h, PairFn visit, void* arg) noexcept:
    cdef uint64_t pos = 0
    cdef Field* item
    cdef lp_t p
    cdef char fbuf[24]
    cdef char vbuf[24]
    cdef char* f
    cdef char* v
    cdef uint32_t fn, vn
    if h.index != NULL:
        while (item := <Field*>dict_next(&h.index.dict, &pos)) != NULL:
            if not hidden(h.index, field_text(item), field_len(item)):
                visit(arg, field_text(item), field_len(item), value_text(item), item.vlen)
        return
    p = lp_first(h.lp)
    while p != NULL:
        lp_get(p, fbuf, &f, &fn)
        p = lp_next(h.lp, p)
        lp_get(p, vbuf, &v, &vn)
        p = lp_next(h.lp, p)
        visit(arg, f, fn, v, vn)


cdef Hash hash_of_listpack(const unsigned char* p, size_t n):
    cdef Hash h = Hash()
    if not lp_valid(p, n):
        raise ValueError("not a listpack")
    lp_free(h.lp)
    h.lp = lp_copy(p, <uint32_t>n)
    if lp_count(h.lp) == 0 or lp_count(h.lp) % 2:
        raise ValueError("not a listpack of fields and values")
    if has_twins(h.lp):
        raise ValueError("a field is there twice")
    if lp_count(h.lp) // 2 > limits.hash_max_listpack_entries:
        leave_listpack(h)
    return h


# --- For Python --------------------------------------------------------------------------------------------------

cdef void collect_pair(void* arg, const char* f, uint32_t fn, const char* v, uint32_t vn) noexcept:
    (<list>arg).append((PyBytes_FromStringAndSize(f, fn), PyBytes_FromStringAndSize(v, vn)))


cdef void collect_field(void* arg, const char* f, uint32_t fn, const char* v, uint32_t vn) noexcept:
    (<list>arg).append(PyBytes_FromStringAndSize(f, fn))


cdef void collect_value(void* arg, const char* f, uint32_t fn, const char* v, uint32_t vn) noexcept:
    (<list>arg).append(PyBytes_FromStringAndSize(v, vn))


cdef void collect_item(void* arg, void* item) noexcept:
    (<list>arg).append(pair_of(<Field*>item))


cdef void set_each_pair(void* arg, const char* f, uint32_t fn, const char* v, uint32_t vn) noexcept:
    hash_set(<Hash>arg, f, fn, v, vn)


cdef list sparse_sample(Items* index, size_t count):
    """So many different pairs, each choice as likely: drawn until new. For counts well below the size."""
    cdef set drawn = set()
    cdef list out = []
    cdef Field* item
    while <size_t>len(out) < count:
        item = <Field*>dict_random(&index.dict)
        address = <size_t>item
        if address not in drawn:
            drawn.add(address)
            out.append(pair_of(item))
    return out


cdef bint has_twins(lp_t lp):
    """Does a field stand in the listpack twice?"""
    cdef set seen
    cdef lp_t p = lp_first(lp)
    cdef lp_t value
    cdef char buf[24]
    cdef char* f
    cdef uint32_t fn
    if lp_count(lp) <= 2 * FEW:
        while p != NULL:
            lp_get(p, buf, &f, &fn)
            value = lp_next(lp, p)
            p = lp_next(lp, value)
            if lp_find(lp, p, f, fn, 1) != NULL:
                return True
        return False
    seen = set()
    while p != NULL:
        seen.add(element(p))
        p = lp_next(lp, lp_next(lp, p))
    return <size_t>len(seen) * 2 != lp_count(lp)


@cython.final
@cython.no_gc
cdef class FieldTtls:
    def __cinit__(self):
        mem_account(TTLS_BYTES)
        self.order = ZSet()
        self.due_ms = INT64_MAX
        self.now_ms = 0

    def __dealloc__(self):
        mem_account(-TTLS_BYTES)


@cython.final
@cython.no_gc
cdef class Hash:
    def __cinit__(self):
        mem_account(OBJECT_BYTES)
        self.lp = lp_new()

    def __dealloc__(self):
        if self.index != NULL:
            if self.index.ttls != NULL:
                Py_DECREF(<object>self.index.ttls)
            items_free(self.index)
        if self.lp != NULL:
            lp_free(self.lp)
        mem_account(-OBJECT_BYTES)

    @staticmethod
    def from_listpack(bytes data) -> Hash:
        return hash_of_listpack(<const unsigned char*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    def listpack(self):
        """Redis' bytes of a small hash in its compact form, else None."""
        return PyBytes_FromStringAndSize(<char*>self.lp, lp_bytes(self.lp)) if self.lp != NULL else None

    def __len__(self):
        return hash_len(self)

    def __contains__(self, bytes f):
        cdef char buf[24]
        cdef char* v
        cdef uint32_t vn
        return hash_get(self, PyBytes_AS_STRING(f), <uint32_t>PyBytes_GET_SIZE(f), buf, &v, &vn)

    def get(self, bytes f):
        cdef char buf[24]
        cdef char* v
        cdef uint32_t vn
        if not hash_get(self, PyBytes_AS_STRING(f), <uint32_t>PyBytes_GET_SIZE(f), buf, &v, &vn):
            return None
        return PyBytes_FromStringAndSize(v, vn)

    def strlen(self, bytes f):
        """The length of the field's value, 0 when there is no such field."""
        cdef char buf[24]
        cdef char* v
        cdef uint32_t vn
        return vn if hash_get(self, PyBytes_AS_STRING(f), <uint32_t>PyBytes_GET_SIZE(f), buf, &v, &vn) else 0

    def set(self, bytes f, bytes v):
        """True when the field is new."""
        return hash_set(
            self, PyBytes_AS_STRING(f), <uint32_t>PyBytes_GET_SIZE(f), PyBytes_AS_STRING(v), <uint32_t>PyBytes_GET_SIZE(v)
        )

    def put(self, bytes f, bytes v):
        """As `set`, but the field dies when it would have: for who changes a value rather than replaces it."""
        return hash_put(
            self, PyBytes_AS_STRING(f), <uint32_t>PyBytes_GET_SIZE(f), PyBytes_AS_STRING(v), <uint32_t>PyBytes_GET_SIZE(v)
        )

    def expire(self, bytes f, int64_t at_ms):
        """Let a field that is there die at a time (unix ms)."""
        cdef FieldTtls t
        if self.index == NULL:
            leave_listpack(self)
        if self.index.ttls == NULL:
            t = FieldTtls()
            Py_INCREF(t)
            self.index.ttls = <void*>t
        t = ttls_of(self.index)
        zset_set(t.order, PyBytes_AS_STRING(f), <uint32_t>PyBytes_GET_SIZE(f), at_ms)
        find_due(t)

    def persist(self, bytes f) -> bool:
        """Let a field live; False: nothing had been going to end it."""
        if self.death(f) is None:
            return False
        forget_death(self.index, PyBytes_AS_STRING(f), <uint32_t>PyBytes_GET_SIZE(f))
        return True

    def death(self, bytes f) -> int | None:
        """When a field dies; None: never, or it is not there."""
        cdef int64_t at_ms = hash_death(self, PyBytes_AS_STRING(f), <uint32_t>PyBytes_GET_SIZE(f))
        return None if at_ms == NEVER else at_ms

    def deaths(self) -> list:
        """(field, unix ms) of all fields that will die, the first one first."""
        return [(f, int(at_ms)) for f, at_ms in ttls_of(self.index).order.range(0, -1)] if hash_has_ttls(self) else []

    def first_death(self) -> int | None:
        """When the next field dies; None: none will."""
        cdef int64_t at_ms = hash_first_death(self)
        return None if at_ms == NEVER else at_ms

    def see(self, int64_t now_ms) -> bool:
        """Tell what time it is, from which on dead fields are hidden; True: there are some."""
        cdef FieldTtls t
        if not hash_has_ttls(self):
            return False
        t = ttls_of(self.index)
        t.now_ms = now_ms
        return t.due_ms < now_ms

    def bury(self, long limit) -> list:
        """Delete up to `limit` fields that are dead, and return their names."""
        cdef FieldTtls t = ttls_of(self.index)
        cdef list dead = []
        for f, at_ms in t.order.range(0, limit - 1):
            if at_ms >= t.now_ms:
                break
            dead.append(f)
        for f in dead:
            self.delete(f)
        return dead

    def delete(self, bytes f):
        return hash_delete(self, PyBytes_AS_STRING(f), <uint32_t>PyBytes_GET_SIZE(f))

    def items(self):
        cdef list out = []
        hash_each(self, collect_pair, <void*>out)
        return out

    def keys(self):
        cdef list out = []
        hash_each(self, collect_field, <void*>out)
        return out

    def values(self):
        cdef list out = []
        hash_each(self, collect_value, <void*>out)
        return out

    def random(self):
        """Any field with its value, each as likely."""
        cdef lp_t p
        if hash_len(self) == 0:
            raise IndexError("an empty hash has no field")
        if hides_any(self):
            pairs = self.items()
            return pairs[random_word() % len(pairs)] if pairs else None
        if self.index != NULL:
            return pair_of(<Field*>dict_random(&self.index.dict))
        p = lp_seek(self.lp, 2 * <long>(random_word() % (lp_count(self.lp) // 2)))
        return element(p), element(lp_next(self.lp, p))

    def sample(self, size_t count):
        """`count` different fields with their values, or all when there are fewer; which ones, and their order, by
        chance."""
        cdef list pairs
        cdef size_t size = hash_len(self), i, j
        if hides_any(self):
            pairs = self.items()
            size = len(pairs)
            if count >= size:
                return pairs
        elif count >= size:
            return self.items()
        elif self.index != NULL and count < size // 3:
            return sparse_sample(self.index, count)
        else:
            pairs = self.items()
        for i in range(count):
            j = i + random_word() % (size - i)
            pairs[i], pairs[j] = pairs[j], pairs[i]
        del pairs[count:]
        return pairs

    def scan(self, uint64_t cursor, size_t count):
        """The next cursor (0: done) and some fields with their values. A compact hash is told at once."""
        cdef list out = []
        cdef size_t steps = count * SCAN_STEPS_PER_FIELD
        if self.index == NULL:
            return 0, self.items()
        while True:
            cursor = dict_scan(&self.index.dict, cursor, collect_item, <void*>out)
            steps -= 1
            if cursor == 0 or steps == 0 or <size_t>len(out) >= count:
                break
        if hides_any(self):
            out = [pair for pair in out if pair[0] in self]
        return cursor, out

    @property
    def encoding(self):
        """As OBJECT ENCODING calls it. With fields that die Redis has two forms, by size, where there is one here."""
        if self.lp != NULL:
            return "listpack"
        return "listpackex" if self.index.ttls != NULL and is_small(self) else "hashtable"

    def memory(self):
        """Bytes that the hash occupies, this object included."""
        return OBJECT_BYTES + (mem_size(lp_bytes(self.lp)) if self.lp != NULL else index_memory(self))

    def copy(self):
        cdef Hash h = Hash()
        lp_free(h.lp)
        if self.lp != NULL:
            h.lp = lp_copy(self.lp, lp_bytes(self.lp))
        else:
            h.lp = NULL
            h.index = items_new(KIND_FIELD)
            dict_reserve(&h.index.dict, self.index.dict.used)
            hash_each(self, set_each_pair, <void*>h)
            for f, at_ms in self.deaths():
                if f in h:
                    h.expire(f, at_ms)
        return h

    def free_some(self, long budget):
        """Free up to `budget` fields of a hash that nobody will ask again; True while there is more."""
        if self.index == NULL:
            return False
        if self.index.ttls != NULL and ttls_of(self.index).order.free_some(budget):
            return True
        return items_free_some(self.index, budget)


cdef ssize_t TTLS_BYTES = (FieldTtls.__basicsize__ + 15) & ~15
cdef ssize_t OBJECT_BYTES = (Hash.__basicsize__ + 15) & ~15      # as Python's allocator rounds it


# -- the record of the type --------------------------------------------------------------------------------------------

cdef object wake(object spare, void* block, Rested form):
    cdef Hash h = <Hash>spare
    if h is None:
        h = Hash()
        lp_free(h.lp)
    h.lp = <lp_t>block
    return h


cdef Rested rest(PyObject* value, void** block) noexcept:
    cdef Hash h = <Hash>value
    if h.lp == NULL:
        return REST_LARGE
    block[0] = h.lp
    h.lp = NULL
    return REST_LISTPACK


cdef TypeRecord* record = declare_type(TYPE_HASH, "hash", Hash)
record.wake = wake
record.rest = rest
