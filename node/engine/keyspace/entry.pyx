"""Entries: making, reshaping and reading them (entry.pxd shows their layout)."""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcpy, memmove, memset

from node.engine.memory.alloc cimport mem_alloc, mem_fits, mem_free, mem_grow_zeroed
from node.engine.structures.digits cimport format_int64
from node.engine.keyspace.packed cimport packed_moved

cdef enum:
    DOUBLING_MAX = 1 << 20       # a growing string doubles up to here, then grows by this much


cdef inline size_t header_size(bint is_volatile) noexcept nogil:
    return sizeof(Entry) + (8 if is_volatile else 0)


cdef inline size_t payload_size(Entry* e) noexcept nogil:
    return e.vlen if entry_encoding(e) == ENC_INLINE else 8


cdef size_t entry_bytes(Entry* e) noexcept nogil:
    return header_size(e.klen_flags & VOLATILE) + entry_klen(e) + payload_size(e)


cdef inline void set_expiry(Entry* e, int64_t expire_ms) noexcept nogil:
    if expire_ms != NO_EXPIRE:
        (<int64_t*>((<char*>e) + sizeof(Entry)))[0] = expire_ms


cdef Entry* entry_new(const char* key, uint32_t klen, size_t payload, int64_t expire_ms) noexcept nogil:
    cdef bint is_volatile = expire_ms != NO_EXPIRE
    cdef Entry* e = <Entry*>mem_alloc(header_size(is_volatile) + klen + payload)
    e.klen_flags = klen | (<uint32_t>VOLATILE if is_volatile else 0)
    e.vlen = <uint32_t>payload
    e.meta = 0
    e.version = 0
    set_expiry(e, expire_ms)
    memcpy(entry_key(e), key, klen)
    return e


cdef Entry* entry_reshape(Entry* e, size_t payload, int64_t expire_ms) noexcept nogil:
    cdef bint is_volatile = expire_ms != NO_EXPIRE
    cdef uint32_t klen = entry_klen(e)
    cdef size_t old_payload = payload_size(e), keep = old_payload if old_payload < payload else payload
    cdef size_t old_size = entry_bytes(e), size = header_size(is_volatile) + klen + payload
    cdef Entry* to = e if mem_fits(old_size, size) else <Entry*>mem_alloc(size)
    if to == e and is_volatile == (e.klen_flags & VOLATILE != 0):
        if entry_encoding(e) != ENC_AWAKE:
            e.vlen = <uint32_t>payload
        set_expiry(e, expire_ms)
        return e
    memmove(<char*>to + header_size(is_volatile), entry_key(e), klen + keep)
    to.klen_flags = (e.klen_flags & ~<uint32_t>VOLATILE) | (<uint32_t>VOLATILE if is_volatile else 0)
    to.vlen = e.vlen if entry_encoding(e) == ENC_AWAKE else <uint32_t>payload
    to.meta = e.meta
    to.version = e.version
    set_expiry(to, expire_ms)
    if to != e:
        if entry_encoding(to) == ENC_AWAKE:
            packed_moved(to)
        mem_free(e, old_size)
    return to


cdef void entry_free(Entry* e) noexcept nogil:
    mem_free(e, entry_bytes(e))


cdef void entry_string(Entry* e, char* buf, char** p, size_t* n) noexcept nogil:
    cdef int encoding = entry_encoding(e)
    cdef Raw* raw
    if encoding == ENC_INLINE:
        p[0] = entry_value(e)
        n[0] = e.vlen
    elif encoding == ENC_INT:
        p[0] = buf
        n[0] = format_int64(entry_int(e), buf)
    else:
        raw = entry_raw(e)
        p[0] = raw_bytes(raw)
        n[0] = raw.len


cdef size_t entry_length(Entry* e) noexcept nogil:
    cdef char digits[24]
    cdef char* text
    cdef size_t n
    entry_string(e, digits, &text, &n)
    return n


# -- long strings ------------------------------------------------------------------------------------------------------

cdef Raw* raw_new(size_t n, size_t cap) noexcept nogil:
    cdef Raw* raw = <Raw*>mem_alloc(sizeof(Raw) + cap)
    raw.len = n
    raw.cap = cap
    return raw


cdef size_t raw_size(Raw* raw) noexcept nogil:
    return sizeof(Raw) + raw.cap


cdef void raw_free(Raw* raw) noexcept nogil:
    mem_free(raw, raw_size(raw))


cdef Raw* raw_grow(Raw* raw, size_t n) noexcept nogil:
    cdef size_t cap
    if n <= raw.len:
        return raw
    if n > raw.cap:
        # Strings that grow once grow again, so take more; a first jump from nothing takes what it asks for.
        cap = n if raw.len == 0 else n * 2 if n < DOUBLING_MAX else n + DOUBLING_MAX
        memset(raw_bytes(raw) + raw.len, 0, raw.cap - raw.len)
        raw = <Raw*>mem_grow_zeroed(raw, sizeof(Raw) + raw.cap, sizeof(Raw) + cap)
        raw.cap = cap
    else:
        memset(raw_bytes(raw) + raw.len, 0, n - raw.len)
    raw.len = n
    return raw
