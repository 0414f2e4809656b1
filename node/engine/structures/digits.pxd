# Canonical decimal integers: the strings that a 64-bit integer and back again leaves unchanged ("0", "-7", never "+7",
# "007" or "-0"). The compact forms store these as integers, so whoever packs values asks here whether one is.

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint64_t

cdef enum:
    DIGITS_MAX = 20       # "-9223372036854775808"; the buffers handed around have 24 bytes


cdef inline bint parse_int64(const char* s, size_t n, int64_t* v) noexcept nogil:
    """True and *v when s is a canonical int64."""
    cdef uint64_t u, limit = 9223372036854775807
    cdef size_t i = 0
    cdef unsigned int d
    if n - 1 >= DIGITS_MAX:                           # also n == 0
        return False
    if s[0] == c'-':
        i = 1
        limit += 1
    if i == n:
        return False
    u = <unsigned char>s[i] - <unsigned int>c'0'
    if u > 9 or (u == 0 and n > 1):                   # not a digit, "-0", or a leading zero
        return False
    i += 1
    while i < n:
        d = <unsigned char>s[i] - <unsigned int>c'0'
        if d > 9 or u > (limit - d) // 10:
            return False
        u = u * 10 + d
        i += 1
    v[0] = <int64_t>(0 - u) if s[0] == c'-' else <int64_t>u
    return True


cdef inline unsigned int format_int64(int64_t v, char* out) noexcept nogil:
    """Write v's digits to out (at least 20 bytes, not terminated); their number."""
    cdef char tmp[24]
    cdef uint64_t u = <uint64_t>v
    cdef unsigned int n = 0, i = 0
    if v < 0:
        u = 0 - u
        out[0] = c'-'
        i = 1
    while True:
        tmp[n] = <char>(c'0' + <int>(u % 10))
        n += 1
        u //= 10
        if u == 0:
            break
    while n:
        n -= 1
        out[i] = tmp[n]
        i += 1
    return i
