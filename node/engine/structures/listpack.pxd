# Redis' listpack, byte for byte (so that DUMP, RDB and replication copy it): <total:u32><count:u16> entries 0xFF, each
# entry <encoding+data><backlen>. All functions take the pointer and return the (reallocated) pointer where they change
# it. Blocks come from alloc.mem_alloc; a listpack's size is its own total.

from libc.stdint cimport int64_t, uint8_t, uint32_t

ctypedef unsigned char* lp_t

cdef enum:
    LP_MAX_BYTES = 1 << 30        # callers see to it that none grows larger (lp_bytes + lp_entry_bytes); lp_valid refuses it

cdef lp_t lp_new() noexcept nogil
cdef lp_t lp_copy(const unsigned char* p, uint32_t n) noexcept nogil             # a block of its own for n valid bytes
cdef void lp_free(lp_t lp) noexcept nogil
cdef uint32_t lp_bytes(lp_t lp) noexcept nogil
cdef uint32_t lp_count(lp_t lp) noexcept nogil
cdef lp_t lp_first(lp_t lp) noexcept nogil                    # NULL when empty
cdef lp_t lp_last(lp_t lp) noexcept nogil
cdef lp_t lp_next(lp_t lp, lp_t p) noexcept nogil             # NULL at the end
cdef lp_t lp_prev(lp_t lp, lp_t p) noexcept nogil
cdef lp_t lp_seek(lp_t lp, long index) noexcept nogil         # negative counts from the end
# The element at p: its bytes in *s,*n; integers are written into buf (24 bytes), and *s points there.
cdef void lp_get(lp_t p, char* buf, char** s, uint32_t* n) noexcept nogil
cdef bint lp_get_int(lp_t p, int64_t* v) noexcept nogil       # True and *v when the element is stored as an integer
cdef bint lp_equals(lp_t p, const char* s, uint32_t n) noexcept nogil
cdef lp_t lp_find(lp_t lp, lp_t p, const char* s, uint32_t n, int skip_count) noexcept nogil   # from p, comparing each (skip_count+1)-th
cdef lp_t lp_append(lp_t lp, const char* s, uint32_t n) noexcept nogil
cdef lp_t lp_append_int(lp_t lp, int64_t v) noexcept nogil
cdef lp_t lp_prepend(lp_t lp, const char* s, uint32_t n) noexcept nogil
# Insert before p / after p, or replace p. *at (may be NULL) gets the element's new place.
cdef lp_t lp_insert(lp_t lp, const char* s, uint32_t n, lp_t p, bint after, lp_t* at) noexcept nogil
cdef lp_t lp_replace(lp_t lp, lp_t p, const char* s, uint32_t n, lp_t* at) noexcept nogil
# Delete `count` elements from p on. *at gets what follows them (NULL at the end).
cdef lp_t lp_delete(lp_t lp, lp_t p, uint32_t count, lp_t* at) noexcept nogil
# Cut the elements from p on out into a listpack of their own; b's elements behind a's (b is freed).
cdef lp_t lp_split(lp_t lp, lp_t p, lp_t* rest) noexcept nogil
cdef lp_t lp_join(lp_t a, lp_t b) noexcept nogil
cdef uint32_t lp_entry_bytes(const char* s, uint32_t n) noexcept nogil          # what the element would take
cdef bytes element(lp_t p)                                    # the element at p as a bytes object
cdef bint lp_valid(const unsigned char* p, size_t n) noexcept nogil             # a hostile listpack of n bytes is whole
