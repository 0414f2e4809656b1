"""Large values of a snapshot (largevalue.pxd is the contract): no slice and no write waits for a million elements.

A value's elements must stand together in a file, so while one is being written other keys that change go aside. What if the
value itself changes meanwhile?

- Hashes, sets and sorted sets guard their elements: one that is about to change is written first, unless the walk has passed
  it. Where the walk has come to is a place in an order that no change disturbs: for tables the place of an item (dict_place) with
  its bits reversed, which is the order of dict_scan whatever size the table has; for sorted sets (score, member). What
  was written early, or added since, is remembered by name and passed over. This works also before the walk has
  begun, so the first write to a large collection costs no more than any other.
- Lists, streams and strings have no such order, and of a hash with fields that die the deaths change too, but they are
  copied at memory speed. A write to one that is half
  written waits until its rest is copied; to one that has not been begun, until it is copied whole.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.stdint cimport int64_t
from libc.string cimport memset

from node.engine.structures.btree cimport Cursor, cursor_prev, is_before, place_of_pair, tree_at, tree_count_before
from node.engine.structures.dict cimport Field, KIND_FIELD, Member, ZMember, dict_place, dict_scan, hash_bytes, item_key
from node.engine.keyspace.entry cimport (
    ENC_AWAKE, ENC_OBJECT, ENC_RAW, entry_encoding, entry_object, entry_raw, entry_type, raw_bytes,
)
from node.engine.keyspace.graves cimport Grave, grave_of_value
from node.engine.types.hash cimport NEVER, Hash, hash_first_death, hash_has_ttls
from node.engine.structures.idmap cimport idmap_first, idmap_next
from node.engine.durable.rdb cimport KIND_HASH, KIND_LIST_NODES, KIND_SET, KIND_STRING, KIND_ZSET
from node.engine.durable.rdbvalue cimport (
    mortal_kind, open_entry, put_mortal_field, put_mortal_head, put_node, put_stream_facts, put_stream_node, stream_kind,
)
from node.engine.types.record cimport TYPES, TYPE_HASH, TYPE_LIST, TYPE_SET, TYPE_STREAM, TYPE_ZSET
from node.engine.types.set cimport Set
from node.engine.types.streamnode cimport Node
from node.engine.types.zset cimport ZSet

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject* o)

cdef size_t LARGE_ITEMS = 2000           # elements
cdef size_t LARGE_NODES = 64             # of a list or a stream, each some kilobytes
cdef size_t LARGE_STRING = 1 << 20       # bytes; longer ones are not compressed, since that cannot be done in parts


def set_large(size_t items=2000, size_t nodes=64, size_t string=1 << 20):
    """What counts as large: for tests, which have no time for large values."""
    global LARGE_ITEMS, LARGE_NODES, LARGE_STRING
    LARGE_ITEMS, LARGE_NODES, LARGE_STRING = items, nodes, string


cdef class LargeValue(Guard):
    cdef int begin(self, Writer w) except -1:
        w.put(self.head.p, self.head.n)
        w.put(self.out.p, self.out.n)
        self.head = None
        self.out = w
        return 0

    cdef bint advance(self, size_t bytes) except -1:
        return False

    cdef int close(self, Keyspace space) except -1:
        cdef Grave grave
        self.entry = NULL
        # Its key may have been deleted meanwhile. What is then left to us to free is freed in slices, too.
        if self.value is not None and Py_REFCNT(<PyObject*>self.value) == 1:
            grave = grave_of_value(self.value)
            self.value = None
            space.bury(grave, False)
        self.value = None
        return 0


# -- hashes and sets -----------------------------------------------------------------------------------------------------

cdef inline uint64_t reversed_bits(uint64_t v) noexcept nogil:
    v = ((v >> 1) & <uint64_t>0x5555555555555555) | ((v & <uint64_t>0x5555555555555555) << 1)
    v = ((v >> 2) & <uint64_t>0x3333333333333333) | ((v & <uint64_t>0x3333333333333333) << 2)
    v = ((v >> 4) & <uint64_t>0x0F0F0F0F0F0F0F0F) | ((v & <uint64_t>0x0F0F0F0F0F0F0F0F) << 4)
    v = ((v >> 8) & <uint64_t>0x00FF00FF00FF00FF) | ((v & <uint64_t>0x00FF00FF00FF00FF) << 8)
    v = ((v >> 16) & <uint64_t>0x0000FFFF0000FFFF) | ((v & <uint64_t>0x0000FFFF0000FFFF) << 16)
    return (v >> 32) | (v << 32)


cdef void visit_item(void* arg, void* item) noexcept:
    cdef LargeItems large = <LargeItems>arg
    cdef uint32_t klen
    cdef const char* key = item_key(large.items.dict.kind, item, &klen)
    # A table that has shrunk shows items again that had their turn.
    if large.passed(hash_bytes(key, klen)):
        return
    try:
        if large.touched and PyBytes_FromStringAndSize(key, klen) in large.touched:
            return
        large.put_item(item)
    except Exception as error:
        large.error = error


@cython.final
cdef class LargeItems(LargeValue):
    cdef bint passed(self, uint64_t h) noexcept:
        return self.through or reversed_bits(dict_place(&self.items.dict, h)) < reversed_bits(self.cursor)

    cdef int put_item(self, void* item) except -1:
        cdef uint32_t klen
        cdef const char* key
        if self.first_ms != NEVER:
            return put_mortal_field(self.out, <Hash>self.value, <Field*>item, self.first_ms)
        key = item_key(self.items.dict.kind, item, &klen)
        self.out.put_string(key, klen)
        if self.items.dict.kind == KIND_FIELD:
            self.out.put_string(key + klen, (<Field*>item).vlen)
        return 0

    cdef void before_change(self, const char* key, uint32_t klen, void* item) noexcept:
        cdef bytes name
        if not self.passed(hash_bytes(key, klen)):
            try:
                name = PyBytes_FromStringAndSize(key, klen)
                if name not in self.touched:
                    self.touched.add(name)
                    if item != NULL:
                        self.put_item(item)
            except Exception as error:
                self.error = error
        Guard.before_change(self, key, klen, item)

    cdef bint advance(self, size_t bytes) except -1:
        cdef size_t end = self.out.n + bytes
        while not self.through:
            if self.out.n >= end:
                return True
            self.cursor = dict_scan(&self.items.dict, self.cursor, visit_item, <void*>self)
            self.through = self.cursor == 0
        return False

    cdef int close(self, Keyspace space) except -1:
        unguard(&self.items.guard, self)
        return LargeValue.close(self, space)


# -- sorted sets -----------------------------------------------------------------------------------------------------------

@cython.final
cdef class LargeZSet(LargeValue):
    cdef Place place(self) noexcept:
        return place_of_pair(self.score, PyBytes_AS_STRING(self.member), <uint32_t>PyBytes_GET_SIZE(self.member), False)

    cdef void before_change(self, const char* key, uint32_t klen, void* item) noexcept:
        cdef ZMember* pair = <ZMember*>item
        cdef bytes name
        cdef Place place
        cdef bint waits = pair != NULL
        if pair != NULL and self.member is not None:
            place = self.place()
            waits = is_before(pair.score, key, klen, &place)
        try:
            name = PyBytes_FromStringAndSize(key, klen)
            if name not in self.touched:
                # Also those that had their turn: with another score they might have it again.
                self.touched.add(name)
                if waits:
                    self.out.put_string(key, klen)
                    self.out.put(&pair.score, sizeof(double))
        except Exception as error:
            self.error = error
        Guard.before_change(self, key, klen, item)

    cdef bint advance(self, size_t bytes) except -1:
        cdef size_t end = self.out.n + bytes
        cdef uint32_t left = self.index.tree.count
        cdef Place place
        cdef Cursor cursor
        cdef ZMember* pair = NULL
        cdef const char* key
        if self.member is not None:
            place = self.place()
            left = tree_count_before(&self.index.tree, &place)
        if left == 0:
            return False
        cursor = tree_at(&self.index.tree, left - 1)
        while left and self.out.n < end:
            pair = cursor_prev(&cursor)
            left -= 1
            key = <const char*>pair + sizeof(ZMember)
            if self.touched and PyBytes_FromStringAndSize(key, pair.klen) in self.touched:
                continue
            self.out.put_string(key, pair.klen)
            self.out.put(&pair.score, sizeof(double))
        self.score = pair.score
        self.member = PyBytes_FromStringAndSize(<const char*>pair + sizeof(ZMember), pair.klen)
        return left > 0

    cdef int close(self, Keyspace space) except -1:
        unguard(&self.index.guard, self)
        return LargeValue.close(self, space)


# -- what must not change meanwhile ------------------------------------------------------------------------------------------

@cython.final
cdef class LargeList(LargeValue):
    cdef bint advance(self, size_t bytes) except -1:
        cdef List l = <List>self.value
        cdef size_t end = self.out.n + bytes
        while self.at < l.node_count:
            if self.out.n >= end:
                return True
            put_node(self.out, l.ring[(l.head + self.at) & (l.cap - 1)].lp)
            self.at += 1
        return False


@cython.final
cdef class LargeStream(LargeValue):
    cdef bint advance(self, size_t bytes) except -1:
        cdef Stream s = <Stream>self.value
        cdef size_t end = self.out.n + bytes
        cdef Node* node
        while True:
            if self.out.n >= end:
                return True
            node = <Node*>(idmap_next(&s.nodes, &self.spot) if self.started else idmap_first(&s.nodes, &self.spot))
            self.started = True
            if node == NULL:
                put_stream_facts(self.out, s)
                return False
            put_stream_node(self.out, node)


@cython.final
cdef class LargeString(LargeValue):
    cdef bint advance(self, size_t bytes) except -1:
        cdef size_t n = min(bytes, self.raw.len - self.at)
        self.out.put(raw_bytes(self.raw) + self.at, n)
        self.at += n
        return self.at < self.raw.len


# -- the contract ------------------------------------------------------------------------------------------------------------

cdef int guard(void** place, LargeValue large) except -1:
    large.guarded = True
    large.next = <Guard>place[0] if place[0] != NULL else None
    place[0] = <void*>large
    return 0


cdef int unguard(void** place, LargeValue large) except -1:
    """Take it out of the chain of those who guard a collection."""
    cdef Guard each
    if place[0] == <void*>large:
        place[0] = <void*>large.next if large.next is not None else NULL
    else:
        each = <Guard>place[0] if place[0] != NULL else None
        while each is not None and each.next is not large:
            each = each.next
        if each is not None:
            each.next = large.next
    large.next = None
    return 0


cdef inline LargeValue opened(LargeValue large, Keyspace space, Entry* e, AccessClock clock, Writer like, int kind,
                              size_t count):
    large.head = like.sibling()
    large.out = like.sibling()
    open_entry(large.head, space, e, clock, kind)
    large.head.put_length(count)
    if entry_encoding(e) >= ENC_OBJECT:
        large.value = entry_object(e)
    return large


cdef LargeValue large_items(Items* items, Keyspace space, Entry* e, AccessClock clock, Writer like):
    cdef LargeItems large = LargeItems()
    large.items = items
    large.first_ms = NEVER
    large.touched = set()
    opened(large, space, e, clock, like, KIND_HASH if items.dict.kind == KIND_FIELD else KIND_SET, items.dict.used)
    guard(&items.guard, large)
    return large


cdef LargeValue large_mortal_hash(Hash h, Keyspace space, Entry* e, AccessClock clock, Writer like):
    cdef LargeItems large = LargeItems()
    large.items = h.index
    large.first_ms = hash_first_death(h)
    large.head = like.sibling()
    large.out = like.sibling()
    open_entry(large.head, space, e, clock, mortal_kind(like))
    put_mortal_head(large.head, h)
    large.value = h
    return kept_still(large, e)


cdef LargeValue kept_still(LargeValue large, Entry* e):
    large.entry = e
    return large


cdef LargeValue large_string(Keyspace space, Entry* e, AccessClock clock, Writer like):
    cdef LargeString large = LargeString()
    large.raw = entry_raw(e)
    opened(large, space, e, clock, like, KIND_STRING, large.raw.len)
    return kept_still(large, e)


cdef LargeValue large_hash(object value, Keyspace space, Entry* e, AccessClock clock, Writer like):
    cdef Hash h = <Hash>value
    if h.index == NULL or h.index.dict.used <= LARGE_ITEMS:
        return None
    return large_mortal_hash(h, space, e, clock, like) if hash_has_ttls(h) else large_items(h.index, space, e, clock, like)


cdef LargeValue large_set(object value, Keyspace space, Entry* e, AccessClock clock, Writer like):
    cdef Set s = <Set>value
    if s.index == NULL or s.index.dict.used <= LARGE_ITEMS:
        return None
    return large_items(s.index, space, e, clock, like)


cdef LargeValue large_zset(object value, Keyspace space, Entry* e, AccessClock clock, Writer like):
    cdef ZIndex* index = (<ZSet>value).index
    cdef LargeZSet large
    if index == NULL or index.tree.count <= LARGE_ITEMS:
        return None
    large = LargeZSet()
    large.index = index
    large.touched = set()
    opened(large, space, e, clock, like, KIND_ZSET, index.tree.count)
    guard(&index.guard, large)
    return large


cdef LargeValue large_list(object value, Keyspace space, Entry* e, AccessClock clock, Writer like):
    cdef List l = <List>value
    if l.node_count <= LARGE_NODES:
        return None
    return kept_still(opened(LargeList(), space, e, clock, like, KIND_LIST_NODES, l.node_count), e)


cdef LargeValue large_stream(object value, Keyspace space, Entry* e, AccessClock clock, Writer like):
    cdef Stream s = <Stream>value
    if s.nodes.count <= LARGE_NODES:
        return None
    return kept_still(opened(LargeStream(), space, e, clock, like, stream_kind(like), s.nodes.count), e)


cdef LargeFn parts[TYPES]
memset(parts, 0, sizeof(parts))


cdef int declare_parts(int code, LargeFn how) except -1:
    parts[code] = how
    return 0


declare_parts(TYPE_HASH, large_hash)
declare_parts(TYPE_SET, large_set)
declare_parts(TYPE_ZSET, large_zset)
declare_parts(TYPE_LIST, large_list)
declare_parts(TYPE_STREAM, large_stream)


cdef LargeValue large_value(Keyspace space, Entry* e, AccessClock clock, Writer like):
    cdef LargeFn how
    if entry_encoding(e) == ENC_RAW:
        return large_string(space, e, clock, like) if entry_raw(e).len > LARGE_STRING else None
    if entry_encoding(e) != ENC_OBJECT and entry_encoding(e) != ENC_AWAKE:
        return None
    how = parts[entry_type(e)]
    return how(entry_object(e), space, e, clock, like) if how != NULL else None
