# A key of the keyspace in memory: one raw allocation (dict.Entry) of header, expiry if it has one, key, value.
#
# What stands behind the key has no alignment, so integers and pointers there are read and written by memcpy.

from cpython.object cimport PyObject
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from node.engine.structures.dict cimport Entry, KLEN_MASK, VOLATILE
from node.engine.keyspace.packed cimport packed_wake
from node.engine.types.record cimport (
    TYPE_HASH, TYPE_LIST, TYPE_SET, TYPE_STREAM, TYPE_STRING, TYPE_ZSET, ValueType,
)

cdef enum ValueEncoding:
    ENC_INLINE = 0        # string: the bytes stand behind the key
    ENC_INT = 1           # string: an int64 stands behind the key (canonical decimal)
    ENC_RAW = 2           # string: a Raw* stands behind the key
    ENC_OBJECT = 3        # a PyObject* (Hash, Set, List, ZSet, Stream) stands behind the key, one reference owned
    ENC_AWAKE = 4         # the same, of a small collection that will be put to rest (packed.pxd)
    ENC_PACKED = 5        # a small collection at rest: its listpack stands behind the key
    ENC_INTS = 6          # the same: the intset of a set

cdef enum:
    INLINE_MAX = 256      # longer values go to ENC_RAW
    EMBSTR_MAX = 44       # OBJECT ENCODING says embstr up to here, raw above (as Redis); FORCED_RAW marks grown strings
    FORCED_RAW = 0x40000000    # in klen_flags: APPEND, SETRANGE, SETBIT made it: OBJECT ENCODING says raw
    NO_EXPIRE = -1
    CLOCK_MASK = 0xFFFFFF # in meta: the access clock

ctypedef struct Raw:
    uint64_t len
    uint64_t cap
    # bytes

cdef inline uint32_t entry_klen(Entry* e) noexcept nogil:
    return e.klen_flags & KLEN_MASK
cdef inline char* entry_key(Entry* e) noexcept nogil:
    return (<char*>e) + sizeof(Entry) + (8 if e.klen_flags & VOLATILE else 0)
cdef inline char* entry_value(Entry* e) noexcept nogil:
    return entry_key(e) + entry_klen(e)
cdef inline int entry_type(Entry* e) noexcept nogil:
    return (e.meta >> 24) & 15
cdef inline int entry_encoding(Entry* e) noexcept nogil:
    return e.meta >> 28
cdef inline int64_t entry_expire_ms(Entry* e) noexcept nogil:
    return (<int64_t*>((<char*>e) + sizeof(Entry)))[0] if e.klen_flags & VOLATILE else NO_EXPIRE
cdef inline uint32_t entry_shape(int type, int encoding) noexcept nogil:      # the upper part of meta
    return (<uint32_t>type << 24) | (<uint32_t>encoding << 28)

cdef inline Raw* entry_raw(Entry* e) noexcept nogil:
    cdef Raw* raw
    memcpy(&raw, entry_value(e), sizeof(raw))
    return raw
cdef inline int64_t entry_int(Entry* e) noexcept nogil:
    cdef int64_t v
    memcpy(&v, entry_value(e), sizeof(v))
    return v
cdef inline void entry_put_int(Entry* e, int64_t v) noexcept nogil:
    memcpy(entry_value(e), &v, sizeof(v))
cdef inline char* raw_bytes(Raw* raw) noexcept nogil:
    return <char*>raw + sizeof(Raw)

cdef inline object entry_object(Entry* e):            # the collection of an entry from ENC_OBJECT on; it is awake then
    cdef PyObject* value
    if e.meta >> 28 >= ENC_PACKED:
        packed_wake(e)
    memcpy(&value, entry_value(e), sizeof(value))
    return <object>value
# The bytes of a string entry, whatever its encoding: *p and *n. buf (24 bytes) holds the digits of an ENC_INT.
cdef void entry_string(Entry* e, char* buf, char** p, size_t* n) noexcept nogil

cdef size_t entry_length(Entry* e) noexcept nogil     # of a string, in bytes

cdef size_t entry_bytes(Entry* e) noexcept nogil      # of the allocation, as asked for
# A fresh entry without its value; `payload` bytes for it stand behind the key.
cdef Entry* entry_new(const char* key, uint32_t klen, size_t payload, int64_t expire_ms) noexcept nogil
# The same entry with another expiry and payload size, moved if it must; of the payload min(old, new) bytes are kept.
cdef Entry* entry_reshape(Entry* e, size_t payload, int64_t expire_ms) noexcept nogil
cdef void entry_free(Entry* e) noexcept nogil         # the block; the value has been taken care of

cdef Raw* raw_new(size_t n, size_t cap) noexcept nogil
cdef Raw* raw_grow(Raw* raw, size_t n) noexcept nogil # at least n bytes long, zeros beyond the old end
cdef size_t raw_size(Raw* raw) noexcept nogil         # of the allocation, as asked for
cdef void raw_free(Raw* raw) noexcept nogil
