"""Native commands on keys of any type: DEL, EXISTS, EXPIRE, PEXPIRE, TTL, PTTL."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t

from node.engine.structures.dict cimport Entry
from node.engine.native.hot cimport arg_int, find_write, is_word, not_integer
from node.engine.session.session cimport HOOK_MISS, Session, register_native, session_error, touched
from node.engine.keyspace.table cimport NO_EXPIRE, entry_expire_ms, key_slot
from node.engine.session.framer cimport Arg
from node.engine.session.wire cimport w_int


cdef int cmd_del(Session s, Arg* a, int argc) except -1:
    cdef int i
    cdef int64_t deleted = 0
    for i in range(1, argc):
        if i > 1 and not s.engine.cluster:
            s.slot = key_slot(a[i].p, a[i].n)
        # A dead key counts as absent: the lookup removes it and says so.
        if s.db.volatile_keys and s.db.peek(a[i].p, <unsigned int>a[i].n, s.slot) == NULL:
            continue
        if s.db.remove(a[i].p, <unsigned int>a[i].n, s.slot, False):
            touched(s, a[i].p, a[i].n, "del", "g", 1)
            deleted += 1
    w_int(&s.out, deleted)
    return 0


cdef inline Entry* look(Session s, Arg* key) except? NULL:
    """A lookup that counts as hit or miss and leaves the access clock alone."""
    cdef Entry* e = s.db.peek(key.p, <unsigned int>key.n, s.slot)
    if e == NULL:
        s.engine.space.misses += 1
        if s.engine.hooks & HOOK_MISS:
            s.engine.node.key_missed(s, PyBytes_FromStringAndSize(key.p, key.n))
    else:
        s.engine.space.hits += 1
    return e


cdef int cmd_exists(Session s, Arg* a, int argc) except -1:
    cdef int i
    cdef int64_t found = 0
    for i in range(1, argc):
        if i > 1 and not s.engine.cluster:
            s.slot = key_slot(a[i].p, a[i].n)
        if look(s, &a[i]) != NULL:
            found += 1
    w_int(&s.out, found)
    return 0


cdef int expire(Session s, Arg* a, int argc, int64_t base_ms, int64_t unit_ms, bytes command) except -1:
    """EXPIRE and its family: `base_ms` is now, or 0 where the argument is an absolute time."""
    cdef bint nx = False, xx = False, gt = False, lt = False
    cdef int64_t at_ms, current
    cdef Entry* e
    cdef int i
    for i in range(3, argc):
        if is_word(&a[i], "NX"):
            nx = True
        elif is_word(&a[i], "XX"):
            xx = True
        elif is_word(&a[i], "GT"):
            gt = True
        elif is_word(&a[i], "LT"):
            lt = True
        else:
            return session_error(s, b"ERR Unsupported option " + a[i].p[:a[i].n])
    if nx and (xx or gt or lt):
        return session_error(s, "ERR NX and XX, GT or LT options at the same time are not compatible")
    if gt and lt:
        return session_error(s, "ERR GT and LT options at the same time are not compatible")
    if not arg_int(&a[2], &at_ms):
        return not_integer(s)
    if at_ms > INT64_MAX // unit_ms or at_ms < INT64_MIN // unit_ms:
        return session_error(s, b"ERR invalid expire time in '" + command + b"' command")
    at_ms *= unit_ms
    if at_ms > INT64_MAX - base_ms:
        return session_error(s, b"ERR invalid expire time in '" + command + b"' command")
    at_ms += base_ms
    e = find_write(s, &a[1])
    if e == NULL:
        w_int(&s.out, 0)
        return 0
    current = entry_expire_ms(e)
    if (
        (nx and current != NO_EXPIRE)
        or (xx and current == NO_EXPIRE)
        or (gt and (current == NO_EXPIRE or at_ms <= current))
        or (lt and current != NO_EXPIRE and at_ms >= current)
    ):
        w_int(&s.out, 0)
        return 0
    if at_ms <= s.engine.space.now_ms and s.engine.space.lazy_expire:
        s.db.remove(a[1].p, <unsigned int>a[1].n, s.slot, False)
        if s.engine.propagating:
            s.effect(b"DEL", a[1].p[: a[1].n])
        touched(s, a[1].p, a[1].n, "del", "g", 1)
    else:
        s.db.set_expire(e, s.slot, at_ms if at_ms >= 0 else 0)
        if s.engine.propagating:
            s.effect(b"PEXPIREAT", a[1].p[: a[1].n], b"%d" % at_ms)
        touched(s, a[1].p, a[1].n, "expire", "g", 1)
    w_int(&s.out, 1)
    return 0


cdef int cmd_expire(Session s, Arg* a, int argc) except -1:
    return expire(s, a, argc, s.engine.space.now_ms, 1000, b"expire")


cdef int cmd_pexpire(Session s, Arg* a, int argc) except -1:
    return expire(s, a, argc, s.engine.space.now_ms, 1, b"pexpire")


cdef int cmd_expireat(Session s, Arg* a, int argc) except -1:
    return expire(s, a, argc, 0, 1000, b"expireat")


cdef int cmd_pexpireat(Session s, Arg* a, int argc) except -1:
    return expire(s, a, argc, 0, 1, b"pexpireat")


cdef int64_t remaining_ms(Session s, Arg* key, int64_t* at_ms):
    """-2: no key; -1: no expiry; else 0 and *at_ms."""
    cdef Entry* e = look(s, key)
    if e == NULL:
        return -2
    at_ms[0] = entry_expire_ms(e)
    return -1 if at_ms[0] == NO_EXPIRE else 0


cdef int cmd_ttl(Session s, Arg* a, int argc) except -1:
    cdef int64_t at_ms = 0, left
    cdef int64_t state = remaining_ms(s, &a[1], &at_ms)
    if state == 0:
        left = at_ms - s.engine.space.now_ms
        state = (left + 500) // 1000 if left > 0 else 0
    w_int(&s.out, state)
    return 0


cdef int cmd_pttl(Session s, Arg* a, int argc) except -1:
    cdef int64_t at_ms = 0, left
    cdef int64_t state = remaining_ms(s, &a[1], &at_ms)
    if state == 0:
        left = at_ms - s.engine.space.now_ms
        state = left if left > 0 else 0
    w_int(&s.out, state)
    return 0


cdef int cmd_expiretime(Session s, Arg* a, int argc) except -1:
    cdef int64_t at_ms = 0
    cdef int64_t state = remaining_ms(s, &a[1], &at_ms)
    w_int(&s.out, (at_ms + 500) // 1000 if state == 0 else state)
    return 0


cdef int cmd_pexpiretime(Session s, Arg* a, int argc) except -1:
    cdef int64_t at_ms = 0
    cdef int64_t state = remaining_ms(s, &a[1], &at_ms)
    w_int(&s.out, at_ms if state == 0 else state)
    return 0


register_native("del", cmd_del)
register_native("exists", cmd_exists)
register_native("expire", cmd_expire)
register_native("pexpire", cmd_pexpire)
register_native("expireat", cmd_expireat)
register_native("pexpireat", cmd_pexpireat)
register_native("ttl", cmd_ttl)
register_native("pttl", cmd_pttl)
register_native("expiretime", cmd_expiretime)
register_native("pexpiretime", cmd_pexpiretime)
