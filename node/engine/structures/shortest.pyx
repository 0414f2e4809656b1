"""The shortest text of a double that reads back as the same double.

This is Grisu2 (Florian Loitsch, "Printing Floating-Point Numbers Quickly and Accurately with Integers", 2010), with the
choices that Redis 7.2 makes in it, since clients and digests compare these texts byte by byte. A double stands for all
numbers between the midpoints to its neighbours. The three (value and both bounds) are multiplied by a power of ten from
a table, so that the digits before the point fit 32 bits; then digits of the upper bound are produced until what is left
is within the interval, and the last one is turned down as long as that comes closer to the value. 64-bit arithmetic is
one unit off at most, and the interval is made smaller by as much: every text reads back, and of 1000 some four have a
digit more than the very shortest or a last digit that is not the closest. An exact method (Ryu, Python's repr) would
write those four differently from Redis.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memset

cdef extern from *:
    """
    static inline uint64_t shardis_high_product(uint64_t a, uint64_t b) {
        return (uint64_t)(((unsigned __int128)a * b + ((unsigned __int128)1 << 63)) >> 64);
    }
    static inline int shardis_leading_zeros(uint64_t x) { return __builtin_clzll(x); }
    """
    uint64_t high_product "shardis_high_product"(uint64_t a, uint64_t b) nogil    # rounded
    int leading_zeros "shardis_leading_zeros"(uint64_t x) nogil                   # x is not 0

cdef enum:
    FRACTION_BITS = 52
    EXPONENT_BIAS = 1075              # of the fraction read as an integer
    FIRST_POWER = -348
    POWER_STEP = 8
    POWERS = 87
    EXPONENT_MIN = -60                # of the scaled upper bound: at most 32 bits before the point, 60 after it
    EXPONENT_MAX = -32
    DIGITS = 18

cdef double LOG10_OF_2 = 0.30102999566398114
cdef uint64_t[POWERS] POWER_FRACTIONS          # 10**(FIRST_POWER + 8 * i) is about fraction * 2**exponent,
cdef int[POWERS] POWER_EXPONENTS               # with the highest bit of the fraction set
cdef uint64_t[20] TENS


def _fill_tables():
    """The powers of ten as 64-bit fractions, rounded to the nearest."""
    for i in range(20):
        TENS[i] = 10**i
    for i in range(POWERS):
        power = FIRST_POWER + POWER_STEP * i
        # Scaled by 2**2000, every one of these is an integer of far more than 64 bits.
        scaled = 10**power << 2000 if power >= 0 else (1 << 2000) // 10**-power
        exponent = scaled.bit_length() - 64
        fraction = (scaled + (1 << exponent - 1)) >> exponent
        assert fraction < 2**64
        POWER_FRACTIONS[i] = fraction
        POWER_EXPONENTS[i] = exponent - 2000


_fill_tables()


cdef inline int power_for(int exponent, int* power) noexcept nogil:
    """The place of the power of ten that brings a number with this exponent in between EXPONENT_MIN and _MAX.

    Two may do; which one is taken is part of the texts, so the search begins where it does in Redis.
    """
    cdef int i = (<int>(-(exponent + POWERS) * LOG10_OF_2) - FIRST_POWER) // POWER_STEP
    cdef int scaled
    while True:
        scaled = exponent + POWER_EXPONENTS[i] + 64
        if scaled < EXPONENT_MIN:
            i += 1
        elif scaled > EXPONENT_MAX:
            i -= 1
        else:
            power[0] = FIRST_POWER + POWER_STEP * i
            return i


cdef inline void approach(char* last, uint64_t interval, uint64_t rest, uint64_t unit, uint64_t distance) noexcept nogil:
    """Turn the last digit down while the text stays in the interval and comes closer to the value.

    All are distances below the upper bound: of the text (`rest`), of the value; a step of the digit is a `unit`.
    """
    while (
        rest < distance
        and interval - rest >= unit
        and (rest + unit < distance or distance - rest > rest + unit - distance)
    ):
        last[0] -= 1
        rest += unit


cdef inline int digits_of(uint64_t value, uint64_t upper, uint64_t lower, int point, char* digits, int* power) noexcept nogil:
    """Digits of a number between the bounds, all with `point` bits after the point; adds to *power what was left out."""
    cdef uint64_t distance = upper - value, interval = upper - lower
    cdef uint64_t one = <uint64_t>1 << point
    cdef uint64_t whole = upper >> point, part = upper & (one - 1), rest, unit = 1
    cdef int n = 0, left = 10
    cdef unsigned int digit
    while left:
        left -= 1
        digit = <unsigned int>(whole // TENS[left])
        if digit or n:
            digits[n] = <char>(48 + digit)
            n += 1
        whole -= digit * TENS[left]
        rest = (whole << point) + part
        if rest <= interval:
            power[0] += left
            approach(&digits[n - 1], interval, rest, TENS[left] << point, distance)
            return n
    while True:
        part *= 10
        interval *= 10
        unit *= 10
        left -= 1
        digit = <unsigned int>(part >> point)
        if digit or n:
            digits[n] = <char>(48 + digit)
            n += 1
        part &= one - 1
        if part < interval:
            power[0] += left
            approach(&digits[n - 1], interval, part, one, distance * unit)
            return n


cdef int decimal(uint64_t bits, char* digits, int* power) noexcept nogil:
    """The digits of a positive finite double; it is (digits) * 10**power."""
    cdef uint64_t fraction = bits & ((<uint64_t>1 << FRACTION_BITS) - 1)
    cdef int exponent = <int>(bits >> FRACTION_BITS) & 0x7ff
    cdef uint64_t hidden = <uint64_t>1 << FRACTION_BITS
    cdef uint64_t value, upper, lower
    cdef int shift, upper_exponent, i, ten
    if exponent:
        fraction += hidden
        exponent -= EXPONENT_BIAS
    else:
        exponent = 1 - EXPONENT_BIAS
    # Half way to the neighbours; below a power of two these are twice as dense.
    upper = (fraction << 1) + 1
    shift = leading_zeros(upper)
    upper <<= shift
    upper_exponent = exponent - 1 - shift
    i = 2 if fraction == hidden else 1
    lower = ((fraction << i) - 1) << (exponent - i - upper_exponent)
    value = fraction << leading_zeros(fraction)
    i = power_for(upper_exponent, &ten)
    value = high_product(value, POWER_FRACTIONS[i])
    upper = high_product(upper, POWER_FRACTIONS[i]) - 1
    lower = high_product(lower, POWER_FRACTIONS[i]) + 1
    power[0] = -ten
    return digits_of(value, upper, lower, -(upper_exponent + POWER_EXPONENTS[i] + 64), digits, power)


cdef inline int layout(const char* digits, int n, int power, char* buf) noexcept nogil:
    """Digits and power of ten as a text: plain while that is not much longer, else with an exponent."""
    cdef int first = power + n - 1                # the power of ten of the first digit
    cdef int size = first if first >= 0 else -first
    cdef int at
    if power >= 0 and size < n + 7:
        memcpy(buf, digits, n)
        memset(buf + n, 48, power)
        return n + power
    if power < 0 and (power > -7 or size < 4):
        at = n + power                            # how many digits stand before the point
        if at > 0:
            memcpy(buf, digits, at)
            buf[at] = 46
            memcpy(buf + at + 1, digits + at, n - at)
            return n + 1
        memcpy(buf, b"0.", 2)
        memset(buf + 2, 48, -at)
        memcpy(buf + 2 - at, digits, n)
        return n + 2 - at
    at = 1
    buf[0] = digits[0]
    if n > 1:
        buf[1] = 46
        memcpy(buf + 2, digits + 1, n - 1)
        at = n + 1
    buf[at] = 101
    buf[at + 1] = 43 if first >= 0 else 45
    at += 2
    if size > 99:
        buf[at] = <char>(48 + size // 100)
        at += 1
    if size > 9:
        buf[at] = <char>(48 + size // 10 % 10)
        at += 1
    buf[at] = <char>(48 + size % 10)
    return at + 1


cdef int shortest_text(double value, char* buf) noexcept nogil:
    cdef uint64_t bits
    cdef char[DIGITS] digits
    cdef int at = 0, n, power
    memcpy(&bits, &value, sizeof(bits))
    if bits >> 63:
        buf[0] = 45
        at = 1
        bits &= ~(<uint64_t>1 << 63)
    if bits == 0:
        buf[at] = 48
        return at + 1
    if bits >> FRACTION_BITS == 0x7ff:
        memcpy(buf + at, b"inf" if bits << (64 - FRACTION_BITS) == 0 else b"nan", 3)
        return at + 3
    n = decimal(bits, digits, &power)
    return at + layout(digits, n, power, buf + at)


def format_shortest(double value):
    """The text that a digest and Lua's numbers are made of: like `format_double`, but large integers have an exponent."""
    cdef char[32] buf
    return buf[:shortest_text(value, buf)]
