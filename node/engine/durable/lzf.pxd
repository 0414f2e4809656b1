# LZF, the compression of strings inside RDB files and DUMP payloads.

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

# Both return the bytes written, 0 when the output would not fit (or, decompressing, when the input is malformed).
cdef size_t lzf_pack(const uint8_t* src, size_t n, uint8_t* out, size_t out_n) noexcept
cdef size_t lzf_unpack(const uint8_t* src, size_t n, uint8_t* out, size_t out_n) noexcept nogil
