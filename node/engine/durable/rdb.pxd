# Bytes in RDB form in the making (rdb.pyx has the format of lengths and strings).

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t

cdef enum Form:                  # which dialect is written (node/persistence/types/kinds.py says more of them)
    FORM_REDIS_70 = 0
    FORM_REDIS_72 = 1
    FORM_VALKEY_9 = 2

cdef enum Kind:                  # of values, as a file calls them; node/persistence/types/kinds.py has all, under the same names
    KIND_STRING = 0
    KIND_LIST = 1
    KIND_SET = 2
    KIND_ZSET_TEXT = 3
    KIND_HASH = 4
    KIND_ZSET = 5
    KIND_SET_INTSET = 11
    KIND_HASH_LISTPACK = 16
    KIND_ZSET_LISTPACK = 17
    KIND_LIST_NODES = 18
    KIND_STREAM_7 = 19
    KIND_SET_LISTPACK = 20
    KIND_STREAM_72 = 21
    KIND_HASH_VALKEY = 22        # to Valkey, and from it; to Redis it means something else
    KIND_HASH_EXPIRING = 24

cdef enum Opcode:                # what else stands in a file; node/persistence/rdb/opcodes.py has all, under the same names
    OPCODE_IDLE = 248
    OPCODE_FREQ = 249
    OPCODE_RESIZEDB = 251
    OPCODE_EXPIRE_MS = 252
    OPCODE_EXPIRE_S = 253
    OPCODE_SELECTDB = 254
    OPCODE_EOF = 255

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
