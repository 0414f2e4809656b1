"""Keys of some slots that stand aside, on their way into the place of what a node has in these slots.

The tables of the slots change places at once, so that nobody ever sees a part. What snapshots must not miss is seen to
before: a snapshot that is being taken has to get the old keys, which go, and must not take the new ones for its own.
That takes a walk over both, a slice at a time; without a snapshot nothing has to be done.
"""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from node.engine.keyspace.keyslot cimport SLOTS, key_slot
from node.engine.keyspace.table cimport Db, Keyspace
from node.engine.structures.dict cimport Entry, dict_scan


ctypedef struct Visit:
    PyObject* db          # NULL: the entry is one of those to come
    PyObject* space
    int slot
    long seen


cdef void visit(void* arg, void* item) noexcept:
    """Let the snapshots have an old entry now; give a new one the version of what is written now."""
    cdef Visit* to = <Visit*>arg
    cdef Keyspace space = <Keyspace>to.space
    cdef Entry* e = <Entry*>item
    to.seen += 1
    if to.db != NULL and e.version < space.unsaved_below:
        space.saver.before_change(<Db>to.db, e, to.slot)
    e.version = space.version


@cython.final
cdef class Adoption:
    """`aside` has one database for each of the node's, and keys in these `slots` alone (one byte for each of all)."""

    cdef Keyspace space
    cdef list aside
    cdef bytes slots
    cdef const uint8_t* wanted
    cdef uint32_t version           # of the keyspace when the walk was begun
    cdef size_t part                # of the walk: the node's databases, then those aside
    cdef int slot
    cdef uint64_t cursor

    def __init__(self, Keyspace space not None, list aside not None, bytes slots not None):
        if len(slots) != SLOTS:
            raise ValueError("one byte for each slot")
        self.space = space
        self.aside = aside
        self.slots = slots
        self.wanted = <const uint8_t*><const char*>slots
        self.begin()

    cdef void begin(self) noexcept:
        self.version = self.space.version
        self.part = self.slot = self.cursor = 0

    def prepare(self, long keys) -> bool:
        """Do what must be done before `finish`, for about so many keys; True: there is more to do."""
        cdef list parts = [*self.space.dbs, *self.aside]
        cdef size_t own = len(self.space.dbs)
        cdef Visit to
        cdef Db db
        cdef int slot
        if self.space.unsaved_below == 0:
            return False
        if self.version != self.space.version:
            self.begin()                               # there is another snapshot, from which the walk starts anew
        to.space = <PyObject*>self.space
        to.seen = 0
        while self.part < len(parts):
            db = <Db>parts[self.part]
            to.db = <PyObject*>db if self.part < own else NULL
            while True:
                slot = db.next_slot(self.slot)
                while slot >= 0 and not self.wanted[slot]:
                    slot = db.next_slot(slot + 1)
                if slot < 0:
                    break
                if slot != self.slot:
                    self.slot, self.cursor = slot, 0
                to.slot = slot
                self.cursor = dict_scan(&db.slots[slot], self.cursor, visit, &to)
                self.slot += self.cursor == 0
                if to.seen >= keys:
                    return True
            self.part += 1
            self.slot = self.cursor = 0
        return False

    def finish(self) -> int:
        """The tables change places, right after `prepare` had nothing left to do; how many keys had to go."""
        cdef Db own, other
        cdef size_t gone = 0
        for own, other in zip(self.space.dbs, self.aside, strict=True):
            if other.size or any_of(own, self.wanted):
                change_places(own, other, self.wanted)
                gone += other.size
                other.flush(False)
        return gone


cdef bint any_of(Db db, const uint8_t* wanted) noexcept:
    cdef int slot = db.next_slot(0)
    while slot >= 0 and not wanted[slot]:
        slot = db.next_slot(slot + 1)
    return slot >= 0


cdef int change_places(Db own, Db other, const uint8_t* wanted) except -1:
    cdef list dying = members(own.mortal), coming = members(other.mortal)
    cdef bytes key
    cdef int slot
    own.prepare()
    other.prepare()
    for slot in range(SLOTS):
        if wanted[slot]:
            own.exchange_slot(other, slot)
    for key in dying:
        if wanted[key_slot(key, len(key))]:
            own.mortal.remove(key)
    for key in coming:
        own.deaths_changed(key)
    if own.avg_ttl == 0:
        own.avg_ttl = other.avg_ttl
    return 0


cdef list members(mortal):
    return [key for key, _ in mortal.range(0, -1)] if mortal is not None else []
