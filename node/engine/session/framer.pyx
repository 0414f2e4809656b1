"""The request framer: multibulk and inline requests, split in place.

An argument is a pointer into the bytes that came from the socket, so a hot command copies nothing. A request that is not
whole keeps its progress in the Parser and is not looked at twice. Limits and error texts are those of Redis (networking.c,
processMultibulkBuffer).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdio cimport snprintf
from libc.stdint cimport uint32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memchr

from node.engine.session cimport wire

cdef enum:
    INLINE_LIMIT = 64 * 1024          # PROTO_INLINE_MAX_SIZE
    MULTIBULK_LIMIT = 0x7FFFFFFF      # arguments of one request
    UNTRUSTED_ARGS = 10               # before AUTH
    UNTRUSTED_BULK = 16384

cdef const char* NO_MEMORY = "out of memory"


cdef void parser_init(Parser* r) noexcept:
    r.args = NULL
    r.cap = 0
    r.max_bulk = 512 * 1024 * 1024
    r.trusted = True
    parser_reset(r)


cdef void parser_free(Parser* r) noexcept:
    wire.buffer_bytes -= r.cap * sizeof(Arg)
    free(r.args)
    r.args = NULL
    r.cap = 0


cdef void parser_reset(Parser* r) noexcept:
    r.argc = 0
    r.expected = 0
    r.bulk = -1
    r.at = 0
    r.error = NULL


cdef inline bint add_arg(Parser* r, size_t offset, size_t n) noexcept:
    """False: there is no memory for it."""
    cdef uint32_t cap
    cdef Arg* args
    if r.argc == r.cap:
        cap = r.cap * 2 if r.cap else 16
        args = <Arg*>realloc(r.args, cap * sizeof(Arg))
        if args == NULL:
            return False
        wire.buffer_bytes += (cap - r.cap) * sizeof(Arg)
        r.args = args
        r.cap = cap
    r.args[r.argc].p = <const char*>offset
    r.args[r.argc].n = n
    r.argc += 1
    return True


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
        if not add_arg(r, at, r.bulk):
            return fail(r, NO_MEMORY)
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
        if not add_arg(r, start, i - start):
            return fail(r, NO_MEMORY)
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


cdef size_t unquote(char* q, size_t i, size_t end, size_t* out) noexcept:
    """Copy the quoted text that opens at q[i] to q[out]; the place behind its closing quote, 0 if it has none. Double
    quotes know escapes, single quotes only that of themselves."""
    cdef char quote = q[i]
    cdef char c
    i += 1
    while i < end:
        c = q[i]
        if c == quote:
            return i + 1
        if c == 92 and quote == 39 and i + 1 < end and q[i + 1] == 39:
            c = 39
            i += 1
        elif c == 92 and quote == 34 and i + 3 < end and q[i + 1] == 120 and hex_digit(q[i + 2]) >= 0 and hex_digit(q[i + 3]) >= 0:
            c = <char>(hex_digit(q[i + 2]) * 16 + hex_digit(q[i + 3]))
            i += 3
        elif c == 92 and quote == 34 and i + 1 < end:
            c = escaped(q[i + 1])
            i += 1
        q[out[0]] = c
        out[0] += 1
        i += 1
    return 0


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
            if c == 34 or c == 39:
                i = unquote(q, i, end, &out)
                if i == 0 or (i < end and not is_space(q[i])):
                    return fail(r, "unbalanced quotes in request")
                break
            q[out] = c
            out += 1
            i += 1
        if not add_arg(r, start, out - start):
            return fail(r, NO_MEMORY)
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
