# The keyspace: one Dict a hash slot, entries as single raw allocations (dict.Entry), expiry and access clock inside.

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from node.engine.dict cimport Dict, Entry, KLEN_MASK, VOLATILE

cdef enum ValueType:
    TYPE_STRING = 0
    TYPE_LIST = 1
    TYPE_SET = 2
    TYPE_ZSET = 3
    TYPE_HASH = 4
    TYPE_STREAM = 6

cdef enum ValueEncoding:
    ENC_INLINE = 0        # string: the bytes stand behind the key
    ENC_INT = 1           # string: an int64 stands behind the key (canonical decimal)
    ENC_RAW = 2           # string: a Raw* stands behind the key
    ENC_OBJECT = 3        # a PyObject* (Hash, Set, List, ZSet, Stream) stands behind the key, one reference owned

cdef enum:
    INLINE_MAX = 256      # longer values go to ENC_RAW
    EMBSTR_MAX = 44       # OBJECT ENCODING says embstr up to here, raw above (as Redis); FORCED_RAW marks grown strings
    FORCED_RAW = 0x40000000    # in klen_flags: APPEND, SETRANGE, SETBIT made it: OBJECT ENCODING says raw
    NO_EXPIRE = -1

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
cdef object entry_object(Entry* e)                    # the collection of an ENC_OBJECT entry
# The bytes of a string entry, whatever its encoding: *p and *n. buf (24 bytes) holds the digits of an ENC_INT.
cdef void entry_string(Entry* e, char* buf, char** p, size_t* n) noexcept nogil

cdef uint16_t key_slot(const char* key, size_t n) noexcept nogil      # CRC16 (XMODEM) of the hash tag, mod 16384

cdef class Keyspace:
    """The databases of one node, its clock, its counters, and what waits to be freed (DESIGN: the engine)."""
    cdef readonly list dbs                    # of Db
    cdef public int64_t now_ms                # unix time; the host sets it before each batch
    cdef public bint lfu                      # access clock counts frequency (maxmemory-policy *lfu)
    cdef public int lfu_log_factor
    cdef public int lfu_decay_time
    cdef public bint lazy_expire              # delete a dead key that is touched (primary); False: only hide it (replica)
    cdef public uint32_t version              # stamped into entries that are written
    cdef public uint64_t hits, misses, expired, expired_stale_perc, evicted
    cdef public uint64_t dirty                # changes since the last save
    cdef public object on_expired             # callable(db, key: bytes) | None, after a dead key was deleted
    cdef list _graves                         # emptied slots and big objects, freed in slices
    cdef public size_t lazyfreed, lazyfree_pending
    cdef uint32_t clock(self) noexcept        # the 24-bit access clock for now
    cpdef bint free_some(self, long budget_items)          # True while there is more to free

cdef class Db:
    cdef readonly Keyspace space
    cdef readonly int index
    cdef Dict* slots                          # 16384 of them
    cdef uint32_t* volatile_in_slot           # keys with an expiry, per slot
    cdef uint32_t groups[128]                 # keys in 128 slots each: to find the n-th key's slot quickly
    cdef readonly size_t keys
    cdef readonly size_t volatile_keys

    # Lookups. NULL: absent (or dead). `slot` is key_slot(key). read: counts hit or miss and stamps the access clock;
    # write: stamps only; peek: neither. All of them treat a dead key as absent, and delete it when lazy_expire is on.
    cdef Entry* read(self, const char* key, uint32_t klen, int slot)
    cdef Entry* write(self, const char* key, uint32_t klen, int slot)
    cdef Entry* peek(self, const char* key, uint32_t klen, int slot)
    # Store. The entry may move: use the one returned. put_string picks the encoding (int, inline, raw).
    cdef Entry* put_string(self, const char* key, uint32_t klen, int slot, const char* val, size_t vlen, bint keep_ttl)
    cdef Entry* put_int(self, const char* key, uint32_t klen, int slot, int64_t val, bint keep_ttl)
    cdef Entry* put_object(self, const char* key, uint32_t klen, int slot, int type, object value, bint keep_ttl)
    # A string that will be changed in place: at least `size` bytes long, zero-filled beyond its old end. Raw encoding.
    cdef char* grow_string(self, const char* key, uint32_t klen, int slot, size_t size)
    cdef Entry* set_expire(self, Entry* e, int slot, int64_t at_ms)       # NO_EXPIRE persists it; returns the (moved) entry
    cdef bint remove(self, const char* key, uint32_t klen, int slot, bint lazy)     # False: it was absent
