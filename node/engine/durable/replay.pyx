"""Repeating what a file of commands holds, through a session, at the speed of the engine.

The file is the protocol of clients with three differences: lines that begin with '#' are remarks, there are no inline
commands, and whoever reads it has to know where the last whole command ended, since a file may end anywhere. A MULTI
without its EXEC does not count as whole.
"""

from libc.stdint cimport int64_t
from libc.string cimport memchr

from node.engine.session.framer cimport PARSE_DONE, PARSE_ERROR, PARSE_MORE, ParseResult, parse, parser_reset
from node.engine.session.session cimport F_MULTI, Session, run_request

cdef enum:
    REMARK_MAX = 1024


cdef class Replay:
    """One file, given in pieces to `feed`."""

    cdef Session session
    cdef readonly int64_t good         # where the last whole command, or transaction, ended
    cdef readonly bint malformed       # what follows is not a command
    cdef readonly bytes unknown        # the name of a command that this node does not have, or None
    cdef int count                     # commands since take_count
    cdef int64_t base                  # how many bytes were used up in earlier calls

    def __init__(self, Session session, int64_t at=0):
        self.session = session
        self.base = self.good = at

    @property
    def in_transaction(self) -> bool:
        return self.session.flags & F_MULTI != 0

    def take_count(self) -> int:
        """How many commands have run since this was last asked."""
        count, self.count = self.count, 0
        return count

    def feed(self, bytes data) -> int:
        """Run every whole command; how many bytes were used. The rest is to be given again, with what follows it."""
        cdef Session s = self.session
        cdef const char* p = data
        cdef size_t n = len(data), used = 0
        cdef const char* eol
        cdef ParseResult got
        while used < n:
            if p[used] == 35:  # '#'
                eol = <const char*>memchr(p + used, 10, n - used)
                if eol == NULL:
                    self.malformed = n - used > REMARK_MAX
                    break
                used = eol - p + 1
                if not s.flags & F_MULTI:
                    self.good = self.base + used
                continue
            if p[used] != 42:  # '*'
                self.malformed = True
                break
            got = parse(&s.parser, p + used, n - used)
            if got == PARSE_MORE:
                break
            if got == PARSE_ERROR or s.parser.argc == 0:
                self.malformed = True
                break
            if s.engine.find(s.parser.args[0].p, s.parser.args[0].n) is None:
                self.unknown = s.parser.args[0].p[:s.parser.args[0].n]
                break
            used += s.parser.at
            run_request(s)
            self.count += 1
            parser_reset(&s.parser)
            s.out.len = s.sent = 0
            if not s.flags & F_MULTI:
                self.good = self.base + used
        self.base += used
        return used
