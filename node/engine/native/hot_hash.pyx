"""Native hash commands: HSET, HMSET, HGET, HMGET, HGETALL, HINCRBY, HDEL, HEXISTS, HLEN."""

from libc.stddef cimport size_t
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint32_t
from libc.string cimport memset

from node.engine.structures.dict cimport FETCH_AHEAD, Coming, Entry, dict_fetch
from node.engine.structures.digits cimport format_int64, parse_int64
from node.engine.types.hash cimport Hash, hash_delete, hash_each, hash_get, hash_len, hash_put, hash_set, hash_visible
from node.engine.native.hot cimport (
    arg_int,
    drop_key,
    find_read,
    find_write,
    not_integer,
    wrong_type,
)
from node.engine.keyspace.packed cimport fresh_hash
from node.engine.session.session cimport Session, register_native, session_error, touched
from node.engine.keyspace.table cimport TYPE_HASH, entry_object, entry_type
from node.engine.session.framer cimport Arg
from node.engine.session.wire cimport Buf, w_bulk, w_header, w_int, w_map, w_null, w_ok

from node.replies import wrong_arity


cdef inline Hash hash_of(Session s, Arg* key):
    """The hash to change, created if the key is absent; None (and the error written) if it is something else."""
    cdef Entry* e = find_write(s, key)
    cdef Hash h
    if e == NULL:
        h = fresh_hash()
        s.db.put_object(key.p, <uint32_t>key.n, s.slot, TYPE_HASH, h, False)
        return h
    if entry_type(e) != TYPE_HASH:
        wrong_type(s)
        return None
    return <Hash>entry_object(e)


cdef long set_fields(Session s, Arg* a, int argc) except -2:
    """The number of new fields, -1 after an error."""
    cdef Hash h
    cdef Coming coming
    cdef int i
    cdef long created = 0
    h = hash_of(s, &a[1])
    if h is None:
        return -1
    memset(&coming, 0, sizeof(coming))
    for i in range(2, argc, 2):
        if i + 2 * FETCH_AHEAD < argc and h.index != NULL:
            dict_fetch(&h.index.dict, &coming, a[i + 2 * FETCH_AHEAD].p, <uint32_t>a[i + 2 * FETCH_AHEAD].n)
        created += hash_set(h, a[i].p, <uint32_t>a[i].n, a[i + 1].p, <uint32_t>a[i + 1].n)
    touched(s, a[1].p, a[1].n, "hset", "h", (argc - 2) // 2)
    return created


cdef int cmd_hset(Session s, Arg* a, int argc) except -1:
    cdef long created
    if argc % 2:
        s.error(wrong_arity("hset"))
        return 0
    created = set_fields(s, a, argc)
    if created >= 0:
        w_int(&s.out, created)
    return 0


cdef int cmd_hmset(Session s, Arg* a, int argc) except -1:
    if argc % 2:
        s.error(wrong_arity("hmset"))
    elif set_fields(s, a, argc) >= 0:
        w_ok(&s.out)
    return 0


cdef inline void w_field(Session s, Hash h, Arg* f) noexcept:
    cdef char buf[24]
    cdef char* v
    cdef uint32_t n
    if h is not None and hash_get(h, f.p, <uint32_t>f.n, buf, &v, &n):
        w_bulk(&s.out, v, n)
    else:
        w_null(&s.out, s.proto)


cdef int cmd_hget(Session s, Arg* a, int argc) except -1:
    cdef Entry* e = find_read(s, &a[1])
    if e == NULL:
        w_null(&s.out, s.proto)
    elif entry_type(e) != TYPE_HASH:
        wrong_type(s)
    else:
        w_field(s, <Hash>entry_object(e), &a[2])
    return 0


cdef int cmd_hmget(Session s, Arg* a, int argc) except -1:
    cdef Entry* e = find_read(s, &a[1])
    cdef Hash h = None
    cdef int i
    if e != NULL:
        if entry_type(e) != TYPE_HASH:
            return wrong_type(s)
        h = <Hash>entry_object(e)
    w_header(&s.out, 42, argc - 2)
    for i in range(2, argc):
        w_field(s, h, &a[i])
    return 0


cdef void w_pair(void* out, const char* f, uint32_t fn, const char* v, uint32_t vn) noexcept:
    w_bulk(<Buf*>out, f, fn)
    w_bulk(<Buf*>out, v, vn)


cdef int cmd_hgetall(Session s, Arg* a, int argc) except -1:
    cdef Entry* e = find_read(s, &a[1])
    cdef Hash h
    if e == NULL:
        w_map(&s.out, 0, s.proto)
        return 0
    if entry_type(e) != TYPE_HASH:
        return wrong_type(s)
    h = <Hash>entry_object(e)
    w_map(&s.out, hash_visible(h), s.proto)
    hash_each(h, w_pair, &s.out)
    return 0


cdef int cmd_hlen(Session s, Arg* a, int argc) except -1:
    cdef Entry* e = find_read(s, &a[1])
    if e == NULL:
        w_int(&s.out, 0)
    elif entry_type(e) != TYPE_HASH:
        wrong_type(s)
    else:
        w_int(&s.out, hash_len(<Hash>entry_object(e)))
    return 0


cdef int cmd_hexists(Session s, Arg* a, int argc) except -1:
    cdef Entry* e = find_read(s, &a[1])
    cdef char buf[24]
    cdef char* v
    cdef uint32_t n
    if e == NULL:
        w_int(&s.out, 0)
    elif entry_type(e) != TYPE_HASH:
        wrong_type(s)
    else:
        w_int(&s.out, hash_get(<Hash>entry_object(e), a[2].p, <uint32_t>a[2].n, buf, &v, &n))
    return 0


cdef int cmd_hdel(Session s, Arg* a, int argc) except -1:
    cdef Entry* e = find_write(s, &a[1])
    cdef Hash h
    cdef int i
    cdef long deleted = 0
    if e == NULL:
        w_int(&s.out, 0)
        return 0
    if entry_type(e) != TYPE_HASH:
        return wrong_type(s)
    h = <Hash>entry_object(e)
    for i in range(2, argc):
        deleted += hash_delete(h, a[i].p, <uint32_t>a[i].n)
        if hash_len(h) == 0:
            break
    if deleted:
        touched(s, a[1].p, a[1].n, "hdel", "h", deleted)
        if hash_len(h) == 0:
            drop_key(s, &a[1])
    w_int(&s.out, deleted)
    return 0


cdef int cmd_hincrby(Session s, Arg* a, int argc) except -1:
    cdef int64_t by, v = 0
    cdef Hash h
    cdef char buf[24]
    cdef char* p
    cdef uint32_t n
    if not arg_int(&a[3], &by):
        return not_integer(s)
    h = hash_of(s, &a[1])
    if h is None:
        return 0
    if hash_get(h, a[2].p, <uint32_t>a[2].n, buf, &p, &n):
        if not parse_int64(p, n, &v):
            return session_error(s, "ERR hash value is not an integer")
        if (by < 0 and v < 0 and by < INT64_MIN - v) or (by > 0 and v > 0 and by > INT64_MAX - v):
            return session_error(s, "ERR increment or decrement would overflow")
    v += by
    n = format_int64(v, buf)
    hash_put(h, a[2].p, <uint32_t>a[2].n, buf, n)
    touched(s, a[1].p, a[1].n, "hincrby", "h", 1)
    w_int(&s.out, v)
    return 0


register_native("hset", cmd_hset)
register_native("hmset", cmd_hmset)
register_native("hget", cmd_hget)
register_native("hmget", cmd_hmget)
register_native("hgetall", cmd_hgetall)
register_native("hlen", cmd_hlen)
register_native("hexists", cmd_hexists)
register_native("hdel", cmd_hdel)
register_native("hincrby", cmd_hincrby)
