# RESP replies, written into a growing buffer. No I/O and no commands here; requests are split in framer.pyx.

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t, uint64_t

ctypedef struct Buf:
    char* p
    size_t len
    size_t cap

cdef size_t buffer_bytes         # of clients (with what they make the node keep), backlog, scripts; counts towards maxmemory

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
