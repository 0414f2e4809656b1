"""Keys of an RDB file into databases, natively (rdb.pyx has the format's primitives).

A data set is read through here at each start, so strings, compact forms and plain collections go from the file's bytes
into the engine's memory without Python objects in between. What is rare or old (streams, ziplists) is read by a Python
function. Whoever uses this sees to the parts of a file that are no keys.

A collection that a file holds element by element may have millions of them, so it can be left half read: `some` stops at a
position wherever it is, and goes on there. Nothing is believed: what is wrong raises Malformed, and the databases
are then thrown away by their owner.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.math cimport isnan
from libc.stdint cimport INT64_MAX, SIZE_MAX, int32_t, uint32_t
from libc.string cimport memcmp, memcpy, memset

from node.engine.structures.dict cimport FETCH_AHEAD, Dict, Entry, dict_fetch
from node.engine.types.hash cimport NEVER, Hash, hash_has_ttls, hash_len, hash_of_listpack, hash_set
from node.engine.keyspace.keyslot cimport SLOTS, key_slot
from node.engine.types.list cimport List, list_add_node, list_len, list_push, list_settle
from node.engine.durable.rdb cimport (
    KIND_HASH, KIND_HASH_EXPIRING, KIND_HASH_LISTPACK, KIND_HASH_VALKEY, KIND_LIST, KIND_LIST_NODES, KIND_SET,
    KIND_SET_INTSET, KIND_SET_LISTPACK, KIND_STRING, KIND_ZSET, KIND_ZSET_LISTPACK, KIND_ZSET_TEXT, OPCODE_EXPIRE_MS,
    OPCODE_EXPIRE_S, OPCODE_FREQ, OPCODE_IDLE, text_free,
)
from node.engine.types.set cimport Set, set_add, set_expect, set_len, set_of_intset, set_of_listpack
from node.engine.keyspace.table cimport (
    CLOCK_MASK, NO_EXPIRE, TYPE_HASH, TYPE_LIST, TYPE_SET, TYPE_STRING, TYPE_ZSET,
)
from node.engine.types.record cimport code_of
from node.engine.types.zset cimport ZSET_ADDED, ZSet, zset_of_listpack, zset_set

from node.engine.durable.rdb import Malformed

cdef enum:
    NO_KEY = -1
    KIND_MAX = 100              # what is higher opens something that is no key
    EMPTY_KEYS_TOLD = 100
    DEAD_FIELDS = 10_000
    ELEMENT_MAX = 0x1FFFFFFF    # no command makes longer ones
    ELEMENTS_A_LOOK = 64        # elements of a large collection between two looks at the position

MORE = -1
"""`some` has stopped at the position, not at an opcode."""

cdef char* EMPTY_LISTPACK = b"\x07\x00\x00\x00\x00\x00\xff"
cdef uint64_t EXPECTED_MAX = 1 << 22      # members for whom room is made at the most, since the count may be a lie
cdef uint32_t LENGTH_14_BEGINS = 0x40     # below it, the byte is the length
cdef int64_t FIELD_DEATH_MAX_MS = (1 << 48) - 2


cdef inline int native_type(int kind, bint foreign) noexcept nogil:
    """The type of a collection of this kind, if it is read here, else NO_KEY."""
    if kind == KIND_HASH or kind == KIND_HASH_LISTPACK or kind == KIND_HASH_EXPIRING or (kind == KIND_HASH_VALKEY and foreign):
        return TYPE_HASH
    if kind == KIND_SET or kind == KIND_SET_LISTPACK or kind == KIND_SET_INTSET:
        return TYPE_SET
    if kind == KIND_ZSET or kind == KIND_ZSET_LISTPACK or kind == KIND_ZSET_TEXT:
        return TYPE_ZSET
    if kind == KIND_LIST or kind == KIND_LIST_NODES:
        return TYPE_LIST
    return NO_KEY


NATIVE = frozenset(kind for kind in range(KIND_MAX) if native_type(kind, False) != NO_KEY)
"""The kinds of collections that are read here."""


@cython.final
cdef class KeyLoader:
    def __cinit__(self, Reader reader not None, Keyspace space, read_value, bint keep_dead=False,
                  bint merge=False, bytes slots=None):
        if slots is not None and len(slots) != SLOTS:
            raise ValueError("one byte for each slot")
        self.slots = slots
        self.reader = reader
        self.empty_keys = []
        self.space = space
        self.read_value = read_value
        self.keep_dead = keep_dead
        self.merge = merge
        memset(&self.key, 0, sizeof(Text))
        memset(&self.first, 0, sizeof(Text))
        memset(&self.second, 0, sizeof(Text))
        self.forget()

    def __dealloc__(self):
        text_free(&self.key)
        text_free(&self.first)
        text_free(&self.second)

    def current_key(self):
        """The key that is being read; None between keys."""
        return PyBytes_FromStringAndSize(self.key.p, self.key.n) if self.kind != NO_KEY and self.key.p != NULL else None

    def some(self, size_t until, uint64_t keys) -> int:
        """Read to this position, so many keys, or an opcode that does not belong to a key, which is returned; else MORE."""
        cdef Keyspace space = self.space
        cdef bint show_dead = space.show_dead
        cdef object on_created = space.on_created
        cdef uint64_t last = self.keys_read() + keys
        cdef int code
        space.show_dead = True
        space.on_created = None
        try:
            while self.reader.at < until and self.keys_read() < last:
                if self.kind == NO_KEY:
                    code = self.reader.get(1)[0]
                    if code > KIND_MAX:
                        if not self.note(code):
                            return code
                        continue
                    self.begin(code)
                if self.fill(until):
                    self.finish()
            return MORE
        finally:
            space.show_dead = show_dead
            space.on_created = on_created

    cdef uint64_t keys_read(self) noexcept:
        return self.loaded + self.dead + self.empty + self.elsewhere

    cdef bint note(self, int code) except -1:
        """What an opcode says about the key that follows; False: it is about something else."""
        cdef int32_t seconds
        cdef uint64_t idle_s
        if code == OPCODE_EXPIRE_MS:
            memcpy(&self.at_ms, self.reader.get(8), 8)
        elif code == OPCODE_EXPIRE_S:
            memcpy(&seconds, self.reader.get(4), 4)
            self.at_ms = <int64_t>seconds * 1000
        elif code == OPCODE_IDLE:
            idle_s = self.reader.get_length(NULL)
            self.idle_s = <int64_t>idle_s if idle_s < INT64_MAX else INT64_MAX
        elif code == OPCODE_FREQ:
            self.freq = self.reader.get(1)[0]
        else:
            return False
        return True

    # -- values --------------------------------------------------------------------------------------------------------

    cdef int begin(self, int kind) except -1:
        """The key, and the count of what comes element by element."""
        self.key.p = NULL
        self.reader.get_text(&self.key)
        if self.key.n > ELEMENT_MAX:
            raise Malformed("a key that is too long")
        return self.open_value(kind)

    cdef int open_value(self, int kind) except -1:
        """A collection of elements to come, and their count; nothing yet of what is read in one go."""
        cdef Reader r = self.reader
        self.kind = kind
        self.left = 0
        if kind == KIND_LIST or kind == KIND_LIST_NODES:
            self.value = List()
        elif kind == KIND_SET:
            self.value = Set()
        elif kind == KIND_HASH or kind == KIND_HASH_EXPIRING or (kind == KIND_HASH_VALKEY and self.foreign):
            self.value = Hash()
            if kind == KIND_HASH_EXPIRING:
                memcpy(&self.first_ms, r.get(8), 8)
        elif kind == KIND_ZSET or kind == KIND_ZSET_TEXT:
            self.value = ZSet()
        else:
            return 0
        self.left = r.get_length(NULL)
        if self.left == 0:
            self.value = None
        elif kind == KIND_SET:
            # Each member takes a byte at least.
            set_expect(<Set>self.value, NULL, 0, min(self.left, r.end - r.at, EXPECTED_MAX))
        self.ahead = r.at
        memset(&self.coming, 0, sizeof(self.coming))
        return 0

    cdef void look_ahead(self, Dict* d, int texts) noexcept:
        """Fetch what an element that comes some turns later will touch. It is `texts` strings, of which the first counts.

        What is not a plain short string ends this for the key; the elements themselves are checked when it is their turn.
        """
        cdef Reader r = self.reader
        cdef uint32_t n
        cdef int i, turns = 1
        if self.ahead and self.ahead < r.at:
            self.ahead = r.at
            turns = FETCH_AHEAD
        while turns and self.ahead:
            turns -= 1
            for i in range(texts):
                n = r.p[self.ahead] if self.ahead < r.end else 0xFF
                if n >= LENGTH_14_BEGINS or n >= r.end - self.ahead:
                    self.ahead = 0
                    return
                if i == 0:
                    dict_fetch(d, &self.coming, <const char*>r.p + self.ahead + 1, n)
                self.ahead += n + 1

    cdef bint fill(self, size_t until) except -1:
        """Elements of a collection, up to a position; True: it is complete."""
        cdef int i
        while self.left:
            if self.reader.at >= until:
                return False
            for i in range(ELEMENTS_A_LOOK):
                if self.left:
                    self.element()
                    self.left -= 1
        return True

    cdef int element(self) except -1:
        cdef Reader r = self.reader
        cdef Text* first = &self.first
        cdef Text* second = &self.second
        cdef uint64_t container
        cdef double score
        cdef bint is_new = True
        if self.kind == KIND_LIST_NODES:
            container = r.get_length(NULL)
            r.get_text(first)
            check_element(first)
            if first.n == 0:
                raise Malformed("an empty list node")
            try:
                list_add_node(<List>self.value, container, <const unsigned char*>first.p, first.n)
            except ValueError as error:
                raise Malformed(f"Quicklist integrity check failed: {error}") from error
            return 0
        if self.kind == KIND_HASH_EXPIRING or self.kind == KIND_HASH_VALKEY:
            return self.mortal_field()
        r.get_text(first)
        check_element(first)
        if self.kind == KIND_LIST:
            list_push(<List>self.value, first.p, first.n, False)
        elif self.kind == KIND_SET:
            if (<Set>self.value).index != NULL:
                self.look_ahead(&(<Set>self.value).index.dict, 1)
            is_new = set_add(<Set>self.value, first.p, <uint32_t>first.n)
        elif self.kind == KIND_HASH:
            r.get_text(second)
            check_element(second)
            if (<Hash>self.value).index != NULL:
                self.look_ahead(&(<Hash>self.value).index.dict, 2)
            is_new = hash_set(<Hash>self.value, first.p, <uint32_t>first.n, second.p, <uint32_t>second.n)
        else:
            if self.kind == KIND_ZSET:
                memcpy(&score, r.get(8), 8)
            else:
                score = r.double_text()
            if isnan(score):
                raise Malformed("a score that is not a number")
            is_new = zset_set(<ZSet>self.value, first.p, <uint32_t>first.n, score) == ZSET_ADDED
        if not is_new:
            raise Malformed("an element is there twice")
        return 0

    cdef int mortal_field(self) except -1:
        """Redis: its death counted from the first one (0: none), name, value. Valkey: name, value, death (-1: none)."""
        cdef Reader r = self.reader
        cdef Text* first = &self.first
        cdef Text* second = &self.second
        cdef uint64_t after = 0
        cdef int64_t at_ms = NEVER
        if self.kind == KIND_HASH_EXPIRING:
            after = r.get_length(NULL)
        r.get_text(first)
        check_element(first)
        r.get_text(second)
        check_element(second)
        if self.kind == KIND_HASH_VALKEY:
            memcpy(&at_ms, r.get(8), 8)
        elif after:
            at_ms = <int64_t>(<uint64_t>self.first_ms + after - 1)
        if not hash_set(<Hash>self.value, first.p, <uint32_t>first.n, second.p, <uint32_t>second.n):
            raise Malformed("a field is there twice")
        if at_ms != NEVER:
            if not 0 <= at_ms <= FIELD_DEATH_MAX_MS:
                raise Malformed("an expiry that no command could have set")
            (<Hash>self.value).expire(PyBytes_FromStringAndSize(first.p, first.n), at_ms)
        return 0

    cdef int whole(self) except -1:
        """A value that is one string, a compact form, into self.value; None: it has no elements."""
        cdef Text* text = &self.first
        cdef const unsigned char* p
        self.reader.get_text(text)
        p = <const unsigned char*>text.p
        if self.kind != KIND_SET_INTSET and text.n == 7 and memcmp(p, EMPTY_LISTPACK, 7) == 0:
            return 0
        try:
            if self.kind == KIND_HASH_LISTPACK:
                self.value = hash_of_listpack(p, text.n)
            elif self.kind == KIND_ZSET_LISTPACK:
                self.value = zset_of_listpack(p, text.n)
            elif self.kind == KIND_SET_LISTPACK:
                self.value = set_of_listpack(p, text.n)
            else:
                self.value = set_of_intset(p, text.n)
                if set_len(<Set>self.value) == 0:
                    self.value = None
        except ValueError as error:
            raise Malformed(f"{FORMS[self.kind]} integrity check failed: {error}") from error
        return 0

    # -- into the database ---------------------------------------------------------------------------------------------

    cdef int finish(self) except -1:
        """The value is read, or will be at once: the key goes into its database, unless it is dead or empty."""
        cdef int kind = self.kind, native = native_type(kind, self.foreign)
        cdef object value
        if kind == KIND_STRING:
            self.reader.get_text(&self.first)
            if not self.is_elsewhere() and not self.unwanted():
                self.put_text()
        elif native != NO_KEY:
            self.put(native, self.complete())
        else:
            value = self.read_value(self.reader, kind)
            self.put(NO_KEY if value is None else code_of(value), value)
        self.forget()
        return 0

    cdef object complete(self):
        """The collection, all elements of which have been read, or which is one string still to be read; None: it is empty."""
        if self.kind in (KIND_HASH_LISTPACK, KIND_ZSET_LISTPACK, KIND_SET_LISTPACK, KIND_SET_INTSET):
            self.whole()
        elif self.value is not None and (self.kind == KIND_LIST or self.kind == KIND_LIST_NODES):
            list_settle(<List>self.value)
        return self.value

    cdef bint is_elsewhere(self) noexcept:
        if self.slots is None or (<const unsigned char*><const char*>self.slots)[key_slot(self.key.p, self.key.n)]:
            return False
        self.elsewhere += 1
        return True

    cdef bint unwanted(self) except -1:
        if self.at_ms == NO_EXPIRE or self.keep_dead or self.at_ms >= self.space.now_ms:
            return False
        self.dead += 1
        if self.on_dead is not None:
            self.on_dead(self.db, PyBytes_FromStringAndSize(self.key.p, self.key.n))
        return True

    cdef int put_text(self) except -1:
        cdef Db db = self.db
        cdef size_t before = db.size
        cdef Entry* e = db.put_string_until(self.key.p, <uint32_t>self.key.n, key_slot(self.key.p, self.key.n),
                                            self.first.p, self.first.n, due(self.at_ms))
        return self.stored(e, before)

    cdef int put(self, int type, object value) except -1:
        cdef Db db = self.db
        cdef size_t before = db.size
        cdef int slot
        cdef Entry* e
        if self.is_elsewhere():
            return 0
        if value is None:
            self.empty += 1
            if len(self.empty_keys) < EMPTY_KEYS_TOLD:
                self.empty_keys.append(self.current_key())
            return 0
        if self.unwanted():
            return 0
        slot = key_slot(self.key.p, self.key.n)
        if type == TYPE_HASH and hash_has_ttls(<Hash>value) and not self.keep_dead:
            while (<Hash>value).see(self.space.now_ms):
                (<Hash>value).bury(DEAD_FIELDS)
            if hash_len(<Hash>value) == 0:
                self.dead += 1
                return 0
        e = db.put_object(self.key.p, <uint32_t>self.key.n, slot, type, value, False)
        if self.at_ms != NO_EXPIRE:
            e = db.set_expire(e, slot, due(self.at_ms))
        if type == TYPE_HASH and hash_has_ttls(<Hash>value):
            db.note_deaths(PyBytes_FromStringAndSize(self.key.p, self.key.n), e)
        return self.stored(e, before)

    cdef int stored(self, Entry* e, size_t before) except -1:
        """A key is in its database, which had `before` keys: note what the file says of its use."""
        cdef int64_t clock
        if self.db.size == before and not self.merge:
            raise Malformed(f"the key {self.current_key()[:100]!r} is there twice")
        if self.space.lfu and self.freq >= 0:
            clock = ((self.space.now_ms // 60_000) & 0xFFFF) << 8 | self.freq
        elif not self.space.lfu and self.idle_s >= 0:
            clock = self.space.now_ms // 1000 - self.idle_s
        else:
            clock = e.meta
        e.meta = (e.meta & ~<uint32_t>CLOCK_MASK) | (<uint32_t>clock & CLOCK_MASK)
        self.loaded += 1
        return 0

    cdef void forget(self) noexcept:
        self.kind = NO_KEY
        self.value = None
        self.left = 0
        self.at_ms = NO_EXPIRE
        self.idle_s = self.freq = -1


def read_collection(Reader r not None, int kind, bint foreign=False):
    """The collection of one of the `NATIVE` kinds that begins here; None: it is empty. `foreign` as in KeyLoader."""
    cdef KeyLoader loader = KeyLoader(r, None, None)
    loader.foreign = foreign
    loader.open_value(kind)
    loader.fill(SIZE_MAX)
    return loader.complete()


cdef inline int64_t due(int64_t at_ms) noexcept:
    """When a key dies: NO_EXPIRE, or a time that is not before 1970."""
    return at_ms if at_ms >= NO_EXPIRE else 0


cdef inline int check_element(Text* text) except -1:
    if text.n > ELEMENT_MAX:
        raise Malformed("an element that is too long")
    return 0


cdef dict FORMS = {
    KIND_HASH_LISTPACK: "Hash listpack", KIND_ZSET_LISTPACK: "Zset listpack", KIND_SET_LISTPACK: "Set listpack",
    KIND_SET_INTSET: "Intset",
}
