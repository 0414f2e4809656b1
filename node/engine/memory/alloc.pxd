# Raw memory for the data: slabs of fixed sizes below 1 KiB, malloc above, all of it counted.
#
# Frees are sized: whoever frees says how large the block is, so a block carries no header of its own. That is what
# lets a 16-byte key with a 16-byte value live in 48 bytes.

from libc.stddef cimport size_t

cdef size_t mem_used      # bytes handed out, each block rounded up to what it really occupies

cdef void* mem_alloc(size_t n) noexcept nogil
cdef void* mem_calloc(size_t n) noexcept nogil
cdef void* mem_calloc_huge(size_t n) noexcept nogil            # for what is looked up at random: in huge pages if it is large
cdef void mem_free(void* p, size_t n) noexcept nogil                          # n: the size asked for
cdef void* mem_realloc(void* p, size_t old, size_t new) noexcept nogil        # keeps min(old, new) bytes; p may be NULL
cdef void* mem_grow_zeroed(void* p, size_t old, size_t new) noexcept nogil    # new >= old; what is new is zero
cdef size_t mem_size(size_t n) noexcept nogil                                 # what a request of n bytes occupies
cdef bint mem_fits(size_t old, size_t new) noexcept nogil                     # a block of old bytes may go on as one of new
cdef bint mem_trim(int pages) noexcept nogil                                  # empty pages' memory to the system; True: more
cpdef void mem_account(ssize_t delta) noexcept nogil                          # an object's own size, at birth and (negative) death
