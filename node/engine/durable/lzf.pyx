"""LZF: the light compression that RDB files and DUMP payloads use for strings.

The stream is a sequence of runs, each opened by a control byte:

    000LLLLL                      L+1 literal bytes follow
    LLLooooo oooooooo             copy L+2 bytes from o+1 bytes back (L = 1..6)
    111ooooo LLLLLLLL oooooooo    copy L+9 bytes from o+1 bytes back

Any parse of the input into such runs is a right answer. Ours makes the choices that Redis' library makes (the same hash of
three bytes, one candidate a hash, two positions entered after a match), so that equal values give equal payloads.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stddef cimport size_t
from libc.stdint cimport UINT32_MAX, uint8_t, uint32_t
from libc.string cimport memcpy, memset

cdef enum:
    HASH_BITS = 16
    LITERALS_MAX = 32
    OFFSET_MAX = 1 << 13
    MATCH_MAX = (1 << 8) + (1 << 3)
    INPUT_MAX = 0xFFFFFFF0
    SMALLEST = 4                # shorter inputs cannot shrink

# Where each hash was last seen, as `base` + position + 1; one table for all calls, since the engine is single-threaded.
# Each call starts with a base above everything noted before, which spares clearing 256 KiB for a string of 30 bytes.
cdef uint32_t last_seen[1 << HASH_BITS]
cdef uint32_t next_base = 0


cdef inline uint32_t hash_slot(uint32_t three) noexcept nogil:
    return ((three >> (24 - HASH_BITS)) - three * 5) & ((1 << HASH_BITS) - 1)


cdef inline uint32_t three_at(const uint8_t* p) noexcept nogil:
    return (<uint32_t>p[0] << 16) | (<uint32_t>p[1] << 8) | p[2]


cdef size_t lzf_pack(const uint8_t* src, size_t n, uint8_t* out, size_t out_n) noexcept:
    cdef size_t i = 0, o = 1, ref, off, length, longest
    cdef size_t run = 0                              # literals in the run that is open; its control byte is out[o - run - 1]
    cdef uint32_t slot, base
    global next_base
    if n < SMALLEST or n > INPUT_MAX or out_n == 0:
        return 0
    if next_base > UINT32_MAX - n - 1:
        memset(last_seen, 0, sizeof(last_seen))
        next_base = 0
    base = next_base
    next_base += <uint32_t>n + 1
    while i + 2 < n:
        slot = hash_slot(three_at(src + i))
        ref = last_seen[slot] - base if last_seen[slot] > base else 0
        last_seen[slot] = base + <uint32_t>(i + 1)
        # A place is kept as position + 1: 0 stands for nowhere, and 1 for position 0, which is never referred to.
        if ref < 2 or i - ref >= OFFSET_MAX or three_at(src + ref - 1) != three_at(src + i):
            if o >= out_n:
                return 0
            out[o] = src[i]
            o += 1
            i += 1
            run += 1
            if run == LITERALS_MAX:
                out[o - run - 1] = LITERALS_MAX - 1
                run = 0
                o += 1
            continue
        ref -= 1
        off = i - ref - 1
        if o + 4 - (run == 0) >= out_n:
            return 0
        longest = n - i - 2
        if longest > MATCH_MAX:
            longest = MATCH_MAX
        elif 16 < longest < 19:
            longest = 19                             # the library compares 16 bytes at once and so reaches the very end
        length = 3
        while length < longest and src[ref + length] == src[i + length]:
            length += 1
        if run:
            out[o - run - 1] = <uint8_t>(run - 1)
        else:
            o -= 1                                   # the open run is empty: take its control byte back
        if length - 2 < 7:
            out[o] = <uint8_t>((off >> 8) + ((length - 2) << 5))
            o += 1
        else:
            out[o] = <uint8_t>((off >> 8) + (7 << 5))
            out[o + 1] = <uint8_t>(length - 9)
            o += 2
        out[o] = <uint8_t>(off & 0xFF)
        o += 2                                       # the offset's low byte, and the next run's control byte
        run = 0
        i += length
        if i + 2 >= n:
            break
        last_seen[hash_slot(three_at(src + i - 2))] = base + <uint32_t>(i - 1)
        last_seen[hash_slot(three_at(src + i - 1))] = base + <uint32_t>i
    if o + 3 > out_n:                                # what remains is at most three bytes
        return 0
    while i < n:
        out[o] = src[i]
        o += 1
        i += 1
        run += 1
        if run == LITERALS_MAX:
            out[o - run - 1] = LITERALS_MAX - 1
            run = 0
            o += 1
    if run:
        out[o - run - 1] = <uint8_t>(run - 1)
        return o
    return o - 1


cdef size_t lzf_unpack(const uint8_t* src, size_t n, uint8_t* out, size_t out_n) noexcept nogil:
    cdef size_t i = 0, o = 0, length, back
    cdef uint8_t control
    while i < n:
        control = src[i]
        i += 1
        if control < LITERALS_MAX:
            length = <size_t>control + 1
            if length > n - i or length > out_n - o:
                return 0
            memcpy(out + o, src + i, length)
            i += length
            o += length
            continue
        length = control >> 5
        if length == 7:
            if i >= n:
                return 0
            length += src[i]
            i += 1
        if i >= n:
            return 0
        back = ((<size_t>control & 0x1F) << 8) + src[i] + 1
        i += 1
        length += 2
        if back > o or length > out_n - o:
            return 0
        while length:                                # byte by byte: the areas may overlap
            out[o] = out[o - back]
            o += 1
            length -= 1
    return o


def compress(bytes data not None) -> bytes | None:
    """The compressed form, or None when it would not save at least four bytes (Redis then stores the plain string)."""
    cdef size_t n = len(data), size
    cdef bytearray out
    if n <= SMALLEST or n > INPUT_MAX:
        return None
    out = bytearray(n - SMALLEST)
    size = lzf_pack(<const uint8_t*><const char*>data, n, <uint8_t*><char*>out, n - SMALLEST)
    return bytes(out[:size]) if size else None


def decompress(data, size_t size) -> bytes | None:
    """The original, `size` bytes long; None when the input is malformed or has another length."""
    cdef Py_buffer view
    cdef bytearray out
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if view.len == 0 or size == 0 or size > <size_t>view.len * MATCH_MAX:
            return None                              # nothing expands further: refuse before reserving memory
        out = bytearray(size)
        if lzf_unpack(<const uint8_t*>view.buf, <size_t>view.len, <uint8_t*><char*>out, size) != size:
            return None
        return bytes(out)
    finally:
        PyBuffer_Release(&view)
