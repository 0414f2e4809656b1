# The stream of writes as bytes: blocks that the backlog and all replicas share, and what local sinks (the AOF) get.

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint64_t

from node.engine.session.framer cimport Arg
from node.engine.session.slotfeed cimport SlotFeed
from node.engine.session.wire cimport Buf

ctypedef struct Block:
    Block* next
    int64_t start             # bytes of the stream before its first one
    size_t used
    size_t size
    long readers              # whose next byte is in here; it stays, and so do all that follow
    long number
    char* data

cdef class Journal:
    """The bytes of a node's stream. `offset` counts them, kept or not."""
    cdef public int64_t offset
    cdef public bint unit_open             # parts of a unit wait in Python: what comes next belongs behind them
    cdef public bint follows               # the stream is our primary's: local writes are for the sinks alone
    cdef readonly bint keeps               # blocks are kept: there is a backlog
    cdef readonly list sinks               # callables that get the bytes of local writes, in batches
    cdef readonly list feeds               # SlotFeeds: they are told of each local write with its slot
    cdef readonly uint64_t units           # that the feeds have been told of
    cdef readonly size_t block_bytes       # memory of all blocks
    cdef readonly size_t uncounted_bytes   # the part that slow replicas hold beyond the backlog: maxmemory leaves it out
    cdef public size_t capacity          # bytes that the backlog is to hold
    cdef readonly int waiting              # Readers that are live: their sessions are to be flushed
    cdef Block* first
    cdef Block* last
    cdef int64_t kept_from                 # bytes before the first that the backlog still offers
    cdef int db                            # the database that the stream stands in; -1: none yet
    cdef Buf local                         # what the sinks have not had
    # One command, with a SELECT where one is due. The slot of its keys only matters where there are feeds.
    cdef int write(self, int db, int slot, Arg* a, int argc) except -1
    cdef void put(self, const char* p, size_t n) noexcept
    cdef void trim(self, int blocks) noexcept
    # Inside.
    cdef void take(self, const char* p, size_t n) noexcept
    cdef int tell_feeds(self, int slot, int db, const char* p, size_t n) except -1
    cdef Block* grow(self, size_t n) noexcept
    cdef void release(self, Block* block) noexcept
    cdef void account(self, ssize_t bytes) noexcept
    cdef void drop_blocks(self) noexcept
    cpdef void deliver(self) except *      # give the sinks what there is

cdef class Reader:
    """One replica's place in the blocks."""
    cdef Journal journal
    cdef Block* block                      # NULL: it was released
    cdef size_t at                         # the next byte, in the block
    cdef public int64_t position           # bytes of the stream before the next one
    cdef public bint live                  # its bytes may be sent; False: what comes before is still on its way
    cdef size_t spans(self, const char** starts, size_t* lengths, int* count, int most) noexcept
    cdef void advance(self, size_t n) noexcept
