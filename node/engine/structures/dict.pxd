# The hash table under everything: a slot's keys, a hash's fields, a set's members, a sorted set's members.
#
# Open addressing with linear probing over 64-bit words: 48 bits of pointer, 16 bits of tag. The tag is the low 16 bits
# of the item's place, so that tables of up to 65,536 words rehash and delete without touching the items, and a lookup
# touches only the item that it wants. Growth and shrinking are incremental: the old array empties a few runs at a time.
# An item is one raw allocation whose key can be found from its kind.

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t

cdef enum ItemKind:
    KIND_ENTRY = 0        # table.Entry: a key of the keyspace
    KIND_FIELD = 1        # hash.Field
    KIND_MEMBER = 2       # set.Member
    KIND_ZMEMBER = 3      # zset.ZMember

ctypedef struct Dict:
    uint64_t* words       # NULL while empty
    uint64_t* old_words   # not NULL while a resize is under way
    uint32_t used         # items, in both arrays
    uint32_t old_pos      # words of old_words below this are moved
    uint8_t bits          # the array has 2**bits words
    uint8_t old_bits
    uint8_t kind
    uint8_t paused        # > 0: no resizing step (a scan or an iteration is under way)
    uint32_t salt         # odd, and of this table alone; 0 until there is a first array

# The items, as they lie in memory. Each kind starts so that its key is found without a call.
ctypedef struct Entry:                # kind 0
    uint32_t klen_flags               # low 29 bits: key length; the high bits: ENTRY_* flags
    uint32_t vlen                     # ENC_INLINE: length of the value
    uint32_t meta                     # low 24 bits: access clock (LRU seconds, or LFU minutes and counter); then type, encoding
    uint32_t version                  # of the last write, for snapshots
    # [int64 expire_ms, when ENTRY_VOLATILE]  key  value

ctypedef struct Field:                # kind 1
    uint32_t klen_flags               # low 29 bits: field length; FIELD_VOLATILE: an int64 expire_ms follows the header
    uint32_t vlen
    # [int64 expire_ms]  field  value

ctypedef struct Member:               # kind 2
    uint32_t klen
    # member

ctypedef packed struct ZMember:       # kind 3; packed: the member starts at byte 12
    double score
    uint32_t klen
    # member

cdef enum:
    KLEN_MASK = 0x1FFFFFFF
    MORTAL_FIELDS = 0x20000000       # ENTRY: a hash with fields that will die (HEXPIRE)
    VOLATILE = 0x80000000             # ENTRY and FIELD: an int64 expiry in ms stands between the header and the key

cdef uint64_t hash_bytes(const char* p, size_t n) noexcept nogil                    # seeded once a process
# Where an item of that hash belongs in this table: the low bits say in which word, the low 16 are its tag. Each table has its own
# order, with which no other's has anything to do (dict.pyx says why); dict_scan goes through it with reversed bits.
cdef inline uint64_t dict_place(Dict* d, uint64_t h) noexcept nogil:
    cdef uint64_t product = h * d.salt
    return (product >> 32) | (product << 32)
cdef uint64_t random_word() noexcept nogil                                          # the engine's own chance
cdef const char* item_key(uint8_t kind, void* item, uint32_t* klen) noexcept nogil

cdef void dict_init(Dict* d, uint8_t kind) noexcept nogil
cdef void dict_release(Dict* d) noexcept nogil                  # the arrays only; the items are the caller's
cdef void* dict_find(Dict* d, const char* key, uint32_t klen, uint64_t h) noexcept nogil
cdef uint64_t* dict_find_word(Dict* d, const char* key, uint32_t klen, uint64_t h) noexcept nogil   # to replace a reallocated item: word_set
cdef inline void* word_item(uint64_t* word) noexcept nogil:
    return <void*><uintptr_t>(word[0] >> 16)
cdef void word_set(uint64_t* word, void* item) noexcept nogil   # keeps the tag
cdef void dict_insert(Dict* d, void* item, uint64_t h) noexcept nogil               # the key must be absent
cdef void* dict_remove(Dict* d, const char* key, uint32_t klen, uint64_t h) noexcept nogil   # the item, or NULL
# Who will look for many keys in a large table says of each FETCH_AHEAD turns before: then what that touches is there when it is
# needed. A `Coming` begins as zeros.
cdef enum:
    FETCH_BITS = 15                   # smaller tables are in the processor's cache
    FETCH_AHEAD = 8
ctypedef struct Coming:
    uint64_t places[FETCH_AHEAD]
    uint32_t turn
cdef void dict_fetch_far(Dict* d, Coming* coming, const char* key, uint32_t klen) noexcept nogil
cdef inline void dict_fetch(Dict* d, Coming* coming, const char* key, uint32_t klen) noexcept nogil:
    if d.bits > FETCH_BITS:
        dict_fetch_far(d, coming, key, klen)
cdef void* dict_random(Dict* d) noexcept nogil                  # NULL if empty; O(1) expected
cdef uint64_t random_word() noexcept nogil                      # 64 random bits, for choices that nobody needs to repeat
cdef void dict_reserve(Dict* d, size_t n) noexcept nogil
cdef bint dict_step(Dict* d, int words) noexcept nogil          # move some of a resize under way; True while there is more
cdef size_t dict_bytes(Dict* d) noexcept nogil                  # what the arrays occupy
# Visit every item in arrays order: *pos starts at 0; NULL at the end. Inserting or removing meanwhile is not allowed.
cdef void* dict_next(Dict* d, uint64_t* pos) noexcept nogil
# Visit the items of one home bucket and return the next cursor (0 = done), with Redis' guarantees (reverse binary
# cursor; both arrays while resizing). visit(arg, item) may not change the dict.
ctypedef void (*VisitFn)(void* arg, void* item) noexcept
cdef uint64_t dict_scan(Dict* d, uint64_t cursor, VisitFn visit, void* arg) noexcept
