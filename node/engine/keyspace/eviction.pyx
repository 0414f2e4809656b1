"""Which key to evict: Redis' approximation of LRU, LFU and shortest time to live.

Each call samples a few keys into a pool that keeps the best candidates met so far, and takes the best of the pool. A key
in the pool may have gone, or have lost its expiry, since it was sampled, so it is looked up again before it is given out.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint32_t, uint64_t

from node.engine.structures.dict cimport Dict, Entry, VOLATILE, dict_find, hash_bytes, random_word, word_item
from node.engine.keyspace.entry cimport CLOCK_MASK, entry_expire_ms, entry_key, entry_klen
from node.engine.keyspace.keyslot cimport SLOTS, key_slot
from node.engine.keyspace.table cimport Db, Keyspace

cdef enum:
    POOL = 16
    WORDS_A_SAMPLE = 100_000     # looked at in search of a key with an expiry before a call gives up

cdef enum Measure:
    RANDOM
    IDLE                         # the longer unused, the better
    RARE                         # the less often used, the better
    SOON                         # the sooner dead, the better

cdef dict policies = {
    "allkeys-random": (RANDOM, False), "volatile-random": (RANDOM, True),
    "allkeys-lru": (IDLE, False), "volatile-lru": (IDLE, True),
    "allkeys-lfu": (RARE, False), "volatile-lfu": (RARE, True),
    "volatile-ttl": (SOON, True),
}


@cython.final
cdef class EvictionPool:
    cdef Keyspace space
    cdef str policy              # whose candidates the pool holds
    cdef int measure
    cdef bint only_volatile
    cdef list keys               # of (db, key), the best candidate last
    cdef uint64_t scores[POOL]
    cdef int next_db             # random policies take the databases in turn
    cdef uint64_t walked         # where the last search inside a slot ended

    def __init__(self, Keyspace space):
        self.space = space
        self.keys = []

    def candidate(self, str policy, int samples):
        """(db, key) to evict, or None if the policy finds nothing that may go."""
        if policy != self.policy:
            self.policy = policy
            self.measure, self.only_volatile = policies[policy]
            self.keys.clear()
        if self.measure == RANDOM:
            return self.any_key()
        while True:
            if not self.fill(samples):
                return None
            while self.keys:
                db, key = self.keys.pop()
                if self.may_go(db, key):
                    return db, key

    cdef any_key(self):
        cdef int i, n = len(self.space.dbs)
        cdef Db db
        cdef list found = []
        for i in range(n):
            db = <Db>self.space.dbs[(self.next_db + i) % n]
            self.sample(db, 1, found)
            if found:
                self.next_db = (self.next_db + i + 1) % n
                return found[0]
        return None

    cdef bint may_go(self, Db db, bytes key) except -1:
        cdef const char* p = PyBytes_AS_STRING(key)
        cdef uint32_t klen = <uint32_t>PyBytes_GET_SIZE(key)
        cdef Entry* e
        if db.size == 0:
            return False
        e = <Entry*>dict_find(&db.slots[key_slot(p, klen)], p, klen, hash_bytes(p, klen))
        return e != NULL and (not self.only_volatile or e.klen_flags & VOLATILE != 0)

    # -- sampling ------------------------------------------------------------------------------------------------------

    cdef long fill(self, int samples) except -1:
        """Sample every database into the pool; how many keys were met."""
        cdef long met = 0
        for db in self.space.dbs:
            met += self.sample(<Db>db, samples, None)
        return met

    cdef long sample(self, Db db, int samples, list found) except -1:
        """Meet up to `samples` neighbouring keys from a random one on: into the pool, or into `found`."""
        cdef int slot = self.random_slot(db), start = slot
        cdef uint64_t words, pos, size
        cdef long met = 0, looked = 0
        cdef uint64_t* word
        cdef Entry* e
        cdef Dict* d
        while slot >= 0 and met < samples:
            d = &db.slots[slot]
            size = <uint64_t>1 << d.bits
            words = size + ((<uint64_t>1 << d.old_bits) if d.old_words != NULL else 0)
            pos = (self.walked if words > WORDS_A_SAMPLE and self.only_volatile else random_word()) % words
            for _ in range(words):
                word = &d.words[pos] if pos < size else &d.old_words[pos - size]
                e = <Entry*>word_item(word)
                if <uint64_t>e > 1 and (not self.only_volatile or e.klen_flags & VOLATILE):     # neither empty nor a tombstone
                    met += 1
                    if found is not None:
                        found.append((db, key_of(e)))
                    else:
                        self.offer(db, e)
                looked += 1
                pos = pos + 1 if pos + 1 < words else 0
                if met == samples or looked == WORDS_A_SAMPLE:
                    self.walked = pos
                    return met
            slot = self.following(db, slot)
            if slot == start:
                break
        return met

    cdef int random_slot(self, Db db) noexcept:
        """A slot that has such keys, the more the likelier."""
        cdef size_t total = db.volatile_keys if self.only_volatile else db.size
        cdef uint32_t* groups = &db.volatile_groups[0] if self.only_volatile else &db.groups[0]
        cdef uint64_t n
        cdef int group = 0, slot
        if total == 0:
            return -1
        n = random_word() % total
        while n >= groups[group]:
            n -= groups[group]
            group += 1
        slot = group * (SLOTS // 128)
        while n >= (db.volatile_in_slot[slot] if self.only_volatile else db.slots[slot].used):
            n -= db.volatile_in_slot[slot] if self.only_volatile else db.slots[slot].used
            slot += 1
        return slot

    cdef int following(self, Db db, int slot) noexcept:
        cdef int after = db.next_volatile_slot(slot + 1) if self.only_volatile else db.next_slot(slot + 1)
        if after >= 0:
            return after
        return db.next_volatile_slot(0) if self.only_volatile else db.next_slot(0)

    cdef int offer(self, Db db, Entry* e) except -1:
        """Put a key into the pool where its score belongs, if the pool has room or something worse."""
        cdef uint64_t score
        cdef int n = len(self.keys), at = 0
        cdef int i
        if self.measure == IDLE:
            score = self.space.idle_s(e.meta & CLOCK_MASK)
        elif self.measure == RARE:
            score = 255 - self.space.frequency(e.meta & CLOCK_MASK)
        else:
            score = <uint64_t>-1 - <uint64_t>entry_expire_ms(e)
        while at < n and self.scores[at] < score:
            at += 1
        if n == POOL:
            if at == 0:
                return 0
            del self.keys[0]
            at -= 1
            for i in range(at):
                self.scores[i] = self.scores[i + 1]
        else:
            for i in range(n, at, -1):
                self.scores[i] = self.scores[i - 1]
        self.scores[at] = score
        self.keys.insert(at, (db, key_of(e)))
        return 0


cdef inline bytes key_of(Entry* e):
    return PyBytes_FromStringAndSize(entry_key(e), entry_klen(e))
