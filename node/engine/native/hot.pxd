# What the native commands share. The commands themselves: hot_keys, hot_strings, hot_hash, hot_list, hot_set, hot_zset.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stddef cimport size_t
from libc.stdint cimport int64_t
from libc.string cimport strlen

from node.engine.structures.dict cimport Entry
from node.engine.structures.digits cimport parse_int64
from node.engine.session.session cimport HOOK_MISS, Session, session_error
from node.engine.keyspace.table cimport ENC_OBJECT, TYPE_STRING, Db, entry_type, key_slot
from node.engine.session.framer cimport Arg
from node.engine.session.wire cimport w_null

cdef inline int wrong_type(Session s) except -1:
    return session_error(s, "WRONGTYPE Operation against a key holding the wrong kind of value")

cdef inline int syntax_error(Session s) except -1:
    return session_error(s, "ERR syntax error")

cdef inline int not_integer(Session s) except -1:
    return session_error(s, "ERR value is not an integer or out of range")

cdef inline bint arg_int(Arg* a, int64_t* v) noexcept:
    return parse_int64(a.p, a.n, v)

cdef inline bint is_word(Arg* a, const char* upper) noexcept:
    """The argument is this word, whatever its case. `upper` has letters only."""
    cdef size_t n = strlen(upper), i
    if a.n != n:
        return False
    for i in range(n):
        if a.p[i] & 0xDF != upper[i]:
            return False
    return True

cdef inline bint clamp_range(int64_t* start, int64_t* stop, int64_t size) noexcept:
    """Turn the range of LRANGE and ZRANGE, where negative counts from the end, into indexes; False: it is empty."""
    if start[0] < 0:
        start[0] = max(start[0] + size, 0)
    if stop[0] < 0:
        stop[0] += size
    if stop[0] >= size:
        stop[0] = size - 1
    return start[0] <= stop[0] and start[0] < size

cdef inline Entry* find_read(Session s, Arg* key):
    """The entry that a reading command works on, at the slot of the command's first key."""
    cdef Entry* e = s.db.read(key.p, <unsigned int>key.n, s.slot)
    if e == NULL and s.engine.hooks & HOOK_MISS:
        s.engine.node.key_missed(s, PyBytes_FromStringAndSize(key.p, key.n))
    return e

cdef inline Entry* find_write(Session s, Arg* key):
    return s.db.write(key.p, <unsigned int>key.n, s.slot)

cdef int drop_key(Session s, Arg* key) except -1        # a collection lost its last element: delete, 'del' event
cdef int fallback(Session s, Arg* a, int argc) except -1    # the Python handler answers (rare forms of a native command)
