# Snapshots: the keys of chosen slots as they were at one moment, written while the data goes on changing.

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from node.engine.structures.dict cimport Dict, Entry
from node.engine.durable.rdb cimport Writer
from node.engine.durable.rdbvalue cimport AccessClock
from node.engine.keyspace.table cimport Db, Keyspace, Saver

cdef class FlushedSlots:
    """The tables of a database that was emptied while a snapshot still needed them."""
    cdef Keyspace space
    cdef Dict* slots
    cdef size_t pending                  # keys
    cdef size_t bytes                    # about what they occupy
    cdef bint lazy
    cdef int users                       # snapshots that have not walked them yet
    cdef int release(self) except -1     # the last user buries them

cdef class Source:
    """The tables that held one database when the snapshot began, and how far its walk has come in them."""
    cdef int index                       # the database's number at that moment
    cdef size_t keys, volatile_keys      # of the slots in question, then
    cdef bint announced                  # these have been written
    cdef Db db                           # who has the tables now; None: nobody, they are `flushed`
    cdef FlushedSlots flushed
    cdef int slot
    cdef uint64_t cursor                 # inside a large table
    cdef bint walked
    cdef int next_slot(self, const uint8_t* wanted) noexcept
    cdef bint look_on(self, const uint8_t* wanted, uint32_t below) noexcept

cdef class Snapshot:
    cdef readonly Keyspace space
    cdef readonly Writer writer          # the owner's, too: for what stands before the keys
    cdef uint32_t version                # entries with a lower one are not saved yet
    cdef bytes slots                     # 16384 bytes, not 0: the slot is wanted; or None: all are
    cdef const uint8_t* wanted
    cdef AccessClock clock
    cdef bint compress, checksum
    cdef uint64_t crc
    cdef list sources                    # of Source
    cdef int selected                    # the database of the key written last
    cdef list large                      # of LargeValue with its Source: values that are written in parts, the first one now
    cdef Writer aside                    # what comes behind the large value that is being written
    cdef bint opened                     # it is: so keys go aside
    cdef list pieces                     # what is finished and not taken yet
    cdef size_t pieces_bytes
    cdef list heaps                      # of Writer: what is still to be cut into pieces, before anything else
    cdef size_t heap_at, heaps_bytes
    cdef readonly size_t keys_total, keys_done
    cdef readonly size_t keys_early      # of those done: because they were about to change
    cdef readonly bint active
    cdef readonly object error           # why it had to end, or None
    cdef Source source_of(self, Db db, FlushedSlots flushed)
    cdef int put(self, Source source, Entry* e, bint early) except -1
    cdef bint keeps_still(self, Entry* e) noexcept
    cdef int select(self, Writer w, Source source) except -1
    cdef bint put_parts(self, size_t bytes) except -1
    cdef int put_rest(self) except -1
    cdef int close_first(self) except -1
    cdef bint go_on(self, int64_t end_ns, long* max_keys) except -1
    cdef int finish_piece(self) except -1
    cdef int add_piece(self, const uint8_t* p, size_t n) except -1
    cdef int put_off(self, Writer w) except -1
    cdef bint cut_heaps(self, int64_t end_ns) except -1
    cdef int write_end(self) except -1
    cdef int leave(self) except -1       # no longer one of those that must be told of changes

cdef class Snapshots(Saver):
    """The snapshots of a keyspace that are being taken, oldest first."""
    cdef Keyspace space
    cdef list active
    cdef int changed(self) noexcept      # snapshots have come or gone
    # Save an entry to every snapshot of at most that version that has not got it.
    cdef void save(self, Db db, FlushedSlots flushed, Entry* e, int slot, uint32_t upto, bint early) noexcept
