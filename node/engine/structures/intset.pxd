# Redis' intset, byte for byte: <width: u32> <count: u32>, then the integers, sorted, `width` (2, 4 or 8) bytes each, all
# little-endian. The width suffices for every member and never shrinks. Blocks come from alloc.mem_alloc.

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t

ctypedef unsigned char* ints_t

cdef ints_t ints_new() noexcept nogil
cdef ints_t ints_copy(const unsigned char* p, size_t n) noexcept nogil            # a block of its own for n valid bytes
cdef void ints_free(ints_t b) noexcept nogil
cdef size_t ints_bytes(ints_t b) noexcept nogil
cdef uint32_t ints_count(ints_t b) noexcept nogil
cdef int64_t ints_get(ints_t b, uint32_t index) noexcept nogil
cdef bint ints_find(ints_t b, int64_t v, uint32_t* index) noexcept nogil          # *index: where it is, or belongs
cdef ints_t ints_add(ints_t b, int64_t v, bint* new) noexcept nogil
cdef ints_t ints_delete(ints_t b, uint32_t index) noexcept nogil
cdef bint ints_valid(const unsigned char* p, size_t n) noexcept nogil             # whole, sorted, without duplicates, not empty
