"""CRC-64 as RDB files and DUMP payloads carry it: the Jones polynomial, reflected, starting from zero and not inverted.

Eight table lookups advance eight bytes at a time: a payload is checked at memory speed, so that the checksum never shows
in a profile of a snapshot or of a migration.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

cdef uint64_t POLYNOMIAL_REFLECTED = 0x95AC9329AC4BC9B5

cdef uint64_t tables[8][256]


cdef void fill_tables() noexcept nogil:
    """tables[0] advances by one byte; tables[k] by a byte that k zero bytes follow."""
    cdef uint64_t crc
    cdef int byte, bit, k
    for byte in range(256):
        crc = byte
        for bit in range(8):
            crc = (crc >> 1) ^ POLYNOMIAL_REFLECTED if crc & 1 else crc >> 1
        tables[0][byte] = crc
    for k in range(1, 8):
        for byte in range(256):
            crc = tables[k - 1][byte]
            tables[k][byte] = tables[0][crc & 0xFF] ^ (crc >> 8)


cdef uint64_t crc64_update(uint64_t crc, const uint8_t* p, size_t n) noexcept nogil:
    cdef uint64_t word
    while n >= 8:
        memcpy(&word, p, 8)
        crc ^= word
        crc = (
            tables[7][crc & 0xFF]
            ^ tables[6][(crc >> 8) & 0xFF]
            ^ tables[5][(crc >> 16) & 0xFF]
            ^ tables[4][(crc >> 24) & 0xFF]
            ^ tables[3][(crc >> 32) & 0xFF]
            ^ tables[2][(crc >> 40) & 0xFF]
            ^ tables[1][(crc >> 48) & 0xFF]
            ^ tables[0][crc >> 56]
        )
        p += 8
        n -= 8
    while n:
        crc = tables[0][(crc ^ p[0]) & 0xFF] ^ (crc >> 8)
        p += 1
        n -= 1
    return crc


def crc64(data, uint64_t crc=0) -> int:
    """The checksum of `data`, going on from `crc`, the checksum of what came before it."""
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    crc = crc64_update(crc, <const uint8_t*>view.buf, <size_t>view.len)
    PyBuffer_Release(&view)
    return crc


fill_tables()
