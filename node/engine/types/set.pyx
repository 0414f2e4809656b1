"""Sets.

A set of integers is an intset up to `set-max-intset-entries`. Any other is a listpack while it is small, else an index
of members: `intset`, `listpack` and `hashtable` to clients, by the rules of Redis 7.2. No step is taken back, but for one:
where most of an index is popped at once, what is left is a new set.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy
from node.engine.memory.alloc cimport mem_account, mem_size
from node.engine.structures.dict cimport (
    KIND_MEMBER, Member, dict_find, dict_insert, dict_next, dict_random, dict_remove, dict_reserve, dict_scan,
    hash_bytes, random_word,
)
from node.engine.structures.digits cimport format_int64, parse_int64
from node.engine.structures.intset cimport (
    ints_add, ints_bytes, ints_copy, ints_count, ints_delete, ints_find, ints_free, ints_get, ints_new, ints_valid,
)
from node.engine.types.guard cimport guard_change
from node.engine.structures.items cimport items_alloc, items_drop, items_free, items_free_some, items_memory, items_new
from node.engine.types.limits cimport limits
from node.engine.structures.listpack cimport (
    LP_MAX_BYTES, element, lp_append, lp_bytes, lp_copy, lp_count, lp_delete, lp_find, lp_first, lp_free, lp_get,
    lp_new, lp_next, lp_seek, lp_valid,
)
from node.engine.types.record cimport REST_EMPTY, REST_INTSET, REST_LARGE, REST_LISTPACK, TYPE_SET, Rested, TypeRecord, declare_type

cdef enum:
    INTS_MAX = 1 << 30          # an intset's count is 32 bits wide; Redis stops here too
    REST_SHARE = 5              # what is left of an index after a pop is a new set if it is at most a fifth of what went
    SCAN_STEPS_PER_MEMBER = 10  # a sparse index is left after this many empty buckets for each member asked for


# --- Members -----------------------------------------------------------------------------------------------------

cdef inline char* text_of(Member* member) noexcept nogil:
    return <char*>member + sizeof(Member)


cdef inline bytes bytes_of(Member* member):
    return PyBytes_FromStringAndSize(text_of(member), member.klen)


cdef inline bytes digits(int64_t v):
    cdef char buf[24]
    cdef uint32_t n = format_int64(v, buf)
    return PyBytes_FromStringAndSize(buf, n)


cdef inline void index_add(Items* index, const char* m, uint32_t n, uint64_t h) noexcept nogil:
    cdef Member* member = <Member*>items_alloc(index, sizeof(Member) + n)
    member.klen = n
    memcpy(text_of(member), m, n)
    dict_insert(&index.dict, member, h)


# --- From one form to the next -----------------------------------------------------------------------------------

cdef inline bint fits_listpack(size_t members, size_t longest) noexcept nogil:
    return members <= limits.set_max_listpack_entries and longest <= limits.set_max_listpack_value


cdef void leave_intset(Set s, size_t members, size_t longest, bint indexed) noexcept:
    """Turn the intset into what a set of so many members, the longest so long, is kept in; or into an index."""
    cdef ints_t ints = s.ints
    cdef uint32_t i, n
    cdef char buf[24]
    s.ints = NULL
    if ints_count(ints):
        n = format_int64(ints_get(ints, 0), buf)
        longest = max(longest, n)
        n = format_int64(ints_get(ints, ints_count(ints) - 1), buf)      # one of the two ends has the most digits
        longest = max(longest, n)
    if not indexed and fits_listpack(members, longest):
        s.lp = lp_new()
    else:
        s.index = items_new(KIND_MEMBER)
        dict_reserve(&s.index.dict, members)
    for i in range(ints_count(ints)):
        n = format_int64(ints_get(ints, i), buf)
        if s.lp != NULL:
            s.lp = lp_append(s.lp, buf, n)
        else:
            index_add(s.index, buf, n, hash_bytes(buf, n))
    ints_free(ints)


cdef void leave_listpack(Set s, size_t members) noexcept:
    """Turn the listpack into an index for so many members."""
    cdef lp_t lp = s.lp
    cdef lp_t p = lp_first(lp)
    cdef char buf[24]
    cdef char* m
    cdef uint32_t n
    s.lp = NULL
    s.index = items_new(KIND_MEMBER)
    dict_reserve(&s.index.dict, members)
    while p != NULL:
        lp_get(p, buf, &m, &n)
        index_add(s.index, m, n, hash_bytes(m, n))
        p = lp_next(lp, p)
    lp_free(lp)


# --- The contract (set.pxd) --------------------------------------------------------------------------------------

cdef size_t set_len(Set s) noexcept:
    if s.index != NULL:
        return s.index.dict.used
    if s.lp != NULL:
        return lp_count(s.lp)
    return ints_count(s.ints) if s.ints != NULL else 0


cdef bint add_integer(Set s, int64_t v) noexcept:
    cdef bint new
    cdef uint32_t count
    s.ints = ints_add(s.ints, v, &new)
    if new:
        count = ints_count(s.ints)
        if count > limits.set_max_intset_entries or count > INTS_MAX:
            leave_intset(s, count, 0, True)
    return new


cdef bint add_to_listpack(Set s, const char* m, uint32_t n) noexcept:
    if lp_find(s.lp, lp_first(s.lp), m, n, 0) != NULL:
        return False
    if fits_listpack(lp_count(s.lp) + 1, n) and <size_t>lp_bytes(s.lp) + n < LP_MAX_BYTES:
        s.lp = lp_append(s.lp, m, n)
    else:
        leave_listpack(s, lp_count(s.lp) + 1)
        index_add(s.index, m, n, hash_bytes(m, n))
    return True


cdef bint set_add(Set s, const char* m, uint32_t n) noexcept:
    cdef int64_t v
    cdef uint64_t h
    if s.index != NULL:
        h = hash_bytes(m, n)
        if dict_find(&s.index.dict, m, n, h) != NULL:
            return False
        guard_change(s.index.guard, m, n, NULL)
        index_add(s.index, m, n, h)
        return True
    if s.lp == NULL:
        if s.ints == NULL:
            s.ints = ints_new()
        if parse_int64(m, n, &v):
            return add_integer(s, v)
        leave_intset(s, ints_count(s.ints) + 1, n, False)
        if s.index != NULL:
            index_add(s.index, m, n, hash_bytes(m, n))
            return True
    return add_to_listpack(s, m, n)


cdef void set_expect(Set s, const char* first, uint32_t n, size_t members) noexcept:
    cdef int64_t v
    if s.index != NULL:
        return
    if s.lp != NULL:
        if members > limits.set_max_listpack_entries:
            leave_listpack(s, members)
    elif s.ints != NULL:
        if members > limits.set_max_intset_entries:
            leave_intset(s, members, 0, True)
    elif first == NULL and (members <= limits.set_max_intset_entries or members <= limits.set_max_listpack_entries):
        return                                              # its first member decides
    elif members <= limits.set_max_intset_entries and parse_int64(first, n, &v):
        s.ints = ints_new()
    elif members <= limits.set_max_listpack_entries:
        s.lp = lp_new()
    else:
        s.index = items_new(KIND_MEMBER)
        dict_reserve(&s.index.dict, members)


cdef bint set_remove(Set s, const char* m, uint32_t n) noexcept:
    cdef int64_t v
    cdef uint32_t at
    cdef lp_t p
    cdef void* item
    if s.index != NULL:
        item = dict_remove(&s.index.dict, m, n, hash_bytes(m, n))
        if item == NULL:
            return False
        guard_change(s.index.guard, m, n, item)
        items_drop(s.index, item)
        return True
    if s.lp != NULL:
        p = lp_find(s.lp, lp_first(s.lp), m, n, 0)
        if p == NULL:
            return False
        s.lp = lp_delete(s.lp, p, 1, NULL)
        return True
    if s.ints == NULL or not parse_int64(m, n, &v) or not ints_find(s.ints, v, &at):
        return False
    s.ints = ints_delete(s.ints, at)
    return True


cdef bint set_has(Set s, const char* m, uint32_t n) noexcept:
    cdef int64_t v
    cdef uint32_t at
    if s.index != NULL:
        return dict_find(&s.index.dict, m, n, hash_bytes(m, n)) != NULL
    if s.lp != NULL:
        return lp_find(s.lp, lp_first(s.lp), m, n, 0) != NULL
    return s.ints != NULL and parse_int64(m, n, &v) and ints_find(s.ints, v, &at)


cdef bytes set_pop(Set s):
    cdef uint32_t at
    cdef lp_t p
    cdef Member* member
    cdef bytes m
    if s.index != NULL:
        member = <Member*>dict_random(&s.index.dict)
        m = bytes_of(member)
        guard_change(s.index.guard, text_of(member), member.klen, member)
        dict_remove(&s.index.dict, text_of(member), member.klen, hash_bytes(text_of(member), member.klen))
        items_drop(s.index, member)
    elif s.lp != NULL:
        p = lp_seek(s.lp, random_word() % lp_count(s.lp))
        m = element(p)
        s.lp = lp_delete(s.lp, p, 1, NULL)
    else:
        at = random_word() % ints_count(s.ints)
        m = digits(ints_get(s.ints, at))
        s.ints = ints_delete(s.ints, at)
    return m


cdef void set_popped(Set s, size_t count) noexcept:
    cdef Items* old = s.index
    cdef uint64_t pos = 0
    cdef Member* member
    if old == NULL or old.guard != NULL or old.dict.used == 0 or old.dict.used * REST_SHARE > count:
        return                                              # a guard: a snapshot is on its way through this index
    s.index = NULL
    s.lp = lp_new()
    while (member := <Member*>dict_next(&old.dict, &pos)) != NULL:
        set_add(s, text_of(member), member.klen)
    items_free(old)


cdef void set_each(Set s, MemberFn visit, void* arg) noexcept:
    cdef uint64_t pos = 0
    cdef Member* member
    cdef lp_t p
    cdef char buf[24]
    cdef char* m
    cdef uint32_t n, i
    if s.index != NULL:
        while (member := <Member*>dict_next(&s.index.dict, &pos)) != NULL:
            visit(arg, text_of(member), member.klen)
    elif s.lp != NULL:
        p = lp_first(s.lp)
        while p != NULL:
            lp_get(p, buf, &m, &n)
            visit(arg, m, n)
            p = lp_next(s.lp, p)
    elif s.ints != NULL:
        for i in range(ints_count(s.ints)):
            n = format_int64(ints_get(s.ints, i), buf)
            visit(arg, buf, n)


cdef Set set_of_intset(const unsigned char* p, size_t n):
    cdef Set s = Set()
    if not ints_valid(p, n):
        raise ValueError("not an intset")
    s.ints = ints_copy(p, n)
    if ints_count(s.ints) > limits.set_max_intset_entries:
        leave_intset(s, ints_count(s.ints), 0, True)
    return s


cdef Set set_of_listpack(const unsigned char* p, size_t n):
    cdef Set s = Set()
    cdef lp_t lp = <lp_t>p
    cdef lp_t at
    cdef char buf[24]
    cdef char* m
    cdef uint32_t mn
    if not lp_valid(lp, n) or lp_first(lp) == NULL:
        raise ValueError("not a listpack of members")
    s.lp = lp_new()
    at = lp_first(lp)
    while at != NULL:
        lp_get(at, buf, &m, &mn)
        if not set_add(s, m, mn):
            raise ValueError("a member is there twice")
        at = lp_next(lp, at)
    return s


# --- For Python --------------------------------------------------------------------------------------------------

cdef void collect(void* arg, const char* m, uint32_t n) noexcept:
    (<list>arg).append(PyBytes_FromStringAndSize(m, n))


cdef void collect_item(void* arg, void* item) noexcept:
    (<list>arg).append(bytes_of(<Member*>item))


cdef void add_each(void* arg, const char* m, uint32_t n) noexcept:
    set_add(<Set>arg, m, n)


cdef void release(Set s) noexcept:
    if s.index != NULL:
        items_free(s.index)
    if s.lp != NULL:
        lp_free(s.lp)
    if s.ints != NULL:
        ints_free(s.ints)
    s.index = NULL
    s.lp = NULL
    s.ints = NULL


cdef list sparse_sample(Items* index, size_t count):
    """So many different members, each choice as likely: drawn until new. For counts well below the size."""
    cdef set drawn = set()
    cdef list out = []
    cdef Member* member
    while <size_t>len(out) < count:
        member = <Member*>dict_random(&index.dict)
        address = <size_t>member
        if address not in drawn:
            drawn.add(address)
            out.append(bytes_of(member))
    return out


@cython.final
@cython.no_gc
cdef class Set:
    def __cinit__(self):
        mem_account(OBJECT_BYTES)

    def __dealloc__(self):
        release(self)
        mem_account(-OBJECT_BYTES)

    @staticmethod
    def from_intset(bytes data) -> Set:
        return set_of_intset(<const unsigned char*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    @staticmethod
    def from_listpack(bytes data) -> Set:
        return set_of_listpack(<const unsigned char*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    def intset(self):
        """Redis' bytes of a set of integers in its compact form, else None."""
        if self.ints == NULL:
            return None
        return PyBytes_FromStringAndSize(<char*>self.ints, ints_bytes(self.ints))

    def __len__(self):
        return set_len(self)

    def __contains__(self, bytes m):
        return set_has(self, PyBytes_AS_STRING(m), <uint32_t>PyBytes_GET_SIZE(m))

    def add(self, bytes m):
        """True when the member is new."""
        if set_len(self) == 0:
            set_expect(self, PyBytes_AS_STRING(m), <uint32_t>PyBytes_GET_SIZE(m), 1)
        return set_add(self, PyBytes_AS_STRING(m), <uint32_t>PyBytes_GET_SIZE(m))

    def remove(self, bytes m):
        return set_remove(self, PyBytes_AS_STRING(m), <uint32_t>PyBytes_GET_SIZE(m))

    def members(self):
        cdef list out = []
        set_each(self, collect, <void*>out)
        return out

    def random(self):
        """Any member, each as likely."""
        if set_len(self) == 0:
            raise IndexError("an empty set has no member")
        if self.index != NULL:
            return bytes_of(<Member*>dict_random(&self.index.dict))
        if self.lp != NULL:
            return element(lp_seek(self.lp, random_word() % lp_count(self.lp)))
        return digits(ints_get(self.ints, random_word() % ints_count(self.ints)))

    def pop(self):
        if set_len(self) == 0:
            raise IndexError("an empty set has no member")
        return set_pop(self)

    def sample(self, size_t count):
        """`count` different members, or all when there are fewer; which ones, and their order, by chance."""
        cdef list members
        cdef size_t size = set_len(self), i, j
        if count >= size:
            return self.members()
        if self.index != NULL and count < size // 3:
            return sparse_sample(self.index, count)
        members = self.members()
        for i in range(count):
            j = i + random_word() % (size - i)
            members[i], members[j] = members[j], members[i]
        del members[count:]
        return members

    def pops(self, size_t count):
        """Remove and return `count` random members, or all when there are fewer."""
        cdef list out
        cdef size_t i
        if count >= set_len(self):
            out = self.members()
            release(self)
            return out
        out = [set_pop(self) for i in range(count)]
        set_popped(self, count)
        return out

    def scan(self, uint64_t cursor, size_t count):
        """The next cursor (0: done) and some members. A compact set is told at once."""
        cdef list out = []
        cdef size_t steps = count * SCAN_STEPS_PER_MEMBER
        if self.index == NULL:
            return 0, self.members()
        while True:
            cursor = dict_scan(&self.index.dict, cursor, collect_item, <void*>out)
            steps -= 1
            if cursor == 0 or steps == 0 or <size_t>len(out) >= count:
                return cursor, out

    @property
    def encoding(self):
        return "hashtable" if self.index != NULL else "listpack" if self.lp != NULL else "intset"

    def memory(self):
        """Bytes that the set occupies, this object included."""
        cdef size_t n = OBJECT_BYTES
        if self.index != NULL:
            n += items_memory(self.index)
        if self.lp != NULL:
            n += mem_size(lp_bytes(self.lp))
        if self.ints != NULL:
            n += mem_size(ints_bytes(self.ints))
        return n

    def copy(self):
        cdef Set s = Set()
        if self.lp != NULL:
            s.lp = lp_copy(self.lp, lp_bytes(self.lp))
        elif self.ints != NULL:
            s.ints = ints_copy(self.ints, ints_bytes(self.ints))
        elif self.index != NULL:
            s.index = items_new(KIND_MEMBER)
            dict_reserve(&s.index.dict, self.index.dict.used)
            set_each(self, add_each, <void*>s)
        return s

    def free_some(self, long budget):
        """Free up to `budget` members of a set that nobody will ask again; True while there is more."""
        return self.index != NULL and items_free_some(self.index, budget)


cdef ssize_t OBJECT_BYTES = (Set.__basicsize__ + 15) & ~15      # as Python's allocator rounds it


# -- the record of the type --------------------------------------------------------------------------------------------

cdef object wake(object spare, void* block, Rested form):
    cdef Set s = <Set>spare if spare is not None else Set()
    if form == REST_INTSET:
        s.ints = <ints_t>block
    else:
        s.lp = <lp_t>block
    return s


cdef Rested rest(PyObject* value, void** block) noexcept:
    cdef Set s = <Set>value
    if s.index != NULL:
        return REST_LARGE
    if s.lp != NULL:
        block[0] = s.lp
        s.lp = NULL
        return REST_LISTPACK
    if s.ints != NULL:
        block[0] = s.ints
        s.ints = NULL
        return REST_INTSET
    return REST_EMPTY


cdef TypeRecord* record = declare_type(TYPE_SET, "set", Set)
record.wake = wake
record.rest = rest
