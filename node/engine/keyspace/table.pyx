"""The keyspace of one node (table.pxd is the contract): its databases, their slots, and what happens to a key in time.

Native code (hot commands, snapshots, expiry, eviction) uses the cdef methods with a key's slot in hand; command handlers use the
Python methods below them. Collections are opaque here: objects of a class that has a record (types/record.pxd).
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from node.engine.memory.alloc cimport mem_calloc, mem_free, mem_size, mem_trim
from node.engine.structures.dict cimport (
    MORTAL_FIELDS,
    dict_bytes, dict_find, dict_find_word, dict_insert, dict_next, dict_random, dict_remove, dict_scan, hash_bytes,
    random_word, word_item, word_set,
)
from node.engine.structures.digits cimport DIGITS_MAX, parse_int64
from node.engine.keyspace.entry cimport (
    entry_bytes, entry_free, entry_length, entry_new, entry_reshape, entry_shape, raw_grow, raw_new, raw_size,
)
from node.engine.keyspace.graves cimport LARGE, dispose_value, grave_of_slots
from node.engine.keyspace.packed cimport packed_bytes, packed_moved, packed_settle, packed_watch
from node.engine.types.record cimport code_of, type_records

cdef extern from "Python.h":
    object PyMemoryView_FromMemory(char* p, Py_ssize_t n, int flags)
    void PyType_Modified(type t)
    const int PyBUF_READ
    const int PyBUF_WRITE

cdef enum:
    GROUP_BITS = 7
    GROUPS = SLOTS >> GROUP_BITS
    SLOT_BITS = 14
    KEEP_TTL = -2              # for place(): neither a time nor NO_EXPIRE
    LFU_START = 5              # counter of a new key, so that it survives its first minutes
    ITEMS_A_PAGE = 100         # items that take as long to free as a page's memory to give back
    BURIED_AT_ONCE = 500       # dead fields that one look at a hash deletes; the others are hidden until the next
    AWAKE_A_TURN = 1000        # small collections that are looked at whether they can be put to rest
    BURIAL_COST = 2000         # items freed by whoever adds to what waits, so that waiting never outruns freeing


cdef class Saver:
    cdef void before_change(self, Db db, Entry* e, int slot) noexcept:
        pass

    cdef bint keep_slots(self, Db db, Dict* slots, size_t pending, bint lazy) noexcept:
        return False

    cdef void swapped(self, Db a, Db b) noexcept:
        pass

    cdef size_t held_bytes(self) noexcept:
        return 0


@cython.final
cdef class Keyspace:
    def __init__(self, int databases=16):
        self.dbs = [Db(self, i) for i in range(databases)]
        self.lfu_log_factor = 10
        self.lfu_decay_time = 1
        self.lazy_expire = True
        self.active_expire = True
        self._graves = []

    # -- access clock --------------------------------------------------------------------------------------------------

    cdef uint32_t clock(self) noexcept:
        if self.lfu:
            return <uint32_t>((self.now_ms // 60_000) & 0xFFFF) << 8 | LFU_START
        return <uint32_t>(self.now_ms // 1000) & CLOCK_MASK

    cdef uint32_t frequency(self, uint32_t clock) noexcept:
        cdef uint32_t minutes = <uint32_t>(self.now_ms // 60_000) & 0xFFFF
        cdef uint32_t counter = clock & 0xFF, then = clock >> 8, lost
        if self.lfu_decay_time <= 0:
            return counter
        lost = (minutes - then if minutes >= then else 0xFFFF - then + minutes) // <uint32_t>self.lfu_decay_time
        return counter - lost if counter > lost else 0

    cdef uint32_t idle_s(self, uint32_t clock) noexcept:
        return (<uint32_t>(self.now_ms // 1000) - clock) & CLOCK_MASK

    cdef bint is_dead(self, Entry* e) noexcept:
        return e.klen_flags & VOLATILE and self.now_ms > entry_expire_ms(e) and not self.show_dead

    # -- lazy freeing --------------------------------------------------------------------------------------------------

    cdef int bury(self, Grave grave, bint counted) except -1:
        grave.counted = counted
        self.lazyfree_pending += grave.pending
        self._graves.append(grave)
        self.free_some(BURIAL_COST)
        return 0

    cpdef bint free_some(self, long budget_items):
        """Free about that many items of what was unlinked, and give empty memory back; True while there is more."""
        cdef Grave grave
        cdef size_t before, after
        cdef bint more
        packed_settle(AWAKE_A_TURN)
        while self._graves and budget_items > 0:
            grave = <Grave>self._graves[len(self._graves) - 1]
            before = grave.pending
            more = grave.free_some(&budget_items, self._graves)
            after = grave.pending
            self.lazyfree_pending -= before - after
            if grave.counted:
                self.lazyfreed += before - after
            if not more:
                self._graves.pop()
        if budget_items > 0:
            return mem_trim(1 + budget_items // ITEMS_A_PAGE)
        return True

    @property
    def freeing(self) -> bool:
        """Whether something that was deleted still waits to be freed by `free_some`."""
        return len(self._graves) > 0

    @property
    def held_bytes(self) -> int:
        """About how much memory belongs to what was deleted, and is needed by a snapshot that is being taken."""
        return self.saver.held_bytes() if self.saver is not None else 0

    # -- time and room -------------------------------------------------------------------------------------------------

    def expire_some(self, long budget_us, int effort=1) -> bool:
        """A slice of the active expiry (expiry.pyx); True: many keys were found dead, come again soon."""
        if self._expiry is None:
            from node.engine.keyspace.expiry import ActiveExpiry

            self._expiry = ActiveExpiry(self)
        return self._expiry.some(budget_us, effort)

    def expire_fields(self, long hashes) -> bool:
        """A slice of the active expiry of fields: look at up to so many hashes; True: there are more."""
        cdef Db db
        for db in self.dbs:
            while db.mortal is not None and hashes > 0:
                first = db.mortal.range(0, 0)
                if not first or first[0][1] >= self.now_ms:
                    break
                (<object>db).peek(first[0][0])
                db.deaths_changed(first[0][0])     # native commands delete fields without saying so
                hashes -= 1
        return hashes <= 0

    @property
    def mortal_hashes(self) -> int:
        return sum([db.mortal_hashes for db in self.dbs])

    def evict_candidate(self, str policy, int samples):
        """(db, key) of a key to evict under a maxmemory policy (eviction.pyx); None: there is none."""
        if self._eviction is None:
            from node.engine.keyspace.eviction import EvictionPool

            self._eviction = EvictionPool(self)
        return self._eviction.candidate(policy, samples)

    # -- for handlers --------------------------------------------------------------------------------------------------

    def swap(self, int a, int b):
        """SWAPDB: the contents change places, the Db objects stay."""
        swap_contents(<Db>self.dbs[a], <Db>self.dbs[b])
        if self.saver is not None:
            self.saver.swapped(<Db>self.dbs[a], <Db>self.dbs[b])

    def dbs_aside(self) -> list:
        """As many databases as there are, empty and in nobody's sight, to be loaded and then adopted."""
        return [Db(self, i) for i in range(len(self.dbs))]

    def adopt(self, list dbs):
        """Contents of databases that stood aside take the place of what is here, which is freed in slices."""
        for own, other in zip(self.dbs, dbs, strict=True):
            (<Db>own).flush(False)             # before they change places: snapshots know databases by their objects
            swap_contents(<Db>own, <Db>other)

    def flush(self, bint lazy=False) -> int:
        return sum(db.flush(lazy) for db in self.dbs)


cdef inline void touch(Keyspace space, Entry* e) noexcept:
    cdef uint32_t clock, counter, above
    if space.no_touch:
        return
    clock = space.clock()
    if space.lfu:
        counter = space.frequency(e.meta & CLOCK_MASK)
        above = counter - LFU_START if counter > LFU_START else 0
        # The more often a key was used, the less likely another use counts: one in (above * factor + 1).
        if counter < 255 and random_word() % (<uint64_t>above * space.lfu_log_factor + 1) == 0:
            counter += 1
        clock = (clock & ~<uint32_t>0xFF) | counter
    e.meta = (e.meta & ~<uint32_t>CLOCK_MASK) | clock


cdef inline void stamp(Keyspace space, Db db, Entry* e, int slot) noexcept:
    """Before an entry changes: what it was goes to the snapshots that have not come to it yet."""
    if e.version < space.unsaved_below:
        space.saver.before_change(db, e, slot)
    e.version = space.version


cdef void swap_contents(Db a, Db b) noexcept:
    cdef uint32_t group[GROUPS]
    a.slots, b.slots = b.slots, a.slots
    a.volatile_in_slot, b.volatile_in_slot = b.volatile_in_slot, a.volatile_in_slot
    a.size, b.size = b.size, a.size
    a.volatile_keys, b.volatile_keys = b.volatile_keys, a.volatile_keys
    a.avg_ttl, b.avg_ttl = b.avg_ttl, a.avg_ttl
    a.mortal, b.mortal = b.mortal, a.mortal
    memcpy(group, a.groups, sizeof(group))
    memcpy(a.groups, b.groups, sizeof(group))
    memcpy(b.groups, group, sizeof(group))
    memcpy(group, a.volatile_groups, sizeof(group))
    memcpy(a.volatile_groups, b.volatile_groups, sizeof(group))
    memcpy(b.volatile_groups, group, sizeof(group))


cdef inline bytes key_bytes(Entry* e):
    return PyBytes_FromStringAndSize(entry_key(e), entry_klen(e))


cdef inline int slot_of(bytes key) noexcept:
    return key_slot(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))


# What a scan gathers: keys that live, and dead ones to be deleted once the table may change again.
ctypedef struct Harvest:
    PyObject* space
    PyObject* alive
    PyObject* dead


cdef void harvest(void* arg, void* item) noexcept:
    cdef Harvest* into = <Harvest*>arg
    cdef Entry* e = <Entry*>item
    if (<Keyspace>into.space).is_dead(e):
        (<list>into.dead).append(key_bytes(e))
    else:
        (<list>into.alive).append(key_bytes(e))


@cython.final
cdef class Db:
    def __cinit__(self, Keyspace space, int index):
        self.space = space
        self.index = index
        self.slots = NULL
        self.volatile_in_slot = NULL

    def __dealloc__(self):
        if self.slots != NULL:
            grave_of_slots(self.slots, 0)          # dropped at once, and everything with it
            mem_free(self.volatile_in_slot, SLOTS * sizeof(uint32_t))

    # -- counting ------------------------------------------------------------------------------------------------------

    cdef void count_volatile(self, int slot, int by) noexcept:
        self.volatile_in_slot[slot] += by
        self.volatile_groups[slot >> GROUP_BITS] += by
        self.volatile_keys += by

    cpdef void prepare(self) noexcept:
        """Allocate the slots' arrays; the first key would do it, too."""
        if self.slots == NULL:
            self.slots = <Dict*>mem_calloc(SLOTS * sizeof(Dict))           # zeros are empty dicts of entries
            self.volatile_in_slot = <uint32_t*>mem_calloc(SLOTS * sizeof(uint32_t))

    cdef void insert(self, Entry* e, int slot, uint64_t h) noexcept:
        if self.slots == NULL:
            self.prepare()
        dict_insert(&self.slots[slot], e, h)
        self.groups[slot >> GROUP_BITS] += 1
        self.size += 1
        if e.klen_flags & VOLATILE:
            self.count_volatile(slot, 1)
        if self.space.on_created is not None:
            self.space.on_created(self, entry_key(e)[:entry_klen(e)])

    cdef void exchange_slot(self, Db other, int slot) noexcept:
        cdef int64_t more, more_volatile
        cdef int group = slot >> GROUP_BITS
        self.slots[slot], other.slots[slot] = other.slots[slot], self.slots[slot]
        more = <int64_t>self.slots[slot].used - <int64_t>other.slots[slot].used
        more_volatile = <int64_t>other.volatile_in_slot[slot] - <int64_t>self.volatile_in_slot[slot]
        self.groups[group] += more
        other.groups[group] -= more
        self.size += more
        other.size -= more
        self.count_volatile(slot, <int>more_volatile)
        other.count_volatile(slot, -<int>more_volatile)

    cdef Entry* detach(self, const char* key, uint32_t klen, int slot) noexcept:
        """Take an entry out without freeing anything."""
        cdef Entry* e
        if self.size == 0:
            return NULL
        e = <Entry*>dict_remove(&self.slots[slot], key, klen, hash_bytes(key, klen))
        if e == NULL:
            return NULL
        stamp(self.space, self, e, slot)
        if e.klen_flags & MORTAL_FIELDS:
            self.mortal.remove(key_bytes(e))
        self.groups[slot >> GROUP_BITS] -= 1
        self.size -= 1
        if e.klen_flags & VOLATILE:
            self.count_volatile(slot, -1)
        return e

    cdef int discard(self, Entry* e, bint lazy) except -1:
        """Free what an entry holds; the entry itself stays."""
        cdef Grave grave
        if entry_encoding(e) >= ENC_RAW:
            grave = dispose_value(e, LARGE)
            if grave is not None:
                self.space.bury(grave, lazy)
        return 0

    # -- lookups -------------------------------------------------------------------------------------------------------

    cdef Entry* find(self, const char* key, uint32_t klen, int slot) except? NULL:
        cdef Entry* e
        if self.size == 0:
            return NULL
        e = <Entry*>dict_find(&self.slots[slot], key, klen, hash_bytes(key, klen))
        if e == NULL or not e.klen_flags & (<uint32_t>VOLATILE | MORTAL_FIELDS):
            return e
        if self.space.is_dead(e):
            self.expire(key_bytes(e))
            return NULL
        return self.without_dead_fields(e, slot) if e.klen_flags & MORTAL_FIELDS else e

    cdef Entry* without_dead_fields(self, Entry* e, int slot) except? NULL:
        """A hash with fields that die, before somebody looks at it: the dead ones are deleted, or hidden where that is not
        ours to do. NULL: none is left."""
        cdef Keyspace space = self.space
        cdef object value = entry_object(e)
        cdef bytes key
        cdef list fields
        if not value.see(0 if space.show_dead else space.now_ms):
            return e
        if not space.lazy_expire or space.paused:
            return e
        key = key_bytes(e)
        stamp(space, self, e, slot)
        fields = value.bury(BURIED_AT_ONCE)
        space.expired_fields += len(fields)
        if len(value) == 0:
            self.remove(PyBytes_AS_STRING(key), <uint32_t>PyBytes_GET_SIZE(key), slot, False)
            e = NULL
        else:
            self.note_deaths(key, e)
        if space.on_fields_expired is not None:
            space.on_fields_expired(self, key, fields, e == NULL)
            e = <Entry*>dict_find(&self.slots[slot], PyBytes_AS_STRING(key), <uint32_t>PyBytes_GET_SIZE(key),
                                  hash_bytes(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))) if self.size else NULL
        return e

    cdef int note_deaths(self, bytes key, Entry* e) except -1:
        """Remember when the first field of a hash dies; or no longer, if none will."""
        due_ms = entry_object(e).first_death()
        if due_ms is None:
            if e.klen_flags & MORTAL_FIELDS:
                e.klen_flags &= ~<uint32_t>MORTAL_FIELDS
                self.mortal.remove(key)
            return 0
        e.klen_flags |= MORTAL_FIELDS
        if self.mortal is None:
            from node.engine.types.zset import ZSet

            self.mortal = ZSet()
        self.mortal.set(key, <double><int64_t>due_ms)
        return 0

    def deaths_changed(self, bytes key):
        """Fields of a hash have got another time to die, or none: whoever changes that says so."""
        cdef int slot = slot_of(key)
        cdef Entry* e = <Entry*>dict_find(&self.slots[slot], PyBytes_AS_STRING(key), <uint32_t>PyBytes_GET_SIZE(key),
                                          hash_bytes(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))) if self.size else NULL
        if e != NULL and entry_type(e) == TYPE_HASH:
            self.note_deaths(key, e)

    @property
    def mortal_hashes(self) -> int:
        """How many hashes have fields that will die."""
        return len(self.mortal) if self.mortal is not None else 0

    cdef Entry* read(self, const char* key, uint32_t klen, int slot) except? NULL:
        cdef Entry* e = self.find(key, klen, slot)
        if e == NULL:
            self.space.misses += 1
            return NULL
        self.space.hits += 1
        touch(self.space, e)
        return e

    cdef Entry* write(self, const char* key, uint32_t klen, int slot) except? NULL:
        cdef Entry* e = self.find(key, klen, slot)
        if e != NULL:
            stamp(self.space, self, e, slot)
            touch(self.space, e)
        return e

    cdef Entry* peek(self, const char* key, uint32_t klen, int slot) except? NULL:
        return self.find(key, klen, slot)

    cdef bint expire(self, bytes key) except -1:
        cdef int slot = slot_of(key)
        cdef const char* p = PyBytes_AS_STRING(key)
        cdef uint32_t klen = <uint32_t>PyBytes_GET_SIZE(key)
        cdef Entry* e
        if self.size == 0 or not self.space.lazy_expire or self.space.paused:
            return False
        e = <Entry*>dict_find(&self.slots[slot], p, klen, hash_bytes(p, klen))
        if e == NULL or not self.space.is_dead(e):
            return False
        self.remove(p, klen, slot, False)
        self.space.expired += 1
        if self.space.on_expired is not None:
            self.space.on_expired(self, key)
        return True

    # -- storing -------------------------------------------------------------------------------------------------------

    cdef Entry* place(self, const char* key, uint32_t klen, int slot, uint32_t shape, size_t payload,
                      int64_t at_ms) except NULL:
        """The entry of a key, made or emptied, with room for a new value; at_ms may be KEEP_TTL."""
        cdef Keyspace space = self.space
        cdef uint64_t h = hash_bytes(key, klen)
        cdef uint64_t* word = NULL
        cdef Entry* old = NULL
        cdef Entry* e
        cdef uint32_t clock = space.clock()
        cdef bint was_volatile
        if self.size:
            word = dict_find_word(&self.slots[slot], key, klen, h)
        if word != NULL:
            old = <Entry*>word_item(word)
            if old.klen_flags & VOLATILE and space.is_dead(old) and self.expire(key_bytes(old)):
                word = dict_find_word(&self.slots[slot], key, klen, h) if self.size else NULL
                old = <Entry*>word_item(word) if word != NULL else NULL
        if old == NULL:
            if klen > KLEN_MASK:
                raise ValueError("a key has at most 512 MB")
            e = entry_new(key, klen, payload, NO_EXPIRE if at_ms == KEEP_TTL else at_ms)
            e.meta = shape | clock
            e.version = space.version
            self.insert(e, slot, h)
            return e
        stamp(space, self, old, slot)
        self.discard(old, False)
        was_volatile = old.klen_flags & VOLATILE != 0
        if at_ms == KEEP_TTL:
            at_ms = entry_expire_ms(old)
        if space.lfu:
            clock = old.meta & CLOCK_MASK          # overwriting is no reason to forget how often the key is used
        e = entry_reshape(old, payload, at_ms)
        if e != old:
            word_set(word, e)
        if was_volatile != (at_ms != NO_EXPIRE):
            self.count_volatile(slot, -1 if was_volatile else 1)
        if e.klen_flags & MORTAL_FIELDS:
            self.mortal.remove(key_bytes(e))
        e.klen_flags &= ~(<uint32_t>FORCED_RAW | MORTAL_FIELDS)
        e.meta = shape | clock
        return e

    cdef Entry* put_text(self, const char* key, uint32_t klen, int slot, const char* val, size_t vlen,
                         int64_t at_ms, bint as_number) except NULL:
        cdef int64_t number
        cdef Entry* e
        cdef Raw* raw
        if as_number and vlen <= DIGITS_MAX and parse_int64(val, vlen, &number):
            e = self.place(key, klen, slot, entry_shape(TYPE_STRING, ENC_INT), 8, at_ms)
            entry_put_int(e, number)
        elif vlen <= INLINE_MAX:
            e = self.place(key, klen, slot, entry_shape(TYPE_STRING, ENC_INLINE), vlen, at_ms)
            memcpy(entry_value(e), val, vlen)
        else:
            e = self.place(key, klen, slot, entry_shape(TYPE_STRING, ENC_RAW), sizeof(Raw*), at_ms)
            raw = raw_new(vlen, vlen)
            memcpy(raw_bytes(raw), val, vlen)
            memcpy(entry_value(e), &raw, sizeof(raw))
        return e

    cdef Entry* put_string(self, const char* key, uint32_t klen, int slot, const char* val, size_t vlen,
                           bint keep_ttl) except NULL:
        return self.put_text(key, klen, slot, val, vlen, KEEP_TTL if keep_ttl else NO_EXPIRE, True)

    cdef Entry* put_string_until(self, const char* key, uint32_t klen, int slot, const char* val, size_t vlen,
                                 int64_t at_ms) except NULL:
        return self.put_text(key, klen, slot, val, vlen, at_ms, True)

    cdef Entry* put_int(self, const char* key, uint32_t klen, int slot, int64_t val, bint keep_ttl) except NULL:
        cdef Entry* e = self.place(key, klen, slot, entry_shape(TYPE_STRING, ENC_INT), 8,
                                   KEEP_TTL if keep_ttl else NO_EXPIRE)
        entry_put_int(e, val)
        return e

    cdef Entry* put_object(self, const char* key, uint32_t klen, int slot, int type, object value,
                           bint keep_ttl) except NULL:
        cdef PyObject* p = <PyObject*>value
        cdef Entry* e
        Py_INCREF(value)                           # before the old value goes: it may be the same
        e = self.place(key, klen, slot, entry_shape(type, ENC_OBJECT), sizeof(p), KEEP_TTL if keep_ttl else NO_EXPIRE)
        memcpy(entry_value(e), &p, sizeof(p))
        packed_watch(e)
        return e

    cdef Entry* become(self, Entry* e, int slot, int encoding, size_t payload) noexcept:
        """Give a string entry another encoding and payload size; what is kept of an inline value stays in place."""
        cdef uint64_t* word = dict_find_word(&self.slots[slot], entry_key(e), entry_klen(e),
                                             hash_bytes(entry_key(e), entry_klen(e)))
        e = entry_reshape(e, payload, entry_expire_ms(e))
        e.meta = (e.meta & CLOCK_MASK) | entry_shape(TYPE_STRING, encoding)
        word_set(word, e)
        return e

    cdef char* grow_string(self, const char* key, uint32_t klen, int slot, size_t size) except NULL:
        cdef Entry* e = self.write(key, klen, slot)
        cdef char digits[24]
        cdef char* text
        cdef size_t n
        cdef Raw* raw
        if e == NULL:
            e = self.place(key, klen, slot, entry_shape(TYPE_STRING, ENC_INLINE), 0, NO_EXPIRE)
        elif entry_type(e) != TYPE_STRING:
            raise TypeError("only a string grows")
        e.klen_flags |= FORCED_RAW
        if entry_encoding(e) == ENC_RAW:
            raw = raw_grow(entry_raw(e), size)
        else:
            entry_string(e, digits, &text, &n)
            if size < n:
                size = n
            if size <= INLINE_MAX:
                e = self.become(e, slot, ENC_INLINE, size)
                if text == digits:
                    memcpy(entry_value(e), digits, n)
                memset(entry_value(e) + n, 0, size - n)
                return entry_value(e)
            raw = raw_new(n, n)
            memcpy(raw_bytes(raw), text, n)
            raw = raw_grow(raw, size)
            e = self.become(e, slot, ENC_RAW, sizeof(raw))
        memcpy(entry_value(e), &raw, sizeof(raw))
        return raw_bytes(raw)

    cdef Entry* set_expire(self, Entry* e, int slot, int64_t at_ms) noexcept:
        cdef bint was_volatile = e.klen_flags & VOLATILE != 0
        cdef uint64_t* word
        cdef Entry* moved
        cdef size_t payload = e.vlen if entry_encoding(e) == ENC_INLINE else 8
        stamp(self.space, self, e, slot)
        if was_volatile == (at_ms != NO_EXPIRE):
            return entry_reshape(e, payload, at_ms)                # only the number changes: it does not move
        word = dict_find_word(&self.slots[slot], entry_key(e), entry_klen(e),
                              hash_bytes(entry_key(e), entry_klen(e)))
        moved = entry_reshape(e, payload, at_ms)
        word_set(word, moved)
        self.count_volatile(slot, -1 if was_volatile else 1)
        return moved

    cdef bint remove(self, const char* key, uint32_t klen, int slot, bint lazy) except -1:
        cdef Entry* e = self.detach(key, klen, slot)
        if e == NULL:
            return False
        self.discard(e, lazy)
        entry_free(e)
        return True

    # -- walking -------------------------------------------------------------------------------------------------------

    cdef int next_slot(self, int slot) noexcept:
        if self.size == 0:
            return -1
        while slot < SLOTS:
            if self.groups[slot >> GROUP_BITS] == 0:
                slot = ((slot >> GROUP_BITS) + 1) << GROUP_BITS
            elif self.slots[slot].used:
                return slot
            else:
                slot += 1
        return -1

    cdef int next_volatile_slot(self, int slot) noexcept:
        if self.volatile_keys == 0:
            return -1
        while slot < SLOTS:
            if self.volatile_groups[slot >> GROUP_BITS] == 0:
                slot = ((slot >> GROUP_BITS) + 1) << GROUP_BITS
            elif self.volatile_in_slot[slot]:
                return slot
            else:
                slot += 1
        return -1

    cdef Entry* random_entry(self) noexcept:
        cdef uint64_t n
        cdef int group = 0, slot
        if self.size == 0:
            return NULL
        n = random_word() % self.size
        while n >= self.groups[group]:
            n -= self.groups[group]
            group += 1
        slot = group << GROUP_BITS
        while n >= self.slots[slot].used:
            n -= self.slots[slot].used
            slot += 1
        return <Entry*>dict_random(&self.slots[slot])

    # -- for handlers: values ------------------------------------------------------------------------------------------

    cdef object value_of(self, Entry* e):
        cdef char digits[24]
        cdef char* text
        cdef size_t n
        if e == NULL:
            return None
        if entry_encoding(e) >= ENC_OBJECT:
            return entry_object(e)
        entry_string(e, digits, &text, &n)
        return PyBytes_FromStringAndSize(text, n)

    def get(self, bytes key):
        """The value for a reading command: bytes, a collection, or None. Counts a hit or a miss."""
        return self.value_of(self.read(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), slot_of(key)))

    def get_write(self, bytes key):
        """The value for a command that may change it."""
        return self.value_of(self.write(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), slot_of(key)))

    def peek_value(self, bytes key):
        return self.value_of(self.find(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), slot_of(key)))

    def view(self, bytes key):
        """A reading command's look at a string without a copy: valid until the next change of the database."""
        cdef Entry* e = self.read(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), slot_of(key))
        cdef char digits[24]
        cdef char* text
        cdef size_t n
        if e == NULL or entry_type(e) != TYPE_STRING:
            return None
        entry_string(e, digits, &text, &n)
        if text == digits:
            return memoryview(PyBytes_FromStringAndSize(text, n))
        return PyMemoryView_FromMemory(text, n, PyBUF_READ)

    def set(self, bytes key, object value, bint keep_ttl=False):
        """Store bytes (with the best encoding) or a collection, in place of whatever the key held."""
        cdef const char* p = PyBytes_AS_STRING(key)
        if type(value) is bytes:
            self.put_string(p, PyBytes_GET_SIZE(key), slot_of(key), PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value),
                            keep_ttl)
        else:
            self.put_object(p, PyBytes_GET_SIZE(key), slot_of(key), code_of(value), value, keep_ttl)
            self.deaths_changed(key)

    def set_text(self, bytes key, bytes value):
        """Store what stays text even if it reads as an integer, and keep the key's expiry: INCRBYFLOAT's result."""
        self.put_text(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), slot_of(key), PyBytes_AS_STRING(value),
                      PyBytes_GET_SIZE(value), KEEP_TTL, False)

    def grow(self, bytes key, size_t size):
        """A string of at least `size` bytes to write into (SETRANGE, SETBIT): valid until the next change."""
        cdef int slot = slot_of(key)
        cdef char* text = self.grow_string(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), slot, size)
        cdef Entry* e = self.find(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), slot)
        return PyMemoryView_FromMemory(text, entry_length(e), PyBUF_WRITE)

    def append(self, bytes key, bytes tail) -> int:
        """APPEND: the new length."""
        cdef int slot = slot_of(key)
        cdef const char* p = PyBytes_AS_STRING(key)
        cdef uint32_t klen = PyBytes_GET_SIZE(key)
        cdef Entry* e = self.find(p, klen, slot)
        cdef size_t n, more = PyBytes_GET_SIZE(tail)
        if e == NULL:
            self.put_string(p, klen, slot, PyBytes_AS_STRING(tail), more, False)
            return more
        n = entry_length(e)
        memcpy(self.grow_string(p, klen, slot, n + more) + n, PyBytes_AS_STRING(tail), more)
        return n + more

    def delete(self, bytes key, bint lazy=False) -> bool:
        """False if there was no such key (a dead one does not count)."""
        cdef const char* p = PyBytes_AS_STRING(key)
        cdef int slot = slot_of(key)
        return self.find(p, PyBytes_GET_SIZE(key), slot) != NULL and self.remove(p, PyBytes_GET_SIZE(key), slot, lazy)

    def take(self, bytes key):
        """The value and its expiry (unix ms or None), taken out of the database, to be put elsewhere; None: no such key."""
        cdef int slot = slot_of(key)
        cdef Entry* e = self.find(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), slot)
        if e == NULL:
            return None
        taken = (self.value_of(e), entry_expire_ms(e) if e.klen_flags & VOLATILE else None)
        self.detach(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), slot)
        dispose_value(e, <size_t>-1)           # a collection lives on in the tuple
        entry_free(e)
        return taken

    def rename(self, bytes key, bytes to) -> bool:
        """Move a value with its expiry and access clock to another key, whose own value goes; False: no such key."""
        cdef int slot = slot_of(key), to_slot = slot_of(to)
        cdef const char* p = PyBytes_AS_STRING(to)
        cdef uint32_t klen = PyBytes_GET_SIZE(to)
        cdef Entry* e = self.find(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), slot)
        cdef Entry* moved
        cdef size_t payload
        if e == NULL:
            return False
        if key == to:
            return True
        e_was_mortal = e.klen_flags & MORTAL_FIELDS != 0
        self.detach(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), slot)
        self.remove(p, klen, to_slot, False)
        payload = e.vlen if entry_encoding(e) == ENC_INLINE else 8
        moved = entry_new(p, klen, payload, entry_expire_ms(e))
        memcpy(entry_value(moved), entry_value(e), payload)
        moved.meta = e.meta
        moved.klen_flags |= e.klen_flags & FORCED_RAW
        moved.version = self.space.version
        if entry_encoding(moved) == ENC_AWAKE:
            moved.vlen = e.vlen
            packed_moved(moved)
        entry_free(e)
        self.insert(moved, to_slot, hash_bytes(p, klen))
        if e_was_mortal:
            self.note_deaths(to, moved)
        return True

    def copy(self, bytes key, Db target, bytes to) -> bool:
        """Copy a value with its expiry to another key, here or in another database; False: no such key. No access."""
        cdef const char* p = PyBytes_AS_STRING(to)
        cdef uint32_t klen = PyBytes_GET_SIZE(to)
        cdef int to_slot = slot_of(to)
        cdef Entry* e = self.find(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), slot_of(key))
        cdef Entry* copied
        cdef char digits[24]
        cdef char* text
        cdef size_t n
        if e == NULL:
            return False
        if self is target and key == to:
            return True
        target.remove(p, klen, to_slot, False)
        if entry_encoding(e) >= ENC_OBJECT:
            copied = target.put_object(p, klen, to_slot, entry_type(e), entry_object(e).copy(), False)
            if e.klen_flags & MORTAL_FIELDS:
                target.note_deaths(to, copied)
        else:
            entry_string(e, digits, &text, &n)
            if e.klen_flags & FORCED_RAW:
                memcpy(target.grow_string(p, klen, to_slot, n), text, n)
                copied = target.find(p, klen, to_slot)
            else:
                copied = target.put_text(p, klen, to_slot, text, n, NO_EXPIRE, entry_encoding(e) == ENC_INT)
        if e.klen_flags & VOLATILE:
            target.set_expire(copied, to_slot, entry_expire_ms(e))
        return True

    # -- for handlers: facts about a key -------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self.size

    def __contains__(self, bytes key) -> bool:
        return self.find(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), slot_of(key)) != NULL

    def exists(self, bytes key) -> bool:
        """For reading commands: counts a hit or a miss, but is no access."""
        cdef bint found = self.find(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), slot_of(key)) != NULL
        if found:
            self.space.hits += 1
        else:
            self.space.misses += 1
        return found

    def touch(self, bytes key) -> bool:
        """TOUCH: an access that returns nothing."""
        return self.read(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), slot_of(key)) != NULL

    def type_of(self, bytes key) -> str | None:
        cdef Entry* e = self.find(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), slot_of(key))
        return <str>type_records()[entry_type(e)].name if e != NULL else None

    def encoding(self, bytes key) -> str | None:
        """As OBJECT ENCODING calls it."""
        cdef Entry* e = self.find(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), slot_of(key))
        cdef int encoding
        if e == NULL:
            return None
        encoding = entry_encoding(e)
        if encoding >= ENC_OBJECT:
            return entry_object(e).encoding
        if encoding == ENC_INT:
            return "int"
        return "raw" if encoding == ENC_RAW or e.klen_flags & FORCED_RAW or e.vlen > EMBSTR_MAX else "embstr"

    def strlen(self, bytes key) -> int | None:
        """Length of a string for a reading command; None: no such key, or no string."""
        cdef Entry* e = self.read(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), slot_of(key))
        return entry_length(e) if e != NULL and entry_type(e) == TYPE_STRING else None

    def expire_at(self, bytes key) -> int | None:
        """When it dies (unix ms); None: never, or no such key."""
        cdef Entry* e = self.find(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), slot_of(key))
        return entry_expire_ms(e) if e != NULL and e.klen_flags & VOLATILE else None

    def set_expire_at(self, bytes key, at_ms: int | None) -> bool:
        """Let it die at a time, or never (None); False: no such key."""
        cdef int slot = slot_of(key)
        cdef Entry* e = self.find(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), slot)
        if e == NULL:
            return False
        self.set_expire(e, slot, NO_EXPIRE if at_ms is None else max(<int64_t>at_ms, 0))
        return True

    def idle_s(self, bytes key) -> int | None:
        cdef Entry* e = self.find(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), slot_of(key))
        return self.space.idle_s(e.meta & CLOCK_MASK) if e != NULL else None

    def freq(self, bytes key) -> int | None:
        cdef Entry* e = self.find(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), slot_of(key))
        return self.space.frequency(e.meta & CLOCK_MASK) if e != NULL else None

    def set_idle(self, bytes key, int64_t idle_s) -> bool:
        return self.set_clock(key, <uint32_t>(self.space.now_ms // 1000 - idle_s))

    def set_freq(self, bytes key, uint8_t freq) -> bool:
        return self.set_clock(key, <uint32_t>((self.space.now_ms // 60_000) & 0xFFFF) << 8 | freq)

    cdef bint set_clock(self, bytes key, uint32_t clock) except -1:
        cdef Entry* e = self.find(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), slot_of(key))
        if e == NULL:
            return False
        e.meta = (e.meta & ~<uint32_t>CLOCK_MASK) | (clock & CLOCK_MASK)
        return True

    def memory_of(self, bytes key, long samples=5) -> int | None:
        """What the key and its value occupy, with its share of the slot's table (collections count exactly)."""
        cdef int slot = slot_of(key)
        cdef Entry* e = self.find(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), slot)
        cdef size_t n
        if e == NULL:
            return None
        packed_settle(AWAKE_A_TURN)
        n = mem_size(entry_bytes(e)) + dict_bytes(&self.slots[slot]) // self.slots[slot].used
        if entry_encoding(e) == ENC_RAW:
            return n + mem_size(raw_size(entry_raw(e)))
        if entry_encoding(e) >= ENC_PACKED:
            return n + packed_bytes(e)
        return n + entry_object(e).memory() if entry_encoding(e) >= ENC_OBJECT else n

    # -- for handlers: many keys ---------------------------------------------------------------------------------------

    def scan(self, uint64_t cursor, long count=10, int only_slot=-1):
        """SCAN: the next cursor and some keys. The cursor is the slot in its low bits and the dict's cursor above them.

        Each key that is there from the first call to the last is returned; `only_slot` keeps to one slot.
        """
        cdef int slot = only_slot if only_slot >= 0 else <int>(cursor & (SLOTS - 1))
        cdef uint64_t at = cursor >> SLOT_BITS
        cdef long buckets = count * 10 if count < 1 << 40 else 1 << 44
        cdef list alive = [], dead = []
        cdef Harvest into
        into.space, into.alive, into.dead = <PyObject*>self.space, <PyObject*>alive, <PyObject*>dead
        while buckets > 0 and len(alive) < count:
            if at == 0:
                slot = self.next_slot(slot)
                if slot < 0 or (only_slot >= 0 and slot != only_slot):
                    slot = -1
                    break
            at = dict_scan(&self.slots[slot], at, harvest, &into) if self.size else 0
            buckets -= 1
            if at == 0:
                slot += 1
                if slot == SLOTS or only_slot >= 0:
                    slot = -1
                    break
        for key in dead:
            self.expire(key)
        return (at << SLOT_BITS | <uint64_t>slot if slot >= 0 else 0), alive

    def keys(self, Glob wanted=None) -> list:
        """All living keys, or those of a pattern."""
        cdef list found = []
        cdef int slot = self.next_slot(0)
        while slot >= 0:
            self.gather(slot, -1, wanted, found)
            slot = self.next_slot(slot + 1)
        return found

    def slot_keys(self, int slot, long limit) -> list:
        """Up to `limit` living keys of a slot."""
        cdef list found = []
        if self.size:
            self.gather(slot, limit, None, found)
        return found

    cdef int gather(self, int slot, long limit, Glob wanted, list found) except -1:
        cdef uint64_t pos = 0
        cdef Entry* e = <Entry*>dict_next(&self.slots[slot], &pos)
        while e != NULL and len(found) != limit:
            if not self.space.is_dead(e) and (wanted is None or wanted.matches(entry_key(e), entry_klen(e))):
                found.append(key_bytes(e))
            e = <Entry*>dict_next(&self.slots[slot], &pos)
        return 0

    def random_key(self) -> bytes | None:
        """Any living key, each as likely."""
        cdef Entry* e = self.random_entry()
        cdef int tries = 100           # on a replica, which only hides the dead, all keys may be dead
        while e != NULL and self.space.is_dead(e) and tries:
            tries -= not self.expire(key_bytes(e))
            e = self.random_entry()
        return key_bytes(e) if e != NULL else None

    def slot_len(self, int slot) -> int:
        return self.slots[slot].used if self.size else 0

    def flush(self, bint lazy=False) -> int:
        """Drop every key and return how many; what they occupied is freed in slices (Keyspace.free_some)."""
        cdef size_t n = self.size
        cdef Dict* slots
        if n == 0:
            return 0
        slots = self.slots
        mem_free(self.volatile_in_slot, SLOTS * sizeof(uint32_t))
        self.slots = NULL
        self.volatile_in_slot = NULL
        self.size = self.volatile_keys = 0
        self.mortal = None
        self.avg_ttl = 0
        memset(self.groups, 0, sizeof(self.groups))
        memset(self.volatile_groups, 0, sizeof(self.volatile_groups))
        if self.space.unsaved_below == 0 or not self.space.saver.keep_slots(self, slots, n, lazy):
            self.space.bury(grave_of_slots(slots, n), lazy)
        return n


# The short names of two methods belong to native code, which calls them with an entry or a slot in hand; Python code has
# no use for those and calls its own two by the same names.
cdef dict db_names = <dict>(<PyTypeObject*>Db).tp_dict
db_names["peek"] = db_names.pop("peek_value")
db_names["set_expire"] = db_names.pop("set_expire_at")
PyType_Modified(Db)
