"""The primitives of RDB, Redis' format for snapshots and DUMP payloads: lengths, strings and doubles.

A length takes 1, 2, 5 or 9 bytes; its two highest bits say which:

    00llllll    01llllll llllllll    10000000 + 32 bits    10000001 + 64 bits    (big-endian)

11 opens a string in a special form: 0, 1, 2 a little-endian integer of 1, 2, 4 bytes, to be read as its decimal digits;
3 an LZF block (compressed length, length, data). Every other string is its length and its bytes.

What a value of each type is made of stands in node/persistence/rdb. This part is compiled because a snapshot passes every
string of the keyspace through it. The reader believes nothing: whatever is cut off, too long or unknown raises Malformed.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport INFINITY
from libc.stddef cimport size_t
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy
from node.engine.durable.crc64 cimport crc64_update
from node.engine.structures.digits cimport format_int64, parse_int64
from node.engine.durable.lzf cimport lzf_pack, lzf_unpack

from node.engine.structures.numbers import parse_double

cdef enum:
    FORM_MASK = 0xC0
    LENGTH_6 = 0x00
    LENGTH_14 = 0x40
    LENGTH_32 = 0x80
    LENGTH_64 = 0x81
    SPECIAL = 0xC0
    INT8 = 0
    INT16 = 1
    INT32 = 2
    LZF = 3
    INTEGER_TEXT_MAX = 11       # "-2147483648"
    PLAIN_MAX = 20              # what is not longer is never compressed
    SAVED_MIN = 4               # a compressed string must be shorter by this much
    LZF_GROWTH_MAX = 264        # no byte of LZF stands for more
    DOUBLE_NAN = 253
    DOUBLE_INFINITY = 254
    DOUBLE_MINUS_INFINITY = 255


cdef const uint8_t* NOTHING = b""


class Malformed(ValueError):
    """The data is not what RDB allows here."""


@cython.final
cdef class Writer:
    def __cinit__(self, bint compress=True, int form=FORM_REDIS_70):
        self.form = form
        self.cap = 256
        self.p = <uint8_t*>malloc(self.cap)
        if self.p == NULL:
            raise MemoryError
        self.compress = compress

    def __dealloc__(self):
        free(self.p)

    def __len__(self):
        return self.n

    cdef Writer sibling(self):
        return Writer(self.compress, self.form)

    cdef uint8_t* room(self, size_t more) except NULL:
        cdef size_t cap = self.cap
        cdef uint8_t* p
        if self.n + more > cap:
            while cap < self.n + more:
                cap *= 2
            p = <uint8_t*>realloc(self.p, cap)
            if p == NULL:
                raise MemoryError
            self.p = p
            self.cap = cap
        return self.p + self.n

    cdef int put(self, const void* data, size_t n) except -1:
        memcpy(self.room(n), data, n)
        self.n += n
        return 0

    cdef int put_byte(self, uint8_t value) except -1:
        self.room(1)[0] = value
        self.n += 1
        return 0

    cdef int put_length(self, uint64_t n) except -1:
        cdef uint8_t* at = self.room(9)
        cdef int i, size
        if n < 1 << 6:
            at[0] = <uint8_t>n
            self.n += 1
            return 0
        if n < 1 << 14:
            at[0] = LENGTH_14 | <uint8_t>(n >> 8)
            at[1] = <uint8_t>n
            self.n += 2
            return 0
        size = 4 if n <= 0xFFFFFFFF else 8
        at[0] = LENGTH_32 if size == 4 else LENGTH_64
        for i in range(size):
            at[1 + i] = <uint8_t>(n >> (8 * (size - 1 - i)))
        self.n += 1 + size
        return 0

    cdef bint put_integer(self, const char* s, size_t n) except -1:
        cdef int64_t v
        cdef uint8_t* at
        cdef int form, i
        if n > INTEGER_TEXT_MAX or not parse_int64(s, n, &v):
            return False
        if -(1 << 7) <= v < 1 << 7:
            form = INT8
        elif -(1 << 15) <= v < 1 << 15:
            form = INT16
        elif v == <int32_t>v:
            form = INT32
        else:
            return False
        at = self.room(5)
        at[0] = SPECIAL | form
        for i in range(1 << form):
            at[1 + i] = <uint8_t>(v >> (8 * i))
        self.n += 1 + (1 << form)
        return True

    cdef bint put_compressed(self, const char* s, size_t n) except -1:
        cdef uint8_t* packed = <uint8_t*>malloc(n - SAVED_MIN)
        cdef size_t size
        if packed == NULL:
            return False
        try:
            size = lzf_pack(<const uint8_t*>s, n, packed, n - SAVED_MIN)
            if size == 0:
                return False
            self.room(1)[0] = SPECIAL | LZF
            self.n += 1
            self.put_length(size)
            self.put_length(n)
            self.put(packed, size)
            return True
        finally:
            free(packed)

    cdef int put_string(self, const char* s, size_t n) except -1:
        if self.put_integer(s, n) or (self.compress and n > PLAIN_MAX and self.put_compressed(s, n)):
            return 0
        self.put_length(n)
        self.put(s, n)
        return 0

    def byte(self, uint8_t value) -> None:
        self.put_byte(value)

    def raw(self, bytes data not None) -> None:
        self.put(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    def length(self, uint64_t n) -> None:
        self.put_length(n)

    def string(self, bytes value not None) -> None:
        self.put_string(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))

    def double(self, double value) -> None:
        """Eight bytes, little-endian."""
        self.put(&value, sizeof(value))

    def checksum(self, uint64_t crc=0) -> int:
        """The CRC-64 of what is here, going on from `crc`."""
        return crc64_update(crc, self.p, self.n)

    cpdef bytes take(self):
        cdef bytes data = PyBytes_FromStringAndSize(<char*>self.p, self.n)
        self.n = 0
        return data


cdef void text_free(Text* text) noexcept:
    free(text.unpacked)
    text.unpacked = NULL
    text.cap = 0


cdef class Reader:
    def __cinit__(self, data not None, size_t at=0, end=None):
        PyObject_GetBuffer(data, &self.view, PyBUF_SIMPLE)
        self.p = <const uint8_t*>self.view.buf if self.view.len else NOTHING
        self.end = self.view.len if end is None else min(<size_t>end, <size_t>self.view.len)
        self.at = min(at, self.end)

    def __dealloc__(self):
        self.release()

    def release(self) -> None:
        """Let go of the data; nothing can be read afterwards."""
        self.at = self.end = 0
        self.p = NOTHING
        PyBuffer_Release(&self.view)

    @property
    def left(self) -> int:
        return self.end - self.at

    cdef const uint8_t* get(self, uint64_t n) except NULL:
        cdef const uint8_t* p = self.p + self.at
        if n > self.end - self.at:
            raise Malformed("the data ends too early")
        self.at += n
        return p

    cdef uint64_t get_length(self, int* special) except? <uint64_t>-1:
        cdef uint8_t first = self.get(1)[0]
        cdef const uint8_t* p
        cdef uint64_t n = 0
        cdef int i, size
        if special != NULL:
            special[0] = -1
        if first & FORM_MASK == LENGTH_6:
            return first
        if first & FORM_MASK == LENGTH_14:
            return (<uint64_t>(first & 0x3F) << 8) | self.get(1)[0]
        if first == LENGTH_32 or first == LENGTH_64:
            size = 4 if first == LENGTH_32 else 8
            p = self.get(size)
            for i in range(size):
                n = (n << 8) | p[i]
            return n
        if first & FORM_MASK != SPECIAL or special == NULL:
            raise Malformed(f"a length cannot start with {first:#x}")
        special[0] = first & 0x3F
        return 0

    cdef int get_text(self, Text* text) except -1:
        cdef int special
        cdef uint64_t n = self.get_length(&special)
        cdef const uint8_t* p
        cdef int64_t v
        if special < 0:
            text.p = <const char*>self.get(n)
            text.n = n
            return 0
        if special == LZF:
            return self.unpack(text)
        if special > LZF:
            raise Malformed(f"unknown form of a string: {special}")
        p = self.get(1 << special)
        if special == INT8:
            v = <int8_t>p[0]
        elif special == INT16:
            v = <int16_t>(p[0] | (<int>p[1] << 8))
        else:
            v = <int32_t>(p[0] | (<uint32_t>p[1] << 8) | (<uint32_t>p[2] << 16) | (<uint32_t>p[3] << 24))
        text.p = text.digits
        text.n = format_int64(v, text.digits)
        return 0

    cdef int unpack(self, Text* text) except -1:
        """A compressed string. Its length is only a claim, so no more room is taken than its bytes can stand for."""
        cdef uint64_t packed = self.get_length(NULL), n = self.get_length(NULL)
        cdef const uint8_t* p = self.get(packed)
        if n == 0 or n // LZF_GROWTH_MAX > packed:
            raise Malformed("a compressed string that cannot be as long as it says")
        if n > text.cap:
            text_free(text)
            text.unpacked = <char*>malloc(n)
            if text.unpacked == NULL:
                raise Malformed("a compressed string that does not fit into memory")
            text.cap = n
        if lzf_unpack(p, packed, <uint8_t*>text.unpacked, n) != n:
            raise Malformed("a compressed string is broken")
        text.p = text.unpacked
        text.n = n
        return 0

    def checksum(self, size_t start, uint64_t crc=0) -> int:
        """The CRC-64 of what was read since `start`, going on from `crc`."""
        return crc64_update(crc, self.p + start, self.at - start) if start < self.at else crc

    def byte(self) -> int:
        return self.get(1)[0]

    def raw(self, uint64_t n) -> bytes:
        return PyBytes_FromStringAndSize(<const char*>self.get(n), n)

    def length(self) -> int:
        return self.get_length(NULL)

    def string(self) -> bytes:
        cdef Text text
        text.unpacked = NULL
        text.cap = 0
        try:
            self.get_text(&text)
            return PyBytes_FromStringAndSize(text.p, text.n)
        finally:
            text_free(&text)

    def double_text(self) -> float:
        """A length byte and the digits; three lengths stand for what has no digits. So old versions wrote scores."""
        cdef uint8_t n = self.get(1)[0]
        if n == DOUBLE_INFINITY:
            return INFINITY
        if n == DOUBLE_MINUS_INFINITY:
            return -INFINITY
        value = None if n == DOUBLE_NAN else parse_double(self.raw(n))
        if value is None:
            raise Malformed("not a number")
        return value
