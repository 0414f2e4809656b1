"""Native set commands: SADD, SREM, SISMEMBER, SCARD, SMEMBERS, SPOP."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from node.engine.structures.dict cimport FETCH_AHEAD, Coming, Entry, dict_fetch
from node.engine.native.hot cimport (
    PyBytes_AS_STRING,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
    arg_int,
    drop_key,
    find_read,
    find_write,
    syntax_error,
    wrong_type,
)
from node.engine.keyspace.packed cimport fresh_set
from node.engine.session.session cimport Session, register_native, session_error, touched
from node.engine.types.set cimport Set, set_add, set_each, set_expect, set_has, set_len, set_pop, set_popped, set_remove
from node.engine.keyspace.table cimport TYPE_SET, entry_object, entry_type
from node.engine.session.framer cimport Arg
from node.engine.session.wire cimport Buf, w_bulk, w_header, w_int, w_null


cdef int cmd_sadd(Session s, Arg* a, int argc) except -1:
    cdef Entry* e = find_write(s, &a[1])
    cdef Set members
    cdef Coming coming
    cdef int i
    cdef long added = 0
    if e == NULL:
        members = fresh_set()
        s.db.put_object(a[1].p, <uint32_t>a[1].n, s.slot, TYPE_SET, members, False)
    elif entry_type(e) != TYPE_SET:
        return wrong_type(s)
    else:
        members = <Set>entry_object(e)
    set_expect(members, a[2].p, <uint32_t>a[2].n, argc - 2)
    memset(&coming, 0, sizeof(coming))
    for i in range(2, argc):
        if i + FETCH_AHEAD < argc and members.index != NULL:
            dict_fetch(&members.index.dict, &coming, a[i + FETCH_AHEAD].p, <uint32_t>a[i + FETCH_AHEAD].n)
        added += set_add(members, a[i].p, <uint32_t>a[i].n)
    if added:
        touched(s, a[1].p, a[1].n, "sadd", "s", added)
    w_int(&s.out, added)
    return 0


cdef int cmd_srem(Session s, Arg* a, int argc) except -1:
    cdef Entry* e = find_write(s, &a[1])
    cdef Set members
    cdef int i
    cdef long removed = 0
    if e == NULL:
        w_int(&s.out, 0)
        return 0
    if entry_type(e) != TYPE_SET:
        return wrong_type(s)
    members = <Set>entry_object(e)
    for i in range(2, argc):
        removed += set_remove(members, a[i].p, <uint32_t>a[i].n)
        if set_len(members) == 0:
            break
    if removed:
        touched(s, a[1].p, a[1].n, "srem", "s", removed)
        if set_len(members) == 0:
            drop_key(s, &a[1])
    w_int(&s.out, removed)
    return 0


cdef int cmd_sismember(Session s, Arg* a, int argc) except -1:
    cdef Entry* e = find_read(s, &a[1])
    if e == NULL:
        w_int(&s.out, 0)
    elif entry_type(e) != TYPE_SET:
        wrong_type(s)
    else:
        w_int(&s.out, set_has(<Set>entry_object(e), a[2].p, <uint32_t>a[2].n))
    return 0


cdef int cmd_scard(Session s, Arg* a, int argc) except -1:
    cdef Entry* e = find_read(s, &a[1])
    if e == NULL:
        w_int(&s.out, 0)
    elif entry_type(e) != TYPE_SET:
        wrong_type(s)
    else:
        w_int(&s.out, set_len(<Set>entry_object(e)))
    return 0


cdef void w_member(void* out, const char* p, uint32_t n) noexcept:
    w_bulk(<Buf*>out, p, n)


cdef int cmd_smembers(Session s, Arg* a, int argc) except -1:
    cdef Entry* e = find_read(s, &a[1])
    cdef Set members
    if e == NULL:
        w_header(&s.out, 42 if s.proto == 2 else 126, 0)
        return 0
    if entry_type(e) != TYPE_SET:
        return wrong_type(s)
    members = <Set>entry_object(e)
    w_header(&s.out, 42 if s.proto == 2 else 126, set_len(members))
    set_each(members, w_member, &s.out)
    return 0


cdef int cmd_spop(Session s, Arg* a, int argc) except -1:
    cdef Entry* e
    cdef Set members
    cdef int64_t count = 1
    cdef size_t i
    cdef bytes member
    if argc > 3:
        return syntax_error(s)
    if argc == 3 and (not arg_int(&a[2], &count) or count < 0):
        return session_error(s, "ERR value is out of range, must be positive")
    e = find_write(s, &a[1])
    if e == NULL:
        if argc == 3:
            w_header(&s.out, 42 if s.proto == 2 else 126, 0)
        else:
            w_null(&s.out, s.proto)
        return 0
    if entry_type(e) != TYPE_SET:
        return wrong_type(s)
    members = <Set>entry_object(e)
    if <size_t>count > set_len(members):
        count = set_len(members)
    if argc == 3:
        w_header(&s.out, 42 if s.proto == 2 else 126, count)
    if count == 0:
        return 0
    popped = [b"SREM", PyBytes_FromStringAndSize(a[1].p, a[1].n)] if s.engine.propagating else None
    if popped is not None and argc == 3 and <size_t>count == set_len(members):
        s.effect(b"DEL", popped.pop())          # all are asked for: however many they are, replicas are told in one word
        popped = None
    for i in range(<size_t>count):
        member = set_pop(members)
        w_bulk(&s.out, PyBytes_AS_STRING(member), PyBytes_GET_SIZE(member))
        if popped is not None:
            popped.append(member)
    if popped is not None:
        s.effect(*popped)
    set_popped(members, count)
    touched(s, a[1].p, a[1].n, "spop", "s", count)
    if set_len(members) == 0:
        drop_key(s, &a[1])
    return 0


register_native("sadd", cmd_sadd)
register_native("srem", cmd_srem)
register_native("sismember", cmd_sismember)
register_native("scard", cmd_scard)
register_native("smembers", cmd_smembers)
register_native("spop", cmd_spop)
