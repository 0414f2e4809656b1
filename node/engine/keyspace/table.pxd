# The keyspace: one Dict a hash slot, entries as single raw allocations (entry.pxd), expiry and access clock inside.

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from node.engine.structures.dict cimport Dict, Entry, KLEN_MASK, VOLATILE
from node.engine.keyspace.entry cimport (
    CLOCK_MASK, EMBSTR_MAX, ENC_AWAKE, ENC_INLINE, ENC_INT, ENC_OBJECT, ENC_PACKED, ENC_RAW, FORCED_RAW, INLINE_MAX,
    NO_EXPIRE, Raw, TYPE_HASH, TYPE_LIST, TYPE_SET, TYPE_STREAM, TYPE_STRING, TYPE_ZSET, ValueEncoding, ValueType,
    entry_encoding, entry_expire_ms, entry_int, entry_key, entry_klen, entry_object, entry_put_int, entry_raw, entry_string, entry_type, entry_value,
    raw_bytes,
)
from node.engine.structures.glob cimport Glob
from node.engine.keyspace.graves cimport Grave
from node.engine.keyspace.keyslot cimport SLOTS, key_slot

cdef class Saver:
    """Who wants to see what is about to change: the snapshots that are being taken (snapshot.pyx)."""
    cdef void before_change(self, Db db, Entry* e, int slot) noexcept
    # A database loses all its keys at once. True: the slots are kept, and buried when they are no longer needed.
    cdef bint keep_slots(self, Db db, Dict* slots, size_t pending, bint lazy) noexcept
    cdef void swapped(self, Db a, Db b) noexcept
    cdef size_t held_bytes(self) noexcept      # what it alone still has of what was deleted

cdef class Keyspace:
    """The databases of one node, its clock, its counters, and what waits to be freed (DESIGN: the engine)."""
    cdef readonly list dbs                    # of Db
    cdef public int64_t now_ms                # unix time; the host sets it before each batch
    cdef public bint lfu                      # access clock counts frequency (maxmemory-policy *lfu)
    cdef public int lfu_log_factor
    cdef public int lfu_decay_time
    cdef public bint lazy_expire              # delete a dead key that is touched (primary); False: only hide it (replica)
    cdef public bint paused                   # CLIENT PAUSE: dead keys are hidden, and stay
    cdef public bint active_expire            # DEBUG SET-ACTIVE-EXPIRE
    cdef public bint show_dead                # dead keys count as alive: while loading, and for what a primary sends
    cdef public bint no_touch                 # lookups leave the access clock alone (CLIENT NO-TOUCH)
    cdef public uint32_t version              # stamped into entries that are written
    cdef readonly uint32_t unsaved_below      # entries of a lower version go to the saver before they change; 0: there is none
    cdef Saver saver                          # or None
    cdef public uint64_t hits, misses, expired, evicted, expire_capped
    cdef public double expired_stale_perc
    cdef public uint64_t dirty                # changes since the last save
    cdef public object on_created             # callable(db, key: bytes) | None, after a key was added
    cdef public object on_fields_expired      # callable(db, key, fields, emptied) | None, after dead fields were deleted
    cdef public uint64_t expired_fields
    cdef public object on_expired             # callable(db, key: bytes) | None, after a dead key was deleted
    cdef list _graves                         # emptied slots and big objects, freed in slices
    cdef public size_t lazyfree_pending       # objects in them
    cdef public size_t lazyfreed              # objects freed since, where a command asked for lazy freeing
    cdef object _expiry, _eviction            # the walk of the active expiry; the pool of candidates
    cdef uint32_t clock(self) noexcept        # the 24-bit access clock for now
    cdef uint32_t frequency(self, uint32_t clock) noexcept # LFU counter of an access clock, decayed to now
    cdef uint32_t idle_s(self, uint32_t clock) noexcept    # LRU seconds since an access clock
    cdef bint is_dead(self, Entry* e) noexcept
    cdef int bury(self, Grave grave, bint counted) except -1
    cpdef bint free_some(self, long budget_items)          # True while there is more to free; the host calls it regularly

cdef class Db:
    cdef readonly Keyspace space
    cdef readonly int index
    cdef Dict* slots                          # 16384 of them; NULL until the first key, and again after a flush
    cdef uint32_t* volatile_in_slot           # keys with an expiry, per slot; as above
    cdef uint32_t groups[128]                 # keys in 128 slots each: to find the n-th key's slot quickly
    cdef uint32_t volatile_groups[128]        # the same for keys with an expiry
    cdef readonly size_t size                 # keys
    cdef readonly size_t volatile_keys
    cdef object mortal                        # ZSet of the hashes with fields that will die, by the first death; or None
    cdef public int64_t avg_ttl               # ms, estimated by the active expiry

    # Lookups. NULL: absent (or dead). `slot` is key_slot(key). read: counts hit or miss and stamps the access clock;
    # write: stamps clock and version; peek: neither. All of them treat a dead key as absent, and delete it when
    # lazy_expire is on.
    cdef Entry* read(self, const char* key, uint32_t klen, int slot) except? NULL
    cdef Entry* write(self, const char* key, uint32_t klen, int slot) except? NULL
    cdef Entry* peek(self, const char* key, uint32_t klen, int slot) except? NULL
    # Store. The entry may move: use the one returned. put_string picks the encoding (int, inline, raw). Neither key nor
    # val may point into the entry that is overwritten.
    cdef Entry* put_string(self, const char* key, uint32_t klen, int slot, const char* val, size_t vlen,
                           bint keep_ttl) except NULL
    cdef Entry* put_string_until(self, const char* key, uint32_t klen, int slot, const char* val, size_t vlen,
                                 int64_t at_ms) except NULL                # with its expiry at once (SET EX)
    cdef Entry* put_int(self, const char* key, uint32_t klen, int slot, int64_t val, bint keep_ttl) except NULL
    cdef Entry* put_object(self, const char* key, uint32_t klen, int slot, int type, object value,
                           bint keep_ttl) except NULL
    # A string that will be changed in place: at least `size` bytes long, zero-filled beyond its old end, never ENC_INT,
    # marked FORCED_RAW. Made if absent. Valid until the next change.
    cdef char* grow_string(self, const char* key, uint32_t klen, int slot, size_t size) except NULL
    cdef Entry* set_expire(self, Entry* e, int slot, int64_t at_ms) noexcept  # NO_EXPIRE persists it; returns the (moved) entry
    cdef bint remove(self, const char* key, uint32_t klen, int slot, bint lazy) except -1    # False: it was absent

    # For the modules that walk the keyspace.
    cdef int next_slot(self, int slot) noexcept            # the first slot from `slot` on that has keys; -1: none
    cdef int next_volatile_slot(self, int slot) noexcept   # the same for keys with an expiry
    cdef Entry* random_entry(self) noexcept                # each as likely, dead or alive; NULL: empty
    cdef bint expire(self, bytes key) except -1            # delete it if it is dead, and tell; False: it is not

    # Inside.
    cdef Entry* without_dead_fields(self, Entry* e, int slot) except? NULL
    cdef int note_deaths(self, bytes key, Entry* e) except -1
    cdef Entry* find(self, const char* key, uint32_t klen, int slot) except? NULL
    cdef Entry* place(self, const char* key, uint32_t klen, int slot, uint32_t shape, size_t payload,
                      int64_t at_ms) except NULL
    cdef Entry* put_text(self, const char* key, uint32_t klen, int slot, const char* val, size_t vlen,
                         int64_t at_ms, bint as_number) except NULL
    cpdef void prepare(self) noexcept
    cdef void insert(self, Entry* e, int slot, uint64_t h) noexcept
    cdef void exchange_slot(self, Db other, int slot) noexcept     # with its counts; both are prepared
    cdef Entry* detach(self, const char* key, uint32_t klen, int slot) noexcept
    cdef void count_volatile(self, int slot, int by) noexcept
    cdef int discard(self, Entry* e, bint lazy) except -1
    cdef object value_of(self, Entry* e)
    cdef Entry* become(self, Entry* e, int slot, int encoding, size_t payload) noexcept
    cdef bint set_clock(self, bytes key, uint32_t clock) except -1
    cdef int gather(self, int slot, long limit, Glob wanted, list found) except -1

