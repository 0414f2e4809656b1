# RESP: replies written into a growing buffer, requests split into arguments. No I/O and no commands here.

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t, uint64_t

ctypedef struct Buf:
    char* p
    size_t len
    size_t cap

cdef size_t buffer_bytes         # of all clients, requests and replies that wait; counts towards maxmemory

cdef void buf_init(Buf* b) noexcept nogil
cdef void buf_free(Buf* b) noexcept nogil
cdef void buf_shrink(Buf* b, size_t cap) noexcept nogil        # of an empty buffer
cdef void buf_grow(Buf* b, size_t more) noexcept nogil

cdef inline char* buf_room(Buf* b, size_t more) noexcept nogil:
    """Room for `more` bytes; the caller writes there and adds to b.len."""
    if b.cap - b.len < more:
        buf_grow(b, more)
    return b.p + b.len

cdef void buf_put(Buf* b, const char* p, size_t n) noexcept nogil

# Replies. `proto` is 2 or 3.
cdef void w_ok(Buf* b) noexcept nogil
cdef void w_raw(Buf* b, const char* p, size_t n) noexcept nogil
cdef void w_status(Buf* b, const char* p, size_t n) noexcept nogil
cdef void w_error(Buf* b, const char* p, size_t n) noexcept nogil       # line breaks in the text become spaces
cdef void w_int(Buf* b, int64_t v) noexcept nogil
cdef void w_bulk(Buf* b, const char* p, size_t n) noexcept nogil
cdef void w_bulk_int(Buf* b, int64_t v) noexcept nogil
cdef void w_double(Buf* b, double v, int proto) noexcept nogil
cdef void w_null(Buf* b, int proto) noexcept nogil
cdef void w_null_array(Buf* b, int proto) noexcept nogil
cdef void w_header(Buf* b, char kind, int64_t n) noexcept nogil         # '*', '%', '~', '>' ... and a count
cdef void w_map(Buf* b, int64_t pairs, int proto) noexcept nogil
cdef int w_value(Buf* b, object value, int proto) except -1             # any handler's return value (node/replies.py)

# Requests.
ctypedef struct Arg:
    const char* p
    size_t n

cdef enum ParseResult:
    PARSE_MORE = 0        # the request is not whole yet
    PARSE_DONE = 1        # args[0:argc] are the request; argc may be 0 (an empty line)
    PARSE_ERROR = -1      # `error` says what the client did wrong

ctypedef struct Parser:
    Arg* args             # while the request is not whole, p is an offset from the request's first byte
    uint32_t argc
    uint32_t cap
    int64_t expected      # arguments still to come; 0: at the start of a request
    int64_t bulk          # length of the argument under way, -1: its header is not read yet
    size_t at             # next byte to look at, from the request's first byte
    int64_t max_bulk      # proto-max-bulk-len
    bint trusted          # False before AUTH: Redis' small limits hold
    const char* error
    char error_text[64]

cdef void parser_init(Parser* r) noexcept
cdef void parser_free(Parser* r) noexcept
cdef void parser_reset(Parser* r) noexcept
# Look at one request at p[0:n]. PARSE_DONE: r.at bytes are used up, args point into p (until the next call).
cdef ParseResult parse(Parser* r, const char* p, size_t n) noexcept
