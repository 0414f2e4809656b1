"""The hash table under everything (dict.pxd is the contract).

A word is an item's address shifted left by 16, plus the item's tag: the low 16 bits of its place. Zero is empty. An item's
home is the low `bits` bits of its place, and it lies in the first free word from there on.

An item's place is its hash seen through the table's salt (dict_place). Were it the hash alone, two tables would have the same
order, and one that is filled in the order of another, larger one would pile everything up in the part of its array that this
order has come to: time grew with the square (SUNIONSTORE of 700,000 members took 20 s). And members travel in a table's
order all the time: through commands, scripts, files, and clients that read here and write there.

Where a word lies and its tag together give its home even in arrays of more than 2**16 words, since no word is displaced
by 65,536 (at 7/8 load that is beyond any chance, and the hash is seeded so that nobody can arrange it). So deleting,
scanning and shrinking never touch the items; only growth beyond 2**16 words hashes keys again, for the one bit more.

A resize leaves the old array beside the new one and moves some words at each call. A moved or deleted word of the old array
becomes a tombstone, so that what lies behind it is still found; in the current array a deletion shifts the words behind
it back, so that there are no tombstones to clean up.
"""

import os
import struct

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcmp

from node.engine.memory.alloc cimport mem_calloc_huge, mem_free, mem_size

cdef extern from *:
    """
    #include <string.h>
    static inline uint64_t shardis_mix(uint64_t a, uint64_t b) {
        unsigned __int128 product = (unsigned __int128)a * b;
        return (uint64_t)product ^ (uint64_t)(product >> 64);
    }
    static inline uint64_t shardis_read8(const char* p) { uint64_t v; memcpy(&v, p, 8); return v; }
    static inline uint64_t shardis_read4(const char* p) { uint32_t v; memcpy(&v, p, 4); return v; }
    """
    uint64_t mix "shardis_mix"(uint64_t a, uint64_t b) noexcept nogil
    uint64_t read8 "shardis_read8"(const char* p) noexcept nogil
    uint64_t read4 "shardis_read4"(const char* p) noexcept nogil
    void prefetch "__builtin_prefetch"(const void* p) noexcept nogil

cdef enum:
    TAG_BITS = 16
    TAG_MASK = 0xFFFF
    MIN_BITS = 2
    FULL_BITS = 6                # arrays up to this size are filled further
    AT_ONCE_BITS = 10            # arrays up to this size are resized in one go
    STEP_WRITE = 16              # words moved by an insert or a removal: enough to finish before the new array fills
    STEP_READ = 4
    AHEAD = 32                   # words between an item that is visited and one that is fetched

cdef uint64_t TOMBSTONE = 1 << TAG_BITS       # an address that no item has

# -- hash --------------------------------------------------------------------------------------------------------------

# Odd constants with balanced bits; the seeds make the whole unpredictable from outside.
cdef uint64_t SALT_1 = <uint64_t>0x9E3779B97F4A7C15
cdef uint64_t SALT_2 = <uint64_t>0xC2B2AE3D27D4EB4F
cdef uint64_t seed, seed_2, random_state, salt_state


cdef uint64_t hash_bytes(const char* p, size_t n) noexcept nogil:
    """A multiply-and-fold hash in the manner of wyhash: 16 bytes a multiplication."""
    cdef uint64_t h = seed ^ n, a, b
    cdef size_t left = n
    while left > 16:
        h = mix(read8(p) ^ seed_2, read8(p + 8) ^ h)
        p += 16
        left -= 16
    if left >= 8:
        a = read8(p)
        b = read8(p + left - 8)
    elif left >= 4:
        a = read4(p)
        b = read4(p + left - 4)
    elif left:
        a = (<uint64_t>(<const unsigned char*>p)[0] << 16) | (<uint64_t>(<const unsigned char*>p)[left >> 1] << 8) \
            | (<const unsigned char*>p)[left - 1]
        b = 0
    else:
        a = b = 0
    return mix(mix(a ^ seed_2, b ^ h) ^ SALT_1, n ^ SALT_2)


cdef uint64_t random_word() noexcept nogil:
    global random_state
    random_state += SALT_1
    return mix(random_state, random_state ^ SALT_2)


cdef uint32_t new_salt() noexcept nogil:
    """An odd number for dict_place."""
    global salt_state
    salt_state += SALT_2
    return <uint32_t>mix(salt_state, salt_state ^ SALT_1) | 1


def reseed(bytes entropy):
    """Seed hashes and chance from 24 bytes; a simulation that must repeat itself calls this before there is any data."""
    global seed, seed_2, random_state, salt_state
    seed, seed_2, random_state = struct.unpack("<QQQ", entropy)
    seed_2 |= 1
    salt_state = random_state ^ seed


reseed(os.urandom(24))


# -- items and words ---------------------------------------------------------------------------------------------------

cdef inline const char* key_of(uint8_t kind, void* item, uint32_t* klen) noexcept nogil:
    cdef uint32_t flags
    if kind == KIND_ENTRY:
        flags = (<Entry*>item).klen_flags
        klen[0] = flags & KLEN_MASK
        return <const char*>item + sizeof(Entry) + (8 if flags & VOLATILE else 0)
    if kind == KIND_FIELD:
        flags = (<Field*>item).klen_flags
        klen[0] = flags & KLEN_MASK
        return <const char*>item + sizeof(Field) + (8 if flags & VOLATILE else 0)
    if kind == KIND_MEMBER:
        klen[0] = (<Member*>item).klen
        return <const char*>item + sizeof(Member)
    klen[0] = (<ZMember*>item).klen
    return <const char*>item + sizeof(ZMember)


cdef const char* item_key(uint8_t kind, void* item, uint32_t* klen) noexcept nogil:
    return key_of(kind, item, klen)


cdef inline void* item_of(uint64_t word) noexcept nogil:
    return <void*><uintptr_t>(word >> TAG_BITS)


cdef inline uint64_t word_of(void* item, uint64_t place) noexcept nogil:
    return (<uint64_t><uintptr_t>item << TAG_BITS) | (place & TAG_MASK)


cdef void word_set(uint64_t* word, void* item) noexcept nogil:
    word[0] = word_of(item, word[0])


cdef inline uint64_t home_of(uint64_t word, uint64_t pos, uint64_t mask) noexcept nogil:
    return (pos - ((pos - word) & TAG_MASK)) & mask if mask > TAG_MASK else word & mask


cdef inline bint holds_key(uint8_t kind, void* item, const char* key, uint32_t klen) noexcept nogil:
    cdef uint32_t n
    cdef const char* k = key_of(kind, item, &n)
    return n == klen and memcmp(k, key, klen) == 0


# -- arrays ------------------------------------------------------------------------------------------------------------

cdef inline void put_word(uint64_t* words, uint64_t mask, uint64_t home, uint64_t word) noexcept nogil:
    cdef uint64_t pos = home & mask
    while words[pos] != 0:
        pos = (pos + 1) & mask
    words[pos] = word


cdef inline void free_array(uint64_t* words, uint8_t bits) noexcept nogil:
    mem_free(words, sizeof(uint64_t) << bits)


cdef void move_and_hash(Dict* d, uint64_t start, uint64_t stop) noexcept nogil:
    """Move at most STEP_WRITE words by the hashes of their keys. What that touches is fetched for all of them at once."""
    cdef uint64_t homes[STEP_WRITE]
    cdef uint64_t mask = (<uint64_t>1 << d.bits) - 1
    cdef uint64_t pos, word
    cdef uint32_t klen
    cdef const char* key
    for pos in range(start, stop):
        prefetch(item_of(d.old_words[pos]))
    for pos in range(start, stop):
        word = d.old_words[pos]
        if word != 0 and word != TOMBSTONE:
            key = key_of(d.kind, item_of(word), &klen)
            homes[pos - start] = dict_place(d, hash_bytes(key, klen))
            prefetch(&d.words[homes[pos - start] & mask])
    for pos in range(start, stop):
        word = d.old_words[pos]
        if word != 0 and word != TOMBSTONE:
            put_word(d.words, mask, homes[pos - start], word)
            d.old_words[pos] = TOMBSTONE


cdef void move_words(Dict* d, uint64_t stop) noexcept nogil:
    """Move the words of the old array up to `stop` into the current one; at its end, the old array is gone."""
    cdef uint64_t old_mask = (<uint64_t>1 << d.old_bits) - 1
    cdef uint64_t mask = (<uint64_t>1 << d.bits) - 1
    cdef uint64_t pos, word, home
    cdef bint rehash = d.bits > d.old_bits and d.bits > TAG_BITS
    if stop > old_mask + 1:
        stop = old_mask + 1
    if rehash:
        pos = d.old_pos
        while pos < stop:
            move_and_hash(d, pos, pos + STEP_WRITE if pos + STEP_WRITE < stop else stop)
            pos += STEP_WRITE
    else:
        for pos in range(d.old_pos, stop):
            word = d.old_words[pos]
            if word == 0 or word == TOMBSTONE:
                continue
            home = home_of(word, pos, old_mask) if old_mask > TAG_MASK else word & TAG_MASK
            put_word(d.words, mask, home, word)
            d.old_words[pos] = TOMBSTONE
    d.old_pos = <uint32_t>stop
    if stop == old_mask + 1:
        free_array(d.old_words, d.old_bits)
        d.old_words = NULL


cdef inline void finish_resize(Dict* d) noexcept nogil:
    if d.old_words != NULL:
        move_words(d, <uint64_t>1 << d.old_bits)


cdef void start_resize(Dict* d, uint8_t bits) noexcept nogil:
    """Give the dict an array of 2**bits words; a small one is filled at once, a large one in steps."""
    finish_resize(d)
    d.old_words = d.words
    d.old_bits = d.bits
    d.old_pos = 0
    if d.salt == 0:
        d.salt = new_salt()
    d.words = <uint64_t*>mem_calloc_huge(sizeof(uint64_t) << bits)
    d.bits = bits
    if d.old_words != NULL and d.old_bits <= AT_ONCE_BITS:
        finish_resize(d)


cdef inline size_t room(uint8_t bits) noexcept nogil:
    """How many items 2**bits words may hold: seven eighths, of a small array fifteen sixteenths (three of four words).

    Who looks for what a full small one has not goes through a few cache lines that lie side by side. Such are the arrays
    of most slots: of a million keys each has about sixty.
    """
    return ((<size_t>1 << bits) * 15) >> 4 if bits <= FULL_BITS else ((<size_t>1 << bits) * 7) >> 3


cdef void shrink_if_sparse(Dict* d) noexcept nogil:
    cdef uint8_t bits = MIN_BITS
    if d.used == 0:
        dict_release(d)
        return
    if d.old_words != NULL or d.bits <= MIN_BITS or d.used >= (<uint64_t>1 << d.bits) >> 3:
        return
    while (<uint64_t>1 << bits) < 2 * <uint64_t>d.used:       # half full: as far from growing as from shrinking again
        bits += 1
    start_resize(d, bits)


cdef bint dict_step(Dict* d, int words) noexcept nogil:
    if d.old_words == NULL:
        return False
    if d.paused == 0:
        move_words(d, <uint64_t>d.old_pos + words)
    return d.old_words != NULL


# -- the contract ------------------------------------------------------------------------------------------------------

cdef void dict_init(Dict* d, uint8_t kind) noexcept nogil:
    d.words = d.old_words = NULL
    d.used = d.old_pos = 0
    d.bits = d.old_bits = 0
    d.kind = kind
    d.paused = 0
    d.salt = 0


cdef void dict_release(Dict* d) noexcept nogil:
    cdef uint32_t salt = d.salt
    if d.words != NULL:
        free_array(d.words, d.bits)
    if d.old_words != NULL:
        free_array(d.old_words, d.old_bits)
    dict_init(d, d.kind)
    d.salt = salt              # whoever walks the dict has a cursor, and after this it still means something


cdef inline uint64_t* find_in(uint8_t kind, uint64_t* words, uint64_t mask, const char* key, uint32_t klen,
                              uint64_t place) noexcept nogil:
    cdef uint64_t pos = place & mask
    cdef uint64_t word = words[pos]
    while word != 0:
        if (word ^ place) & TAG_MASK == 0 and word != TOMBSTONE and holds_key(kind, item_of(word), key, klen):
            return &words[pos]
        pos = (pos + 1) & mask
        word = words[pos]
    return NULL


cdef inline uint64_t* find_word(Dict* d, const char* key, uint32_t klen, uint64_t h) noexcept nogil:
    cdef uint64_t* found
    cdef uint64_t place
    if d.words == NULL:
        return NULL
    place = dict_place(d, h)
    found = find_in(d.kind, d.words, (<uint64_t>1 << d.bits) - 1, key, klen, place)
    if found == NULL and d.old_words != NULL:
        found = find_in(d.kind, d.old_words, (<uint64_t>1 << d.old_bits) - 1, key, klen, place)
    return found


cdef void* dict_find(Dict* d, const char* key, uint32_t klen, uint64_t h) noexcept nogil:
    cdef uint64_t* word
    if d.old_words != NULL:
        dict_step(d, STEP_READ)
    word = find_word(d, key, klen, h)
    return item_of(word[0]) if word != NULL else NULL


cdef uint64_t* dict_find_word(Dict* d, const char* key, uint32_t klen, uint64_t h) noexcept nogil:
    if d.old_words != NULL:
        dict_step(d, STEP_READ)
    return find_word(d, key, klen, h)


cdef void dict_fetch_far(Dict* d, Coming* coming, const char* key, uint32_t klen) noexcept nogil:
    """Fetch the word of this key now, and its item, if its tag is the same, when the word has come."""
    cdef uint64_t mask = (<uint64_t>1 << d.bits) - 1
    cdef uint64_t place = dict_place(d, hash_bytes(key, klen)), word
    prefetch(&d.words[place & mask])
    if d.old_words != NULL:
        prefetch(&d.old_words[place & ((<uint64_t>1 << d.old_bits) - 1)])
    coming.places[coming.turn % FETCH_AHEAD] = place
    place = coming.places[(coming.turn + FETCH_AHEAD // 2) % FETCH_AHEAD]
    word = d.words[place & mask]
    if (word ^ place) & TAG_MASK == 0:
        prefetch(item_of(word))
    coming.turn += 1


cdef void dict_insert(Dict* d, void* item, uint64_t h) noexcept nogil:
    cdef uint64_t place
    if d.words == NULL:
        start_resize(d, MIN_BITS)
    elif d.old_words != NULL:
        dict_step(d, STEP_WRITE)
    if d.used >= room(d.bits):
        start_resize(d, d.bits + 1)
    place = dict_place(d, h)
    put_word(d.words, (<uint64_t>1 << d.bits) - 1, place, word_of(item, place))
    d.used += 1


cdef void close_gap(uint64_t* words, uint64_t mask, uint64_t gap) noexcept nogil:
    """Empty the word at `gap`, moving back those behind it that may lie nearer to their home."""
    cdef uint64_t pos = gap, word
    while True:
        pos = (pos + 1) & mask
        word = words[pos]
        if word == 0:
            break
        if ((pos - home_of(word, pos, mask)) & mask) >= ((pos - gap) & mask):
            words[gap] = word
            gap = pos
    words[gap] = 0


cdef void* dict_remove(Dict* d, const char* key, uint32_t klen, uint64_t h) noexcept nogil:
    cdef uint64_t* word
    cdef uint64_t mask, place
    cdef void* item
    if d.words == NULL:
        return NULL
    if d.old_words != NULL:
        dict_step(d, STEP_WRITE)
    mask = (<uint64_t>1 << d.bits) - 1
    place = dict_place(d, h)
    word = find_in(d.kind, d.words, mask, key, klen, place)
    if word != NULL:
        item = item_of(word[0])
        close_gap(d.words, mask, word - d.words)
    else:
        if d.old_words == NULL:
            return NULL
        word = find_in(d.kind, d.old_words, (<uint64_t>1 << d.old_bits) - 1, key, klen, place)
        if word == NULL:
            return NULL
        item = item_of(word[0])
        word[0] = TOMBSTONE
    d.used -= 1
    if d.paused == 0:
        shrink_if_sparse(d)
    return item


cdef void* dict_random(Dict* d) noexcept nogil:
    """Any item, each as likely: a random word, until one is occupied (at least about one in ten is)."""
    cdef uint64_t size, pos, word
    if d.used == 0:
        return NULL
    size = <uint64_t>1 << d.bits
    cdef uint64_t old_left = (<uint64_t>1 << d.old_bits) - d.old_pos if d.old_words != NULL else 0
    while True:
        pos = random_word() % (size + old_left)
        word = d.words[pos] if pos < size else d.old_words[d.old_pos + pos - size]
        if word != 0 and word != TOMBSTONE:
            return item_of(word)


cdef void dict_reserve(Dict* d, size_t n) noexcept nogil:
    cdef uint8_t bits = d.bits if d.bits > MIN_BITS else MIN_BITS
    while room(bits) < n:
        bits += 1
    if d.words == NULL or bits > d.bits:
        start_resize(d, bits)


cdef size_t dict_bytes(Dict* d) noexcept nogil:
    return (mem_size(sizeof(uint64_t) << d.bits) if d.words != NULL else 0) + \
        (mem_size(sizeof(uint64_t) << d.old_bits) if d.old_words != NULL else 0)


cdef void* dict_next(Dict* d, uint64_t* pos) noexcept nogil:
    cdef uint64_t size, total, i = pos[0], word
    if d.words == NULL:
        return NULL
    size = <uint64_t>1 << d.bits
    total = size + ((<uint64_t>1 << d.old_bits) if d.old_words != NULL else 0)
    while i < total:
        word = d.words[i] if i < size else d.old_words[i - size]
        i += 1
        if word != 0 and word != TOMBSTONE:
            if i + AHEAD < size:
                prefetch(item_of(d.words[i + AHEAD]))        # items lie anywhere: the next ones come while this one is used
            pos[0] = i
            return item_of(word)
    pos[0] = i
    return NULL


# -- scan --------------------------------------------------------------------------------------------------------------

cdef inline uint64_t next_cursor(uint64_t cursor, uint64_t mask) noexcept nogil:
    """Add one to the cursor's masked bits, counted from the highest down.

    That order keeps what was visited visited when the array doubles or halves: the buckets that a bucket splits into,
    or is merged from, are neighbours in it.
    """
    cdef uint64_t v = cursor & mask, bit = (mask >> 1) + 1
    while v & bit:
        v ^= bit
        bit >>= 1
    return v | bit


cdef void visit_home(uint64_t* words, uint64_t mask, uint64_t home, VisitFn visit, void* arg) noexcept:
    cdef uint64_t pos = home, word = words[home]
    while word != 0:
        if word != TOMBSTONE and home_of(word, pos, mask) == home:
            visit(arg, item_of(word))
        pos = (pos + 1) & mask
        word = words[pos]


cdef uint64_t dict_scan(Dict* d, uint64_t cursor, VisitFn visit, void* arg) noexcept:
    cdef uint64_t* small = d.words
    cdef uint64_t* large = d.old_words
    cdef uint64_t small_mask, large_mask, v
    if d.used == 0:
        return 0
    small_mask = (<uint64_t>1 << d.bits) - 1
    if large == NULL:
        visit_home(small, small_mask, cursor & small_mask, visit, arg)
        return next_cursor(cursor, small_mask)
    large_mask = (<uint64_t>1 << d.old_bits) - 1
    if d.bits > d.old_bits:
        small, large = large, small
        small_mask, large_mask = large_mask, small_mask
    visit_home(small, small_mask, cursor & small_mask, visit, arg)
    v = cursor & large_mask
    while True:                          # every bucket of the larger array that the smaller one's bucket corresponds to
        visit_home(large, large_mask, v, visit, arg)
        v = next_cursor(v, large_mask)
        if v & (small_mask ^ large_mask) == 0:
            return v
