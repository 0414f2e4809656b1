"""Native list commands: LPUSH, RPUSH, LPUSHX, RPUSHX, LPOP, RPOP, LRANGE, LLEN."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t

from node.engine.structures.dict cimport Entry
from node.engine.native.hot cimport arg_int, clamp_range, drop_key, find_read, find_write, not_integer, wrong_type
from node.engine.types.list cimport (
    List, list_growing, list_len, list_peek, list_pop, list_push, list_range, list_shrunk,
)
from node.engine.session.session cimport Session, register_native, session_error, touched
from node.engine.keyspace.table cimport TYPE_LIST, entry_object, entry_type
from node.engine.session.framer cimport Arg
from node.engine.session.wire cimport Buf, w_bulk, w_header, w_int, w_null, w_null_array

from node.replies import wrong_arity


cdef int push(Session s, Arg* a, int argc, bint left, bint only_existing) except -1:
    cdef Entry* e = find_write(s, &a[1])
    cdef List values
    cdef int i
    cdef size_t total = 0
    if e == NULL:
        if only_existing:
            w_int(&s.out, 0)
            return 0
        values = List()
        s.db.put_object(a[1].p, <uint32_t>a[1].n, s.slot, TYPE_LIST, values, False)
    elif entry_type(e) != TYPE_LIST:
        return wrong_type(s)
    else:
        values = <List>entry_object(e)
    if not values.quick:
        for i in range(2, argc):
            total += a[i].n
        list_growing(values, total, argc - 2)
    for i in range(2, argc):
        list_push(values, a[i].p, a[i].n, left)
    w_int(&s.out, list_len(values))
    touched(s, a[1].p, a[1].n, "lpush" if left else "rpush", "l", argc - 2)
    return 0


cdef int cmd_lpush(Session s, Arg* a, int argc) except -1:
    return push(s, a, argc, True, False)


cdef int cmd_rpush(Session s, Arg* a, int argc) except -1:
    return push(s, a, argc, False, False)


cdef int cmd_lpushx(Session s, Arg* a, int argc) except -1:
    return push(s, a, argc, True, True)


cdef int cmd_rpushx(Session s, Arg* a, int argc) except -1:
    return push(s, a, argc, False, True)


cdef void w_element(void* out, const char* p, size_t n) noexcept:
    w_bulk(<Buf*>out, p, n)


cdef int pop(Session s, Arg* a, int argc, bint left) except -1:
    cdef Entry* e
    cdef List values
    cdef int64_t count = 1
    cdef size_t size, i
    cdef bytes element
    if argc > 3:
        s.error(wrong_arity("lpop" if left else "rpop"))
        return 0
    if argc == 3 and (not arg_int(&a[2], &count) or count < 0):
        return session_error(s, "ERR value is out of range, must be positive")
    e = find_write(s, &a[1])
    if e == NULL:
        if argc == 3:
            w_null_array(&s.out, s.proto)
        else:
            w_null(&s.out, s.proto)
        return 0
    if entry_type(e) != TYPE_LIST:
        return wrong_type(s)
    values = <List>entry_object(e)
    size = list_len(values)
    if <size_t>count > size:
        count = size
    if argc == 3:
        w_header(&s.out, 42, count)
    if count == 0:
        return 0
    for i in range(<size_t>count):
        element = list_pop(values, left)
        w_bulk(&s.out, <char*>element, len(element))
    list_shrunk(values)
    touched(s, a[1].p, a[1].n, "lpop" if left else "rpop", "l", count)
    if list_len(values) == 0:
        drop_key(s, &a[1])
    return 0


cdef int cmd_lpop(Session s, Arg* a, int argc) except -1:
    return pop(s, a, argc, True)


cdef int cmd_rpop(Session s, Arg* a, int argc) except -1:
    return pop(s, a, argc, False)


cdef int cmd_llen(Session s, Arg* a, int argc) except -1:
    cdef Entry* e = find_read(s, &a[1])
    if e == NULL:
        w_int(&s.out, 0)
    elif entry_type(e) != TYPE_LIST:
        wrong_type(s)
    else:
        w_int(&s.out, list_len(<List>entry_object(e)))
    return 0


cdef int cmd_lrange(Session s, Arg* a, int argc) except -1:
    cdef Entry* e
    cdef List values
    cdef int64_t start, stop, size
    if not arg_int(&a[2], &start) or not arg_int(&a[3], &stop):
        return not_integer(s)
    e = find_read(s, &a[1])
    if e == NULL:
        w_header(&s.out, 42, 0)
        return 0
    if entry_type(e) != TYPE_LIST:
        return wrong_type(s)
    values = <List>entry_object(e)
    size = list_len(values)
    if not clamp_range(&start, &stop, size):
        w_header(&s.out, 42, 0)
        return 0
    w_header(&s.out, 42, stop - start + 1)
    list_range(values, start, stop, False, w_element, &s.out)
    return 0


register_native("lpush", cmd_lpush)
register_native("rpush", cmd_rpush)
register_native("lpushx", cmd_lpushx)
register_native("rpushx", cmd_rpushx)
register_native("lpop", cmd_lpop)
register_native("rpop", cmd_rpop)
register_native("llen", cmd_llen)
register_native("lrange", cmd_lrange)
