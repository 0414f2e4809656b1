"""Native string commands: GET and SET with all their forms, MGET, MSET, INCR and its family."""

from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t
from libc.string cimport memcpy

from node.engine.dict cimport Entry
from node.engine.hot cimport (
    arg_int,
    find_read,
    find_write,
    is_word,
    not_integer,
    syntax_error,
    wrong_type,
)
from node.engine.digits cimport parse_int64
from node.engine.session cimport HOOK_MISS, Session, register_native, session_error, touched
from node.engine.table cimport (
    ENC_INT,
    NO_EXPIRE,
    TYPE_STRING,
    entry_encoding,
    entry_expire_ms,
    entry_string,
    entry_type,
    entry_value,
    key_slot,
)
from node.engine.wire cimport Arg, w_bulk, w_header, w_int, w_null, w_ok

from node.replies import wrong_arity

cdef enum ExpireForm:
    NONE = 0
    SECONDS = 1
    MILLISECONDS = 2
    AT_SECONDS = 3
    AT_MILLISECONDS = 4


cdef inline void w_entry(Session s, Entry* e) noexcept:
    cdef char buf[24]
    cdef char* p
    cdef size_t n
    entry_string(e, buf, &p, &n)
    w_bulk(&s.out, p, n)


cdef int expire_at(Session s, Arg* a, ExpireForm form, const char* command, int64_t* at_ms) except -2:
    """The absolute expiry that an argument asks for; 0 after having written the error."""
    cdef int64_t v
    if not arg_int(a, &v):
        not_integer(s)
        return 0
    if v <= 0:
        return invalid_expire(s, command)
    if form == SECONDS or form == AT_SECONDS:
        if v > INT64_MAX // 1000:
            return invalid_expire(s, command)
        v *= 1000
    if form == SECONDS or form == MILLISECONDS:
        if v > INT64_MAX - s.engine.space.now_ms:
            return invalid_expire(s, command)
        v += s.engine.space.now_ms
    at_ms[0] = v
    return 1


cdef int invalid_expire(Session s, const char* command) except -2:
    session_error(s, b"ERR invalid expire time in '" + <bytes>command + b"' command")
    return 0


cdef int cmd_get(Session s, Arg* a, int argc) except -1:
    cdef Entry* e = find_read(s, &a[1])
    if e == NULL:
        w_null(&s.out, s.proto)
    elif entry_type(e) != TYPE_STRING:
        wrong_type(s)
    else:
        w_entry(s, e)
    return 0


cdef int store(Session s, Arg* key, Arg* value, bint keep_ttl, int64_t at_ms) except -1:
    cdef Entry* e = s.db.put_string(key.p, <unsigned int>key.n, s.slot, value.p, value.n, keep_ttl)
    if at_ms != NO_EXPIRE:
        s.db.set_expire(e, s.slot, at_ms)
    touched(s, key.p, key.n, "set", "$", 1)
    if at_ms != NO_EXPIRE:
        touched(s, key.p, key.n, "expire", "g", 0)
    return 0


cdef int cmd_set(Session s, Arg* a, int argc) except -1:
    cdef bint nx = False, xx = False, get = False, keep_ttl = False
    cdef ExpireForm form = NONE
    cdef ExpireForm asked
    cdef Arg* when = NULL
    cdef int64_t at_ms = NO_EXPIRE
    cdef Entry* e
    cdef int i = 3
    while i < argc:
        asked = NONE
        if is_word(&a[i], "NX") and not xx:
            nx = True
        elif is_word(&a[i], "XX") and not nx:
            xx = True
        elif is_word(&a[i], "GET"):
            get = True
        elif is_word(&a[i], "KEEPTTL") and form == NONE:
            keep_ttl = True
        elif is_word(&a[i], "EX"):
            asked = SECONDS
        elif is_word(&a[i], "PX"):
            asked = MILLISECONDS
        elif is_word(&a[i], "EXAT"):
            asked = AT_SECONDS
        elif is_word(&a[i], "PXAT"):
            asked = AT_MILLISECONDS
        else:
            return syntax_error(s)
        if asked != NONE:
            if form != NONE or keep_ttl or i + 1 == argc:
                return syntax_error(s)
            form = asked
            i += 1
            when = &a[i]
        i += 1
    if when != NULL and expire_at(s, when, form, "set", &at_ms) != 1:
        return 0
    if not nx and not xx and not get:
        store(s, &a[1], &a[2], keep_ttl, at_ms)
        w_ok(&s.out)
        return 0
    if get:
        e = find_read(s, &a[1])
        if e != NULL and entry_type(e) != TYPE_STRING:
            return wrong_type(s)
        if e == NULL:
            w_null(&s.out, s.proto)
        else:
            w_entry(s, e)
    else:
        e = find_write(s, &a[1])
    if (nx and e != NULL) or (xx and e == NULL):
        if not get:
            w_null(&s.out, s.proto)
        return 0
    store(s, &a[1], &a[2], keep_ttl, at_ms)
    if not get:
        w_ok(&s.out)
    return 0


cdef int cmd_setnx(Session s, Arg* a, int argc) except -1:
    if find_write(s, &a[1]) != NULL:
        w_int(&s.out, 0)
        return 0
    store(s, &a[1], &a[2], False, NO_EXPIRE)
    w_int(&s.out, 1)
    return 0


cdef int cmd_setex(Session s, Arg* a, int argc) except -1:
    cdef int64_t at_ms
    if expire_at(s, &a[2], SECONDS, "setex", &at_ms) == 1:
        store(s, &a[1], &a[3], False, at_ms)
        w_ok(&s.out)
    return 0


cdef int cmd_psetex(Session s, Arg* a, int argc) except -1:
    cdef int64_t at_ms
    if expire_at(s, &a[2], MILLISECONDS, "psetex", &at_ms) == 1:
        store(s, &a[1], &a[3], False, at_ms)
        w_ok(&s.out)
    return 0


cdef int cmd_getset(Session s, Arg* a, int argc) except -1:
    cdef Entry* e = find_read(s, &a[1])
    if e != NULL and entry_type(e) != TYPE_STRING:
        return wrong_type(s)
    if e == NULL:
        w_null(&s.out, s.proto)
    else:
        w_entry(s, e)
    store(s, &a[1], &a[2], False, NO_EXPIRE)
    return 0


cdef int cmd_getdel(Session s, Arg* a, int argc) except -1:
    cdef Entry* e = find_read(s, &a[1])
    if e == NULL:
        w_null(&s.out, s.proto)
        return 0
    if entry_type(e) != TYPE_STRING:
        return wrong_type(s)
    w_entry(s, e)
    s.db.remove(a[1].p, <unsigned int>a[1].n, s.slot, False)
    touched(s, a[1].p, a[1].n, "del", "g", 1)
    return 0


cdef int cmd_getex(Session s, Arg* a, int argc) except -1:
    cdef bint persist = False
    cdef ExpireForm form = NONE
    cdef int64_t at_ms = NO_EXPIRE
    cdef Entry* e
    if argc == 3 and is_word(&a[2], "PERSIST"):
        persist = True
    elif argc == 4:
        if is_word(&a[2], "EX"):
            form = SECONDS
        elif is_word(&a[2], "PX"):
            form = MILLISECONDS
        elif is_word(&a[2], "EXAT"):
            form = AT_SECONDS
        elif is_word(&a[2], "PXAT"):
            form = AT_MILLISECONDS
        else:
            return syntax_error(s)
    elif argc != 2:
        return syntax_error(s)
    e = find_read(s, &a[1])
    if e == NULL:
        w_null(&s.out, s.proto)
        return 0
    if entry_type(e) != TYPE_STRING:
        return wrong_type(s)
    if form != NONE and expire_at(s, &a[3], form, "getex", &at_ms) != 1:
        return 0
    w_entry(s, e)
    if form != NONE:
        if at_ms <= s.engine.space.now_ms:
            s.db.remove(a[1].p, <unsigned int>a[1].n, s.slot, False)
            return touched(s, a[1].p, a[1].n, "del", "g", 1)
        s.db.set_expire(e, s.slot, at_ms)
        touched(s, a[1].p, a[1].n, "expire", "g", 1)
    elif persist and entry_expire_ms(e) != NO_EXPIRE:
        s.db.set_expire(e, s.slot, NO_EXPIRE)
        touched(s, a[1].p, a[1].n, "persist", "g", 1)
    return 0


cdef int cmd_mget(Session s, Arg* a, int argc) except -1:
    cdef Entry* e
    cdef int i
    w_header(&s.out, 42, argc - 1)
    for i in range(1, argc):
        if i > 1 and not s.engine.cluster:
            s.slot = key_slot(a[i].p, a[i].n)
        e = find_read(s, &a[i])
        if e == NULL or entry_type(e) != TYPE_STRING:
            w_null(&s.out, s.proto)
        else:
            w_entry(s, e)
    return 0


cdef int cmd_mset(Session s, Arg* a, int argc) except -1:
    cdef int i
    if argc % 2 == 0:
        s.error(wrong_arity("mset"))
        return 0
    for i in range(1, argc, 2):
        if i > 1 and not s.engine.cluster:
            s.slot = key_slot(a[i].p, a[i].n)
        store(s, &a[i], &a[i + 1], False, NO_EXPIRE)
    w_ok(&s.out)
    return 0


cdef int add(Session s, Arg* key, int64_t by) except -1:
    cdef Entry* e = find_write(s, key)
    cdef int64_t v = 0
    cdef char buf[24]
    cdef char* p
    cdef size_t n
    cdef bint in_place = False
    if e != NULL:
        if entry_type(e) != TYPE_STRING:
            return wrong_type(s)
        if entry_encoding(e) == ENC_INT:
            memcpy(&v, entry_value(e), 8)
            in_place = True
        else:
            entry_string(e, buf, &p, &n)
            if not parse_int64(p, n, &v):
                return not_integer(s)
    if (by < 0 and v < 0 and by < INT64_MIN - v) or (by > 0 and v > 0 and by > INT64_MAX - v):
        return session_error(s, "ERR increment or decrement would overflow")
    v += by
    if in_place:
        memcpy(entry_value(e), &v, 8)
        e.version = s.engine.space.version
    else:
        s.db.put_int(key.p, <unsigned int>key.n, s.slot, v, True)
    touched(s, key.p, key.n, "incrby", "$", 1)
    w_int(&s.out, v)
    return 0


cdef int cmd_incr(Session s, Arg* a, int argc) except -1:
    return add(s, &a[1], 1)


cdef int cmd_decr(Session s, Arg* a, int argc) except -1:
    return add(s, &a[1], -1)


cdef int cmd_incrby(Session s, Arg* a, int argc) except -1:
    cdef int64_t by
    if not arg_int(&a[2], &by):
        return not_integer(s)
    return add(s, &a[1], by)


cdef int cmd_decrby(Session s, Arg* a, int argc) except -1:
    cdef int64_t by
    if not arg_int(&a[2], &by):
        return not_integer(s)
    if by == INT64_MIN:
        return session_error(s, "ERR decrement would overflow")
    return add(s, &a[1], -by)


register_native("get", cmd_get)
register_native("set", cmd_set)
register_native("setnx", cmd_setnx)
register_native("setex", cmd_setex)
register_native("psetex", cmd_psetex)
register_native("getset", cmd_getset)
register_native("getdel", cmd_getdel)
register_native("getex", cmd_getex)
register_native("mget", cmd_mget)
register_native("mset", cmd_mset)
register_native("incr", cmd_incr)
register_native("decr", cmd_decr)
register_native("incrby", cmd_incrby)
register_native("decrby", cmd_decrby)
