# The hash slot of a key, as the cluster's members and clients agree on it.

from libc.stddef cimport size_t
from libc.stdint cimport uint16_t

cdef enum:
    SLOTS = 16384

cdef uint16_t key_slot(const char* key, size_t n) noexcept nogil      # CRC16 (XMODEM) of the hash tag, mod 16384
