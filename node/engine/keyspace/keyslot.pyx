"""Key to slot, on the path of every request: CRC16 (XMODEM) eight bytes a step, by tables of 4 KiB in all.

Table k holds what a byte contributes when k more bytes follow it; the contributions of eight bytes are independent, so
the processor fetches them at the same time instead of one after the other.
"""

from libc.stdint cimport uint16_t
from libc.string cimport memchr

cdef uint16_t contribution[8][256]


cdef void build_tables() noexcept nogil:
    cdef int byte, bit, k
    cdef unsigned int crc
    for byte in range(256):
        crc = <unsigned int>byte << 8
        for bit in range(8):
            crc = ((crc << 1) ^ 0x1021) if crc & 0x8000 else crc << 1
        contribution[0][byte] = <uint16_t>crc
    for k in range(1, 8):
        for byte in range(256):
            crc = contribution[k - 1][byte]
            contribution[k][byte] = <uint16_t>(crc << 8) ^ contribution[0][crc >> 8]


build_tables()


cdef uint16_t crc16(const unsigned char* p, size_t n) noexcept nogil:
    cdef unsigned int crc = 0
    while n >= 8:
        crc = contribution[7][p[0] ^ (crc >> 8)] ^ contribution[6][p[1] ^ (crc & 0xFF)] \
            ^ contribution[5][p[2]] ^ contribution[4][p[3]] ^ contribution[3][p[4]] \
            ^ contribution[2][p[5]] ^ contribution[1][p[6]] ^ contribution[0][p[7]]
        p += 8
        n -= 8
    while n:
        crc = ((crc << 8) & 0xFFFF) ^ contribution[0][(crc >> 8) ^ p[0]]
        p += 1
        n -= 1
    return <uint16_t>crc


cdef uint16_t key_slot(const char* key, size_t n) noexcept nogil:
    cdef const char* tag
    cdef const char* end
    tag = <const char*>memchr(key, c'{', n)
    if tag != NULL:
        tag += 1
        end = <const char*>memchr(tag, c'}', n - (tag - key))
        if end != NULL and end > tag:              # an empty tag {} counts as none
            key = tag
            n = end - tag
    return crc16(<const unsigned char*>key, n) & (SLOTS - 1)


def slot_of(bytes key) -> int:
    return key_slot(key, len(key))
