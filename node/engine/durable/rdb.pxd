# Bytes in RDB form in the making (rdb.pyx has the format of lengths and strings).

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t

cdef enum Form:                  # which dialect is written (node/persistence/rdb/kinds.py says more of them)
    FORM_REDIS_70 = 0
    FORM_REDIS_72 = 1
    FORM_VALKEY_9 = 2

cdef class Writer:
    """A buffer that grows."""
    cdef uint8_t* p
    cdef size_t n, cap
    cdef bint compress                                                    # strings as LZF where that is shorter
    cdef readonly int form                                                # one of Form
    cdef Writer sibling(self)                                             # an empty one like it
    cdef uint8_t* room(self, size_t more) except NULL                     # where the next bytes go; the caller moves n on
    cdef int put(self, const void* data, size_t n) except -1
    cdef int put_byte(self, uint8_t value) except -1
    cdef int put_length(self, uint64_t n) except -1
    cdef int put_string(self, const char* s, size_t n) except -1
    cdef bint put_integer(self, const char* s, size_t n) except -1        # digits that an integer gives back; False: not done
    cdef bint put_compressed(self, const char* s, size_t n) except -1     # False: that is not shorter, not done
    cpdef bytes take(self)                                                # what was written; the writer is empty again

ctypedef struct Text:
    # A string that was read: it points into the data, at its digits, or at what was unpacked. Zeros make an empty one.
    const char* p
    size_t n
    char* unpacked             # the Text's own block, kept for the next string
    size_t cap
    char digits[24]

cdef void text_free(Text* text) noexcept

cdef class Reader:
    """A position in bytes from outside: bytes, or anything else with a buffer, such as a mapped file."""
    cdef Py_buffer view
    cdef const uint8_t* p
    cdef public size_t at
    cdef size_t end
    cdef const uint8_t* get(self, uint64_t n) except NULL                # the next n bytes
    # A length; or, if `special` is not NULL, the form of a special string in *special (else -1).
    cdef uint64_t get_length(self, int* special) except? <uint64_t>-1
    cdef int get_text(self, Text* text) except -1                        # valid until the Text is used again
    cdef int unpack(self, Text* text) except -1
