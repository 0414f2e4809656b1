# Redis' glob patterns over bytes: * ? [a-z] [^a] \x. A pattern is matched as it stands, so that a long one costs nothing before
# it is used, and no more than the text needs when it is.

from libc.stddef cimport size_t
from libc.stdint cimport uint64_t

cdef enum:
    MOST_STARS = 1000          # a match that needs more stars before the last is none, as in Redis

cdef class Glob:
    """A pattern, to be called with texts."""
    cdef readonly bytes pattern
    cdef bint matches(self, const char* text, size_t n) noexcept

# `steps`: how many bytes of pattern and text were looked at, added to what is there; or NULL.
cdef bint glob_matches(const char* pattern, size_t m, const char* text, size_t n, uint64_t* steps) noexcept nogil
