"""Native bitmap commands: SETBIT and GETBIT, which change and look at one byte of a string however long it is."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t

from node.engine.structures.dict cimport Entry
from node.engine.native.hot cimport arg_int, find_read, find_write, wrong_type
from node.engine.session.session cimport F_OBEYED, Session, register_native, session_error, touched
from node.engine.keyspace.table cimport TYPE_STRING, entry_string, entry_type
from node.engine.session.framer cimport Arg
from node.engine.session.wire cimport w_int


cdef inline bint arg_offset(Session s, Arg* a, int64_t* offset) except -1:
    """False after having written the error. What our primary sends is obeyed whatever our own limit says."""
    if arg_int(a, offset) and offset[0] >= 0:
        if offset[0] >> 3 < s.engine.max_bulk or s.flags & F_OBEYED:
            return True
    session_error(s, "ERR bit offset is not an integer or out of range")
    return False


cdef int cmd_getbit(Session s, Arg* a, int argc) except -1:
    cdef int64_t offset
    cdef Entry* e
    cdef char digits[24]
    cdef char* p
    cdef size_t n
    if not arg_offset(s, &a[2], &offset):
        return 0
    e = find_read(s, &a[1])
    if e == NULL:
        w_int(&s.out, 0)
        return 0
    if entry_type(e) != TYPE_STRING:
        return wrong_type(s)
    entry_string(e, digits, &p, &n)
    w_int(&s.out, (p[offset >> 3] >> (7 - (offset & 7))) & 1 if <size_t>(offset >> 3) < n else 0)
    return 0


cdef int cmd_setbit(Session s, Arg* a, int argc) except -1:
    cdef int64_t offset, bit
    cdef Entry* e
    cdef char digits[24]
    cdef char* p
    cdef size_t n = 0, byte
    cdef int shift, old
    if not arg_offset(s, &a[2], &offset):
        return 0
    if not arg_int(&a[3], &bit) or bit & ~1:
        return session_error(s, "ERR bit is not an integer or out of range")
    e = find_write(s, &a[1])
    if e != NULL:
        if entry_type(e) != TYPE_STRING:
            return wrong_type(s)
        entry_string(e, digits, &p, &n)
    byte = offset >> 3
    shift = 7 - (offset & 7)
    p = s.db.grow_string(a[1].p, <unsigned int>a[1].n, s.slot, byte + 1)
    old = (p[byte] >> shift) & 1
    if old != bit:
        p[byte] ^= 1 << shift
    if old != bit or e == NULL or byte >= n:
        touched(s, a[1].p, a[1].n, "setbit", "$", 1)
    w_int(&s.out, old)
    return 0


register_native("getbit", cmd_getbit)
register_native("setbit", cmd_setbit)
