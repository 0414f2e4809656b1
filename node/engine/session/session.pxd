# One client's conversation: request bytes in, reply bytes out, whatever carries them.

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from node.engine.structures.dict cimport Entry
from node.engine.keyspace.table cimport Db, Keyspace
from node.engine.session.framer cimport Arg, Parser
from node.engine.session.journal cimport Journal, Reader
from node.engine.session.wire cimport Buf

ctypedef int (*NativeFn)(Session s, Arg* a, int argc) except -1

cdef enum SessionFlag:
    F_MULTI = 1              # commands are queued until EXEC
    F_DIRTY_CAS = 2          # a watched key changed
    F_DIRTY_EXEC = 4         # queueing failed: EXEC aborts
    F_SUBSCRIBED = 8         # RESP2 and subscribed: only pub/sub commands are allowed
    F_BLOCKED = 16           # waits for a key or a deadline; its input waits too
    F_CLOSE = 32             # close once the output is written
    F_NOAUTH = 64            # AUTH is required first
    F_REPLY_OFF = 128        # CLIENT REPLY OFF
    F_REPLY_SKIP = 256       # this command's reply is dropped
    F_REPLY_SKIP_NEXT = 512  # ... the next one's
    F_MONITOR = 1024
    F_READONLY = 2048        # READONLY: reads from a replica are fine
    F_ASKING = 4096          # ASKING: the next command may use an importing slot
    F_TRACKING = 8192
    F_SCRIPT = 16384         # a script's commands
    F_RESTRICTED = 32768     # the user has less than all rights: ACL is checked
    F_NO_TOUCH = 65536       # CLIENT NO-TOUCH: reads leave the access clock alone
    F_NO_EVICT = 131072
    F_CLOSED = 262144
    F_OBEYED = 524288        # has passed all gates elsewhere: it is done as it stands, at once
    F_REPLICA = 1048576
    F_PAUSED = 2097152       # its command waits for CLIENT UNPAUSE
    F_EXEC = 4194304         # inside EXEC: blocking commands do not block
    F_UNIX = 8388608
    F_REPLAY = 16777216      # repeats the append-only file
    F_UNRECORDED = 33554432  # what it writes is not replicated (a script has asked for that)
    F_DEBUGS = 67108864      # it has asked to debug its scripts, so that they must not run
    F_UNANSWERED = 134217728 # nobody reads replies: the node is told of errors, the rest is dropped
    F_RELAYED = 268435456    # our primary: what it says goes on to our replicas byte for byte
    F_SEES_DEAD = 536870912  # for its commands nothing is dead by time alone
    F_FOREIGN = 1073741824   # what it writes is another's data, not ours to record, or to delete when it runs out
    F_HALTED = 16 | 32 | 262144 | 2097152     # no further input is looked at

cdef enum CommandBit:
    CMD_WRITE = 1
    CMD_RUNS_OTHERS = 2      # EXEC, and what runs scripts: each of their commands is recorded by itself
    CMD_UNSEEN = 4           # not shown to MONITOR
    CMD_ASK_KEYS = 8         # only the specification finds its keys
    CMD_HAS_KEYS = 16
    CMD_KEEPS_ASKING = 32    # ASKING holds for the command that follows this one
    CMD_EXEC = 64

# Sources of commands: places in Command.stops.
cdef enum:
    FROM_CLIENT = 0
    FROM_STREAM = 1
    FROM_LOG = 2
    FROM_SCRIPT = 3
    SOURCES = 4

cdef enum Hook:
    HOOK_WATCH = 1           # some client watches keys
    HOOK_NOTIFY = 2          # notify-keyspace-events is set
    HOOK_BLOCKED = 4         # some client waits for a key
    HOOK_TRACKING = 8        # some client tracks keys
    HOOK_MISS = 16           # keymiss notifications are on
    HOOK_HELD = 32           # keys are held while they are on their way to another server

cdef class Command:
    """One command (or subcommand) of this node: what dispatch needs at once, and its statistics."""
    cdef readonly object spec
    cdef readonly bytes name            # lower case, `config|get`
    cdef NativeFn fn                    # NULL: `handler`
    cdef public object handler           # a function of session and words
    cdef bytes called                   # as clients call it (rename-command), None: it is a subcommand
    cdef uint64_t stops[SOURCES]        # the states that close a gate to it (node/requests/gates.py)
    cdef readonly int arity
    cdef readonly int first, last, step # positions of the keys when they are plain; first 0: none, -1: ask spec
    cdef readonly uint32_t bits
    cdef public dict subcommands        # or None
    cdef public uint64_t calls, rejected, failed
    cdef public uint64_t time_ns
    cdef uint64_t* histogram            # calls by duration, by powers of two of a microsecond; NULL: none yet
    cdef void count(self, int64_t ns, bint histogram) noexcept

cdef class Engine:
    """What all sessions of a node share."""
    cdef readonly Keyspace space
    cdef readonly Journal journal       # the stream of writes
    cdef public object node             # NodeCore: dispatch, hooks
    cdef dict commands                  # bytes -> Command
    cdef void** lookup                  # open addressing over the commands' names
    cdef uint32_t lookup_mask
    cdef uint8_t served[16384]          # 1: this node serves the slot plainly
    cdef public uint64_t states         # what holds for the node: gates are closed by these and by a session's flags
    cdef int64_t lease_ns               # on the clock of last_ns: from then on no slot is served here without asking
    cdef public bint read_only          # a replica: what clients write here is theirs alone, or refused
    cdef public uint32_t hooks          # Hook bits
    cdef public size_t maxmemory
    cdef public int64_t slow_ns         # slowlog-log-slower-than, -1: off
    cdef public int64_t latency_ns      # latency-monitor-threshold, 0: off
    cdef public bint track_latency      # latency-tracking
    cdef public bint propagating        # some replica or AOF wants the stream of writes
    cdef public bint holds_replies      # replies wait until the writes of the batch are with those who read the stream
    cdef public uint64_t processed      # commands
    cdef public uint64_t errors         # error replies
    cdef public uint64_t errors_told    # those of them that some command has been found guilty of
    cdef public dict error_stats        # code -> count
    cdef public uint64_t bytes_in, bytes_out, reads, writes
    cdef public uint64_t loop_turns, loop_ns # in which the driver served clients, and how long
    cdef public uint64_t stream_bytes_out # to replicas: what they are sent of the stream
    cdef public bint stream_marked      # the host was asked to flush the stream
    cdef public bint wants_acks         # replicas are to be asked how far they are, with the next batch
    cdef public int min_acks            # replies to writes wait until so many replicas have them (min-acks)
    cdef public int64_t acked           # the offset that min_acks replicas have acknowledged
    cdef public list held               # sessions whose replies wait for acknowledgements
    cdef public int64_t last_ns         # when the last command ended
    cdef public int64_t max_bulk
    cdef public size_t query_buffer_limit
    cdef public list pending            # sessions with output that nobody is writing yet
    cdef public object wake             # called when `pending` gets its first session
    cdef public Session current         # whose command runs
    cdef public bint ready              # node.after_command is due: a key that clients wait for, or writes to replicate
    cpdef void before_replies(self) except *
    cpdef hold(self, Session s)
    cdef Command find(self, const char* p, size_t n)

cdef struct Holdings:
    size_t names, multi, watched, subscriptions, waiting

cdef class Session:
    cdef readonly Engine engine
    cdef public Db db
    cdef Buf out
    cdef Parser parser
    cdef char* qb                       # input that waits: an unfinished request, or requests behind a blocked one
    cdef size_t qlen, qcap
    cdef public uint32_t flags
    cdef public int proto
    cdef int slot                       # of the first key of the native command that runs
    cdef readonly uint64_t id
    cdef bint pending                   # stands in engine.pending
    cdef int fd                         # of the native driver, or -1
    cdef uint32_t interest              # epoll events it is registered for
    cdef size_t sent                    # bytes of `out` already written
    cdef public object sink             # of another carrier (TLS): called with the session when output waits
    cdef public Command command         # the last one
    cdef size_t muted_from              # where in `out` the command that runs has switched its own replies off
    cdef bint working                   # its own command runs, in which scripts and transactions run others
    cdef bytearray kept                 # pushes that follow the reply of the command that runs, or None
    cdef size_t request_bytes           # of the request that runs
    cdef public int64_t created_ms, active_ms
    cdef public int64_t soft_since_ms   # since when the output is over its soft limit; 0: it is not
    cdef public uint64_t commands, bytes_in, bytes_out
    cdef uint64_t bytes_done            # of the requests that have been run
    cdef readonly uint64_t bytes_whole  # the same up to the last one outside of a transaction
    cdef public object name, user, peer, local, lib_name, lib_ver      # bytes, or None
    cdef Holdings holdings              # bytes of what it makes the node keep beside its buffers
    cdef public object multi            # list of (Command, argv) or None
    cdef public object watched          # dict (db index, key) -> ... or None
    cdef public object subscriptions    # pubsub.Subscriptions or None
    cdef public object blocked          # what it waits for (blocking.Waiting) or None
    cdef public int64_t written         # journal.offset behind its last write
    cdef public int64_t held_since_ms   # since when its replies wait for acknowledgements; 0: they do not
    cdef public Reader reader           # where it reads the stream (a replica), or None
    cdef public object effects          # what is replicated instead of the command: list of argv, or None
    cdef int note_miss(self, bytes key) except -1

cdef void register_native(const char* name, NativeFn fn) noexcept
cdef int session_input(Session s, const char* p, size_t n) except -1        # new bytes from the client
cdef int run_request(Session s) except -1                                    # the request in its parser
cdef int session_error(Session s, const char* text) except -1               # an error reply, counted
cdef int session_hook(Session s, const char* key, size_t n, const char* event, const char* kind) except -1
cdef int64_t monotonic_ns() noexcept nogil
cdef int64_t unix_ms() noexcept nogil

cdef inline int touched(Session s, const char* key, size_t n, const char* event, const char* kind, long changes) except -1:
    """After a native write: counts the changes and tells whoever watches."""
    s.engine.space.dirty += changes
    if s.engine.hooks:
        session_hook(s, key, n, event, kind)
    return 0
