"""RESP2 and RESP3: the reply writer and the request framer.

Replies go into a Buf, a plain growing byte buffer. Requests are split in place: an argument is a pointer into the bytes
that came from the socket, so a hot command copies nothing. A request that is not whole keeps its progress in the Parser
and is not looked at twice. Limits and error texts are those of Redis (networking.c, processMultibulkBuffer).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdlib cimport abort, free, malloc, realloc
from libc.stdio cimport snprintf
from libc.string cimport memchr, memcpy

from node.engine.digits cimport format_int64
from node.engine.numbers cimport double_to_text

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

cdef enum:
    INLINE_LIMIT = 64 * 1024          # PROTO_INLINE_MAX_SIZE
    MULTIBULK_LIMIT = 0x7FFFFFFF      # arguments of one request
    UNTRUSTED_ARGS = 10               # before AUTH
    UNTRUSTED_BULK = 16384


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
    b.p = <char*>realloc(b.p, cap)
    if b.p == NULL:
        abort()
    buffer_bytes += cap - b.cap
    b.cap = cap


def used_by_buffers() -> int:
    """Bytes of all clients' buffers."""
    return buffer_bytes


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


# -------------------------------------------------------------------------------------------------- requests

cdef void parser_init(Parser* r) noexcept:
    r.args = NULL
    r.cap = 0
    r.max_bulk = 512 * 1024 * 1024
    r.trusted = True
    parser_reset(r)


cdef void parser_free(Parser* r) noexcept:
    free(r.args)
    r.args = NULL
    r.cap = 0


cdef void parser_reset(Parser* r) noexcept:
    r.argc = 0
    r.expected = 0
    r.bulk = -1
    r.at = 0
    r.error = NULL


cdef inline void add_arg(Parser* r, size_t offset, size_t n) noexcept:
    if r.argc == r.cap:
        r.cap = r.cap * 2 if r.cap else 16
        r.args = <Arg*>realloc(r.args, r.cap * sizeof(Arg))
        if r.args == NULL:
            abort()
    r.args[r.argc].p = <const char*>offset
    r.args[r.argc].n = n
    r.argc += 1


cdef ParseResult fail(Parser* r, const char* text) noexcept:
    r.error = text
    return PARSE_ERROR


cdef inline int read_count(const char* p, size_t n, int64_t* value) noexcept:
    """A decimal between p and its end, as string2ll reads it; False if it is none."""
    cdef size_t i = 0
    cdef int64_t v = 0
    cdef bint negative = False
    if n == 0 or n > 18:
        return False
    if p[0] == 45:
        negative = True
        i = 1
        if n == 1:
            return False
    if p[i] == 48 and n > i + 1 or (negative and p[i] == 48):
        return False
    while i < n:
        if p[i] < 48 or p[i] > 57:
            return False
        v = v * 10 + (p[i] - 48)
        i += 1
    value[0] = -v if negative else v
    return True


cdef ParseResult parse(Parser* r, const char* p, size_t n) noexcept:
    cdef const char* eol
    cdef int64_t v
    cdef size_t at
    cdef uint32_t i
    if r.expected == 0:
        if n == 0:
            return PARSE_MORE
        if p[0] != 42:
            return parse_inline(r, p, n)
        eol = <const char*>memchr(p, 13, n)
        if eol == NULL or <size_t>(eol - p) + 1 >= n:
            if n > INLINE_LIMIT:
                return fail(r, "too big mbulk count string")
            return PARSE_MORE
        if not read_count(p + 1, eol - p - 1, &v) or v > MULTIBULK_LIMIT:
            return fail(r, "invalid multibulk length")
        if v > UNTRUSTED_ARGS and not r.trusted:
            return fail(r, "unauthenticated multibulk length")
        r.at = eol - p + 2
        r.argc = 0
        r.bulk = -1
        if v <= 0:
            return PARSE_DONE
        r.expected = v
    while r.expected:
        at = r.at
        if r.bulk < 0:
            # The usual header is `$n\r\n` with one or two digits.
            if n - at >= 4 and p[at] == 36 and p[at + 2] == 13 and 48 <= p[at + 1] <= 57:
                r.bulk = p[at + 1] - 48
                at += 4
            elif n - at >= 5 and p[at] == 36 and p[at + 3] == 13 and 49 <= p[at + 1] <= 57 and 48 <= p[at + 2] <= 57:
                r.bulk = (p[at + 1] - 48) * 10 + p[at + 2] - 48
                at += 5
            else:
                if at < n and p[at] != 36:
                    snprintf(r.error_text, 64, "expected '$', got '%c'", <int>p[at])
                    return fail(r, r.error_text)
                eol = <const char*>memchr(p + at, 13, n - at) if at < n else NULL
                if eol == NULL or <size_t>(eol - p) + 1 >= n:
                    if n - at > INLINE_LIMIT:
                        return fail(r, "too big bulk count string")
                    return PARSE_MORE
                if not read_count(p + at + 1, eol - (p + at) - 1, &v) or v < 0 or v > r.max_bulk:
                    return fail(r, "invalid bulk length")
                if v > UNTRUSTED_BULK and not r.trusted:
                    return fail(r, "unauthenticated bulk length")
                r.bulk = v
                at = eol - p + 2
            r.at = at
        if n < at + 2 or n - at - 2 < <size_t>r.bulk:
            return PARSE_MORE
        add_arg(r, at, r.bulk)
        r.at = at + r.bulk + 2
        r.bulk = -1
        r.expected -= 1
    for i in range(r.argc):
        r.args[i].p = p + <size_t>r.args[i].p
    return PARSE_DONE


cdef ParseResult parse_inline(Parser* r, const char* p, size_t n) noexcept:
    """A line of words, as a person types it into a telnet session."""
    cdef const char* eol = <const char*>memchr(p, 10, n)
    cdef size_t end, i, start
    if eol == NULL:
        if n > INLINE_LIMIT:
            return fail(r, "too big inline request")
        return PARSE_MORE
    end = eol - p
    r.at = end + 1
    if end and p[end - 1] == 13:
        end -= 1
    r.argc = 0
    i = 0
    while i < end:
        while i < end and is_space(p[i]):
            i += 1
        if i == end:
            break
        start = i
        while i < end and not is_space(p[i]):
            if p[i] == 34 or p[i] == 39:
                return parse_quoted(r, p, end)
            i += 1
        add_arg(r, start, i - start)
    for i in range(r.argc):
        r.args[i].p = p + <size_t>r.args[i].p
    return PARSE_DONE


cdef inline bint is_space(char c) noexcept:
    return c == 32 or (9 <= c <= 13)


cdef inline int hex_digit(char c) noexcept:
    if 48 <= c <= 57:
        return c - 48
    if 97 <= c <= 102:
        return c - 87
    if 65 <= c <= 70:
        return c - 55
    return -1


cdef ParseResult parse_quoted(Parser* r, const char* p, size_t end) noexcept:
    """A line with quotes. Unescaping only shortens, so it happens in place over the bytes already read (sdssplitargs)."""
    cdef char* q = <char*>p
    cdef size_t i = 0, out = 0, start
    cdef char c
    r.argc = 0
    while True:
        while i < end and is_space(q[i]):
            i += 1
        if i >= end:
            break
        start = out
        while i < end and not is_space(q[i]):
            c = q[i]
            if c == 34:
                i += 1
                while True:
                    if i >= end:
                        return fail(r, "unbalanced quotes in request")
                    c = q[i]
                    if c == 92 and i + 3 < end and q[i + 1] == 120 and hex_digit(q[i + 2]) >= 0 and hex_digit(q[i + 3]) >= 0:
                        q[out] = <char>(hex_digit(q[i + 2]) * 16 + hex_digit(q[i + 3]))
                        i += 4
                    elif c == 92 and i + 1 < end:
                        q[out] = escaped(q[i + 1])
                        i += 2
                    elif c == 34:
                        i += 1
                        break
                    else:
                        q[out] = c
                        i += 1
                    out += 1
                if i < end and not is_space(q[i]):
                    return fail(r, "unbalanced quotes in request")
                break
            if c == 39:
                i += 1
                while True:
                    if i >= end:
                        return fail(r, "unbalanced quotes in request")
                    c = q[i]
                    if c == 92 and i + 1 < end and q[i + 1] == 39:
                        q[out] = 39
                        i += 2
                    elif c == 39:
                        i += 1
                        break
                    else:
                        q[out] = c
                        i += 1
                    out += 1
                if i < end and not is_space(q[i]):
                    return fail(r, "unbalanced quotes in request")
                break
            q[out] = c
            out += 1
            i += 1
        add_arg(r, start, out - start)
    for i in range(r.argc):
        r.args[i].p = p + <size_t>r.args[i].p
    return PARSE_DONE


cdef inline char escaped(char c) noexcept:
    if c == 110:
        return 10
    if c == 114:
        return 13
    if c == 116:
        return 9
    if c == 98:
        return 8
    if c == 97:
        return 7
    return c


def split_requests(data: bytes, max_bulk: int = 512 * 1024 * 1024):
    """Every whole request in `data` as lists of bytes, and the number of bytes used. Raises ValueError as a client would
    be told. For tools and tests; sessions parse in place."""
    cdef Parser r
    cdef const char* p = data
    cdef size_t n = len(data), used = 0
    cdef ParseResult got
    cdef uint32_t i
    out = []
    parser_init(&r)
    r.max_bulk = max_bulk
    try:
        copy = PyBytes_FromStringAndSize(p, n)      # parse_quoted writes into its input
        p = PyBytes_AS_STRING(copy)
        while used < n:
            got = parse(&r, p + used, n - used)
            if got == PARSE_MORE:
                break
            if got == PARSE_ERROR:
                raise ValueError((<bytes>r.error).decode("latin-1"))
            out.append([PyBytes_FromStringAndSize(r.args[i].p, r.args[i].n) for i in range(r.argc)])
            used += r.at
            parser_reset(&r)
        return out, used
    finally:
        parser_free(&r)
