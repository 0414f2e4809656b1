"""Active expiry: a walk over the slots that have keys with an expiry, in slices, deleting the dead.

The walk knows no clock but the keyspace's, so a slice is bounded by estimated work instead of by time: that keeps it
repeatable. While few keys are found dead a slice is small; where more than a tenth are (at the usual effort), it uses its whole budget and asks
to be called again soon, so that many keys which die together are gone within seconds. A greater effort (active-expire-effort)
takes longer slices and is content with fewer dead keys.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint64_t

from node.engine.structures.dict cimport Entry, VOLATILE, dict_scan
from node.engine.keyspace.entry cimport entry_expire_ms, entry_key, entry_klen
from node.engine.keyspace.keyslot cimport SLOTS
from node.engine.keyspace.table cimport Db, Keyspace

cdef enum:
    UNITS_A_US = 20              # a unit of work takes about 50 ns: to look at a bucket, or at an entry
    DEAD_COST = 60               # units: to delete a key and tell who wants to know
    IDLE_PART = 8                # of the budget, a slice uses one part in so many unless it finds many dead

# What a look at a bucket needs and gathers.
cdef struct Visit:
    void* space                  # Keyspace
    void* dead                   # list of keys
    int64_t now_ms
    int64_t ttl_sum              # of the living
    long living


cdef void look(void* arg, void* item) noexcept:
    cdef Visit* visit = <Visit*>arg
    cdef Entry* e = <Entry*>item
    if not e.klen_flags & VOLATILE:
        return
    if (<Keyspace>visit.space).is_dead(e):
        (<list>visit.dead).append(PyBytes_FromStringAndSize(entry_key(e), entry_klen(e)))
        return
    visit.ttl_sum += entry_expire_ms(e) - visit.now_ms
    visit.living += 1


@cython.final
cdef class ActiveExpiry:
    """Where the walk stands: it goes on from slice to slice, database after database."""
    cdef Keyspace space
    cdef int index, slot
    cdef uint64_t cursor         # inside the slot

    def __init__(self, Keyspace space):
        self.space = space

    def some(self, long budget_us, int effort) -> bool:
        """One slice of about that many microseconds, more with an effort above 1; True: many keys were dead and more may be, come again soon."""
        cdef Keyspace space = self.space
        cdef int tolerated_percent = 11 - effort
        cdef long full = budget_us * UNITS_A_US * (effort + 3) // 4, limit = full // IDLE_PART, spent = 0
        cdef long dead = 0, living = 0, databases = 0
        cdef bint stale = False
        cdef Visit visit
        cdef Db db
        cdef list found = []
        if not space.lazy_expire or not space.active_expire or space.paused:
            return False
        visit.space, visit.dead, visit.now_ms = <void*>space, <void*>found, space.now_ms
        while databases <= len(space.dbs):           # at most one round, from where the last slice ended
            db = <Db>space.dbs[self.index]
            visit.ttl_sum = visit.living = 0
            while spent < limit and self.seek(db):
                self.cursor = dict_scan(&db.slots[self.slot], self.cursor, look, &visit)
                spent += 1 + len(found) * DEAD_COST
                dead += len(found)
                for key in found:
                    db.expire(key)
                found.clear()
                if self.cursor == 0:
                    self.slot += 1
                stale = dead * 100 > tolerated_percent * (dead + living + visit.living)
                if stale:
                    limit = full
            average_ttl(db, &visit)
            living += visit.living
            spent += visit.living
            if spent >= limit:
                break
            self.index = (self.index + 1) % <int>len(space.dbs)
            self.slot, self.cursor = 0, 0
            databases += 1
        if dead + living:
            space.expired_stale_perc = space.expired_stale_perc * 0.95 + 100.0 * dead / (dead + living) * 0.05
        if spent < limit:
            return False
        space.expire_capped += stale
        return stale

    cdef bint seek(self, Db db) noexcept:
        """Stand on a slot that has keys with an expiry; False: the database has no more."""
        cdef int slot
        if self.slot >= SLOTS:
            return False
        slot = db.next_volatile_slot(self.slot)
        if slot < 0:
            return False
        if slot != self.slot:
            self.slot, self.cursor = slot, 0
        return True


cdef void average_ttl(Db db, Visit* visit) noexcept:
    """A running average in which what was just seen counts for a fiftieth, as Redis has it."""
    cdef int64_t seen
    if visit.living == 0:
        return
    seen = visit.ttl_sum // visit.living
    db.avg_ttl = seen if db.avg_ttl == 0 else db.avg_ttl + (seen - db.avg_ttl) // 50
