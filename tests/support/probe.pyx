"""Windows into the engine's native structures, for tests only; nothing in the node imports this module."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy, memset

from node.engine.memory cimport alloc
from node.engine.structures.dict cimport (
    KIND_MEMBER, Dict, Member, dict_bytes, dict_find, dict_find_word, dict_init, dict_insert, dict_next, dict_place, dict_random,
    dict_release, dict_remove, dict_reserve, dict_scan, dict_step, hash_bytes, item_key, word_item, word_set,
)
from node.engine.structures.glob cimport glob_matches
from node.engine.structures.listpack cimport (
    element, lp_append, lp_append_int, lp_bytes, lp_copy, lp_count, lp_delete, lp_equals, lp_find, lp_free, lp_get_int,
    lp_insert, lp_new, lp_prepend, lp_prev, lp_replace, lp_seek, lp_t, lp_valid,
)
from node.engine.types.set cimport Set
from node.engine.keyspace.table cimport ENC_AWAKE, ENC_OBJECT, ENC_PACKED, Db, Entry, entry_encoding, key_slot


def hash_of(bytes key) -> int:
    return hash_bytes(key, len(key))


def size_of(size_t n) -> int:
    return alloc.mem_size(n)


cdef class Block:
    """One block of the allocator, filled with a byte, to be resized and checked."""
    cdef void* p
    cdef readonly size_t size

    def __cinit__(self, size_t size, zeroed=False):
        self.size = size
        self.p = alloc.mem_calloc(size) if zeroed else alloc.mem_alloc(size)

    def __dealloc__(self):
        alloc.mem_free(self.p, self.size)

    @property
    def address(self) -> int:
        return <uintptr_t>self.p

    @property
    def content(self) -> bytes:
        return (<char*>self.p)[:self.size]

    def fill(self, int byte):
        memset(self.p, byte, self.size)

    def resize(self, size_t size):
        self.p = alloc.mem_realloc(self.p, self.size, size)
        self.size = size


cdef void collect(void* arg, void* item) noexcept:
    (<list>arg).append(member_bytes(item))


cdef bytes member_bytes(void* item):
    cdef uint32_t n
    cdef const char* key = item_key(KIND_MEMBER, item, &n)
    return key[:n]


cdef size_t member_size(bytes member):
    return sizeof(Member) + len(member)


cdef void* new_member(bytes member):
    cdef Member* item = <Member*>alloc.mem_alloc(member_size(member))
    item.klen = len(member)
    memcpy(<char*>item + sizeof(Member), <const char*>member, len(member))
    return item


cdef class DictProbe:
    """A dict of members, driven call by call."""
    cdef Dict d

    def __cinit__(self):
        dict_init(&self.d, KIND_MEMBER)

    def __dealloc__(self):
        cdef uint64_t pos = 0
        cdef void* item = dict_next(&self.d, &pos)
        while item != NULL:
            alloc.mem_free(item, sizeof(Member) + (<Member*>item).klen)
            item = dict_next(&self.d, &pos)
        dict_release(&self.d)

    def __len__(self):
        return self.d.used

    def __contains__(self, bytes member):
        return dict_find(&self.d, member, len(member), hash_bytes(member, len(member))) != NULL

    def add(self, bytes member):
        assert member not in self
        dict_insert(&self.d, new_member(member), hash_bytes(member, len(member)))

    def replace(self, bytes member) -> bool:
        """Move the item to another address, as a changed item may."""
        cdef uint64_t* word = dict_find_word(&self.d, member, len(member), hash_bytes(member, len(member)))
        cdef void* old
        if word == NULL:
            return False
        old = word_item(word)
        word_set(word, new_member(member))
        alloc.mem_free(old, member_size(member))
        return True

    def remove(self, bytes member) -> bool:
        cdef void* item = dict_remove(&self.d, member, len(member), hash_bytes(member, len(member)))
        if item == NULL:
            return False
        alloc.mem_free(item, member_size(member))
        return True

    def distance(self, bytes member) -> int:
        """How many words lie between the home of a member that is there and where it is: what finding or adding it costs."""
        cdef uint64_t h = hash_bytes(member, len(member)), mask
        cdef uint64_t* word = dict_find_word(&self.d, member, len(member), h)
        if self.d.words <= word < self.d.words + (<uint64_t>1 << self.d.bits):
            mask = (<uint64_t>1 << self.d.bits) - 1
            return ((word - self.d.words) - dict_place(&self.d, h)) & mask
        mask = (<uint64_t>1 << self.d.old_bits) - 1
        return ((word - self.d.old_words) - dict_place(&self.d, h)) & mask

    def random(self):
        cdef void* item = dict_random(&self.d)
        return member_bytes(item) if item != NULL else None

    def items(self) -> list:
        cdef uint64_t pos = 0
        cdef list found = []
        cdef void* item = dict_next(&self.d, &pos)
        while item != NULL:
            found.append(member_bytes(item))
            item = dict_next(&self.d, &pos)
        return found

    def scan(self, uint64_t cursor):
        cdef list found = []
        cursor = dict_scan(&self.d, cursor, collect, <void*>found)
        return cursor, found

    def reserve(self, size_t n):
        dict_reserve(&self.d, n)

    def step(self, int words) -> bool:
        return dict_step(&self.d, words)

    def pause(self, int by):
        self.d.paused += by

    @property
    def resizing(self) -> bool:
        return self.d.old_words != NULL

    @property
    def bits(self) -> int:
        return self.d.bits

    @property
    def array_bytes(self) -> int:
        return dict_bytes(&self.d)


cdef class ListpackProbe:
    """A listpack, driven call by call."""
    cdef lp_t lp

    def __cinit__(self, bytes data=None):
        if data is None:
            self.lp = lp_new()
            return
        if not lp_valid(data, len(data)):
            raise ValueError("not a listpack")
        self.lp = lp_copy(data, len(data))

    def __dealloc__(self):
        if self.lp != NULL:
            lp_free(self.lp)

    def __len__(self):
        return lp_count(self.lp)

    def __bytes__(self):
        return (<char*>self.lp)[:lp_bytes(self.lp)]

    cdef lp_t _at(self, long index) except NULL:
        cdef lp_t p = lp_seek(self.lp, index)
        if p == NULL:
            raise IndexError(index)
        return p

    cdef long _index_of(self, lp_t p):
        cdef long index = 0
        if p == NULL:
            return -1
        while (p := lp_prev(self.lp, p)) != NULL:
            index += 1
        return index

    def __getitem__(self, long index):
        return element(self._at(index))

    def integer(self, long index):
        """The integer stored at index, or None when it is stored as a string."""
        cdef int64_t v
        return v if lp_get_int(self._at(index), &v) else None

    def equals(self, long index, bytes value):
        return lp_equals(self._at(index), value, len(value))

    def find(self, bytes value, int skip=0, long start=0):
        """Where the value is, comparing each (skip+1)-th from start; -1 when it is absent."""
        return self._index_of(lp_find(self.lp, lp_seek(self.lp, start), value, len(value), skip))

    def append(self, bytes value):
        self.lp = lp_append(self.lp, value, len(value))

    def append_int(self, int64_t value):
        self.lp = lp_append_int(self.lp, value)

    def prepend(self, bytes value):
        self.lp = lp_prepend(self.lp, value, len(value))

    def insert(self, long index, bytes value, bint after=False):
        """Insert before or after the element at index; the new element's index."""
        cdef lp_t at
        self.lp = lp_insert(self.lp, value, len(value), self._at(index), after, &at)
        return self._index_of(at)

    def replace(self, long index, bytes value):
        cdef lp_t at
        self.lp = lp_replace(self.lp, self._at(index), value, len(value), &at)
        return self._index_of(at)

    def delete(self, long index, uint32_t count=1):
        """Delete elements; the index of what follows them, -1 at the end."""
        cdef lp_t at
        self.lp = lp_delete(self.lp, self._at(index), count, &at)
        return self._index_of(at)


def set_form(Set s) -> str:
    """What really holds the set; its `encoding` is the name that clients know."""
    return "index" if s.index != NULL else "listpack" if s.lp != NULL else "intset"


def glob_steps(bytes pattern, bytes text) -> tuple:
    """Whether a pattern matches, and how many bytes of it were looked at on the way."""
    cdef uint64_t steps = 0
    return glob_matches(pattern, len(pattern), text, len(text), &steps), steps


def form_of(Db db, bytes key) -> str:
    """How the keyspace has a key's value: in its entry, or as a collection "at rest", "awake", or as an "object" for good."""
    cdef Entry* e = db.find(key, <uint32_t>len(key), key_slot(key, len(key)))
    cdef int encoding = entry_encoding(e)
    if encoding < ENC_OBJECT:
        return "string"
    return "at rest" if encoding >= ENC_PACKED else "awake" if encoding == ENC_AWAKE else "object"
