"""The stream of writes as bytes, in blocks of raw memory that the backlog and all replicas share.

A native command appends its RESP form here without a Python object; units of several parts come from
node/replication/write_stream.py. A replica is a Reader, a place in the blocks: its bytes are sent straight from there, so five
replicas cost the memory of one. A block goes when nobody reads in it and the backlog is long enough without it: the
slowest replica thus lengthens the backlog for all, and client-output-buffer-limit bounds how much.

A node writes its own stream, or it follows a primary (`follows`): then append_verbatim() takes the primary's bytes as they
are, so that offsets mean the same on all nodes, and what the node executes goes to its own sinks alone.

Sinks get local writes in batches, by deliver(): the host calls it before the replies of the batch leave the node.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdlib cimport abort, free, malloc
from libc.string cimport memcpy

from node.engine.session cimport wire
from node.engine.session.wire cimport buf_free, buf_init, buf_put, buf_shrink, w_bulk, w_bulk_int, w_header

cdef enum:
    NO_DB = -1
    BLOCK_BYTES = 16 * 1024       # the least that a block holds
    BLOCKS_OF_BACKLOG = 16        # no block is more than this part of the backlog, or it could not be trimmed finely
    TRIM_BLOCKS = 64              # given back in one go at most
    KEEP_SCRATCH = 64 * 1024


cdef Buf scratch                  # one command, while it is encoded
buf_init(&scratch)


cdef class Journal:
    def __cinit__(self):
        buf_init(&self.local)
        self.db = NO_DB

    def __init__(self):
        self.sinks = []
        self.feeds = []

    def __dealloc__(self):
        buf_free(&self.local)
        self.drop_blocks()

    # -- readers

    def open(self) -> None:
        """Keep what is written from now on, for replicas and for those that return."""
        self.kept_from = self.offset
        self.keeps = True
        self.db = NO_DB
        self.grow(1)

    def close(self) -> None:
        """Forget the backlog. Nobody reads."""
        self.keeps = False
        self.drop_blocks()

    def restart(self, int64_t offset) -> None:
        """What was written so far is of another history. Nobody reads."""
        kept = self.keeps
        self.close()
        self.offset = offset
        if kept:
            self.open()

    def tidy(self) -> None:
        """Give back, in slices, what the backlog need not hold any more."""
        if self.keeps:
            self.trim(TRIM_BLOCKS)

    def select_again(self) -> None:
        """Begin the next write with a SELECT: somebody begins to read there."""
        self.db = NO_DB

    @property
    def database(self) -> int:
        """In which database the stream stands; -1: the next write selects one."""
        return self.db

    def select(self, int db) -> None:
        """The stream stands in this database already (our primary said so)."""
        self.db = db

    @property
    def history_bytes(self) -> int:
        """How many past bytes the backlog offers."""
        return self.offset - self.kept_from if self.keeps else 0

    @property
    def first_offset(self) -> int:
        """The offset of the first byte that the backlog offers, as PSYNC counts: the first byte ever is 1."""
        return self.kept_from + 1

    def holds(self, int64_t position) -> bool:
        """Whether a reader could start after so many bytes."""
        return self.keeps and self.kept_from <= position <= self.offset

    def reader(self, int64_t position) -> Reader:
        """A new reader, for whom the first `position` bytes of the stream are past. They are in the backlog, or all."""
        cdef Reader reader = Reader.__new__(Reader)
        cdef Block* block = self.first
        reader.journal = self
        reader.position = position
        while block != NULL and position >= block.start + <int64_t>block.used and block.next != NULL:
            block = block.next
        if block != NULL:
            reader.block = block
            reader.at = position - block.start
            block.readers += 1
        self.waiting += 1
        return reader

    def attach(self, sink) -> None:
        """Give the bytes of local writes to a callable, beginning with a SELECT."""
        self.deliver()
        self.sinks.append(sink)
        self.db = NO_DB

    def detach(self, sink) -> None:
        self.deliver()
        self.sinks.remove(sink)

    def feed(self, bytes slots, size_t limit_bytes) -> SlotFeed:
        """Somebody who is told of each local write to these slots from here on (one byte for each of the 16384)."""
        feed = SlotFeed(slots, limit_bytes)
        self.feeds.append(feed)
        return feed

    def end_feed(self, SlotFeed feed) -> None:
        self.feeds.remove(feed)

    def begin_unit(self) -> None:
        """What the feeds are told of from here on does not belong to what came before."""
        self.units += 1

    def tell(self, int slot, int db, bytes data) -> None:
        """Tell the feeds of a write that is, or is going to be, appended."""
        self.tell_feeds(slot, db, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    cdef int tell_feeds(self, int slot, int db, const char* p, size_t n) except -1:
        cdef SlotFeed feed
        for feed in self.feeds:
            feed.take_in(slot, db, self.units, p, n)
        return 0

    cpdef void deliver(self) except *:
        cdef bytes data
        if self.local.len == 0:
            return
        data = PyBytes_FromStringAndSize(self.local.p, self.local.len)
        self.local.len = 0
        if self.local.cap > KEEP_SCRATCH:
            buf_shrink(&self.local, KEEP_SCRATCH)
        for sink in list(self.sinks):
            sink(data)

    # -- writes

    cdef int write(self, int db, int slot, Arg* a, int argc) except -1:
        cdef int i
        cdef size_t begin
        scratch.len = 0
        if db != self.db:
            self.db = db
            w_header(&scratch, 42, 2)
            w_bulk(&scratch, "SELECT", 6)
            w_bulk_int(&scratch, db)
        begin = scratch.len
        w_header(&scratch, 42, argc)
        for i in range(argc):
            w_bulk(&scratch, a[i].p, a[i].n)
        self.take(scratch.p, scratch.len)
        if self.feeds:
            self.units += 1
            self.tell_feeds(slot, db, scratch.p + begin, scratch.len - begin)
        if scratch.cap > KEEP_SCRATCH:
            buf_shrink(&scratch, KEEP_SCRATCH)
        return 0

    def append(self, int db, bytes data) -> None:
        """Commands of ours as bytes, which leave the stream in database `db`."""
        self.db = db
        self.take(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    def append_verbatim(self, bytes data) -> None:
        """A part of our primary's stream as it came; commands may be cut anywhere."""
        self.put(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    def append_shared(self, bytes data) -> None:
        """Bytes of our own stream that are for replicas and not for the sinks (PING, REPLCONF GETACK)."""
        self.put(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    cdef void take(self, const char* p, size_t n) noexcept:
        if self.sinks:
            buf_put(&self.local, p, n)
        if not self.follows:
            self.put(p, n)

    cdef void put(self, const char* p, size_t n) noexcept:
        cdef Block* last
        cdef size_t part
        if not self.keeps:
            self.offset += n
            return
        while n:
            last = self.last
            if last == NULL or last.used == last.size:
                last = self.grow(n)
            part = min(n, last.size - last.used)
            memcpy(last.data + last.used, p, part)
            last.used += part
            self.offset += part
            p += part
            n -= part

    cdef Block* grow(self, size_t n) noexcept:
        """A new last block, for n bytes or a part of them."""
        cdef size_t least = BLOCK_BYTES
        cdef size_t most = max(self.capacity // BLOCKS_OF_BACKLOG, least)
        cdef size_t size = min(max(n, least), most)
        cdef Block* block = <Block*>malloc(sizeof(Block) + size)
        if block == NULL:
            abort()
        block.next = NULL
        block.start = self.offset
        block.used = 0
        block.size = size
        block.readers = 0
        block.number = 0 if self.last == NULL else self.last.number + 1
        block.data = <char*>block + sizeof(Block)
        self.account(<ssize_t>(sizeof(Block) + size))
        if self.last == NULL:
            self.first = block
        else:
            self.last.next = block
        self.last = block
        self.trim(TRIM_BLOCKS)
        return block

    cdef void trim(self, int blocks) noexcept:
        """Give back old blocks as long as the rest is backlog enough."""
        cdef Block* block
        while blocks:
            block = self.first
            if block == NULL or block.next == NULL or block.readers:
                return
            if self.offset - self.kept_from - <int64_t>block.used <= <int64_t>self.capacity:
                return
            self.kept_from = block.start + block.used
            self.first = block.next
            self.release(block)
            blocks -= 1

    cdef void release(self, Block* block) noexcept:
        self.account(-<ssize_t>(sizeof(Block) + block.size))
        free(block)

    cdef void account(self, ssize_t bytes) noexcept:
        cdef size_t counted = self.block_bytes - self.uncounted_bytes
        self.block_bytes += bytes
        self.uncounted_bytes = self.block_bytes - min(self.block_bytes, self.capacity + BLOCK_BYTES)
        wire.buffer_bytes += self.block_bytes - self.uncounted_bytes - counted

    cdef void drop_blocks(self) noexcept:
        cdef Block* block
        while self.first != NULL:
            block = self.first
            self.first = block.next
            self.release(block)
        self.last = NULL


cdef class Reader:
    def release(self) -> None:
        """The replica is gone."""
        if self.journal is None:
            return
        if self.block != NULL:
            self.block.readers -= 1
            self.block = NULL
        self.journal.waiting -= 1
        self.journal.trim(TRIM_BLOCKS)
        self.journal = None
        self.live = False

    @property
    def bytes_left(self) -> int:
        """What is not sent yet."""
        return self.journal.offset - self.position if self.journal is not None else 0

    @property
    def blocks_left(self) -> int:
        """Blocks from the one that it reads to the last."""
        return self.journal.last.number - self.block.number + 1 if self.block != NULL else 0

    @property
    def memory_bytes(self) -> int:
        """What INFO and the limit of a replica's output count: its bytes with the blocks that they are in."""
        if self.block == NULL:
            return 0
        return self.journal.offset - self.block.start + self.blocks_left * sizeof(Block)

    def read(self, size_t most) -> bytes:
        """The next bytes, at most so many: for carriers other than the native driver."""
        cdef const char* starts[16]
        cdef size_t lengths[16]
        cdef int count, i
        cdef size_t part, total = 0
        cdef list parts = []
        self.spans(starts, lengths, &count, 16)
        for i in range(count):
            part = min(lengths[i], most - total)
            if part == 0:
                break
            parts.append(PyBytes_FromStringAndSize(starts[i], part))
            total += part
        self.advance(total)
        return b"".join(parts)

    cdef size_t spans(self, const char** starts, size_t* lengths, int* count, int most) noexcept:
        """What can be sent: up to `most` stretches of memory; their bytes altogether."""
        cdef Block* block
        cdef size_t at = self.at, total = 0
        count[0] = 0
        if self.journal is None or not self.live:
            return 0
        block = self.block
        while block != NULL and count[0] < most:
            if block.used > at:
                starts[count[0]] = block.data + at
                lengths[count[0]] = block.used - at
                total += block.used - at
                count[0] += 1
            at = 0
            block = block.next
        return total

    cdef void advance(self, size_t n) noexcept:
        """So many of them are sent."""
        cdef Block* block = self.block
        if block == NULL:
            return
        self.position += n
        while True:
            if n < block.used - self.at or (block.next == NULL):
                self.at += n
                break
            n -= block.used - self.at
            block.readers -= 1
            block = block.next
            block.readers += 1
            self.at = 0
        if block != self.block:
            self.block = block
            self.journal.trim(TRIM_BLOCKS)
