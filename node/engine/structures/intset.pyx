"""A sorted array of integers in Redis' bytes (intset.pxd is the contract)."""

from libc.stdint cimport int16_t, int32_t
from libc.string cimport memcpy, memmove
from node.engine.memory.alloc cimport mem_alloc, mem_free, mem_realloc

cdef enum:
    HEADER = 8


cdef inline uint32_t load32(const unsigned char* p) noexcept nogil:
    return p[0] | (<uint32_t>p[1] << 8) | (<uint32_t>p[2] << 16) | (<uint32_t>p[3] << 24)


cdef inline void store32(unsigned char* p, uint32_t v) noexcept nogil:
    p[0] = v & 255
    p[1] = (v >> 8) & 255
    p[2] = (v >> 16) & 255
    p[3] = v >> 24


cdef inline uint32_t width_of(int64_t v) noexcept nogil:
    if -32768 <= v <= 32767:
        return 2
    if -2147483648 <= v <= 2147483647:
        return 4
    return 8


cdef inline int64_t load(const unsigned char* b, uint32_t width, uint32_t index) noexcept nogil:
    cdef const unsigned char* p = b + HEADER + <size_t>index * width
    if width == 2:
        return <int16_t>(p[0] | (p[1] << 8))
    if width == 4:
        return <int32_t>load32(p)
    return <int64_t>(load32(p) | (<unsigned long>load32(p + 4) << 32))


cdef inline void store(ints_t b, uint32_t width, uint32_t index, int64_t v) noexcept nogil:
    cdef unsigned char* p = b + HEADER + <size_t>index * width
    cdef uint32_t i
    for i in range(width):
        p[i] = v & 255
        v >>= 8


cdef ints_t widen(ints_t b, uint32_t width) noexcept nogil:
    """Rewrite the integers with more bytes each, from the last one down since each moves up."""
    cdef uint32_t old = load32(b), count = load32(b + 4), i
    b = <ints_t>mem_realloc(b, HEADER + <size_t>count * old, HEADER + <size_t>count * width)
    store32(b, width)
    for i in range(count, 0, -1):
        store(b, width, i - 1, load(b, old, i - 1))
    return b


cdef ints_t ints_new() noexcept nogil:
    cdef ints_t b = <ints_t>mem_alloc(HEADER)
    store32(b, 2)
    store32(b + 4, 0)
    return b


cdef ints_t ints_copy(const unsigned char* p, size_t n) noexcept nogil:
    cdef ints_t b = <ints_t>mem_alloc(n)
    memcpy(b, p, n)
    return b


cdef void ints_free(ints_t b) noexcept nogil:
    mem_free(b, ints_bytes(b))


cdef size_t ints_bytes(ints_t b) noexcept nogil:
    return HEADER + <size_t>load32(b) * load32(b + 4)


cdef uint32_t ints_count(ints_t b) noexcept nogil:
    return load32(b + 4)


cdef int64_t ints_get(ints_t b, uint32_t index) noexcept nogil:
    return load(b, load32(b), index)


cdef bint ints_find(ints_t b, int64_t v, uint32_t* index) noexcept nogil:
    cdef uint32_t width = load32(b), low = 0, high = load32(b + 4), middle
    cdef int64_t at
    if high and v > load(b, width, high - 1):         # members often come in rising order
        index[0] = high
        return False
    while low < high:
        middle = (low + high) >> 1
        at = load(b, width, middle)
        if at == v:
            index[0] = middle
            return True
        if at < v:
            low = middle + 1
        else:
            high = middle
    index[0] = low
    return False


cdef ints_t ints_add(ints_t b, int64_t v, bint* new) noexcept nogil:
    cdef uint32_t width, count, index
    new[0] = not ints_find(b, v, &index)
    if not new[0]:
        return b
    if width_of(v) > load32(b):
        b = widen(b, width_of(v))
    width = load32(b)
    count = load32(b + 4)
    b = <ints_t>mem_realloc(b, HEADER + <size_t>count * width, HEADER + <size_t>(count + 1) * width)
    memmove(b + HEADER + <size_t>(index + 1) * width, b + HEADER + <size_t>index * width, <size_t>(count - index) * width)
    store(b, width, index, v)
    store32(b + 4, count + 1)
    return b


cdef ints_t ints_delete(ints_t b, uint32_t index) noexcept nogil:
    cdef uint32_t width = load32(b), count = load32(b + 4)
    cdef unsigned char* p = b + HEADER + <size_t>index * width
    memmove(p, p + width, <size_t>(count - index - 1) * width)
    store32(b + 4, count - 1)
    return <ints_t>mem_realloc(b, HEADER + <size_t>count * width, HEADER + <size_t>(count - 1) * width)


cdef bint ints_valid(const unsigned char* p, size_t n) noexcept nogil:
    cdef uint32_t width, count, i
    if n < HEADER:
        return False
    width = load32(p)
    count = load32(p + 4)
    if (width != 2 and width != 4 and width != 8) or count == 0 or n != HEADER + <size_t>count * width:
        return False
    for i in range(1, count):
        if load(p, width, i - 1) >= load(p, width, i):
            return False
    return True
