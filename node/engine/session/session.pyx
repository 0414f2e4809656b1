"""One client's conversation: request bytes in, reply bytes out.

A Session splits its input into requests and runs their commands: natively (hot.pyx), or by the Python function that
handles them. It neither reads nor writes sockets: the native driver (node/aio/sockets.pyx), TLS connections, scripts,
EXEC and tests all feed the same class.

A command runs at once when the states of node and session have none that closes a gate to it (Command.stops), the slot
of its keys is served here and memory is below maxmemory. Everything else goes to node/requests/dispatch.py, which finds
the gate that is closed, if one is.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.ref cimport PyObject
from libc.stdlib cimport abort, calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memmove, memset, strlen
from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, timespec

from node.engine.session cimport wire
from node.engine.memory.alloc cimport mem_used
from node.engine.keyspace.entry cimport TYPE_STRING, entry_length, entry_type
from node.engine.session.lookahead cimport fetch_ahead
from node.engine.keyspace.table cimport key_slot
from node.engine.session.framer cimport (
    PARSE_DONE,
    PARSE_ERROR,
    PARSE_MORE,
    ParseResult,
    parse,
    parser_free,
    parser_init,
    parser_reset,
)
from node.engine.session.slotfeed cimport WITHOUT_SLOT, WITH_SEVERAL
from node.engine.session.wire cimport buf_free, buf_init, buf_put, w_error, w_header, w_value

from node.replies import NO_REPLY, WRONGTYPE, Blocked, CommandError, Redirection

cdef enum:
    HISTOGRAM_BUCKETS = 32
    MAX_NATIVE = 256
    MAX_NAME = 32
    PIPELINED = 128               # bytes of input from which on a look ahead may pay
    STREAM_BYTES = 1024 * 1024    # of the stream of writes, for a replica that another carrier than the native driver serves
    KEEP_OUTPUT = 64 * 1024       # a drained output buffer larger than this is given back
    KEEP_ARGS = 4096              # so is room for more arguments than this
    ADDRESSES = 256               # what a client's two addresses and its place in the node's tables take, about


cdef int64_t FOREVER_NS = 0x7FFFFFFFFFFFFFFF

# Of Engine.states, which node/flags.py lists. They stand above the bits of Session.flags.
cdef uint64_t STATE_MONITORED = <uint64_t>1 << 32
cdef uint64_t STATE_CLUSTER = <uint64_t>1 << 33
cdef uint64_t STATE_MEMORY = <uint64_t>1 << 35


cdef struct Native:
    const char* name
    NativeFn fn


cdef Native natives[MAX_NATIVE]
cdef int native_count = 0


cdef void register_native(const char* name, NativeFn fn) noexcept:
    global native_count
    if native_count == MAX_NATIVE:
        abort()
    natives[native_count].name = name
    natives[native_count].fn = fn
    native_count += 1


cdef NativeFn native_by_name(bytes name) noexcept:
    cdef int i
    cdef const char* text = name
    for i in range(native_count):
        if strlen(natives[i].name) == <size_t>len(name) and memcmp(natives[i].name, text, len(name)) == 0:
            return natives[i].fn
    return NULL


cdef int64_t monotonic_ns() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <int64_t>t.tv_sec * 1000000000 + t.tv_nsec


cdef int64_t unix_ms() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_REALTIME, &t)
    return <int64_t>t.tv_sec * 1000 + t.tv_nsec // 1000000


# --------------------------------------------------------------------------------------------------- commands

cdef class Command:
    def __init__(self, spec, bytes name, int arity, int first, int last, int step, stops):
        cdef int i
        self.spec = spec
        self.name = name
        self.handler = spec.handler
        self.arity = arity
        self.first = first
        self.last = last
        self.step = step
        self.bits = command_bits(spec, first)
        for i in range(SOURCES):
            self.stops[i] = stops[i]
        if spec.native:
            self.fn = native_by_name(name)
            if self.fn == NULL:
                raise ValueError(f"the engine has no native command {name!r}")

    def __dealloc__(self):
        free(self.histogram)

    @property
    def native(self) -> bool:
        return self.fn != NULL

    @property
    def writes(self) -> bool:
        return self.bits & CMD_WRITE != 0

    @property
    def has_keys(self) -> bool:
        """Something in its requests decides the slot."""
        return self.bits & CMD_HAS_KEYS != 0

    @property
    def runs_others(self) -> bool:
        """EXEC, and what runs scripts."""
        return self.bits & CMD_RUNS_OTHERS != 0

    @property
    def script_stops(self) -> int:
        return self.stops[FROM_SCRIPT]

    def reset_stats(self) -> None:
        """CONFIG RESETSTAT."""
        self.calls = self.rejected = self.failed = self.time_ns = 0
        self.reset_histogram()

    def reset_histogram(self) -> None:
        free(self.histogram)
        self.histogram = NULL

    def latencies(self) -> list:
        """Calls by duration: item i counts those that took less than 2**i microseconds (and not less than half that)."""
        if self.histogram == NULL:
            return []
        return [self.histogram[i] for i in range(HISTOGRAM_BUCKETS)]

    cdef void count(self, int64_t ns, bint histogram) noexcept:
        cdef int64_t us
        cdef int i = 0
        self.calls += 1
        self.time_ns += ns
        if histogram:
            if self.histogram == NULL:
                self.histogram = <uint64_t*>calloc(HISTOGRAM_BUCKETS, sizeof(uint64_t))
                if self.histogram == NULL:
                    return
            us = ns >> 10
            while us and i < HISTOGRAM_BUCKETS - 1:
                us >>= 1
                i += 1
            self.histogram[i] += 1

    def record(self, int64_t ns) -> None:
        """Count one call that was not timed here (a blocked command that ends)."""
        self.count(ns, True)


cdef uint32_t command_bits(spec, int first):
    """What the flags of a command come to here."""
    cdef uint32_t bits = 0
    flags = spec.flags
    if "write" in flags:
        bits |= CMD_WRITE
    if "skip_monitor" in flags or "admin" in flags:
        bits |= CMD_UNSEEN
    if spec.keys:
        bits |= CMD_HAS_KEYS
        if first == 0:
            bits |= CMD_ASK_KEYS
    if spec.name == "exec":
        bits |= CMD_EXEC | CMD_RUNS_OTHERS
    if "script" in flags:
        bits |= CMD_RUNS_OTHERS
    if spec.name in ("asking", "multi"):
        bits |= CMD_KEEPS_ASKING
    return bits


# ----------------------------------------------------------------------------------------------------- engine

cdef uint32_t name_hash(const char* p, size_t n) noexcept nogil:
    cdef uint32_t h = 2166136261
    cdef size_t i
    for i in range(n):
        h = (h ^ <uint8_t>p[i]) * 16777619
    return h ^ (h >> 15)


cdef class Engine:
    def __init__(self, Keyspace space, node=None):
        self.space = space
        self.node = node
        self.journal = Journal()
        self.commands = {}
        self.error_stats = {}
        self.slow_ns = 10_000_000
        self.track_latency = True
        self.max_bulk = 512 * 1024 * 1024
        self.query_buffer_limit = 1024 * 1024 * 1024
        self.pending = []
        self.held = []
        self.last_ns = monotonic_ns()
        self.lease_ns = FOREVER_NS

    def __dealloc__(self):
        free(self.lookup)

    def set_commands(self, dict commands) -> None:
        """Name (lower-case bytes) -> Command. Called at start, and again when a command is renamed."""
        cdef uint32_t size = 64, i
        cdef bytes name
        self.commands = dict(commands)
        while size < 4 * len(commands):
            size *= 2
        free(self.lookup)
        self.lookup = <void**>calloc(size, sizeof(void*))
        if self.lookup == NULL:
            abort()
        self.lookup_mask = size - 1
        for name, command in self.commands.items():
            (<Command>command).called = name
            if len(name) > MAX_NAME:
                continue
            i = name_hash(name, len(name)) & self.lookup_mask
            while self.lookup[i] != NULL:
                i = (i + 1) & self.lookup_mask
            self.lookup[i] = <void*><PyObject*>command

    cdef Command find(self, const char* p, size_t n):
        cdef char name[MAX_NAME]
        cdef size_t i
        cdef uint32_t at
        cdef Command c
        if n > MAX_NAME or self.lookup == NULL:
            return None
        for i in range(n):
            name[i] = p[i] | 32 if 65 <= p[i] <= 90 else p[i]
        at = name_hash(name, n) & self.lookup_mask
        while self.lookup[at] != NULL:
            c = <Command><PyObject*>self.lookup[at]
            if <size_t>PyBytes_GET_SIZE(c.called) == n and memcmp(PyBytes_AS_STRING(c.called), name, n) == 0:
                return c
            at = (at + 1) & self.lookup_mask
        return None

    @property
    def cluster(self) -> bool:
        """Cluster mode: slots are checked."""
        return self.states & STATE_CLUSTER != 0

    @cluster.setter
    def cluster(self, bint on):
        self.states = self.states | STATE_CLUSTER if on else self.states & ~STATE_CLUSTER

    def set_served(self, served) -> None:
        """`served[slot]` is 1 where this node serves the slot plainly (neither moved, migrating nor importing)."""
        cdef const uint8_t[:] view = served
        if view.shape[0] != 16384:
            raise ValueError("one byte a slot")
        memcpy(self.served, &view[0], 16384)

    def set_lease(self, left_ms) -> None:
        """Serve slots for so long yet; None: without end. A node that is stopped meanwhile finds that it has ended."""
        self.lease_ns = FOREVER_NS if left_ms is None else monotonic_ns() + <int64_t>left_ms * 1000000

    def lease_runs(self) -> bool:
        """Whether slots may be served at this very moment, as far as the lease goes."""
        return monotonic_ns() < self.lease_ns

    cpdef void before_replies(self) except *:
        """Output is about to leave: the writes of the batch are with the sinks first."""
        self.stream_marked = False
        if self.wants_acks:
            self.wants_acks = False
            self.node.ask_for_acknowledgement()
        self.journal.deliver()

    cpdef hold(self, Session s):
        """The session has written: its replies wait until min_acks replicas have acknowledged that (min-acks).

        Not on a replica: what is written there is the primary's stream, or for itself alone.
        """
        if self.journal.follows:
            return
        if s.held_since_ms == 0:
            s.held_since_ms = self.space.now_ms
            self.held.append(s)
        self.wants_acks = True

    def count_error(self, bytes code) -> None:
        """INFO errorstats: `code` is the first word of the error's text."""
        self.errors += 1
        self.error_stats[code] = self.error_stats.get(code, 0) + 1


# ---------------------------------------------------------------------------------------------------- session

cdef class Session:
    def __cinit__(self):
        buf_init(&self.out)
        parser_init(&self.parser)
        self.fd = -1
        wire.buffer_bytes += SESSION_BYTES

    def __init__(self, Engine engine, Db db, uint64_t id, peer=None, local=None):
        self.engine = engine
        self.db = db
        self.id = id
        self.peer = peer
        self.local = local
        self.proto = 2
        self.name = b""
        self.lib_name = b""
        self.lib_ver = b""
        self.created_ms = self.active_ms = engine.space.now_ms
        self.parser.max_bulk = engine.max_bulk

    def __dealloc__(self):
        buf_free(&self.out)
        parser_free(&self.parser)
        drop_input(self)
        wire.buffer_bytes -= SESSION_BYTES + held_by(self)

    # -- the conversation

    def feed(self, bytes data) -> bytes:
        """Requests in, replies out: for tests, scripts and simulated clients."""
        self.engine.last_ns = monotonic_ns()
        session_input(self, data, len(data))
        self.engine.before_replies()
        return self.take_output()

    def input(self, data) -> None:
        """Requests from another carrier than the native driver; take_output() has what there is to send."""
        cdef const unsigned char[:] view = data
        self.engine.last_ns = monotonic_ns()
        if view.shape[0]:
            session_input(self, <const char*>&view[0], view.shape[0])

    def take_output(self) -> bytes:
        """The replies that wait, which from now on are the caller's to send."""
        if self.held_since_ms:
            return b""
        data = PyBytes_FromStringAndSize(self.out.p + self.sent, self.out.len - self.sent) if self.out.len else b""
        self.bytes_out += len(data)
        self.out.len = 0
        self.sent = 0
        if self.out.cap > KEEP_OUTPUT:
            buf_free(&self.out)
        if self.reader is not None:
            if self.reader.live:
                data += self.reader.read(STREAM_BYTES)
            else:
                self.node.drained(self)
        return data

    def go_on(self) -> None:
        """Look at the input that waited while the session was blocked or paused, which is no time of idleness."""
        self.active_ms = self.engine.space.now_ms
        self.engine.last_ns = monotonic_ns()
        session_input(self, NULL, 0)

    def unblock(self, reply) -> None:
        """End a wait with this reply. go_on() then looks at the requests that came meanwhile."""
        cdef size_t before = self.out.len
        self.flags &= ~<uint32_t>F_BLOCKED
        self.blocked = None
        self.active_ms = self.engine.space.now_ms
        self.reply(reply)
        silence(self, before)

    def mute(self) -> None:
        """CLIENT REPLY OFF. What a transaction has replied before stays, or nobody could read the rest."""
        if not self.flags & F_REPLY_OFF:
            self.muted_from = self.out.len
        self.flags |= F_REPLY_OFF

    def skip_reply(self) -> None:
        """CLIENT REPLY SKIP: drop the reply of the command that comes next."""
        if not self.flags & F_REPLY_OFF:
            self.flags |= F_REPLY_SKIP_NEXT

    def work(self, job):
        """What `job` returns, which goes on with the client's own command outside of its request: a wait that is tried
        again, or a slice of a long script. CLIENT REPLY applies to what it writes, and not to what others send."""
        cdef Engine e = self.engine
        cdef Session outer = e.current
        cdef size_t before = self.out.len
        e.current = self
        self.working = True
        try:
            return job()
        finally:
            e.current = outer
            silence(self, before)

    @property
    def output_bytes(self) -> int:
        return self.out.len - self.sent

    @property
    def output_capacity(self) -> int:
        return self.out.cap

    @property
    def input_bytes(self) -> int:
        """Bytes of requests that wait, with the one that runs."""
        return self.qlen - self.parsed_bytes if self.qlen else self.request_bytes

    @property
    def parsed_bytes(self) -> int:
        """Those of a request that has not come to its end which are arguments already."""
        return min(self.parser.at, self.qlen)

    @property
    def input_capacity(self) -> int:
        return self.qcap

    # -- what it makes the node keep, counted towards maxmemory and maxmemory-clients

    @property
    def memory_bytes(self) -> int:
        """All that is there because of this client."""
        return SESSION_BYTES + self.qcap + self.out.cap + self.parser.cap * sizeof(Arg) + held_by(self)

    @property
    def names_bytes(self) -> int:
        """What the names take that it gave itself."""
        return self.holdings.names

    @names_bytes.setter
    def names_bytes(self, size_t n):
        hold(&self.holdings.names, n)

    @property
    def multi_bytes(self) -> int:
        """What the commands take that it has queued."""
        return self.holdings.multi

    @multi_bytes.setter
    def multi_bytes(self, size_t n):
        hold(&self.holdings.multi, n)

    @property
    def watched_bytes(self) -> int:
        """What the keys take that it watches."""
        return self.holdings.watched

    @watched_bytes.setter
    def watched_bytes(self, size_t n):
        hold(&self.holdings.watched, n)

    @property
    def subscription_bytes(self) -> int:
        """What the channels and patterns take that it listens to."""
        return self.holdings.subscriptions

    @subscription_bytes.setter
    def subscription_bytes(self, size_t n):
        hold(&self.holdings.subscriptions, n)

    @property
    def waiting_bytes(self) -> int:
        """What the command takes that waits, or was held back."""
        return self.holdings.waiting

    @waiting_bytes.setter
    def waiting_bytes(self, size_t n):
        hold(&self.holdings.waiting, n)

    @property
    def file_descriptor(self) -> int:
        return self.fd

    def set_trusted(self, bint trusted) -> None:
        """Before AUTH, requests are held to small sizes."""
        self.parser.trusted = trusted

    # -- output that is not the reply of the running native command

    def reply(self, value) -> None:
        """Write a reply value; an error is counted."""
        if isinstance(value, CommandError):
            self.error(value)
            return
        w_value(&self.out, value, self.proto)
        session_mark(self)

    def error(self, error) -> None:
        # Shared errors are raised again and again, and every raise would lengthen the traceback that they keep.
        error.__traceback__ = error.__context__ = None
        self.engine.count_error(error.code)
        if self.flags & F_UNANSWERED:
            self.engine.node.stream_error(self, error.text)
        w_error(&self.out, PyBytes_AS_STRING(error.text), PyBytes_GET_SIZE(error.text))
        session_mark(self)

    def push(self, value) -> None:
        """A message nobody asked for (pub/sub, tracking). In RESP2 an array, in RESP3 a push. CLIENT REPLY OFF does not
        silence it. What comes while the client's own command runs follows the reply of that."""
        cdef size_t before = self.out.len
        w_value(&self.out, value, self.proto)
        if self.working or self.engine.current is self:
            keep_back(self, before)
        session_mark(self)

    def push_reply(self, value) -> None:
        """A push that is the reply of the command that runs (SUBSCRIBE), or a part of it."""
        cdef size_t before = self.out.len
        w_value(&self.out, value, self.proto)
        if self.flags & (F_REPLY_OFF | F_REPLY_SKIP):
            keep_back(self, before)
        session_mark(self)

    def raw(self, bytes data) -> None:
        """Bytes that already are a reply."""
        buf_put(&self.out, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        session_mark(self)

    def array_header(self, long n) -> None:
        w_header(&self.out, 42, n)

    def mark(self) -> None:
        """Ask the carrier to write what waits."""
        session_mark(self)

    # -- what handlers use

    @property
    def node(self):
        return self.engine.node

    def read(self, bytes key, type kind):
        """The value at key if it is of this kind (bytes for a string), None if there is none; else WRONGTYPE."""
        value = self.db.get(key)
        if value is None:
            self.note_miss(key)
            return None
        if type(value) is not kind:
            raise WRONGTYPE
        return value

    def write(self, bytes key, type kind):
        """As read, for a command that is going to change the value."""
        value = self.db.get_write(key)
        if value is not None and type(value) is not kind:
            raise WRONGTYPE
        return value

    def lookup(self, bytes key):
        """The value at key of whatever kind (bytes for a string), None if there is none."""
        value = self.db.get(key)
        if value is None:
            self.note_miss(key)
        return value

    def exists(self, bytes key) -> bool:
        """A reading command asks for a key and leaves its access clock alone."""
        if self.db.exists(key):
            return True
        self.note_miss(key)
        return False

    def touch(self, bytes key) -> bool:
        """An access that is not interested in the value. False: no such key."""
        if self.db.touch(key):
            return True
        self.note_miss(key)
        return False

    cdef int note_miss(self, bytes key) except -1:
        if self.engine.hooks & HOOK_MISS:
            self.engine.node.key_missed(self, key)
        return 0

    def view(self, bytes key):
        """The bytes of the string at key without a copy, valid until the next change; None if there is none, or WRONGTYPE."""
        text = self.db.view(key)
        if text is None:
            if self.db.type_of(key) is not None:
                raise WRONGTYPE
            self.note_miss(key)
        return text

    def length(self, bytes key):
        """How long the string is that a command is going to change in place; None if there is none, or WRONGTYPE."""
        cdef Entry* e = self.db.write(PyBytes_AS_STRING(key), <uint32_t>PyBytes_GET_SIZE(key), key_slot(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key)))
        if e == NULL:
            return None
        if entry_type(e) != TYPE_STRING:
            raise WRONGTYPE
        return entry_length(e)

    def changed(self, bytes key, str event, str kind, long n=1) -> None:
        """After a change: `event` and `kind` name the keyspace notification, n changes are counted."""
        self.engine.space.dirty += n
        if self.engine.hooks:
            self.engine.node.key_changed(self, self.db, key, event, kind)

    def drop_if_empty(self, bytes key, value) -> bool:
        """Delete the key of a collection that has lost its last element."""
        if len(value):
            return False
        self.db.delete(key)
        if self.engine.hooks:
            self.engine.node.key_changed(self, self.db, key, "del", "g")
        return True

    def effect(self, *argv) -> None:
        """Replicate this instead of the command as typed (it was random, or depended on the time)."""
        if self.engine.propagating:
            if self.effects is None:
                self.effects = []
            self.effects.append(list(argv))

    def run(self, list argv) -> None:
        """Execute one request from its arguments, as if the client had sent it now."""
        run_argv(self, argv)

    def invoke(self, Command command, list argv) -> None:
        """Call a command that no gate stops, write its reply and count it."""
        call(self, command, NULL, 0, argv, monotonic_ns())

    def perform(self, Command command, list argv) -> None:
        """As invoke, then hand on what it has written, and show it to MONITOR (the commands of a transaction or a
        script before the EXEC or EVAL that runs them)."""
        perform(self, command, NULL, 0, argv, monotonic_ns())


cdef size_t SESSION_BYTES = Session.__basicsize__ + ADDRESSES


cdef inline void hold(size_t* held, size_t n) noexcept:
    wire.buffer_bytes += n - held[0]
    held[0] = n


cdef inline size_t held_by(Session s) noexcept:
    cdef Holdings* h = &s.holdings
    return h.names + h.multi + h.watched + h.subscriptions + h.waiting


def words_bytes(list words) -> int:
    """What a list of byte strings takes, the list included."""
    cdef size_t total = sizeof(PyObject) + 56 + 8 * len(words)
    for word in words:
        total += (33 + PyBytes_GET_SIZE(word) + 15) & ~<size_t>15
    return total


cdef int call_native(Session s, Command command, list argv) except -1:
    """A native command whose arguments are Python bytes (EXEC, scripts, and clients that need the gates)."""
    cdef Arg stack[16]
    cdef Arg* a = stack
    cdef Py_ssize_t n = len(argv), i
    if n > 16:
        a = <Arg*>malloc(n * sizeof(Arg))
        if a == NULL:
            raise MemoryError
    try:
        for i in range(n):
            item = <bytes>argv[i]
            a[i].p = PyBytes_AS_STRING(item)
            a[i].n = PyBytes_GET_SIZE(item)
        if command.first > 0:
            s.slot = key_slot(a[command.first].p, a[command.first].n)
        command.fn(s, a, <int>n)
    finally:
        if a != stack:
            free(a)
    return 0


cdef void session_mark(Session s) noexcept:
    """Output waits. While its own command runs the driver knows; otherwise the session queues for the driver."""
    if s.pending or s.engine.current is s:
        return
    s.pending = True
    s.engine.pending.append(s)
    if len(s.engine.pending) == 1 and s.engine.wake is not None:
        s.engine.wake()


cdef int session_error(Session s, const char* text) except -1:
    cdef size_t n = strlen(text), i = 0
    while i < n and text[i] != 32:
        i += 1
    s.engine.count_error(PyBytes_FromStringAndSize(text, i))
    if s.flags & F_UNANSWERED:
        s.engine.node.stream_error(s, PyBytes_FromStringAndSize(text, n))
    w_error(&s.out, text, n)
    return 0


cdef int session_hook(Session s, const char* key, size_t n, const char* event, const char* kind) except -1:
    s.engine.node.key_changed(s, s.db, PyBytes_FromStringAndSize(key, n), (<bytes>event).decode(), (<bytes>kind).decode())
    return 0


# ------------------------------------------------------------------------------------------------------ input

cdef int session_input(Session s, const char* p, size_t n) except -1:
    """Run every whole request in what waited plus p[0:n]; keep the rest."""
    cdef Engine e = s.engine
    cdef size_t used = 0, before = 0
    cdef bint own = False
    if n:
        s.bytes_in += n
        s.active_ms = e.space.now_ms
    if s.flags & F_CLOSED:
        return 0
    if s.qlen:
        if n:
            keep_input(s, p, n)
            if s.flags & F_CLOSE:
                return 0
        p = s.qb
        n = s.qlen
        own = True
    s.parser.max_bulk = e.max_bulk
    while True:
        try:
            run_requests(s, p, n, &used, &before)
            break
        except Exception as error:
            # Not one of a command, which has been answered: there is no memory for what stands around it.
            recover(s, before, error)
            request_done(s)
    s.request_bytes = 0
    if s.parser.cap > KEEP_ARGS and s.parser.argc == 0:
        parser_free(&s.parser)
    if s.flags & (F_CLOSE | F_CLOSED):
        used = n
    if own:
        if used:
            s.qlen -= used
            memmove(s.qb, s.qb + used, s.qlen)
            if s.qlen == 0:
                drop_input(s)
    elif used < n:
        keep_input(s, p + used, n - used)
    if s.qlen > e.query_buffer_limit:
        s.flags |= F_CLOSE
        e.node.query_buffer_overrun(s)
    return 0


cdef int run_requests(Session s, const char* p, size_t n, size_t* used, size_t* before) except -1:
    """Run the requests in p[0:n]. `used` says how far it is, and `before` where the reply to the last one begins."""
    cdef Engine e = s.engine
    cdef size_t ahead = 0
    cdef ParseResult got
    while used[0] < n and not s.flags & F_HALTED:
        if used[0] >= ahead and n - used[0] >= PIPELINED:
            ahead = used[0] + fetch_ahead(s.db, p + used[0], n - used[0])
        got = parse(&s.parser, p + used[0], n - used[0])
        if got == PARSE_MORE:
            break
        before[0] = s.out.len
        if got == PARSE_ERROR:
            used[0] = n
            s.parser.argc = 0                        # its arguments are none yet
            protocol_error(s)
            break
        used[0] += s.parser.at
        if s.parser.argc:
            s.request_bytes = s.parser.at
            run_request(s)
            if s.flags & F_UNANSWERED:
                s.out.len = 0
        request_done(s)
    return 0


cdef inline void request_done(Session s) noexcept:
    s.bytes_done += s.parser.at
    if not s.flags & F_MULTI:
        s.bytes_whole = s.bytes_done
    parser_reset(&s.parser)


cdef void recover(Session s, size_t before, error) noexcept:
    """A request could not be carried out, or not to its end. Its client is told, or loses its connection."""
    cdef list name = []
    s.engine.current = None
    try:
        if s.parser.argc:
            name.append(PyBytes_FromStringAndSize(s.parser.args[0].p, min(s.parser.args[0].n, <size_t>MAX_NAME)))
        error = s.engine.node.internal_error(s, name, error)
        if s.flags & F_MULTI:
            s.flags |= F_DIRTY_EXEC                  # it is not in the queue
        if not s.flags & (F_BLOCKED | F_PAUSED):
            s.out.len = min(before, s.out.len)
            s.error(error)
            silence(s, before)
    except Exception:
        s.flags |= F_CLOSE
        s.out.len = min(before, s.out.len)


cdef void drop_input(Session s) noexcept:
    wire.buffer_bytes -= s.qcap
    free(s.qb)
    s.qb = NULL
    s.qlen = s.qcap = 0


cdef void keep_input(Session s, const char* p, size_t n) noexcept:
    cdef size_t want = s.qlen + n
    cdef char* grown
    if s.parser.bulk > 0 and s.parser.at + s.parser.bulk + 2 > want:
        want = s.parser.at + s.parser.bulk + 2      # the argument under way is this long
    if want > s.qcap:
        if want < 2 * s.qcap and s.parser.bulk < 0:
            want = 2 * s.qcap
        if want - s.qlen > 64 * 1024 * 1024 and n < 1024 * 1024:
            want = s.qlen + 64 * 1024 * 1024        # believe a large announcement only bit by bit
        grown = <char*>realloc(s.qb, want)
        if grown == NULL:
            # No memory for what a client wants to send is no reason to end the node.
            s.flags |= F_CLOSE
            return
        s.qb = grown
        wire.buffer_bytes += want - s.qcap
        s.qcap = want
    memcpy(s.qb + s.qlen, p, n)
    s.qlen += n


cdef int protocol_error(Session s) except -1:
    error = CommandError(b"ERR Protocol error: " + <bytes>s.parser.error)
    cdef size_t before = s.out.len
    s.flags |= F_CLOSE
    s.engine.node.protocol_error(s, error)
    s.error(error)
    silence(s, before)
    return 0


cdef inline bint serves(Engine e, Command c, Arg* a, int argc, int slot) noexcept:
    """All keys in this slot of the first of them, which this node serves."""
    cdef int last, i
    if not e.served[slot]:
        return False
    if c.last != c.first:
        last = c.last if c.last > 0 else argc + c.last
        i = c.first + c.step
        while i <= last:
            if key_slot(a[i].p, a[i].n) != slot:
                return False
            i += c.step
    return True


cdef int serves_found(Engine e, Command c, Arg* a, int argc, list argv) except -1:
    """The same for keys that only the specification finds. Without keys a request is served everywhere."""
    cdef int slot = -1, at, own
    for at in c.spec.get_keys(argv):
        if at >= argc:
            return 0
        own = key_slot(a[at].p, a[at].n)
        if slot < 0:
            slot = own
        if own != slot or not e.served[slot]:
            return 0
    return 1


cdef Command subcommand(Command c, Arg* a, int argc):
    """What a request for a container means. None: dispatch knows what is wrong with it."""
    cdef char name[MAX_NAME]
    cdef size_t i
    if argc < 2 or a[1].n > MAX_NAME:
        return None
    for i in range(a[1].n):
        name[i] = a[1].p[i] | 32 if 65 <= a[1].p[i] <= 90 else a[1].p[i]
    return c.subcommands.get(PyBytes_FromStringAndSize(name, a[1].n))


cdef int run_request(Session s) except -1:
    cdef Engine e = s.engine
    cdef Arg* a = s.parser.args
    cdef int argc = s.parser.argc
    cdef uint64_t states = e.states | s.flags, stops
    cdef size_t before
    cdef list argv = None
    cdef Session outer
    cdef Command c = s.command
    # Clients repeat themselves: compare with the last command before looking the name up.
    if c is None or c.called is None or <size_t>PyBytes_GET_SIZE(c.called) != a[0].n or memcmp(PyBytes_AS_STRING(c.called), a[0].p, a[0].n) != 0 or c.subcommands is not None:
        c = e.find(a[0].p, a[0].n)
        if c is not None and c.subcommands is not None:
            c = subcommand(c, a, argc)
        if c is None:
            return run_argv(s, arguments(a, argc))
    if s.flags & F_OBEYED:
        stops = c.stops[FROM_LOG if s.flags & F_REPLAY else FROM_STREAM]
        states &= ~STATE_CLUSTER
    else:
        stops = c.stops[FROM_CLIENT]
    if (
        states & stops
        or (argc != c.arity if c.arity > 0 else argc < -c.arity)
        or (e.maxmemory and mem_used + wire.buffer_bytes > e.maxmemory)
    ):
        return run_argv(s, arguments(a, argc))
    if c.first > 0:
        s.slot = key_slot(a[c.first].p, a[c.first].n)
    if states & STATE_CLUSTER and c.bits & (CMD_HAS_KEYS | CMD_EXEC):
        if c.bits & CMD_ASK_KEYS:
            argv = arguments(a, argc)
        if (
            c.bits & CMD_EXEC
            or e.last_ns >= e.lease_ns
            or not (serves_found(e, c, a, argc, argv) if c.bits & CMD_ASK_KEYS else serves(e, c, a, argc, s.slot))
        ):
            return run_argv(s, arguments(a, argc) if argv is None else argv)
    if states & STATE_MEMORY:
        e.states &= ~STATE_MEMORY                    # there is room again
    before = s.out.len
    outer = e.current
    e.current = s
    s.working = True
    try:
        perform(s, c, a, argc, argv, e.last_ns)
    finally:
        e.current = outer
    if s.flags & F_ASKING and not c.bits & CMD_KEEPS_ASKING:
        s.flags &= ~<uint32_t>F_ASKING
    silence(s, before)
    if e.ready:
        e.node.after_command()
    return 0


cdef int slot_of_request(Session s, Command c, Arg* a, int argc, list argv) except -3:
    """Of its keys, for those who are told of the slots of writes."""
    cdef int slot = WITHOUT_SLOT, at, own
    if c.first > 0 and (c.last == c.first or s.engine.states & STATE_CLUSTER):
        return s.slot                                # all keys are there, or the request would not have come so far
    if not c.bits & CMD_HAS_KEYS:
        return WITHOUT_SLOT
    for at in c.spec.get_keys(arguments(a, argc) if argv is None else argv):
        if at < argc:
            own = key_slot(a[at].p, a[at].n)
            slot = own if slot == WITHOUT_SLOT or slot == own else WITH_SEVERAL
    return slot


cdef int perform(Session s, Command c, Arg* a, int argc, list argv, int64_t started) except -1:
    """Run a command that no gate stops, hand on what it has written, and show it to MONITOR.

    The words are in `a`, or, where a is NULL, in `argv`. What comes straight from a client is in `a`, and may be in both.
    """
    cdef Engine e = s.engine
    cdef uint64_t dirty = e.space.dirty
    if e.read_only and c.bits & CMD_WRITE and not s.flags & F_FOREIGN:
        if argv is None:
            argv = arguments(a, argc)
        e.node.run_locally(s, c, argv)
    else:
        call(s, c, a, argc, argv, started)
    # What has saved the data, or loaded it anew, counts fewer changes than before: that is no write.
    if e.propagating and (e.space.dirty > dirty or s.effects is not None):
        if s.flags & F_UNRECORDED:
            s.effects = None
        elif a != NULL and s.effects is None and not e.journal.unit_open and not c.bits & CMD_RUNS_OTHERS:
            e.journal.write(s.db.index, slot_of_request(s, c, a, argc, argv) if e.journal.feeds else WITHOUT_SLOT, a, argc)
            s.written = e.journal.offset
            if e.min_acks:
                e.hold(s)
        else:
            record(s, c, arguments(a, argc) if argv is None else argv)
    if e.states & STATE_MONITORED and not c.bits & CMD_UNSEEN:
        e.node.feed_monitors(s, arguments(a, argc) if argv is None else argv)
    return 0


cdef int call(Session s, Command c, Arg* a, int argc, list argv, int64_t started) except -1:
    """The command itself, its reply, and what statistics say about it."""
    cdef Engine e = s.engine
    cdef size_t before = s.out.len
    cdef uint64_t errors = e.errors
    cdef Session outer = e.current
    cdef int64_t ended
    e.current = s
    s.command = c
    try:
        if c.fn == NULL:
            if argv is None:
                argv = arguments(a, argc)
            answer(s, c, argv, c.handler(s, argv))
        elif a != NULL:
            c.fn(s, a, argc)
        else:
            call_native(s, c, argv)
    except CommandError as error:
        s.error(error)
    except Exception as error:
        s.out.len = before                           # half a reply would be worse than none
        s.error(e.node.internal_error(s, arguments(a, argc) if argv is None else argv, error))
    finally:
        e.current = outer
    ended = monotonic_ns()
    e.last_ns = ended
    e.processed += 1
    s.commands += 1
    if e.errors != errors and e.errors != e.errors_told:
        c.failed += 1
        e.errors_told = e.errors
    if not s.flags & F_BLOCKED:
        c.count(ended - started, e.track_latency)
        if 0 <= e.slow_ns <= ended - started:
            note_slowness(s, c, arguments(a, argc) if argv is None else argv, ended - started)
    if 0 < e.latency_ns <= ended - started:
        e.node.late_command(c, ended - started)
    return 0


cdef inline int answer(Session s, Command c, list argv, value) except -1:
    """Write what a handler has returned."""
    kind = type(value)
    if kind is Blocked:
        if s.flags & (F_EXEC | F_SCRIPT | F_OBEYED):
            w_value(&s.out, value.on_timeout, s.proto)
        else:
            s.engine.node.block(s, c, argv, value)
    elif kind is CommandError or kind is Redirection:
        s.error(value)
    else:
        w_value(&s.out, value, s.proto)
    return 0


cdef int note_slowness(Session s, Command c, list argv, int64_t ns) except -1:
    try:
        s.engine.node.slow_command(s, c, argv, ns)
    except MemoryError:
        pass                      # what has been done is not undone for want of a note about it
    return 0


cdef int record(Session s, Command c, list argv) except -1:
    try:
        s.engine.node.propagate(s, c, argv)
    except MemoryError:
        s.engine.node.write_lost()
    return 0


cdef list arguments(Arg* a, int argc):
    return [PyBytes_FromStringAndSize(a[i].p, a[i].n) for i in range(argc)]


cdef int keep_back(Session s, size_t start) except -1:
    """Take what was written last out again, until the reply of the running command is complete."""
    if s.kept is None:
        s.kept = bytearray()
    s.kept += PyBytes_FromStringAndSize(s.out.p + start, s.out.len - start)
    s.out.len = start
    return 0


cdef int let_go(Session s) except -1:
    buf_put(&s.out, PyByteArray_AS_STRING(s.kept), PyByteArray_GET_SIZE(s.kept))
    s.kept = None
    return 0


cdef int silence(Session s, size_t before) except -1:
    """Apply CLIENT REPLY to what the client's own command has written from `before` on.

    A command whose reply is skipped may still wait, or be held back, and reply later: the skip is for that, too.
    """
    if s.flags & (F_REPLY_OFF | F_REPLY_SKIP):
        s.out.len = max(before, s.muted_from)
    s.working = False
    if s.kept is not None:
        let_go(s)
    s.muted_from = 0
    if not s.flags & (F_BLOCKED | F_PAUSED):
        s.flags &= ~<uint32_t>F_REPLY_SKIP
        if s.flags & F_REPLY_SKIP_NEXT:
            s.flags = (s.flags & ~<uint32_t>F_REPLY_SKIP_NEXT) | F_REPLY_SKIP
    return 0


cdef int run_argv(Session s, list argv) except -1:
    """Through the gates of node/requests/dispatch.py, with CLIENT REPLY applied to what comes out."""
    cdef Engine e = s.engine
    cdef Session outer = e.current
    cdef size_t before = s.out.len
    e.current = s
    s.working = True
    try:
        e.node.execute(s, argv)
    except Exception as error:
        s.out.len = before
        s.error(e.node.internal_error(s, argv, error))
    finally:
        e.current = outer
    e.last_ns = monotonic_ns()
    silence(s, before)
    if e.ready:
        e.node.after_command()
    return 0
