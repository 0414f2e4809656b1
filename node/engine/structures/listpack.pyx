"""Redis' listpack: a sequence of small values in one block, walked from either end.

    <total: u32> <count: u16> entry ... 0xFF            entry = <encoding and data> <length of those, backwards>

A value that is a canonical decimal integer is stored as an integer, so equal values always have equal bytes when this
module wrote them. A payload from outside (RESTORE, an RDB file) may be less strict: `lp_valid` makes sure that it can
be walked in both directions without leaving the block, and every reader below copes with an integer that was stored in
a longer form, or as a string.

The block has exactly the size that its header says: it grows and shrinks with each change. The allocator's size
classes make most of these steps free, and it keeps the memory of a million small hashes at what they hold.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int8_t, int16_t, int32_t, uint16_t, uint64_t
from libc.string cimport memcmp, memcpy, memmove
from node.engine.memory.alloc cimport mem_alloc, mem_free, mem_realloc
from node.engine.structures.digits cimport format_int64, parse_int64

cdef enum:
    HEADER = 6
    COUNT_UNKNOWN = 65535       # the count field's "too many, walk"
    EOF = 0xFF
    INT13 = 0xC0
    STR12 = 0xE0
    STR32 = 0xF0
    INT16 = 0xF1
    INT24 = 0xF2
    INT32 = 0xF3
    INT64 = 0xF4


ctypedef struct Encoded:
    # A value ready to be written: head (all of it, for an integer), then `data` bytes of the string, then the backlen.
    unsigned char head[9]
    uint32_t head_len
    uint32_t data_len
    uint32_t back_len


# --- Numbers in the block ----------------------------------------------------------------------------------------

cdef inline uint32_t load32(const unsigned char* p) noexcept nogil:
    return p[0] | (<uint32_t>p[1] << 8) | (<uint32_t>p[2] << 16) | (<uint32_t>p[3] << 24)


cdef inline void store32(unsigned char* p, uint32_t v) noexcept nogil:
    p[0] = v & 255
    p[1] = (v >> 8) & 255
    p[2] = (v >> 16) & 255
    p[3] = v >> 24


cdef inline uint32_t stored_count(lp_t lp) noexcept nogil:
    return lp[4] | (<uint32_t>lp[5] << 8)


cdef inline void store_count(lp_t lp, uint32_t n) noexcept nogil:
    if n > COUNT_UNKNOWN:
        n = COUNT_UNKNOWN
    lp[4] = n & 255
    lp[5] = n >> 8


cdef inline uint32_t back_size(uint64_t n) noexcept nogil:
    """Bytes of the backlen of an entry of n bytes. The limits are Redis', one short of what would fit."""
    if n <= 127:
        return 1
    if n < 16383:
        return 2
    if n < 2097151:
        return 3
    if n < 268435455:
        return 4
    return 5


cdef inline void write_back(unsigned char* p, uint32_t size, uint64_t n) noexcept nogil:
    """The backlen: 7 bits a byte, lowest last, each byte but the first with its top bit set, to be read backwards."""
    cdef uint32_t i = size
    while i > 1:
        i -= 1
        p[i] = (n & 127) | 128
        n >>= 7
    p[0] = <unsigned char>n


cdef inline uint64_t read_back(const unsigned char* p) noexcept nogil:
    """The backlen whose last byte is p[0]; a number that no entry has when it is longer than five bytes."""
    cdef uint64_t n = 0
    cdef int shift = 0
    while True:
        n |= <uint64_t>(p[0] & 127) << shift
        if not p[0] & 128:
            return n
        shift += 7
        p -= 1
        if shift > 28:
            return <uint64_t>-1


# --- Entries -----------------------------------------------------------------------------------------------------

cdef inline uint64_t body_size(const unsigned char* p) noexcept nogil:
    """Bytes of the entry at p without its backlen; 0 for a byte that begins no entry."""
    cdef unsigned char b = p[0]
    if b < 0x80:
        return 1
    if b < 0xC0:
        return 1 + (b & 0x3F)
    if b < 0xE0:
        return 2
    if b < 0xF0:
        return 2 + ((<uint32_t>(b & 15) << 8) | p[1])
    if b == STR32:
        return 5 + <uint64_t>load32(p + 1)
    if b == INT16:
        return 3
    if b == INT24:
        return 4
    if b == INT32:
        return 5
    if b == INT64:
        return 9
    return 0


cdef inline lp_t skip(lp_t p) noexcept nogil:
    cdef uint64_t n
    if p[0] < 0xE0:                                   # at most 64 bytes: a backlen of one byte
        if p[0] < 0x80:
            return p + 2
        if p[0] < 0xC0:
            return p + 2 + (p[0] & 0x3F)
        return p + 3
    n = body_size(p)
    return p + n + back_size(n)


cdef inline bint is_string(lp_t p, char** s, uint32_t* n) noexcept nogil:
    cdef unsigned char b = p[0]
    if b < 0x80:
        return False
    if b < 0xC0:
        s[0] = <char*>p + 1
        n[0] = b & 0x3F
        return True
    if b < 0xE0:
        return False
    if b < 0xF0:
        s[0] = <char*>p + 2
        n[0] = (<uint32_t>(b & 15) << 8) | p[1]
        return True
    if b == STR32:
        s[0] = <char*>p + 5
        n[0] = load32(p + 1)
        return True
    return False


cdef inline int64_t integer_at(lp_t p) noexcept nogil:
    """The value of an entry that is not a string."""
    cdef unsigned char b = p[0]
    cdef uint32_t u
    if b < 0x80:
        return b
    if b < 0xE0:
        u = (<uint32_t>(b & 0x1F) << 8) | p[1]
        return <int64_t>u - 8192 if u >= 4096 else <int64_t>u
    if b == INT16:
        return <int16_t>(p[1] | (<uint16_t>p[2] << 8))
    if b == INT24:
        u = p[1] | (<uint32_t>p[2] << 8) | (<uint32_t>p[3] << 16)
        return <int64_t>u - 16777216 if u >= 8388608 else <int64_t>u
    if b == INT32:
        return <int32_t>load32(p + 1)
    return <int64_t>(load32(p + 1) | (<uint64_t>load32(p + 5) << 32))


cdef void encode_int(int64_t v, Encoded* e) noexcept nogil:
    cdef uint64_t u = <uint64_t>v
    cdef uint32_t i
    e.data_len = 0
    e.back_len = 1
    if 0 <= v <= 127:
        e.head[0] = <unsigned char>v
        e.head_len = 1
        return
    if -4096 <= v <= 4095:
        e.head[0] = INT13 | ((u >> 8) & 0x1F)
        e.head[1] = u & 255
        e.head_len = 2
        return
    if -32768 <= v <= 32767:
        e.head[0] = INT16
        e.head_len = 3
    elif -8388608 <= v <= 8388607:
        e.head[0] = INT24
        e.head_len = 4
    elif -2147483648 <= v <= 2147483647:
        e.head[0] = INT32
        e.head_len = 5
    else:
        e.head[0] = INT64
        e.head_len = 9
    for i in range(1, e.head_len):
        e.head[i] = u & 255
        u >>= 8


cdef void encode(const char* s, uint32_t n, Encoded* e) noexcept nogil:
    cdef int64_t v
    if parse_int64(s, n, &v):
        encode_int(v, e)
        return
    e.data_len = n
    if n < 64:
        e.head[0] = 0x80 | n
        e.head_len = 1
        e.back_len = 1
        return
    if n < 4096:
        e.head[0] = STR12 | (n >> 8)
        e.head[1] = n & 255
        e.head_len = 2
    else:
        e.head[0] = STR32
        store32(e.head + 1, n)
        e.head_len = 5
    e.back_len = back_size(<uint64_t>e.head_len + n)


cdef inline void write_entry(unsigned char* p, Encoded* e, const char* s) noexcept nogil:
    memcpy(p, e.head, e.head_len)
    if e.data_len:
        memcpy(p + e.head_len, s, e.data_len)
    write_back(p + e.head_len + e.data_len, e.back_len, <uint64_t>e.head_len + e.data_len)


cdef lp_t splice(lp_t lp, uint32_t offset, uint32_t old, uint32_t new) noexcept nogil:
    """Make `new` bytes of room where `old` bytes stand at offset, moving what follows and updating the total."""
    cdef uint32_t total = load32(lp)
    cdef uint32_t tail = total - offset - old
    if new > old:
        lp = <lp_t>mem_realloc(lp, total, total + (new - old))
        memmove(lp + offset + new, lp + offset + old, tail)
    elif new < old:
        memmove(lp + offset + new, lp + offset + old, tail)
        lp = <lp_t>mem_realloc(lp, total, total - (old - new))
    store32(lp, total + new - old)
    return lp


cdef lp_t put(lp_t lp, uint32_t offset, uint32_t old, const char* s, uint32_t n) noexcept nogil:
    """Write a value at offset, in place of `old` bytes. The count is the caller's."""
    cdef Encoded e
    encode(s, n, &e)
    lp = splice(lp, offset, old, e.head_len + e.data_len + e.back_len)
    write_entry(lp + offset, &e, s)
    return lp


cdef inline void count_one_more(lp_t lp) noexcept nogil:
    cdef uint32_t count = stored_count(lp)
    if count != COUNT_UNKNOWN:
        store_count(lp, count + 1)


# --- The contract (listpack.pxd) ---------------------------------------------------------------------------------

cdef lp_t lp_new() noexcept nogil:
    cdef lp_t lp = <lp_t>mem_alloc(HEADER + 1)
    store32(lp, HEADER + 1)
    store_count(lp, 0)
    lp[HEADER] = EOF
    return lp


cdef lp_t lp_copy(const unsigned char* p, uint32_t n) noexcept nogil:
    cdef lp_t lp = <lp_t>mem_alloc(n)
    memcpy(lp, p, n)
    return lp


cdef void lp_free(lp_t lp) noexcept nogil:
    mem_free(lp, load32(lp))


cdef uint32_t lp_bytes(lp_t lp) noexcept nogil:
    return load32(lp)


cdef uint32_t lp_count(lp_t lp) noexcept nogil:
    cdef uint32_t count = stored_count(lp)
    cdef lp_t p
    if count != COUNT_UNKNOWN:
        return count
    count = 0
    p = lp + HEADER
    while p[0] != EOF:
        count += 1
        p = skip(p)
    store_count(lp, count)                            # it may have come down to what the field can say
    return count


cdef lp_t lp_first(lp_t lp) noexcept nogil:
    return lp + HEADER if lp[HEADER] != EOF else NULL


cdef lp_t lp_last(lp_t lp) noexcept nogil:
    return lp_prev(lp, lp + load32(lp) - 1)


cdef lp_t lp_next(lp_t lp, lp_t p) noexcept nogil:
    p = skip(p)
    return p if p[0] != EOF else NULL


cdef lp_t lp_prev(lp_t lp, lp_t p) noexcept nogil:
    cdef uint64_t n
    if p == lp + HEADER:
        return NULL
    n = read_back(p - 1)
    return p - n - back_size(n)


cdef lp_t lp_seek(lp_t lp, long index) noexcept nogil:
    cdef long count = stored_count(lp)
    cdef lp_t p
    if count != COUNT_UNKNOWN:
        if index < -count or index >= count:
            return NULL
        if index < 0:
            index += count
        if index > count // 2:                        # nearer from the end
            index -= count
    if index >= 0:
        p = lp_first(lp)
        while index > 0 and p != NULL:
            p = lp_next(lp, p)
            index -= 1
    else:
        p = lp_last(lp)
        while index < -1 and p != NULL:
            p = lp_prev(lp, p)
            index += 1
    return p


cdef void lp_get(lp_t p, char* buf, char** s, uint32_t* n) noexcept nogil:
    if not is_string(p, s, n):
        n[0] = format_int64(integer_at(p), buf)
        s[0] = buf


cdef bint lp_get_int(lp_t p, int64_t* v) noexcept nogil:
    cdef char* s
    cdef uint32_t n
    if is_string(p, &s, &n):
        return False
    v[0] = integer_at(p)
    return True


cdef bint lp_equals(lp_t p, const char* s, uint32_t n) noexcept nogil:
    cdef char* mine
    cdef uint32_t mine_len
    cdef int64_t v
    if is_string(p, &mine, &mine_len):
        return mine_len == n and memcmp(mine, s, n) == 0
    return parse_int64(s, n, &v) and v == integer_at(p)


cdef lp_t lp_find(lp_t lp, lp_t p, const char* s, uint32_t n, int skip_count) noexcept nogil:
    cdef char* theirs
    cdef uint32_t theirs_len
    cdef int64_t v = 0
    cdef bint is_int = parse_int64(s, n, &v)
    cdef int i
    if p == NULL:
        return NULL
    while p[0] != EOF:
        if is_string(p, &theirs, &theirs_len):
            if theirs_len == n and memcmp(theirs, s, n) == 0:
                return p
        elif is_int and integer_at(p) == v:
            return p
        p = skip(p)
        for i in range(skip_count):
            if p[0] == EOF:
                return NULL
            p = skip(p)
    return NULL


cdef lp_t lp_append(lp_t lp, const char* s, uint32_t n) noexcept nogil:
    lp = put(lp, load32(lp) - 1, 0, s, n)
    count_one_more(lp)
    return lp


cdef lp_t lp_append_int(lp_t lp, int64_t v) noexcept nogil:
    cdef Encoded e
    cdef uint32_t offset = load32(lp) - 1
    encode_int(v, &e)
    lp = splice(lp, offset, 0, e.head_len + e.back_len)
    write_entry(lp + offset, &e, "")
    count_one_more(lp)
    return lp


cdef lp_t lp_prepend(lp_t lp, const char* s, uint32_t n) noexcept nogil:
    lp = put(lp, HEADER, 0, s, n)
    count_one_more(lp)
    return lp


cdef lp_t lp_insert(lp_t lp, const char* s, uint32_t n, lp_t p, bint after, lp_t* at) noexcept nogil:
    cdef uint32_t offset
    if after:
        p = skip(p)
    offset = <uint32_t>(p - lp)
    lp = put(lp, offset, 0, s, n)
    count_one_more(lp)
    if at != NULL:
        at[0] = lp + offset
    return lp


cdef lp_t lp_replace(lp_t lp, lp_t p, const char* s, uint32_t n, lp_t* at) noexcept nogil:
    cdef uint32_t offset = <uint32_t>(p - lp)
    lp = put(lp, offset, <uint32_t>(skip(p) - p), s, n)
    if at != NULL:
        at[0] = lp + offset
    return lp


cdef lp_t lp_delete(lp_t lp, lp_t p, uint32_t count, lp_t* at) noexcept nogil:
    cdef uint32_t offset = <uint32_t>(p - lp)
    cdef uint32_t known = stored_count(lp)
    cdef uint32_t done = 0
    while done < count and p[0] != EOF:
        p = skip(p)
        done += 1
    lp = splice(lp, offset, <uint32_t>(p - lp) - offset, 0)
    if known != COUNT_UNKNOWN:
        store_count(lp, known - done)
    if at != NULL:
        at[0] = lp + offset if lp[offset] != EOF else NULL
    return lp


cdef lp_t packed(const unsigned char* entries, uint32_t n, uint32_t count) noexcept nogil:
    """A listpack of these n bytes of entries."""
    cdef lp_t lp = <lp_t>mem_alloc(HEADER + n + 1)
    store32(lp, HEADER + n + 1)
    store_count(lp, count)
    memcpy(lp + HEADER, entries, n)
    lp[HEADER + n] = EOF
    return lp


cdef lp_t lp_split(lp_t lp, lp_t p, lp_t* rest) noexcept nogil:
    cdef uint32_t before = <uint32_t>(p - lp) - HEADER
    cdef uint32_t after = load32(lp) - HEADER - 1 - before
    cdef uint32_t count = lp_count(lp), count_before = 0
    cdef lp_t q = lp + HEADER
    cdef lp_t first
    while q != p:
        count_before += 1
        q = skip(q)
    if before < after:                                # the smaller part gets the new block
        first = packed(lp + HEADER, before, count_before)
        rest[0] = splice(lp, HEADER, before, 0)
    else:
        rest[0] = packed(p, after, count - count_before)
        first = splice(lp, HEADER + before, after, 0)
    store_count(first, count_before)
    store_count(rest[0], count - count_before)
    return first


cdef lp_t lp_join(lp_t a, lp_t b) noexcept nogil:
    cdef uint32_t offset = load32(a) - 1
    cdef uint32_t body = load32(b) - HEADER - 1
    cdef uint32_t count = lp_count(a) + lp_count(b)
    a = splice(a, offset, 0, body)
    memcpy(a + offset, b + HEADER, body)
    store_count(a, count)
    lp_free(b)
    return a


cdef uint32_t lp_entry_bytes(const char* s, uint32_t n) noexcept nogil:
    cdef Encoded e
    encode(s, n, &e)
    return e.head_len + e.data_len + e.back_len


cdef inline uint32_t head_size(const unsigned char* p) noexcept nogil:
    """Bytes that must be readable at p before body_size may be asked."""
    if p[0] == STR32:
        return 5
    if 0xE0 <= p[0] < 0xF0:
        return 2
    return 1


cdef bint lp_valid(const unsigned char* p, size_t n) noexcept nogil:
    cdef const unsigned char* end = p + n - 1          # the terminator
    cdef const unsigned char* q = p + HEADER
    cdef uint64_t body
    cdef uint32_t back, count = 0
    if n < HEADER + 1 or n > LP_MAX_BYTES or load32(p) != n or end[0] != EOF:
        return False
    while q < end:
        if head_size(q) > <size_t>(end - q):
            return False
        body = body_size(q)
        back = back_size(body)
        if body == 0 or body + back > <size_t>(end - q):
            return False
        q += body + back
        if read_back(q - 1) != body or read_back_size(q - 1) != back:
            return False
        count += 1
    if stored_count(<lp_t>p) != COUNT_UNKNOWN:
        return stored_count(<lp_t>p) == count
    return True


cdef inline uint32_t read_back_size(const unsigned char* p) noexcept nogil:
    """Bytes of the backlen that ends at p, once read_back has accepted it."""
    cdef uint32_t n = 1
    while p[0] & 128:
        p -= 1
        n += 1
    return n


# --- For Python --------------------------------------------------------------------------------------------------

cdef bytes element(lp_t p):
    cdef char buf[24]
    cdef char* s
    cdef uint32_t n
    lp_get(p, buf, &s, &n)
    return PyBytes_FromStringAndSize(s, n)


def pack(items) -> bytes:
    """The listpack of these values."""
    cdef lp_t lp = lp_new()
    cdef bytes item
    try:
        for item in items:
            if <size_t>load32(lp) + PyBytes_GET_SIZE(item) > LP_MAX_BYTES:
                raise ValueError("too much for one listpack")
            lp = lp_append(lp, PyBytes_AS_STRING(item), <uint32_t>PyBytes_GET_SIZE(item))
        return PyBytes_FromStringAndSize(<char*>lp, load32(lp))
    finally:
        lp_free(lp)


def unpack(bytes data) -> list:
    """The values of a listpack that came from outside; ValueError when it is not whole."""
    cdef lp_t lp = <lp_t>PyBytes_AS_STRING(data)
    cdef lp_t p = lp + HEADER
    cdef list out = []
    if not lp_valid(lp, PyBytes_GET_SIZE(data)):
        raise ValueError("not a listpack")
    while p[0] != EOF:
        out.append(element(p))
        p = skip(p)
    return out
