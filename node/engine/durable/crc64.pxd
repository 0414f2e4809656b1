# CRC-64 (Jones), as RDB files and DUMP payloads end with it.

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t

cdef uint64_t crc64_update(uint64_t crc, const uint8_t* p, size_t n) noexcept nogil
