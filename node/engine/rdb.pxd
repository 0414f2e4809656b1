# Bytes in RDB form in the making (rdb.pyx has the format of lengths and strings).

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t

cdef class Writer:
    """A buffer that grows."""
    cdef uint8_t* p
    cdef size_t n, cap
    cdef bint compress                                                    # strings as LZF where that is shorter
    cdef uint8_t* room(self, size_t more) except NULL                     # where the next bytes go; the caller moves n on
    cdef int put(self, const void* data, size_t n) except -1
    cdef int put_byte(self, uint8_t value) except -1
    cdef int put_length(self, uint64_t n) except -1
    cdef int put_string(self, const char* s, size_t n) except -1
    cdef bint put_integer(self, const char* s, size_t n) except -1        # digits that an integer gives back; False: not done
    cdef bint put_compressed(self, const char* s, size_t n) except -1     # False: that is not shorter, not done
    cpdef bytes take(self)                                                # what was written; the writer is empty again
