"""Keys and values in RDB form (rdbvalue.pxd is the contract), byte for byte as Redis 7.0 writes them.

Two kinds of values have newer forms, for readers that know them: streams, of whose consumers Redis 7.2 also says when they
last got something, and hashes with fields that die, which only Redis 7.4 and Valkey 9 have, each in its own way.

What is compact in memory is compact in the file: listpacks and intsets are copied. The order inside a hash table is each
server's own. A list that is short goes out in the nodes that Redis would have made of it (quicklist.pyx); a long one in
the nodes it lies in, which the same limits hold together.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from node.engine.structures.btree cimport Cursor, cursor_prev, tree_at
from node.engine.structures.dict cimport Field, Member, VOLATILE, ZMember, dict_next, item_key
from node.engine.keyspace.entry cimport (
    CLOCK_MASK, ENC_OBJECT, entry_encoding, entry_expire_ms, entry_key, entry_klen, entry_object, entry_string, entry_type,
)
from node.engine.types.hash cimport NEVER, Hash, hash_death, hash_first_death, hash_has_ttls
from node.engine.structures.idmap cimport Id, Spot, idmap_first, idmap_next
from node.engine.structures.intset cimport ints_bytes
from node.engine.types.list cimport List
from node.engine.structures.listpack cimport lp_bytes, lp_first, lp_get, lp_next, lp_t
from node.engine.durable.rdb cimport (
    FORM_REDIS_70, FORM_VALKEY_9, KIND_HASH, KIND_HASH_EXPIRING, KIND_HASH_LISTPACK, KIND_HASH_VALKEY, KIND_LIST_NODES,
    KIND_SET, KIND_SET_INTSET, KIND_STREAM_7, KIND_STREAM_72, KIND_STRING, KIND_ZSET, KIND_ZSET_LISTPACK, OPCODE_EXPIRE_MS,
    OPCODE_FREQ, OPCODE_IDLE,
)
from node.engine.types.record cimport (
    TYPES, TYPE_HASH, TYPE_LIST, TYPE_SET, TYPE_STREAM, TYPE_ZSET, code_of,
)
from node.engine.types.set cimport Set, set_len
from node.engine.types.stream cimport Stream
from node.engine.types.streamgroup cimport Consumer, Group, Pending
from node.engine.types.streamnode cimport Node
from node.engine.types.zset cimport ZSet

from node.engine.durable.quicklist import quicklist_nodes

cdef enum:
    PACKED = 2                   # a list's node that is a listpack
    LONG_LIST = 64               # nodes


cdef int open_value(Writer w, int kind, const char* key, uint32_t klen) except -1:
    w.put_byte(kind)
    if key != NULL:
        w.put_string(key, klen)
    return 0


# -- collections -------------------------------------------------------------------------------------------------------

cdef int put_hash(Writer w, object value, const char* key, uint32_t klen) except -1:
    cdef Hash h = <Hash>value
    cdef uint64_t pos = 0
    cdef Field* field
    cdef const char* name
    cdef uint32_t n
    if h.lp != NULL:
        open_value(w, KIND_HASH_LISTPACK, key, klen)
        return w.put_string(<char*>h.lp, lp_bytes(h.lp))
    if hash_has_ttls(h):
        return put_mortal_hash(w, h, key, klen)
    open_value(w, KIND_HASH, key, klen)
    w.put_length(h.index.dict.used)
    while (field := <Field*>dict_next(&h.index.dict, &pos)) != NULL:
        name = item_key(h.index.dict.kind, field, &n)
        w.put_string(name, n)
        w.put_string(name + n, field.vlen)
    return 0


cdef int put_mortal_hash(Writer w, Hash h, const char* key, uint32_t klen) except -1:
    cdef int64_t first_ms = hash_first_death(h)
    cdef uint64_t pos = 0
    cdef Field* field
    open_value(w, mortal_kind(w), key, klen)
    put_mortal_head(w, h)
    while (field := <Field*>dict_next(&h.index.dict, &pos)) != NULL:
        put_mortal_field(w, h, field, first_ms)
    return 0


cdef int mortal_kind(Writer w) noexcept:
    return KIND_HASH_VALKEY if w.form == FORM_VALKEY_9 else KIND_HASH_EXPIRING


cdef int put_mortal_head(Writer w, Hash h) except -1:
    """Redis 7.4: the first death. Then how many fields there are."""
    cdef int64_t first_ms = hash_first_death(h)
    if w.form != FORM_VALKEY_9:
        w.put(&first_ms, sizeof(first_ms))
    return w.put_length(h.index.dict.used)


cdef int put_mortal_field(Writer w, Hash h, Field* field, int64_t first_ms) except -1:
    """Redis 7.4: its death, counted from the first one (0: it will not die), name, value. Valkey 9: name, value, death."""
    cdef uint32_t n
    cdef const char* name = item_key(h.index.dict.kind, field, &n)
    cdef int64_t at_ms = hash_death(h, name, n)
    if w.form != FORM_VALKEY_9:
        w.put_length(0 if at_ms == NEVER else <uint64_t>(at_ms - first_ms + 1))
    w.put_string(name, n)
    w.put_string(name + n, field.vlen)
    if w.form == FORM_VALKEY_9:
        w.put(&at_ms, sizeof(at_ms))            # NEVER is Valkey's -1
    return 0


cdef int put_set(Writer w, object value, const char* key, uint32_t klen) except -1:
    cdef Set s = <Set>value
    cdef uint64_t pos = 0
    cdef Member* member
    cdef lp_t p
    cdef char buf[24]
    cdef char* text
    cdef uint32_t n
    if s.ints != NULL:
        open_value(w, KIND_SET_INTSET, key, klen)
        return w.put_string(<char*>s.ints, ints_bytes(s.ints))
    open_value(w, KIND_SET, key, klen)
    w.put_length(set_len(s))
    if s.lp != NULL:
        p = lp_first(s.lp)
        while p != NULL:
            lp_get(p, buf, &text, &n)
            w.put_string(text, n)
            p = lp_next(s.lp, p)
    elif s.index != NULL:
        while (member := <Member*>dict_next(&s.index.dict, &pos)) != NULL:
            w.put_string(<char*>member + sizeof(Member), member.klen)
    return 0


cdef int put_zset(Writer w, object value, const char* key, uint32_t klen) except -1:
    cdef ZSet z = <ZSet>value
    cdef Cursor cursor
    cdef ZMember* member
    if z.lp != NULL:
        open_value(w, KIND_ZSET_LISTPACK, key, klen)
        return w.put_string(<char*>z.lp, lp_bytes(z.lp))
    open_value(w, KIND_ZSET, key, klen)
    w.put_length(z.index.tree.count)
    if z.index.tree.count == 0:
        return 0
    cursor = tree_at(&z.index.tree, z.index.tree.count - 1)      # highest first: a reader's skiplist then inserts at its head
    while (member := cursor_prev(&cursor)) != NULL:
        w.put_string(<char*>member + sizeof(ZMember), member.klen)
        w.put(&member.score, sizeof(double))
    return 0


cdef int put_node(Writer w, lp_t lp) except -1:
    w.put_length(PACKED)
    return w.put_string(<char*>lp, lp_bytes(lp))


cdef int put_list(Writer w, object value, const char* key, uint32_t klen) except -1:
    cdef List l = <List>value
    cdef uint32_t i
    cdef bytes data
    open_value(w, KIND_LIST_NODES, key, klen)
    if l.node_count > LONG_LIST:
        w.put_length(l.node_count)
        for i in range(l.node_count):
            put_node(w, l.ring[(l.head + i) & (l.cap - 1)].lp)
        return 0
    nodes = quicklist_nodes(l)
    w.put_length(len(nodes))
    for container, data in nodes:
        w.put_length(container)
        w.put_string(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
    return 0


# -- streams -----------------------------------------------------------------------------------------------------------

cdef inline void big_endian(uint64_t value, unsigned char* to) noexcept nogil:
    cdef int i
    for i in range(8):
        to[i] = <unsigned char>(value >> (56 - 8 * i))


cdef inline int put_id(Writer w, Id id) except -1:
    w.put_length(id.ms)
    return w.put_length(id.seq)


cdef inline int put_raw_id(Writer w, Id id) except -1:
    cdef unsigned char* to = w.room(16)
    big_endian(id.ms, to)
    big_endian(id.seq, to + 8)
    w.n += 16
    return 0


cdef int put_group(Writer w, Group group) except -1:
    """A group: how far it has come, what is pending, and whose that is."""
    cdef Spot spot
    cdef Pending* pending
    cdef Id* id
    cdef Consumer consumer
    w.put_string(PyBytes_AS_STRING(group.name), PyBytes_GET_SIZE(group.name))
    put_id(w, group.last)
    w.put_length(<uint64_t>max(group.entries_read, -1))           # -1 stands for what is not known
    w.put_length(group.pel.count)
    pending = <Pending*>idmap_first(&group.pel, &spot)
    while pending != NULL:
        put_raw_id(w, pending.id)
        w.put(&pending.delivered_ms, sizeof(int64_t))
        w.put_length(pending.deliveries)
        pending = <Pending*>idmap_next(&group.pel, &spot)
    w.put_length(len(group.consumers))
    for consumer in group.all_consumers():
        w.put_string(PyBytes_AS_STRING(consumer.name), PyBytes_GET_SIZE(consumer.name))
        w.put(&consumer.seen_ms, sizeof(int64_t))
        if w.form != FORM_REDIS_70:
            w.put(&consumer.active_ms, sizeof(int64_t))
        w.put_length(consumer.pel.count)
        id = <Id*>idmap_first(&consumer.pel, &spot)
        while id != NULL:
            put_raw_id(w, id[0])
            id = <Id*>idmap_next(&consumer.pel, &spot)
    return 0


cdef int put_stream_node(Writer w, Node* node) except -1:
    cdef unsigned char name[16]
    big_endian(node.id.ms, name)
    big_endian(node.id.seq, name + 8)
    w.put_string(<char*>name, sizeof(name))
    return w.put_string(<char*>node.lp, lp_bytes(node.lp))


cdef int stream_kind(Writer w) noexcept:
    return KIND_STREAM_7 if w.form == FORM_REDIS_70 else KIND_STREAM_72


cdef int put_stream(Writer w, object value, const char* key, uint32_t klen) except -1:
    """Nodes as they are in memory, the stream's counters, its groups."""
    cdef Stream s = <Stream>value
    cdef Spot spot
    cdef Node* node
    open_value(w, stream_kind(w), key, klen)
    w.put_length(s.nodes.count)
    node = <Node*>idmap_first(&s.nodes, &spot)
    while node != NULL:
        put_stream_node(w, node)
        node = <Node*>idmap_next(&s.nodes, &spot)
    return put_stream_facts(w, s)


cdef int put_stream_facts(Writer w, Stream s) except -1:
    w.put_length(s.length)
    put_id(w, s.last)
    put_id(w, s.first)
    put_id(w, s.max_deleted)
    w.put_length(s.entries_added)
    groups = s.all_groups()
    w.put_length(len(groups))
    for group in groups:
        put_group(w, <Group>group)
    return 0


# -- the contract ------------------------------------------------------------------------------------------------------

cdef PutFn put[TYPES]
memset(put, 0, sizeof(put))


cdef int declare_form(int code, PutFn how) except -1:
    put[code] = how
    return 0


cdef inline int put_object(Writer w, int code, object value, const char* key, uint32_t klen) except -1:
    if put[code] == NULL:
        raise TypeError(f"a type without a form in RDB: {type(value).__name__}")
    return put[code](w, value, key, klen)


declare_form(TYPE_HASH, put_hash)
declare_form(TYPE_SET, put_set)
declare_form(TYPE_ZSET, put_zset)
declare_form(TYPE_LIST, put_list)
declare_form(TYPE_STREAM, put_stream)


cdef inline int put_facts(Writer w, Keyspace space, Entry* e, AccessClock clock) except -1:
    """Expiry and access clock."""
    cdef int64_t at_ms
    if e.klen_flags & VOLATILE:
        at_ms = entry_expire_ms(e)
        w.put_byte(OPCODE_EXPIRE_MS)
        w.put(&at_ms, sizeof(at_ms))
    if clock == CLOCK_IDLE:
        w.put_byte(OPCODE_IDLE)
        w.put_length(space.idle_s(e.meta & CLOCK_MASK))
    elif clock == CLOCK_FREQ:
        w.put_byte(OPCODE_FREQ)
        w.put_byte(space.frequency(e.meta & CLOCK_MASK))
    return 0


cdef int open_entry(Writer w, Keyspace space, Entry* e, AccessClock clock, int kind) except -1:
    put_facts(w, space, e, clock)
    return open_value(w, kind, entry_key(e), entry_klen(e))


cdef int put_entry(Writer w, Keyspace space, Entry* e, AccessClock clock) except -1:
    cdef char digits[24]
    cdef char* text
    cdef size_t n
    put_facts(w, space, e, clock)
    if entry_encoding(e) >= ENC_OBJECT:
        return put_object(w, entry_type(e), entry_object(e), entry_key(e), entry_klen(e))
    open_value(w, KIND_STRING, entry_key(e), entry_klen(e))
    entry_string(e, digits, &text, &n)
    return w.put_string(text, n)


def write_value(Writer w not None, value, bytes key=None):
    """The kind byte and the value; in a file the key stands between the two."""
    cdef const char* p = NULL if key is None else PyBytes_AS_STRING(key)
    cdef uint32_t klen = 0 if key is None else <uint32_t>PyBytes_GET_SIZE(key)
    if type(value) is bytes:
        open_value(w, KIND_STRING, p, klen)
        w.put_string(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
    else:
        put_object(w, code_of(value), value, p, klen)
