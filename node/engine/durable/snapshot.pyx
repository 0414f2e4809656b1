"""Snapshots: a point in time without fork (snapshot.pxd is the contract).

Each snapshot takes the next version number when it begins. Every entry carries the version at which it was last written
or saved, so an entry of a lower version than the snapshot's has not been saved by it. A walk visits the tables in slices
and saves such entries; and whoever is about to change, move or free one saves it first (table.stamp), to every snapshot
that still needs it, oldest first. Both stamp what they saved with the highest version they saved it for. New entries
have the current version and so are in none. While no snapshot is taken this costs a write one comparison; while one is,
the memory it needs is what was written meanwhile and has not been handed on.

What is saved early comes out of the order of slots and databases. That is fine in RDB, where SELECTDB may stand before
any key.

The tables themselves may change hands. A database that is emptied leaves its tables to the snapshots, the last of which
buries them; databases that swap their contents swap them here, too. A table that grows or shrinks between two slices is
walked by dict_scan, which may show an entry twice: the second time its version says so. Small tables are looked at from
their beginning after each pause, for the same reason.

Rejected: copying tables (doubles memory at once), saving whole slots before a write to one of their keys (a write would
pay for thousands of neighbours), and a log of old values beside the data (a second form of every value).
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.string cimport memcpy

from node.engine.memory.alloc cimport mem_used
from node.engine.durable.crc64 cimport crc64_update
from node.engine.structures.dict cimport dict_next, dict_scan
from node.engine.keyspace.entry cimport ENC_RAW, entry_encoding, entry_value
from node.engine.keyspace.graves cimport grave_of_slots
from node.engine.keyspace.keyslot cimport SLOTS
from node.engine.durable.largevalue cimport LargeValue, large_value
from node.engine.durable.rdb cimport FORM_REDIS_70, OPCODE_EOF, OPCODE_RESIZEDB, OPCODE_SELECTDB
from node.engine.durable.rdbvalue cimport CLOCK_FREQ, CLOCK_IDLE, CLOCK_NONE, put_entry
from node.engine.session.session cimport monotonic_ns

cdef extern from *:
    void prefetch "__builtin_prefetch"(const void* p) noexcept nogil

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject* o)

cdef enum:
    PIECE = 64 << 10             # bytes that are handed on at once
    SMALL_BITS = 10              # tables of up to 2**SMALL_BITS words are looked at whole
    LOOK_MAX = 2048              # entries that one look finds at most
    KEYS_A_GLANCE = 16           # keys between two looks at the time
    LARGE_PART = 1 << 20         # the same when somebody waits for its end
    HEAP = 256 << 10             # bytes that are too many to be finished while a client waits
    AHEAD = 8                    # entries that are fetched before their turn

PIECE_BYTES = PIECE

cdef size_t PART = 16 << 10              # bytes of a large value that are written between two looks at the time


def set_part(size_t bytes=16 << 10):
    """How much of a large value is written at once: for tests (as largevalue.set_large is)."""
    global PART
    PART = bytes


# -- tables that nobody else needs ---------------------------------------------------------------------------------------

@cython.final
cdef class FlushedSlots:
    cdef int release(self) except -1:
        cdef Dict* slots = self.slots
        self.users -= 1
        if self.users == 0 and slots != NULL:
            self.slots = NULL
            self.space.bury(grave_of_slots(slots, self.pending), self.lazy)
        return 0

    def __dealloc__(self):
        if self.slots != NULL:
            grave_of_slots(self.slots, self.pending)       # dropped at once


# -- one look --------------------------------------------------------------------------------------------------------------

# The entries of a part of a table that a snapshot has yet to save. There is one for all, since nothing changes meanwhile.
ctypedef struct Look:
    uint32_t below
    size_t n
    bint full                    # there were more: look again
    int slot                     # the part that follows
    uint64_t cursor
    Entry* found[LOOK_MAX]

cdef Look look


cdef void see(void* arg, void* item) noexcept:
    if (<Entry*>item).version >= look.below:
        return
    if look.n == LOOK_MAX:
        look.full = True
        return
    look.found[look.n] = <Entry*>item
    look.n += 1


cdef void look_at_all(Dict* d) noexcept:
    cdef uint64_t pos = 0
    cdef void* item
    while (item := dict_next(d, &pos)) != NULL:
        prefetch(item)
    pos = 0
    while (item := dict_next(d, &pos)) != NULL:
        see(NULL, item)


@cython.final
cdef class Source:
    cdef int next_slot(self, const uint8_t* wanted) noexcept:
        """The first slot from the walk's on that has keys and is wanted; -1: none."""
        cdef int slot = self.slot
        while slot < SLOTS:
            if self.db is not None:
                slot = self.db.next_slot(slot)
                if slot < 0:
                    return -1
            elif self.flushed.slots[slot].used == 0:
                slot += 1
                continue
            if wanted == NULL or wanted[slot]:
                return slot
            slot += 1
        return -1

    cdef bint look_on(self, const uint8_t* wanted, uint32_t below) noexcept:
        """Look for entries of lower versions in the next part of the tables; False: there is no next part."""
        cdef Dict* d
        cdef int slot
        look.n = 0
        look.full = False
        look.below = below
        while look.n == 0:
            slot = self.next_slot(wanted)
            if slot < 0:
                return False
            if slot != self.slot:
                self.slot = slot
                self.cursor = 0
            d = &self.db.slots[slot] if self.db is not None else &self.flushed.slots[slot]
            look.slot, look.cursor = slot + 1, 0
            if d.bits <= SMALL_BITS and d.old_words == NULL:
                look_at_all(d)
            else:
                look.cursor = dict_scan(d, self.cursor, see, NULL)
                if look.cursor != 0:
                    look.slot = slot
            if look.n == 0:
                self.slot, self.cursor = look.slot, look.cursor
        return True


cdef Source source_for(Db db, const uint8_t* wanted):
    """A database as it is now."""
    cdef Source source = Source()
    cdef int slot
    source.db = db
    source.index = db.index
    if wanted == NULL:
        source.keys = db.size
        source.volatile_keys = db.volatile_keys
    elif db.size:
        for slot in range(SLOTS):
            if wanted[slot]:
                source.keys += db.slots[slot].used
                source.volatile_keys += db.volatile_in_slot[slot]
    source.walked = source.keys == 0
    return source


# -- a snapshot --------------------------------------------------------------------------------------------------------------

@cython.final
cdef class Snapshot:
    """The keys of all databases as they are now, to be written with `step` and got with `take`.

    It is of the moment at which it is made, and keeps what changes from then on until it is through, or cancelled. `slots` is
    16384 bytes, one a slot, 0 for those that are left out. `policy` is maxmemory-policy: with some of them the access
    clock is written too. `form` says for whom it is (node/persistence/types/kinds.py).
    """

    def __init__(self, Keyspace space not None, bytes slots=None, bint compress=True, bint checksum=True, str policy="",
                 int form=FORM_REDIS_70):
        cdef Source source
        cdef Snapshots all
        if slots is not None and len(slots) != SLOTS:
            raise ValueError("one byte a slot")
        self.space = space
        self.compress = compress
        self.writer = Writer(compress, form)
        self.aside = self.writer.sibling()
        self.large = []
        self.slots = slots
        self.wanted = <const uint8_t*>PyBytes_AS_STRING(slots) if slots is not None else NULL
        self.clock = CLOCK_IDLE if policy.endswith("lru") else CLOCK_FREQ if policy.endswith("lfu") else CLOCK_NONE
        self.checksum = checksum
        self.selected = -1
        self.pieces = []
        self.heaps = []
        self.sources = [source_for(db, self.wanted) for db in space.dbs]
        for source in self.sources:
            self.keys_total += source.keys
        if space.saver is None:
            all = Snapshots()
            all.space = space
            all.active = []
            space.saver = all
        all = <Snapshots>space.saver
        space.version += 1
        self.version = space.version
        all.active.append(self)
        all.changed()
        self.active = True

    # -- writing

    cdef Source source_of(self, Db db, FlushedSlots flushed):
        """The source with the tables that this database has, or nobody; None: they came later."""
        cdef Source source
        for source in self.sources:
            if source.db is db and source.flushed is flushed:
                return source
        return None

    cdef int select(self, Writer w, Source source) except -1:
        """Have what follows belong to this database."""
        if source.index == self.selected:
            return 0
        self.selected = source.index
        w.put_byte(OPCODE_SELECTDB)
        w.put_length(source.index)
        if not source.announced:
            source.announced = True
            w.put_byte(OPCODE_RESIZEDB)
            w.put_length(source.keys)
            w.put_length(source.volatile_keys)
        return 0

    cdef int put(self, Source source, Entry* e, bint early) except -1:
        """Write a key, or begin to; `early`: it is about to change."""
        cdef LargeValue large
        cdef Writer w
        if self.keeps_still(e):
            return self.put_rest()
        self.keys_done += 1
        self.keys_early += early
        large = large_value(self.space, e, self.clock, self.writer)
        if large is not None and (large.guarded or not early):
            self.large.append((large, source))
            return 0
        w = self.aside if self.opened else self.writer
        self.select(w, source)
        if large is None:
            put_entry(w, self.space, e, self.clock)
        else:
            w.compress = False                         # whoever wants to change it is waiting
            put_entry(w, self.space, e, self.clock)
            w.compress = self.compress
        if self.writer.n >= PIECE:
            self.finish_piece()
        return 0

    # -- large values

    cdef bint keeps_still(self, Entry* e) noexcept:
        """Is it the key whose value is being written, and may not change before that is done?"""
        return len(self.large) > 0 and (<LargeValue>self.large[0][0]).entry == e

    cdef bint put_parts(self, size_t bytes) except -1:
        """Go on with the large values, one after the other; False: there is none left."""
        cdef LargeValue large
        cdef Source source
        if not self.large:
            return False
        large, source = self.large[0]
        if not self.opened:
            self.select(self.writer, source)
            large.begin(self.writer)
            self.opened = True
        if not large.advance(bytes):
            if large.entry != NULL:
                large.entry.version = max(large.entry.version, self.version)
            self.close_first()
        if large.error is not None:
            raise large.error
        if self.writer.n >= PIECE:
            self.finish_piece()
        return len(self.large) > 0

    cdef int put_rest(self) except -1:
        """Write the rest of the large value that is being written, since it is about to change."""
        cdef LargeValue large = self.large[0][0]
        self.writer.compress = False
        while self.large and self.large[0][0] is large:
            self.put_parts(LARGE_PART)
        self.writer.compress = self.compress
        return 0

    cdef int close_first(self) except -1:
        """The first large value has been written: what had to wait for that follows."""
        cdef LargeValue large = self.large[0][0]
        self.large.pop(0)
        self.opened = False
        large.close(self.space)
        if self.aside.n > HEAP:
            self.put_off(self.writer)
            self.writer = self.aside
            self.aside = self.writer.sibling()
            return 0
        self.writer.put(self.aside.p, self.aside.n)
        self.aside.n = 0
        return 0

    # -- pieces

    cdef int finish_piece(self) except -1:
        """Make a piece of what was written; of much, or behind much, later."""
        if self.writer.n > HEAP or self.heaps:
            self.put_off(self.writer)
            self.writer = self.writer.sibling()
            if self.opened:
                (<LargeValue>self.large[0][0]).out = self.writer
            return 0
        self.add_piece(self.writer.p, self.writer.n)
        self.writer.n = 0
        return 0

    cdef int add_piece(self, const uint8_t* p, size_t n) except -1:
        if self.checksum:
            self.crc = crc64_update(self.crc, p, n)
        self.pieces_bytes += n
        self.pieces.append(PyBytes_FromStringAndSize(<const char*>p, n))
        return 0

    cdef int put_off(self, Writer w) except -1:
        self.heaps_bytes += w.n
        self.heaps.append(w)
        return 0

    cdef bint cut_heaps(self, int64_t end_ns) except -1:
        """Make pieces of what was put off; True: that took all the time there was."""
        cdef Writer w
        cdef size_t n
        while self.heaps:
            if end_ns and monotonic_ns() >= end_ns:
                return True
            w = self.heaps[0]
            n = min(<size_t>PIECE, w.n - self.heap_at)
            self.add_piece(w.p + self.heap_at, n)
            self.heap_at += n
            self.heaps_bytes -= n
            if self.heap_at == w.n:
                self.heaps.pop(0)
                self.heap_at = 0
        return False

    @property
    def waiting_bytes(self) -> int:
        """How much has been written and not been taken."""
        return self.pieces_bytes + self.heaps_bytes + self.writer.n + self.aside.n

    def take(self) -> list:
        """What is finished; a piece has at least PIECE_BYTES, but for the last one."""
        cdef list pieces = self.pieces
        self.pieces = []
        self.pieces_bytes = 0
        return pieces

    # -- walking

    def step(self, long budget_us=-1, long max_keys=-1) -> bool:
        """Go on for about so many microseconds and at most so many keys (negative: no limit); False: that was the last one.

        Then the end of the file has been written, too.
        """
        cdef int64_t end_ns = monotonic_ns() + budget_us * 1000 if budget_us >= 0 else 0
        cdef Snapshots all = <Snapshots>self.space.saver
        cdef Source source
        cdef size_t i, glance = 0
        if self.error is not None:
            raise self.error
        if not self.active:
            return False
        if self.cut_heaps(end_ns) or self.go_on(end_ns, &max_keys):
            return True
        for source in self.sources:
            while not source.walked:
                if not source.look_on(self.wanted, self.version):
                    leave_source(source)
                    break
                for i in range(look.n):
                    glance += 1
                    if max_keys == 0 or (end_ns and glance % KEYS_A_GLANCE == 0 and monotonic_ns() >= end_ns):
                        return True
                    if i + AHEAD < look.n:
                        fetch_value(look.found[i + AHEAD])
                    all.save(source.db, source.flushed, look.found[i], source.slot, self.version, False)
                    if self.error is not None:
                        raise self.error
                    max_keys -= 1
                    if self.large and self.go_on(end_ns, &max_keys):
                        return True
                if not look.full:
                    source.slot, source.cursor = look.slot, look.cursor
        if self.cut_heaps(end_ns):
            return True
        self.leave()
        self.write_end()
        return False

    cdef bint go_on(self, int64_t end_ns, long* max_keys) except -1:
        """Go on with the large values; True: that took all the time there was. For `max_keys` a part counts as a key."""
        while self.large:
            if max_keys[0] == 0 or (end_ns and monotonic_ns() >= end_ns):
                return True
            self.put_parts(PART)
            max_keys[0] -= 1
        return False

    cdef int write_end(self) except -1:
        cdef uint64_t crc = 0
        self.writer.put_byte(OPCODE_EOF)
        if self.checksum:
            crc = crc64_update(self.crc, self.writer.p, self.writer.n)
            self.checksum = False
        self.writer.put(&crc, sizeof(crc))             # little-endian
        return self.finish_piece()

    cdef int leave(self) except -1:
        cdef Snapshots all = <Snapshots>self.space.saver
        cdef Source source
        if not self.active:
            return 0
        self.active = False
        all.active.remove(self)
        all.changed()
        for large, _ in self.large:
            (<LargeValue>large).close(self.space)
        self.large = []
        self.opened = False
        for source in self.sources:
            leave_source(source)
        return 0

    def cancel(self) -> None:
        """Stop keeping what changes; what was written so far is of no use."""
        self.leave()
        self.take()
        self.heaps = []
        self.heaps_bytes = 0
        self.writer = self.aside = Writer()


cdef inline void fetch_value(Entry* e) noexcept:
    """Ask for the memory of a value that will be written soon."""
    cdef void* value
    if entry_encoding(e) >= ENC_RAW:
        memcpy(&value, entry_value(e), sizeof(value))
        prefetch(value)


cdef int leave_source(Source source) except -1:
    cdef FlushedSlots flushed = source.flushed
    source.walked = True
    source.db = None
    if flushed is not None:
        source.flushed = None
        flushed.release()
    return 0


# -- the keyspace tells of changes -----------------------------------------------------------------------------------------

@cython.final
cdef class Snapshots(Saver):
    cdef int changed(self) noexcept:
        self.space.unsaved_below = (<Snapshot>self.active[len(self.active) - 1]).version if self.active else 0
        return 0

    cdef void save(self, Db db, FlushedSlots flushed, Entry* e, int slot, uint32_t upto, bint early) noexcept:
        cdef Snapshot snapshot
        cdef Source source
        cdef list failed = None
        cdef bint begun = False
        for snapshot in self.active:
            if snapshot.version > upto:
                break
            if snapshot.version <= e.version or (snapshot.wanted != NULL and not snapshot.wanted[slot]):
                continue
            source = snapshot.source_of(db, flushed)
            if source is None:
                continue
            try:
                snapshot.put(source, e, early or snapshot.version != upto)
                begun = not early and snapshot.version == upto and snapshot.keeps_still(e)
            except Exception as error:                 # memory: the write that comes must not suffer from it
                snapshot.error = error
                failed = [snapshot] if failed is None else failed + [snapshot]
        if e.version < upto:
            # A value that its walk has only begun is not saved before all of it is written.
            e.version = upto - 1 if begun else upto
        if failed is not None:
            for snapshot in failed:
                snapshot.leave()

    cdef void before_change(self, Db db, Entry* e, int slot) noexcept:
        self.save(db, None, e, slot, self.space.unsaved_below, True)

    cdef bint keep_slots(self, Db db, Dict* slots, size_t pending, bint lazy) noexcept:
        cdef FlushedSlots flushed = FlushedSlots()
        cdef Snapshot snapshot
        cdef Source source
        flushed.space = self.space
        flushed.pending = pending
        flushed.lazy = lazy
        for snapshot in self.active:
            source = snapshot.source_of(db, None)
            if source is None or source.walked:
                continue
            source.db = None
            source.flushed = flushed
            flushed.users += 1
        if flushed.users:
            flushed.slots = slots
            # Databases do not know what each of them occupies: their keys share it evenly.
            flushed.bytes = <size_t>(<double>mem_used * pending / (pending + sum([len(each) for each in self.space.dbs])))
        return flushed.users > 0

    cdef size_t held_bytes(self) noexcept:
        cdef Snapshot snapshot
        cdef Source source
        cdef LargeValue large
        cdef list counted = []
        cdef size_t n = 0
        for snapshot in self.active:
            for source in snapshot.sources:
                if source.flushed is not None and source.flushed not in counted:
                    counted.append(source.flushed)
                    n += source.flushed.bytes
            for large, _ in snapshot.large:
                if large.guarded and Py_REFCNT(<PyObject*>large.value) == 1:
                    n += large.value.memory()
        return n

    cdef void swapped(self, Db a, Db b) noexcept:
        cdef Snapshot snapshot
        cdef Source source
        for snapshot in self.active:
            for source in snapshot.sources:
                if source.db is a:
                    source.db = b
                elif source.db is b:
                    source.db = a
