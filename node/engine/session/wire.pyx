"""RESP2 and RESP3 replies, written into a Buf, a plain growing byte buffer.

Native commands call the w_ functions; what a Python handler returns goes through w_value (node/replies.py says which
value means what). Requests are the business of framer.pyx.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdlib cimport abort, free, realloc
from libc.string cimport memcpy

from node.engine.structures.digits cimport format_int64
from node.engine.structures.numbers cimport double_to_text

from node.replies import (
    NO_REPLY,
    NULL_ARRAY,
    Attributed,
    BigNumber,
    CommandError,
    Push,
    Raw,
    ReplySet,
    Verbatim,
)

# ---------------------------------------------------------------------------------------------------- buffer

cdef void buf_init(Buf* b) noexcept nogil:
    b.p = NULL
    b.len = 0
    b.cap = 0


cdef void buf_free(Buf* b) noexcept nogil:
    global buffer_bytes
    buffer_bytes -= b.cap
    free(b.p)
    b.p = NULL
    b.len = 0
    b.cap = 0


cdef void buf_shrink(Buf* b, size_t cap) noexcept nogil:
    global buffer_bytes
    cdef char* p = <char*>realloc(b.p, cap)
    if p != NULL:
        buffer_bytes += cap - b.cap
        b.p = p
        b.cap = cap


cdef void buf_grow(Buf* b, size_t more) noexcept nogil:
    global buffer_bytes
    cdef size_t cap = b.cap * 2
    if cap < 1024:
        cap = 1024
    if cap < b.len + more:
        cap = b.len + more
    cdef char* p = <char*>realloc(b.p, cap)
    if p == NULL:
        cap = b.len + more            # not twice as much, then
        p = <char*>realloc(b.p, cap)
        if p == NULL:
            abort()
    b.p = p
    buffer_bytes += cap - b.cap
    b.cap = cap


def used_by_buffers() -> int:
    """Bytes that are no data and count all the same: of clients, the backlog, scripts."""
    return buffer_bytes


def count_bytes(ssize_t n) -> None:
    """Count memory that others have taken (or given back) towards maxmemory."""
    global buffer_bytes
    buffer_bytes += n


cdef void buf_put(Buf* b, const char* p, size_t n) noexcept nogil:
    memcpy(buf_room(b, n), p, n)
    b.len += n


# --------------------------------------------------------------------------------------------------- replies

cdef void w_raw(Buf* b, const char* p, size_t n) noexcept nogil:
    buf_put(b, p, n)


cdef void w_ok(Buf* b) noexcept nogil:
    memcpy(buf_room(b, 5), <const char*>"+OK\r\n", 5)
    b.len += 5


cdef void w_header(Buf* b, char kind, int64_t n) noexcept nogil:
    cdef char* p = buf_room(b, 24)
    cdef size_t k
    p[0] = kind
    if 0 <= n < 10:
        p[1] = <char>(48 + n)
        k = 2
    else:
        k = 1 + format_int64(n, p + 1)
    p[k] = 13
    p[k + 1] = 10
    b.len += k + 2


cdef void w_line(Buf* b, char kind, const char* p, size_t n) noexcept nogil:
    cdef char* q = buf_room(b, n + 3)
    cdef size_t i
    q[0] = kind
    for i in range(n):
        q[1 + i] = 32 if p[i] == 13 or p[i] == 10 else p[i]
    q[n + 1] = 13
    q[n + 2] = 10
    b.len += n + 3


cdef void w_status(Buf* b, const char* p, size_t n) noexcept nogil:
    w_line(b, 43, p, n)


cdef void w_error(Buf* b, const char* p, size_t n) noexcept nogil:
    w_line(b, 45, p, n)


cdef void w_int(Buf* b, int64_t v) noexcept nogil:
    w_header(b, 58, v)


cdef void w_bulk(Buf* b, const char* p, size_t n) noexcept nogil:
    cdef char* q = buf_room(b, n + 28)
    cdef size_t k
    q[0] = 36
    if n < 10:
        q[1] = <char>(48 + n)
        k = 2
    elif n < 100:
        q[1] = <char>(48 + n // 10)
        q[2] = <char>(48 + n % 10)
        k = 3
    else:
        k = 1 + format_int64(<int64_t>n, q + 1)
    q[k] = 13
    q[k + 1] = 10
    memcpy(q + k + 2, p, n)
    k += n + 2
    q[k] = 13
    q[k + 1] = 10
    b.len += k + 2


cdef void w_bulk_int(Buf* b, int64_t v) noexcept nogil:
    cdef char tmp[24]
    w_bulk(b, tmp, format_int64(v, tmp))


cdef void w_null(Buf* b, int proto) noexcept nogil:
    if proto == 2:
        buf_put(b, "$-1\r\n", 5)
    else:
        buf_put(b, "_\r\n", 3)


cdef void w_null_array(Buf* b, int proto) noexcept nogil:
    if proto == 2:
        buf_put(b, "*-1\r\n", 5)
    else:
        buf_put(b, "_\r\n", 3)


cdef void w_map(Buf* b, int64_t pairs, int proto) noexcept nogil:
    if proto == 2:
        w_header(b, 42, pairs * 2)
    else:
        w_header(b, 37, pairs)


cdef void w_double(Buf* b, double v, int proto) noexcept nogil:
    cdef char tmp[64]
    cdef size_t n
    cdef char* q
    n = double_to_text(v, tmp)
    if proto == 2:
        w_bulk(b, tmp, n)
        return
    q = buf_room(b, n + 3)
    q[0] = 44
    memcpy(q + 1, tmp, n)
    q[n + 1] = 13
    q[n + 2] = 10
    b.len += n + 3


cdef int w_sequence(Buf* b, char kind, object items, int proto) except -1:
    w_header(b, kind, len(items))
    for item in items:
        w_value(b, item, proto)
    return 0


cdef int w_value(Buf* b, object value, int proto) except -1:
    cdef Py_ssize_t n
    cdef const char* text
    kind = type(value)
    if kind is bytes:
        w_bulk(b, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
    elif kind is int:
        w_int(b, value)
    elif value is None:
        w_null(b, proto)
    elif kind is str:
        text = PyUnicode_AsUTF8AndSize(value, &n)
        w_status(b, text, n)
    elif kind is list or kind is tuple:
        w_sequence(b, 42, value, proto)
    elif kind is bool:
        if proto == 2:
            w_int(b, 1 if value else 0)
        else:
            buf_put(b, "#t\r\n" if value else "#f\r\n", 4)
    elif kind is float:
        w_double(b, value, proto)
    elif kind is dict:
        w_map(b, len(value), proto)
        for key, item in (<dict>value).items():
            w_value(b, key, proto)
            w_value(b, item, proto)
    elif kind is ReplySet:
        w_sequence(b, 42 if proto == 2 else 126, value, proto)
    elif kind is Push:
        w_sequence(b, 42 if proto == 2 else 62, value, proto)
    elif value is NULL_ARRAY:
        w_null_array(b, proto)
    elif value is NO_REPLY:
        pass
    elif isinstance(value, CommandError):
        w_error(b, PyBytes_AS_STRING(value.text), PyBytes_GET_SIZE(value.text))
    elif kind is Raw:
        buf_put(b, PyBytes_AS_STRING(value.data), PyBytes_GET_SIZE(value.data))
    elif kind is Verbatim:
        w_verbatim(b, value.data, value.format, proto)
    elif kind is BigNumber:
        data = str(value.value).encode()
        if proto == 2:
            w_bulk(b, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        else:
            w_line(b, 40, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
    elif kind is Attributed:
        if proto != 2:
            w_header(b, 124, len(value.attributes))
            for key, item in value.attributes.items():
                w_value(b, key, proto)
                w_value(b, item, proto)
        w_value(b, value.value, proto)
    elif isinstance(value, (bytearray, memoryview)):
        w_value(b, bytes(value), proto)
    elif isinstance(value, int):
        w_int(b, value)
    else:
        raise TypeError(f"no RESP form for {kind.__name__}")
    return 0


cdef int w_verbatim(Buf* b, bytes data, str format, int proto) except -1:
    cdef bytes tag
    if proto == 2:
        w_bulk(b, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        return 0
    tag = format.encode() + b":"
    w_header(b, 61, PyBytes_GET_SIZE(data) + 4)
    buf_put(b, PyBytes_AS_STRING(tag), 4)
    buf_put(b, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
    buf_put(b, "\r\n", 2)
    return 0


def render(value, int proto=2):
    """A reply value as bytes, as a client of `proto` would get it."""
    cdef Buf b
    buf_init(&b)
    try:
        w_value(&b, value, proto)
        return PyBytes_FromStringAndSize(b.p, b.len) if b.len else b""
    finally:
        buf_free(&b)
