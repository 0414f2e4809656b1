"""The native socket driver: every plain TCP or Unix client of a node, on one nested epoll descriptor.

The asyncio loop watches a single descriptor, the epoll set of all clients. When it is readable, on_ready() accepts,
reads, feeds sessions and writes in one native loop, bounded in time so that the bus and the timers get their turn. A
request then costs its read, its write and a share of one epoll_wait, and no Python object at all if it is hot. (One
asyncio transport a client was measured at up to three times the CPU per pipelined request.)

TLS clients come through asyncio and feed the same sessions; their `sink` is called when output waits.
"""

from libc.errno cimport EAGAIN, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, errno
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport abort, free, malloc
from libc.string cimport memset, strlen
from posix.fcntl cimport O_CLOEXEC, O_RDONLY, open as c_open
from posix.unistd cimport close as c_close

from node.engine.session cimport wire
from node.engine.session.journal cimport Reader
from node.engine.session.session cimport (
    F_BLOCKED,
    F_CLOSE,
    F_CLOSED,
    Engine,
    Session,
    monotonic_ns,
    session_input,
    unix_ms,
)
from node.engine.session.wire cimport buf_free, buf_shrink

import errno as errors

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        int fd
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int op, int fd, epoll_event* event)
    int epoll_wait(int epfd, epoll_event* events, int maxevents, int timeout)
    enum:
        EPOLLIN
        EPOLLOUT
        EPOLLERR
        EPOLLHUP
        EPOLL_CTL_ADD
        EPOLL_CTL_MOD
        EPOLL_CTL_DEL
        EPOLL_CLOEXEC

cdef extern from "<sys/socket.h>" nogil:
    ssize_t recv(int fd, void* buf, size_t n, int flags)
    ctypedef struct iovec_t "struct iovec":
        void* iov_base
        size_t iov_len
    ctypedef struct msghdr_t "struct msghdr":
        iovec_t* msg_iov
        size_t msg_iovlen
    ssize_t sendmsg(int fd, const msghdr_t* message, int flags)
    ssize_t send(int fd, const void* buf, size_t n, int flags)
    int accept4(int fd, void* addr, void* addrlen, int flags)
    enum:
        MSG_NOSIGNAL
        MSG_DONTWAIT
        SOCK_NONBLOCK
        SOCK_CLOEXEC

cdef enum:
    READ_BYTES = 64 * 1024
    EVENTS = 256
    ACCEPTS = 256                 # connections taken from one listener before the others get a turn
    KEEP_OUTPUT = 16 * 1024       # a drained output buffer is cut down to this
    SPANS = 64                    # stretches of the stream that one sendmsg takes
    SLICE_NS = 2_000_000          # how long one on_ready may go on


cdef const char* NO_FILE = b"-ERR max number of clients reached\r\n"


cdef class SocketDriver:
    """The clients of one node that have plain sockets.

    `on_connect(fd, listener_fd)` returns the new Session or None (refused; it has closed fd itself);
    `on_close(session)` is told once for each session that goes.
    """

    cdef Engine engine
    cdef int epfd
    cdef list sessions            # by file descriptor; None: no client
    cdef set listeners
    cdef set resting              # listeners that are not looked at, since no file is left for who comes
    cdef int spare                # a file kept back, to be given up for telling somebody that there is none
    cdef object on_connect, on_close
    cdef char* buffer
    cdef set replicas             # sessions that read the stream of writes
    cdef bint busy                # on_ready is running: what is marked meanwhile is written at its end
    cdef public size_t output_check_bytes   # waiting output above this is reported to node.output_grew
    cdef public size_t clients_limit_bytes  # where what clients and the like take is above this, node.clients.evict is called

    def __cinit__(self):
        self.epfd = -1
        self.spare = -1
        self.buffer = <char*>malloc(READ_BYTES)
        if self.buffer == NULL:
            abort()
        wire.buffer_bytes += READ_BYTES

    def __init__(self, Engine engine, on_connect, on_close):
        self.engine = engine
        self.on_connect = on_connect
        self.on_close = on_close
        self.sessions = []
        self.listeners = set()
        self.resting = set()
        self.replicas = set()
        self.output_check_bytes = 1 << 20
        self.clients_limit_bytes = 1 << 62
        self.epfd = epoll_create1(EPOLL_CLOEXEC)
        if self.epfd < 0:
            raise OSError(errno, "epoll_create1")
        self.spare = c_open(b"/dev/null", O_RDONLY | O_CLOEXEC)

    def __dealloc__(self):
        if self.epfd >= 0:
            c_close(self.epfd)
        if self.spare >= 0:
            c_close(self.spare)
        free(self.buffer)
        wire.buffer_bytes -= READ_BYTES

    def fileno(self) -> int:
        """What the event loop watches for reading."""
        return self.epfd

    def listen(self, int fd) -> None:
        """Accept clients from this non-blocking listening socket."""
        self.watch(fd, EPOLLIN, EPOLL_CTL_ADD)
        self.listeners.add(fd)

    def unlisten(self, int fd) -> None:
        """Stop accepting; the caller closes the socket. Who has connected already is served."""
        self.accept(fd)
        self.listeners.discard(fd)
        self.watch(fd, 0, EPOLL_CTL_DEL)

    def add(self, int fd, Session session) -> None:
        """Serve this connected non-blocking socket, which from now on is the driver's to close."""
        while len(self.sessions) <= fd:
            self.sessions.append(None)
        session.fd = fd
        session.interest = EPOLLIN
        self.sessions[fd] = session
        self.watch(fd, EPOLLIN, EPOLL_CTL_ADD)

    def detach(self, Session session) -> int:
        """Take a client's socket out of the driver (it becomes a replication link); returns the descriptor."""
        cdef int fd = session.fd
        self.watch(fd, 0, EPOLL_CTL_DEL)
        self.sessions[fd] = None
        session.fd = -1
        return fd

    cdef int watch(self, int fd, uint32_t events, int operation) except -1:
        cdef epoll_event ev
        ev.events = events
        ev.data.fd = fd
        if epoll_ctl(self.epfd, operation, fd, &ev) < 0 and operation != EPOLL_CTL_DEL:
            raise OSError(errno, "epoll_ctl")
        return 0

    def on_ready(self) -> None:
        """Serve the clients that are ready, for at most about SLICE_NS."""
        cdef epoll_event events[EVENTS]
        cdef int64_t started = monotonic_ns()
        cdef int n, i, fd
        cdef uint32_t what
        cdef Session s
        cdef Engine e = self.engine
        self.busy = True
        try:
            while True:
                n = epoll_wait(self.epfd, events, EVENTS, 0)
                if n <= 0:
                    break
                e.space.now_ms = unix_ms()
                for i in range(n):
                    fd = events[i].data.fd
                    what = events[i].events
                    if fd < len(self.sessions) and self.sessions[fd] is not None:
                        s = <Session>self.sessions[fd]
                        if what & EPOLLOUT:
                            # What somebody else's command has added has to wait for the log, as all replies do.
                            if e.holds_replies and not s.pending:
                                s.pending = True
                                e.pending.append(s)
                            elif not e.holds_replies:
                                self.flush(s)
                        if what & (EPOLLIN | EPOLLERR | EPOLLHUP) and not s.flags & F_CLOSED:
                            self.serve(s)
                            # Before the next client's command. Replies that are held back are about to be sent.
                            if wire.buffer_bytes > self.clients_limit_bytes and not e.holds_replies:
                                s = None             # or it would be counted until the next one is served
                                self.clients_limit_bytes = e.node.clients.evict()
                    elif fd in self.listeners:
                        self.accept(fd)
                self.flush_all()
                if wire.buffer_bytes > self.clients_limit_bytes:
                    s = None
                    self.clients_limit_bytes = e.node.clients.evict()
                if e.last_ns - started > SLICE_NS:
                    break
        finally:
            self.busy = False
        self.flush_all()
        e.loop_turns += 1
        e.loop_ns += monotonic_ns() - started

    cdef int serve(self, Session s) except -1:
        cdef ssize_t n = recv(s.fd, self.buffer, READ_BYTES, MSG_DONTWAIT)
        cdef Engine e = self.engine
        if n <= 0:
            if n < 0 and (errno == EAGAIN or errno == EINTR):
                return 0
            return self.close(s)
        e.bytes_in += n
        e.reads += 1
        e.last_ns = monotonic_ns()
        session_input(s, self.buffer, n)
        if e.holds_replies:
            if not s.pending:
                s.pending = True
                e.pending.append(s)
            return 0
        return self.flush(s)

    cdef int flush(self, Session s) except -1:
        """Write what waits; close a session that was to be closed once that is done."""
        cdef ssize_t n
        cdef size_t left = s.out.len - s.sent
        cdef Engine e = self.engine
        if s.flags & F_CLOSED or s.held_since_ms:
            return 0
        if left > self.output_check_bytes and e.node.output_grew(s, left):
            return self.close(s)
        if left:
            n = send(s.fd, s.out.p + s.sent, left, MSG_NOSIGNAL | MSG_DONTWAIT)
            if n < 0:
                if errno != EAGAIN and errno != EINTR:
                    return self.close(s)
                n = 0
            e.bytes_out += n
            e.writes += 1
            s.bytes_out += n
            s.sent += n
            left -= n
            if n:
                s.active_ms = e.space.now_ms      # who takes a long reply bit by bit is not idle
        if left == 0:
            s.out.len = 0
            s.sent = 0
            if s.reader is not None:
                if s.reader.live:
                    left = self.flush_stream(s)
                elif not s.flags & F_CLOSE:
                    e.node.replicas.drained(s)
                    left = s.out.len - s.sent        # the next part of its snapshot
                if s.flags & F_CLOSED:
                    return 0
        if left == 0:
            if s.out.cap > KEEP_OUTPUT:
                buf_shrink(&s.out, KEEP_OUTPUT)
            if s.interest & EPOLLOUT:
                s.interest = EPOLLIN
                self.watch(s.fd, EPOLLIN, EPOLL_CTL_MOD)
            if s.soft_since_ms:
                s.soft_since_ms = 0
            if s.flags & F_CLOSE:
                return self.close(s)
            return 0
        if not s.interest & EPOLLOUT:
            s.interest = EPOLLIN | EPOLLOUT
            self.watch(s.fd, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD)
        if s.reader is not None and e.node.output_grew(s, left):
            return self.close(s)
        return 0

    cdef size_t flush_stream(self, Session s) except? 1:
        """Send a replica what it has not had, straight from the blocks; how much is left."""
        cdef const char* starts[SPANS]
        cdef size_t lengths[SPANS]
        cdef iovec_t parts[SPANS]
        cdef msghdr_t message
        cdef Reader reader = s.reader
        cdef Engine e = s.engine
        cdef int count, i
        cdef ssize_t n
        cdef size_t left
        while True:
            left = reader.spans(starts, lengths, &count, SPANS)
            if left == 0:
                return 0
            for i in range(count):
                parts[i].iov_base = <void*>starts[i]
                parts[i].iov_len = lengths[i]
            memset(&message, 0, sizeof(message))
            message.msg_iov = parts
            message.msg_iovlen = count
            n = sendmsg(s.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT)
            if n < 0:
                if errno != EAGAIN and errno != EINTR:
                    self.close(s)
                return left
            reader.advance(n)
            e.bytes_out += n
            e.stream_bytes_out += n
            e.writes += 1
            s.bytes_out += n
            if <size_t>n < left:
                return reader.journal.offset - reader.position

    def stream_to(self, Session session) -> None:
        """From now on the session is a replica, and sent what its reader has whenever there is something."""
        self.replicas.add(session)

    cdef int flush_stream_to_all(self) except -1:
        """Before replies leave: what was written is with the local sinks, and on its way to the replicas."""
        cdef Session s
        cdef Engine e = self.engine
        e.before_replies()
        if self.replicas:
            for item in list(self.replicas):
                s = <Session>item
                if s.reader is None or not s.reader.live or s.reader.position == e.journal.offset:
                    continue
                if s.fd < 0:
                    s.sink(s)
                elif not s.interest & EPOLLOUT:
                    self.flush(s)
        return 0

    def flush_pending(self) -> None:
        """Write what sessions got outside their own commands: messages, replies to commands that waited."""
        if not self.busy:
            self.flush_all()

    cdef int flush_all(self) except -1:
        cdef Session s
        cdef Engine e = self.engine
        if e.holds_replies:
            self.flush_stream_to_all()
        while e.pending:
            waiting = e.pending
            e.pending = []
            for item in waiting:
                s = <Session>item
                s.pending = False
                if s.flags & F_CLOSED:
                    continue
                if s.fd >= 0:
                    self.flush(s)
                elif s.sink is not None:
                    s.sink(s)
        return 0

    cdef int accept(self, int listener) except -1:
        cdef int fd, i
        for i in range(ACCEPTS):
            fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
            if fd < 0:
                if errno == EMFILE or errno == ENFILE or errno == ENOMEM or errno == ENOBUFS:
                    if not self.refuse(listener):
                        return 0
                    continue
                return 0
            session = self.on_connect(fd, listener)
            if session is not None:
                self.add(fd, session)
        return 0

    cdef bint refuse(self, int listener) except? False:
        """There is no file for who waits to be accepted. The one kept back for this lets it be told so, or, where even
        that fails, nobody is accepted until accept_again: the listener would be ready all the time."""
        cdef int reason = errno, fd
        if self.spare >= 0:
            c_close(self.spare)
            fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
            if fd >= 0:
                send(fd, NO_FILE, strlen(NO_FILE), MSG_NOSIGNAL | MSG_DONTWAIT)
                c_close(fd)
            self.spare = c_open(b"/dev/null", O_RDONLY | O_CLOEXEC)
            self.engine.node.accept_failed(errors.errorcode.get(reason, str(reason)))
            if fd >= 0 and self.spare >= 0:
                return True
        else:
            self.engine.node.accept_failed(errors.errorcode.get(reason, str(reason)))
        self.watch(listener, 0, EPOLL_CTL_MOD)
        self.resting.add(listener)
        return False

    def accept_again(self) -> None:
        """Look at the listeners that were left alone because the system had no files. The host calls it regularly."""
        if not self.resting:
            return
        if self.spare < 0:
            self.spare = c_open(b"/dev/null", O_RDONLY | O_CLOEXEC)
        for listener in self.resting & self.listeners:
            self.watch(listener, EPOLLIN, EPOLL_CTL_MOD)
        self.resting.clear()

    cdef int close(self, Session s) except -1:
        cdef int fd = s.fd
        if s.flags & F_CLOSED:
            return 0
        s.flags |= F_CLOSED
        if fd >= 0:
            self.watch(fd, 0, EPOLL_CTL_DEL)
            c_close(fd)
            self.sessions[fd] = None
            s.fd = -1
        buf_free(&s.out)
        s.sent = 0
        self.replicas.discard(s)
        self.on_close(s)
        return 0

    def disconnect(self, Session session) -> None:
        """Close at once; what was not written yet is lost."""
        self.close(session)

    def stop(self) -> None:
        """Write what can be written at once and close every client."""
        for session in list(self.sessions):
            if session is not None:
                self.flush(<Session>session)
                self.close(<Session>session)
