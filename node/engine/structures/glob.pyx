"""Glob patterns (glob.pxd is the contract), with the results of Redis' stringmatchlen for whatever a pattern may be.

Everything but a star takes one character. So when the text does not go on as the pattern does, it is enough to let the star
that was met last take one more character: what earlier stars took was the least they could. And when the text has run out,
no choice of any star can help, since all that they can do is take more of it. Redis tries the stars one within the other.

Details that patterns in the wild rely on, or that tests compare: a bracket may lack its end; a range takes whatever stands behind
its hyphen for its end, a bracket too; ranges are of signed characters; an empty text matches no star.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memchr

cdef enum:
    STAR = 42
    QUESTION = 63
    OPEN = 91
    CLOSE = 93
    CARET = 94
    HYPHEN = 45
    BACKSLASH = 92
    LONG_CLASS = 600           # bytes of a bracket that is worth rewriting: the longest that comes out has 515


cdef inline size_t class_member(const signed char* pattern, size_t m, size_t at, signed char* low, signed char* high) noexcept nogil:
    """What stands at `at` in a bracket that goes on: a range of characters, and where the next begins."""
    cdef signed char swap
    if pattern[at] == BACKSLASH and at + 1 < m:
        low[0] = high[0] = pattern[at + 1]
        return at + 2
    low[0] = high[0] = pattern[at]
    if at + 2 < m and pattern[at + 1] == HYPHEN:
        high[0] = pattern[at + 2]
        if low[0] > high[0]:
            swap = low[0]
            low[0] = high[0]
            high[0] = swap
        return at + 3
    return at + 1


cdef inline size_t take(const signed char* pattern, size_t m, size_t at, signed char c) noexcept nogil:
    """Where the pattern goes on after its element at `at`, no star, has taken c; 0: it does not take it."""
    cdef signed char low, high
    cdef bint negated, found
    if pattern[at] == QUESTION:
        return at + 1
    if pattern[at] == OPEN:
        at += 1
        negated = at < m and pattern[at] == CARET
        at += negated
        found = False
        while at < m and pattern[at] != CLOSE:
            at = class_member(pattern, m, at, &low, &high)
            found |= low <= c <= high
        if at < m:
            at += 1
        return at if found != negated else 0
    if pattern[at] == BACKSLASH and at + 1 < m:
        at += 1
    return at + 1 if pattern[at] == c else 0


cdef bint glob_matches(const char* p, size_t m, const char* t, size_t n, uint64_t* steps) noexcept nogil:
    cdef const signed char* pattern = <const signed char*>p
    cdef const signed char* text = <const signed char*>t
    cdef size_t at = 0, pos = 0, after, behind_star = 0, taken = 0
    cdef int stars = 0
    while pos < n:
        if at < m and pattern[at] == STAR:
            while at < m and pattern[at] == STAR:
                at += 1
                if steps != NULL:
                    steps[0] += 1
            if at == m:
                return True
            stars += 1
            if stars > MOST_STARS:
                return False
            behind_star = at
            taken = pos
            continue
        after = take(pattern, m, at, text[pos]) if at < m else 0
        if steps != NULL:
            steps[0] += after - at if after else 1
        if after:
            at = after
            pos += 1
        elif stars:
            taken += 1
            pos = taken
            at = behind_star
        else:
            return False
    while n and at < m and pattern[at] == STAR:
        at += 1
    return at == m


cdef bytes shortened(bytes pattern):
    """The same pattern with its long brackets rewritten, member by member: each of them is gone through for each
    character that it is asked for, and what counts of a megabyte of them are 256 answers."""
    cdef const signed char* p = <const signed char*>PyBytes_AS_STRING(pattern)
    cdef size_t m = PyBytes_GET_SIZE(pattern), at = 0, start, copied = 0
    cdef signed char low, high
    cdef int c
    cdef bytearray members
    cdef list out = []
    if m <= LONG_CLASS or memchr(p, OPEN, m) == NULL:
        return pattern
    while at < m:
        if p[at] != OPEN:
            at += 2 if p[at] == BACKSLASH else 1
            continue
        start = at
        at += 1
        if at < m and p[at] == CARET:
            at += 1
        members = bytearray(256)
        while at < m and p[at] != CLOSE:
            at = class_member(p, m, at, &low, &high)
            for c in range(low, high + 1):
                members[c & 0xFF] = 1
        at += at < m
        if at - start > LONG_CLASS:
            out.append(pattern[copied:start] + (b"[^" if p[start + 1] == CARET else b"["))
            out += [b"\\%c" % c for c in range(256) if members[c]]
            out.append(b"]")
            copied = at
    return b"".join(out) + pattern[copied:] if out else pattern


cdef class Glob:
    def __init__(self, bytes pattern not None):
        self.pattern = shortened(pattern)

    cdef bint matches(self, const char* text, size_t n) noexcept:
        return glob_matches(PyBytes_AS_STRING(self.pattern), PyBytes_GET_SIZE(self.pattern), text, n, NULL)

    def __call__(self, bytes text not None) -> bool:
        return self.matches(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))


def matches(bytes pattern not None, bytes text not None) -> bool:
    """Whether the whole text matches the pattern."""
    return glob_matches(PyBytes_AS_STRING(pattern), PyBytes_GET_SIZE(pattern), PyBytes_AS_STRING(text),
                        PyBytes_GET_SIZE(text), NULL)
