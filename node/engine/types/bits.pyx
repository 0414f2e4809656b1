"""Strings as arrays of bits: the work of BITCOUNT, BITPOS, BITOP and BITFIELD on whole buffers.

Bit 0 is the highest bit of the first byte. Ranges name their first and their last bit; what lies beyond the buffer is
left out of a range, and reads as zeros in a field.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memset

cdef extern from *:
    """
    #include <string.h>
    static inline uint64_t shardis_load64(const unsigned char* p) { uint64_t v; memcpy(&v, p, 8); return v; }
    static inline void shardis_store64(unsigned char* p, uint64_t v) { memcpy(p, &v, 8); }
    """
    uint64_t load64 "shardis_load64"(const unsigned char* p) noexcept nogil
    void store64 "shardis_store64"(unsigned char* p, uint64_t v) noexcept nogil

cdef enum:
    WORDS_BEFORE_SUM = 31       # a byte that counts up to eight bits a word is full after so many


cdef inline uint64_t byte_counts(uint64_t v) noexcept nogil:
    """In each byte of the result: how many bits that byte of v has set."""
    v -= (v >> 1) & <uint64_t>0x5555555555555555
    v = (v & <uint64_t>0x3333333333333333) + ((v >> 2) & <uint64_t>0x3333333333333333)
    return (v + (v >> 4)) & <uint64_t>0x0F0F0F0F0F0F0F0F


cdef inline uint64_t sum_of_bytes(uint64_t counts) noexcept nogil:
    """The sum of eight bytes, which together may be more than a byte holds."""
    counts = (counts & <uint64_t>0x00FF00FF00FF00FF) + ((counts >> 8) & <uint64_t>0x00FF00FF00FF00FF)
    return (counts * <uint64_t>0x0001000100010001) >> 48


cdef uint64_t count_bytes(const unsigned char* p, size_t n) noexcept nogil:
    cdef uint64_t total = 0, counts
    cdef size_t i
    while n >= 8:
        counts = 0
        for i in range(min(n >> 3, <size_t>WORDS_BEFORE_SUM)):
            counts += byte_counts(load64(p))
            p += 8
            n -= 8
        total += sum_of_bytes(counts)
    for i in range(n):
        total += sum_of_bytes(byte_counts(p[i]))
    return total


cdef inline unsigned char head_mask(uint64_t bit) noexcept nogil:
    """The bits of a byte from `bit` on."""
    return 0xFF >> (bit & 7)


cdef inline unsigned char tail_mask(uint64_t bit) noexcept nogil:
    """The bits of a byte up to `bit`, included."""
    return (0xFF << (7 - (bit & 7))) & 0xFF


cdef int64_t count_range(const unsigned char* p, uint64_t start, uint64_t end) noexcept nogil:
    cdef uint64_t first = start >> 3, last = end >> 3
    cdef uint64_t total
    if first == last:
        return sum_of_bytes(byte_counts(p[first] & head_mask(start) & tail_mask(end)))
    total = sum_of_bytes(byte_counts(p[first] & head_mask(start)))
    total += sum_of_bytes(byte_counts(p[last] & tail_mask(end)))
    return total + count_bytes(p + first + 1, last - first - 1)


cdef inline int64_t first_in_byte(uint64_t byte_index, unsigned char wanted) noexcept nogil:
    cdef int64_t bit = byte_index << 3
    while not wanted & 0x80:
        wanted <<= 1
        bit += 1
    return bit


cdef int64_t find_in_range(const unsigned char* p, bint bit, uint64_t start, uint64_t end) noexcept nogil:
    """The first such bit, or -1. `flip` makes the bit that is looked for a one."""
    cdef uint64_t i = start >> 3, last = end >> 3
    cdef uint64_t nothing = 0 if bit else <uint64_t>-1
    cdef unsigned char flip = 0 if bit else 0xFF
    cdef unsigned char wanted = (p[i] ^ flip) & head_mask(start)
    while i < last:
        if wanted:
            return first_in_byte(i, wanted)
        i += 1
        while last - i >= 8 and load64(p + i) == nothing:
            i += 8
        wanted = p[i] ^ flip
    wanted &= tail_mask(end)
    return first_in_byte(i, wanted) if wanted else -1


def popcount(buf, uint64_t start_bit, uint64_t end_bit) -> int:
    """How many bits from start_bit to end_bit are set."""
    cdef Py_buffer view
    PyObject_GetBuffer(buf, &view, PyBUF_SIMPLE)
    try:
        end_bit = min(end_bit + 1, <uint64_t>view.len << 3)
        return count_range(<unsigned char*>view.buf, start_bit, end_bit - 1) if start_bit < end_bit else 0
    finally:
        PyBuffer_Release(&view)


def bitpos(buf, bint bit, uint64_t start_bit, uint64_t end_bit) -> int:
    """The first bit from start_bit to end_bit that is `bit`, or -1."""
    cdef Py_buffer view
    PyObject_GetBuffer(buf, &view, PyBUF_SIMPLE)
    try:
        end_bit = min(end_bit + 1, <uint64_t>view.len << 3)
        return find_in_range(<unsigned char*>view.buf, bit, start_bit, end_bit - 1) if start_bit < end_bit else -1
    finally:
        PyBuffer_Release(&view)


# --- BITOP -------------------------------------------------------------------------------------------------------

cdef void and_into(unsigned char* out, const unsigned char* p, size_t n) noexcept nogil:
    cdef size_t i = 0
    while i + 8 <= n:
        store64(out + i, load64(out + i) & load64(p + i))
        i += 8
    for i in range(i, n):
        out[i] &= p[i]


cdef void or_into(unsigned char* out, const unsigned char* p, size_t n) noexcept nogil:
    cdef size_t i = 0
    while i + 8 <= n:
        store64(out + i, load64(out + i) | load64(p + i))
        i += 8
    for i in range(i, n):
        out[i] |= p[i]


cdef void xor_into(unsigned char* out, const unsigned char* p, size_t n) noexcept nogil:
    cdef size_t i = 0
    while i + 8 <= n:
        store64(out + i, load64(out + i) ^ load64(p + i))
        i += 8
    for i in range(i, n):
        out[i] ^= p[i]


cdef void invert(unsigned char* out, size_t n) noexcept nogil:
    cdef size_t i = 0
    while i + 8 <= n:
        store64(out + i, ~load64(out + i))
        i += 8
    for i in range(i, n):
        out[i] = ~out[i]


def bitop(str op, list strings) -> bytes:
    """AND, OR, XOR of the strings, or NOT of the only one; as long as the longest, the others as if zeros followed."""
    cdef bytes s, out
    cdef size_t n, longest = 0
    cdef unsigned char* p
    for s in strings:
        longest = max(longest, <size_t>PyBytes_GET_SIZE(s))
    out = PyBytes_FromStringAndSize(NULL, longest)
    p = <unsigned char*>PyBytes_AS_STRING(out)
    if longest == 0:
        return out
    s = strings[0]
    n = PyBytes_GET_SIZE(s)
    memcpy(p, PyBytes_AS_STRING(s), n)
    memset(p + n, 0, longest - n)
    if op == "NOT":
        invert(p, longest)
    for s in strings[1:]:
        n = PyBytes_GET_SIZE(s)
        if op == "AND":
            and_into(p, <unsigned char*>PyBytes_AS_STRING(s), n)
            memset(p + n, 0, longest - n)
        elif op == "OR":
            or_into(p, <unsigned char*>PyBytes_AS_STRING(s), n)
        else:
            xor_into(p, <unsigned char*>PyBytes_AS_STRING(s), n)
    return out


# --- BITFIELD ----------------------------------------------------------------------------------------------------

def getfield(buf, uint64_t offset, int bits, bint signed) -> int:
    """The integer of 1 to 64 bits whose highest bit stands at `offset`."""
    cdef Py_buffer view
    cdef uint64_t u = 0, at
    cdef const unsigned char* p
    PyObject_GetBuffer(buf, &view, PyBUF_SIMPLE)
    p = <const unsigned char*>view.buf
    for at in range(offset, offset + bits):
        u <<= 1
        if at >> 3 < <uint64_t>view.len:
            u |= (p[at >> 3] >> (7 - (at & 7))) & 1
    PyBuffer_Release(&view)
    if not signed:
        return u
    u <<= 64 - bits                                   # the field's sign becomes the integer's
    return <int64_t>u >> (64 - bits)


def setfield(buf, uint64_t offset, int bits, value):
    """Write the low bits of the value at `offset` of a writable buffer that is long enough."""
    cdef Py_buffer view
    cdef uint64_t u = value & <uint64_t>-1, at
    cdef unsigned char* p
    cdef int shift = bits
    PyObject_GetBuffer(buf, &view, PyBUF_WRITABLE)
    p = <unsigned char*>view.buf
    try:
        if offset + bits > <uint64_t>view.len << 3:
            raise IndexError("the field ends beyond the buffer")
        for at in range(offset, offset + bits):
            shift -= 1
            p[at >> 3] = (p[at >> 3] & ~(0x80 >> (at & 7))) | (((u >> shift) & 1) << (7 - (at & 7)))
    finally:
        PyBuffer_Release(&view)
