"""Native string commands: GET and SET with all their forms, MGET, MSET, INCR and its family."""

from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t
from libc.string cimport memcmp, memcpy, memset

from node.engine.structures.dict cimport Entry
from node.engine.native.hot cimport (
    arg_int,
    find_read,
    find_write,
    is_word,
    not_integer,
    syntax_error,
    wrong_type,
)
from node.engine.structures.digits cimport parse_int64
from node.engine.session.session cimport HOOK_MISS, Session, register_native, session_error, touched
from node.engine.keyspace.table cimport (
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
from node.engine.session.framer cimport Arg
from node.engine.session.wire cimport w_bulk, w_header, w_int, w_null, w_ok

from node.replies import wrong_arity

cdef enum ExpireForm:
    NONE = 0
    SECONDS = 1
    MILLISECONDS = 2
    AT_SECONDS = 3
    AT_MILLISECONDS = 4


ctypedef struct Options:
    bint nx, xx, get, keep_ttl, persist
    ExpireForm form
    Arg* when               # the argument of the form
    Arg* equals             # that of IFEQ


cdef inline ExpireForm expire_form(Arg* a) noexcept:
    if is_word(a, "EX"):
        return SECONDS
    if is_word(a, "PX"):
        return MILLISECONDS
    if is_word(a, "EXAT"):
        return AT_SECONDS
    if is_word(a, "PXAT"):
        return AT_MILLISECONDS
    return NONE


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


cdef bint read_options(Arg* a, int i, int argc, bint for_set, Options* o) noexcept:
    """The options of SET or GETEX from argument i on; False on a syntax error.

    As in Redis an option may be repeated (the last one counts), but each excludes those that contradict it.
    """
    cdef ExpireForm form
    memset(o, 0, sizeof(Options))
    while i < argc:
        form = expire_form(&a[i])
        if form != NONE:
            if (o.form != NONE and o.form != form) or o.keep_ttl or o.persist or i + 1 == argc:
                return False
            o.form = form
            i += 1
            o.when = &a[i]
        elif not for_set:
            if not is_word(&a[i], "PERSIST") or o.form != NONE:
                return False
            o.persist = True
        elif is_word(&a[i], "NX") and not o.xx and o.equals == NULL:
            o.nx = True
        elif is_word(&a[i], "XX") and not o.nx and o.equals == NULL:
            o.xx = True
        elif is_word(&a[i], "IFEQ") and not o.nx and not o.xx and o.equals == NULL and i + 1 < argc:
            i += 1
            o.equals = &a[i]
        elif is_word(&a[i], "GET"):
            o.get = True
        elif is_word(&a[i], "KEEPTTL") and o.form == NONE:
            o.keep_ttl = True
        else:
            return False
        i += 1
    return True


cdef int store(Session s, Arg* key, Arg* value, bint keep_ttl, int64_t at_ms) except -1:
    if at_ms == NO_EXPIRE:
        s.db.put_string(key.p, <unsigned int>key.n, s.slot, value.p, value.n, keep_ttl)
        return touched(s, key.p, key.n, "set", "$", 1)
    s.db.put_string_until(key.p, <unsigned int>key.n, s.slot, value.p, value.n, at_ms)
    if s.engine.propagating:
        s.effect(b"SET", key.p[: key.n], value.p[: value.n], b"PXAT", b"%d" % at_ms)
    touched(s, key.p, key.n, "set", "$", 1)
    return touched(s, key.p, key.n, "expire", "g", 0)


cdef bint is_text(Entry* e, Arg* text) noexcept:
    """Whether a string is exactly this."""
    cdef char buf[24]
    cdef char* p
    cdef size_t n
    entry_string(e, buf, &p, &n)
    return n == text.n and memcmp(p, text.p, n) == 0


cdef int cmd_set(Session s, Arg* a, int argc) except -1:
    cdef Options o
    cdef int64_t at_ms = NO_EXPIRE
    cdef Entry* e
    if argc == 3:
        store(s, &a[1], &a[2], False, NO_EXPIRE)
        w_ok(&s.out)
        return 0
    if not read_options(a, 3, argc, True, &o):
        return syntax_error(s)
    if o.form != NONE and expire_at(s, o.when, o.form, "set", &at_ms) != 1:
        return 0
    if o.get:
        e = find_read(s, &a[1])
        if e != NULL and entry_type(e) != TYPE_STRING:
            return wrong_type(s)
        if e == NULL:
            w_null(&s.out, s.proto)
        else:
            w_entry(s, e)
    if o.equals != NULL:
        e = find_write(s, &a[1])
        if e != NULL and entry_type(e) != TYPE_STRING:
            return wrong_type(s)
        if e == NULL or not is_text(e, o.equals):
            if not o.get:
                w_null(&s.out, s.proto)
            return 0
        if at_ms == NO_EXPIRE and s.engine.propagating:     # replicas may not know IFEQ, and need not compare
            s.effect(b"SET", a[1].p[: a[1].n], a[2].p[: a[2].n], *((b"KEEPTTL",) if o.keep_ttl else ()))
    if o.nx or o.xx:
        e = find_write(s, &a[1])
        if (o.nx and e != NULL) or (o.xx and e == NULL):
            if not o.get:
                w_null(&s.out, s.proto)
            return 0
    store(s, &a[1], &a[2], o.keep_ttl, at_ms)
    if not o.get:
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
    if s.engine.propagating:
        s.effect(b"SET", a[1].p[: a[1].n], a[2].p[: a[2].n])     # replicas need not answer
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
    if s.engine.propagating:
        s.effect(b"DEL", a[1].p[: a[1].n])
    s.db.remove(a[1].p, <unsigned int>a[1].n, s.slot, False)
    return touched(s, a[1].p, a[1].n, "del", "g", 1)


cdef int cmd_getex(Session s, Arg* a, int argc) except -1:
    cdef Options o
    cdef int64_t at_ms = NO_EXPIRE
    cdef Entry* e
    if not read_options(a, 2, argc, False, &o):
        return syntax_error(s)
    e = find_read(s, &a[1])
    if e == NULL:
        w_null(&s.out, s.proto)
        return 0
    if entry_type(e) != TYPE_STRING:
        return wrong_type(s)
    if o.form != NONE and expire_at(s, o.when, o.form, "getex", &at_ms) != 1:
        return 0
    w_entry(s, e)
    if o.form != NONE:
        return expire_read(s, &a[1], e, at_ms)
    if o.persist and entry_expire_ms(e) != NO_EXPIRE:
        if s.engine.propagating:
            s.effect(b"PERSIST", a[1].p[: a[1].n])
        s.db.set_expire(e, s.slot, NO_EXPIRE)
        touched(s, a[1].p, a[1].n, "persist", "g", 1)
    return 0


cdef int expire_read(Session s, Arg* key, Entry* e, int64_t at_ms) except -1:
    """GETEX gives the key that it has read a time to die; one that has passed already kills it now."""
    if at_ms <= s.engine.space.now_ms:
        if s.engine.propagating:
            s.effect(b"DEL", key.p[: key.n])
        s.db.remove(key.p, <unsigned int>key.n, s.slot, False)
        return touched(s, key.p, key.n, "del", "g", 1)
    if s.engine.propagating:
        s.effect(b"PEXPIREAT", key.p[: key.n], b"%d" % at_ms)
    s.db.set_expire(e, s.slot, at_ms)
    return touched(s, key.p, key.n, "expire", "g", 1)


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
