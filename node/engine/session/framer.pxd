# RESP requests, split into arguments in place. No I/O and no commands here.

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t

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
