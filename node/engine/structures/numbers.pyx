"""Numbers and their texts, exactly as Redis reads and writes them.

Clients, snapshots and replicas compare these texts byte by byte, so every rule here is Redis' own: which texts are
integers (canonical ones only), which are floats (what strtod takes, without spaces and NaN), and how a float is
written (the shortest text that reads back in replies, 17 decimals of a C long double after INCRBYFLOAT).
"""

from libc.errno cimport ERANGE, errno
from libc.math cimport HUGE_VAL, fabs, isnan
from libc.stdint cimport int64_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport free, malloc, strtod
from libc.string cimport memcpy
from node.engine.structures.digits cimport format_int64, parse_int64 as read_int64
from node.engine.structures.shortest cimport shortest_text

cdef extern from "<stdlib.h>" nogil:
    long double strtold(const char* s, char** end)

cdef extern from "<math.h>" nogil:
    # The type-generic macros: Cython's own declarations of them take a double and would narrow a long double.
    bint isinf_long "isinf"(long double x)
    bint isnan_long "isnan"(long double x)
    long double HUGE_VALL

cdef enum:
    # Redis refuses longer texts where it reads a long double, and its longest answer fits as well.
    LONG_DOUBLE_TEXT = 5 * 1024

cdef double WHOLE_MAX = 4611686018427387904.0

cdef double[23] POWERS_OF_TEN = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
]


cdef inline bint plain_decimal(const char* s, size_t n, double* value) noexcept nogil:
    """Digits with an optional sign and point. Up to 15 digits and a power of ten up to 22 are exact in a double, so one
    division rounds correctly: the common texts get by without strtod."""
    cdef size_t i = 0
    cdef int digits = 0, decimals = -1
    cdef uint64_t mantissa = 0
    cdef unsigned char c
    if n > 17:
        return False
    if n and (s[0] == b"-" or s[0] == b"+"):
        i = 1
    while i < n:
        c = <unsigned char>s[i]
        i += 1
        if c == b"." and decimals < 0:
            decimals = 0
            continue
        if c < b"0" or c > b"9":
            return False
        mantissa = mantissa * 10 + (c - 48)
        digits += 1
        if decimals >= 0:
            decimals += 1
    if digits == 0 or digits > 15:
        return False
    value[0] = <double>mantissa / POWERS_OF_TEN[decimals] if decimals > 0 else <double>mantissa
    if s[0] == b"-":
        value[0] = -value[0]
    return True


cdef inline bint is_space(char c) noexcept nogil:
    return c == b" " or (9 <= c <= 13)


cdef bint text_to_double(const char* s, size_t n, double* value) noexcept nogil:
    cdef char[256] small
    cdef char* text = small
    cdef char* end
    cdef bint whole
    if plain_decimal(s, n, value):
        return True
    if n == 0 or is_space(s[0]):
        return False
    if n >= sizeof(small):
        text = <char*>malloc(n + 1)
        if text == NULL:
            return False
    memcpy(text, s, n)
    text[n] = 0
    (&errno)[0] = 0
    value[0] = strtod(text, &end)
    whole = <size_t>(end - text) == n
    if text != small:
        free(text)
    if not whole or isnan(value[0]):
        return False
    return not (errno == ERANGE and (fabs(value[0]) == HUGE_VAL or value[0] == 0))


cdef inline bint is_whole(double value) noexcept nogil:
    """Integers up to here are written in full, whatever their shortest text is."""
    return fabs(value) <= WHOLE_MAX and value == <double><int64_t>value


cdef int double_to_text(double value, char* buf) noexcept nogil:
    if isnan(value):
        memcpy(buf, b"nan", 3)
        return 3
    # Minus zero keeps its sign.
    if value != 0 and is_whole(value):
        return format_int64(<int64_t>value, buf)
    return shortest_text(value, buf)


cdef int score_to_text(double value, char* buf) noexcept nogil:
    if is_whole(value):
        return format_int64(<int64_t>value, buf)
    return shortest_text(value, buf)


cdef bint text_to_long_double(const char* s, size_t n, long double* value) noexcept nogil:
    cdef char[LONG_DOUBLE_TEXT] text
    cdef char* end
    if n == 0 or n >= sizeof(text) or is_space(s[0]):
        return False
    memcpy(text, s, n)
    text[n] = 0
    (&errno)[0] = 0
    value[0] = strtold(text, &end)
    if <size_t>(end - text) != n or isnan_long(value[0]):
        return False
    # Redis compares with the double HUGE_VAL, which an overflow of a long double equals as well.
    return not (errno == ERANGE and (isinf_long(value[0]) or value[0] == 0))


cdef int long_double_to_text(long double value, char* buf) noexcept nogil:
    """17 decimals without their trailing zeros, and never "-0"."""
    cdef int n = snprintf(buf, LONG_DOUBLE_TEXT, b"%.17Lf", value)
    while buf[n - 1] == b"0":
        n -= 1
    if buf[n - 1] == b".":
        n -= 1
    if n == 2 and buf[0] == b"-" and buf[1] == b"0":
        buf[0] = b"0"
        n = 1
    return n


def parse_int64(bytes text not None):
    """The integer, or None unless the text is a canonical decimal within 64 bits."""
    cdef int64_t value
    return value if read_int64(text, len(text), &value) else None


def parse_double(bytes text not None):
    """The float, or None unless the whole text is one (no spaces, no NaN, not out of range)."""
    cdef double value
    return value if text_to_double(text, len(text), &value) else None


def format_double(double value):
    """The text of a double in replies."""
    cdef char[DOUBLE_TEXT] buf
    return buf[:double_to_text(value, buf)]


def format_score(double value):
    """The text of a score as a sorted set's listpack stores it: like format_double, but for minus zero."""
    cdef char[DOUBLE_TEXT] buf
    return buf[:score_to_text(value, buf)]


def parse_bound(bytes text not None):
    """A bound of a score range, `1.5` or `(1.5`, as (score, open); None when it is none.

    Redis reads bounds with a bare strtod: leading spaces, nothing at all (0) and what overflows (an infinity) pass.
    """
    cdef bint is_open = text.startswith(b"(")
    cdef const char* s = text
    cdef char* end
    cdef double value
    s += is_open
    value = strtod(s, &end)
    # Redis looks for the end of the text in the C sense, so what follows a NUL byte does not count.
    if end[0] != 0 or isnan(value):
        return None
    return value, is_open


def parse_weight(bytes text not None):
    """The number that SORT takes an element for, or None when it is none: strtod as for a bound, but within range."""
    cdef const char* s = text
    cdef char* end
    cdef double value
    (&errno)[0] = 0
    value = strtod(s, &end)
    if end[0] != 0 or errno == ERANGE or isnan(value):
        return None
    return value


def float_kind(bytes text not None):
    """'finite' or 'infinite' when INCRBYFLOAT and HINCRBYFLOAT take the text for a number, else None."""
    cdef long double value
    if not text_to_long_double(text, len(text), &value):
        return None
    return "infinite" if isinf_long(value) else "finite"


def add_float(bytes value not None, bytes increment not None):
    """The text of value + increment, computed as C long doubles as Redis does.

    Raises ValueError when either is not a number, OverflowError when the sum is infinite or not a number.
    """
    cdef long double a, b
    cdef char[LONG_DOUBLE_TEXT] buf
    if not text_to_long_double(value, len(value), &a) or not text_to_long_double(increment, len(increment), &b):
        raise ValueError("not a float")
    a += b
    if isnan_long(a) or isinf_long(a):
        raise OverflowError("the sum is not finite")
    return buf[:long_double_to_text(a, buf)]
