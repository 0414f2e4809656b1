"""HyperLogLog over the bytes of a string value, byte for byte as Redis stores it.

A value opens with 16 bytes: "HYLL", the encoding (0 dense, 1 sparse), three zeros, and the cached cardinality as a
little-endian integer whose top bit says that it is stale. Then the 16,384 registers follow:

- dense: six bits each, the first register in the lowest bits of the first byte;
- sparse: runs. 00rrrrrr is r+1 empty registers; 01rrrrrr rrrrrrrr the same with a longer length; 1vvvvvrr is r+1
  registers that hold v+1. A value above 32, or a size above hll-sparse-max-bytes, turns a sparse value dense for ever.

The estimate is Ertl's ("New cardinality estimation algorithms for HyperLogLog sketches", arXiv:1702.01284), with the same
order of floating-point operations as Redis, so that counts are equal to the unit. Functions take and return `bytes`; the
values come from clients (SET can store anything), so every reader checks what it reads and raises Corrupted.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport INFINITY, ceil, llroundl, pow, sqrt
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove, memset
from node.engine.types.limits cimport limits

cdef enum:
    HEADER = 16
    ENCODING_AT = 4
    CACHE_AT = 8
    STALE_AT = 15               # the byte whose top bit marks the cached cardinality as stale
    DENSE = 0
    SPARSE = 1
    P = 14                      # bits of the hash that choose a register
    Q = 64 - P                  # bits of the hash that are left for the run of zeros
    REGISTERS = 1 << P
    DENSE_SIZE = HEADER + REGISTERS * 6 // 8
    VALUE_MAX = 32              # the highest register, and the longest runs, that the sparse form can express
    VALUE_RUN_MAX = 4
    ZERO_RUN_MAX = 64
    LONG_ZERO_RUN_MAX = 1 << 14

cdef double ALPHA = 0.721347520444481703680     # 0.5 / ln 2
cdef uint64_t SEED = 0xADC83B19


class Corrupted(ValueError):
    """The value has the header of a HyperLogLog, but its registers make no sense."""


# One value being changed: a buffer that can grow, always followed by a zero byte (a truncated last run reads as such).

ctypedef struct Sketch:
    uint8_t* p
    size_t n
    size_t cap


cdef int sketch_open(Sketch* s, bytes value) except -1:
    s.n = PyBytes_GET_SIZE(value)
    s.cap = s.n + 64
    s.p = <uint8_t*>malloc(s.cap)
    if s.p == NULL:
        raise MemoryError
    memcpy(s.p, PyBytes_AS_STRING(value), s.n)
    s.p[s.n] = 0
    return 0


cdef bytes sketch_close(Sketch* s):
    cdef bytes value = PyBytes_FromStringAndSize(<char*>s.p, s.n)
    free(s.p)
    return value


cdef bint reserve(Sketch* s, size_t more) noexcept nogil:
    cdef uint8_t* p
    if s.n + more + 1 <= s.cap:
        return True
    p = <uint8_t*>realloc(s.p, s.n * 2 + more + 1)
    if p == NULL:
        return False
    s.p = p
    s.cap = s.n * 2 + more + 1
    return True


# Hashing: MurmurHash64A.

cdef uint64_t murmur(const uint8_t* p, size_t n) noexcept nogil:
    cdef uint64_t m = 0xC6A4A7935BD1E995
    cdef uint64_t h = SEED ^ (n * m)
    cdef uint64_t k
    cdef size_t i
    while n >= 8:
        memcpy(&k, p, 8)
        k *= m
        k ^= k >> 47
        k *= m
        h ^= k
        h *= m
        p += 8
        n -= 8
    if n:
        k = 0
        for i in range(n):
            k |= <uint64_t>p[i] << (8 * i)
        h ^= k
        h *= m
    h ^= h >> 47
    h *= m
    h ^= h >> 47
    return h


cdef extern from *:
    int __builtin_ctzll(unsigned long long) noexcept nogil


cdef inline uint8_t pattern(const uint8_t* p, size_t n, uint32_t* register) noexcept nogil:
    """The register of an element, and the length of its run 0...01."""
    cdef uint64_t h = murmur(p, n)
    register[0] = <uint32_t>(h & (REGISTERS - 1))
    return <uint8_t>(__builtin_ctzll((h >> P) | (<uint64_t>1 << Q)) + 1)


# The dense form.

cdef inline uint8_t dense_get(const uint8_t* regs, uint32_t i) noexcept nogil:
    cdef uint32_t byte = i * 6 // 8, shift = i * 6 & 7
    # A register that starts below the last two bits of its byte ends in it: the next byte (past the end, for the last
    # register) is not touched.
    if shift <= 2:
        return (regs[byte] >> shift) & 63
    return ((regs[byte] >> shift) | (regs[byte + 1] << (8 - shift))) & 63


cdef inline void dense_put(uint8_t* regs, uint32_t i, uint8_t value) noexcept nogil:
    cdef uint32_t byte = i * 6 // 8, shift = i * 6 & 7
    regs[byte] = <uint8_t>((regs[byte] & ~(63 << shift)) | (value << shift))
    if shift > 2:
        regs[byte + 1] = <uint8_t>((regs[byte + 1] & ~(63 >> (8 - shift))) | (value >> (8 - shift)))


cdef inline bint dense_raise(uint8_t* regs, uint32_t i, uint8_t value) noexcept nogil:
    if value <= dense_get(regs, i):
        return False
    dense_put(regs, i, value)
    return True


# The sparse form. A Run is one of its opcodes, decoded.

ctypedef struct Run:
    uint32_t registers
    uint8_t value               # 0: empty registers
    uint8_t size                # bytes of the opcode


cdef inline Run run_at(const uint8_t* p) noexcept nogil:
    cdef Run run
    if p[0] & 0x80:
        run.registers = (p[0] & 3) + 1
        run.value = ((p[0] >> 2) & 31) + 1
        run.size = 1
    elif p[0] & 0x40:
        run.registers = ((<uint32_t>(p[0] & 63) << 8) | p[1]) + 1
        run.value = 0
        run.size = 2
    else:
        run.registers = (p[0] & 63) + 1
        run.value = 0
        run.size = 1
    return run


cdef inline uint8_t value_run(uint8_t value, uint32_t registers) noexcept nogil:
    return <uint8_t>(0x80 | ((value - 1) << 2) | (registers - 1))


cdef inline uint8_t* put_zero_run(uint8_t* at, uint32_t registers) noexcept nogil:
    if registers > ZERO_RUN_MAX:
        at[0] = <uint8_t>(0x40 | ((registers - 1) >> 8))
        at[1] = <uint8_t>((registers - 1) & 0xFF)
        return at + 2
    at[0] = <uint8_t>(registers - 1)
    return at + 1


cdef bint sparse_to_registers(const uint8_t* p, size_t n, uint8_t* regs) noexcept nogil:
    """Raise each of `regs` (a byte a register) to what the runs say. False: the runs don't cover all registers exactly."""
    cdef size_t i = 0
    cdef uint32_t at = 0
    cdef uint32_t k
    cdef Run run
    while i < n:
        run = run_at(p + i)
        if run.registers > REGISTERS - at:
            return False
        if run.value:
            for k in range(run.registers):
                if regs[at + k] < run.value:
                    regs[at + k] = run.value
        at += run.registers
        i += run.size
    return at == REGISTERS


cdef bint make_dense(Sketch* s) noexcept nogil:
    """False: the sparse form is corrupt (or there is no memory)."""
    cdef uint8_t regs[REGISTERS]
    cdef uint8_t* dense
    cdef int i
    if s.p[ENCODING_AT] == DENSE:
        return True
    memset(regs, 0, sizeof(regs))
    if not sparse_to_registers(s.p + HEADER, s.n - HEADER, regs):
        return False
    dense = <uint8_t*>malloc(DENSE_SIZE + 1)
    if dense == NULL:
        return False
    memset(dense, 0, DENSE_SIZE + 1)
    memcpy(dense, s.p, HEADER)
    dense[ENCODING_AT] = DENSE
    for i in range(REGISTERS):
        if regs[i]:
            dense_put(dense + HEADER, i, regs[i])
    free(s.p)
    s.p = dense
    s.n = DENSE_SIZE
    s.cap = DENSE_SIZE + 1
    return True


cdef int promote_and_raise(Sketch* s, uint32_t register, uint8_t value) noexcept nogil:
    if not make_dense(s):
        return -1
    return 1 if dense_raise(s.p + HEADER, register, value) else 0


cdef int sparse_raise(Sketch* s, uint32_t register, uint8_t value) noexcept nogil:
    """Raise one register. 1: it changed; 0: it was as high already; -1: the sparse form is corrupt.

    The run that covers the register is split around it, and then neighbours of equal value are joined.
    """
    cdef uint8_t split[5]
    cdef uint8_t* w = split
    cdef uint8_t* base
    cdef size_t at = HEADER, before = HEADER         # where the run that covers the register lies, and the one before it
    cdef uint32_t first = 0, last
    cdef int size, grows
    cdef Run run
    if value > VALUE_MAX:
        return promote_and_raise(s, register, value)
    if not reserve(s, 3):                            # one opcode becomes three at most
        return -1
    base = s.p
    run = run_at(base + at)
    while at < s.n:
        run = run_at(base + at)
        if register < first + run.registers:
            break
        first += run.registers
        before = at
        at += run.size
    if at + run.size > s.n or s.n == HEADER:
        return -1
    if run.value >= value:
        return 0

    if run.registers == 1 and run.size == 1:
        base[at] = value_run(value, 1)
    else:
        last = first + run.registers - 1
        if register != first:
            if run.value:
                w[0] = value_run(run.value, register - first)
                w += 1
            else:
                w = put_zero_run(w, register - first)
        w[0] = value_run(value, 1)
        w += 1
        if register != last:
            if run.value:
                w[0] = value_run(run.value, last - register)
                w += 1
            else:
                w = put_zero_run(w, last - register)
        size = <int>(w - split)
        grows = size - run.size
        if grows > 0 and s.n + grows > limits.hll_sparse_max_bytes:
            return promote_and_raise(s, register, value)
        memmove(base + at + size, base + at + run.size, s.n - at - run.size)
        memcpy(base + at, split, size)
        s.n += grows
        base[s.n] = 0

    join_equal_runs(s, before)
    return 1


cdef void join_equal_runs(Sketch* s, size_t at) noexcept nogil:
    """Join neighbours of equal value among the five runs from `at` on."""
    cdef int looks = 5
    cdef Run run, following
    while at < s.n and looks:
        looks -= 1
        run = run_at(s.p + at)
        if run.value and at + 1 < s.n:
            following = run_at(s.p + at + 1)
            if following.value == run.value and run.registers + following.registers <= VALUE_RUN_MAX:
                s.p[at + 1] = value_run(run.value, run.registers + following.registers)
                memmove(s.p + at, s.p + at + 1, s.n - at)      # the zero byte at the end moves along
                s.n -= 1
                continue                             # the joined run may fit its next neighbour too
        at += run.size


cdef inline int sketch_raise(Sketch* s, uint32_t register, uint8_t value) noexcept nogil:
    if s.p[ENCODING_AT] == DENSE:
        return 1 if dense_raise(s.p + HEADER, register, value) else 0
    return sparse_raise(s, register, value)


# Counting.

cdef double sigma(double x) noexcept nogil:
    cdef double previous, y = 1, z = x
    if x == 1.0:
        return INFINITY
    while True:
        x *= x
        previous = z
        z += x * y
        y += y
        if previous == z:
            return z


cdef double tau(double x) noexcept nogil:
    cdef double previous, y = 1, z = 1 - x
    if x == 0.0 or x == 1.0:
        return 0
    while True:
        x = sqrt(x)
        previous = z
        y *= 0.5
        z -= pow(1 - x, 2) * y
        if previous == z:
            return z / 3


cdef uint64_t estimate(const int* histogram) noexcept nogil:
    """The cardinality, from how many registers hold each value."""
    cdef double m = REGISTERS
    cdef double z = m * tau((m - histogram[Q + 1]) / m)
    cdef int j
    for j in range(Q, 0, -1):
        z += histogram[j]
        z *= 0.5
    z += m * sigma(histogram[0] / m)
    return <uint64_t>llroundl(ALPHA * m * m / z)


cdef void dense_histogram(const uint8_t* regs, int* histogram) noexcept nogil:
    """Four registers lie in three bytes: unrolled, this is the inner loop of PFCOUNT."""
    cdef int i
    cdef uint32_t three
    for i in range(REGISTERS // 4):
        three = regs[0] | (<uint32_t>regs[1] << 8) | (<uint32_t>regs[2] << 16)
        histogram[three & 63] += 1
        histogram[(three >> 6) & 63] += 1
        histogram[(three >> 12) & 63] += 1
        histogram[three >> 18] += 1
        regs += 3


cdef bint sparse_histogram(const uint8_t* p, size_t n, int* histogram) noexcept nogil:
    cdef size_t i = 0
    cdef uint32_t at = 0
    cdef Run run
    while i < n:
        run = run_at(p + i)
        if run.registers > REGISTERS - at:
            return False
        at += run.registers
        histogram[run.value] += run.registers
        i += run.size
    return at == REGISTERS


cdef bint sketch_count(const uint8_t* p, size_t n, uint64_t* count) noexcept nogil:
    """False: corrupt."""
    cdef int histogram[64]
    memset(histogram, 0, sizeof(histogram))
    if p[ENCODING_AT] == DENSE:
        dense_histogram(p + HEADER, histogram)
    elif not sparse_histogram(p + HEADER, n - HEADER, histogram):
        return False
    count[0] = estimate(histogram)
    return True


cdef bint merge_into(const uint8_t* p, size_t n, uint8_t* regs) noexcept nogil:
    """Raise each of `regs` (a byte a register) to the sketch's. False: corrupt."""
    cdef uint32_t three
    cdef uint8_t value
    cdef int i, k
    if p[ENCODING_AT] != DENSE:
        return sparse_to_registers(p + HEADER, n - HEADER, regs)
    p += HEADER
    for i in range(0, REGISTERS, 4):
        three = p[0] | (<uint32_t>p[1] << 8) | (<uint32_t>p[2] << 16)
        for k in range(4):
            value = (three >> (6 * k)) & 63
            if value > regs[i + k]:
                regs[i + k] = value
        p += 3
    return True


cdef bint sketch_valid(const uint8_t* p, size_t n) noexcept nogil:
    """The header is a HyperLogLog's, and a dense value has its exact size."""
    if n < HEADER or p[0] != c"H" or p[1] != c"Y" or p[2] != c"L" or p[3] != c"L" or p[ENCODING_AT] > SPARSE:
        return False
    return p[ENCODING_AT] == SPARSE or n == DENSE_SIZE


# What commands call. Values given here passed `hll_valid`.

cdef object corrupted():
    return Corrupted("the runs of a sparse HyperLogLog don't add up to its registers")


def hll_new() -> bytes:
    """An empty sketch: sparse, one run of empty registers. No count is cached, as PFADD of nothing leaves it."""
    cdef uint8_t value[HEADER + 2]
    memset(value, 0, sizeof(value))
    memcpy(value, <const char*>b"HYLL", 4)
    value[ENCODING_AT] = SPARSE
    value[STALE_AT] = 0x80
    put_zero_run(value + HEADER, REGISTERS)
    return PyBytes_FromStringAndSize(<char*>value, sizeof(value))


def hll_valid(bytes value not None) -> bool:
    return sketch_valid(<const uint8_t*>PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))


def hll_is_dense(bytes value not None) -> bool:
    return PyBytes_AS_STRING(value)[ENCODING_AT] == DENSE


def hll_add(bytes value not None, elements) -> tuple:
    """(the value with the elements in it, how many of them changed a register). A change makes the cached count stale."""
    cdef Sketch s
    cdef bytes element
    cdef uint32_t register = 0
    cdef uint8_t run
    cdef int changed
    cdef long changes = 0
    sketch_open(&s, value)
    try:
        for element in elements:
            run = pattern(<const uint8_t*>PyBytes_AS_STRING(element), PyBytes_GET_SIZE(element), &register)
            changed = sketch_raise(&s, register, run)
            if changed < 0:
                raise corrupted()
            changes += changed
    except BaseException:
        free(s.p)
        raise
    if changes == 0:
        free(s.p)
        return value, 0
    s.p[STALE_AT] |= 0x80
    return sketch_close(&s), changes


def hll_count(values) -> int:
    """The estimated cardinality of the union of the sketches. Looks at no cached count."""
    cdef uint8_t regs[REGISTERS]
    cdef int histogram[64]
    cdef uint64_t count = 0
    cdef bytes value
    cdef int i
    if len(values) == 1:
        value = values[0]
        if not sketch_count(<const uint8_t*>PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), &count):
            raise corrupted()
        return count
    memset(regs, 0, sizeof(regs))
    for value in values:
        if not merge_into(<const uint8_t*>PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), regs):
            raise corrupted()
    memset(histogram, 0, sizeof(histogram))
    for i in range(REGISTERS):
        histogram[regs[i]] += 1
    return estimate(histogram)


def hll_cached_count(bytes value not None) -> int | None:
    """The cardinality that the value's header remembers, None when it is stale."""
    cdef uint64_t count
    memcpy(&count, PyBytes_AS_STRING(value) + CACHE_AT, 8)
    return None if count >> 63 else count


def hll_with_cached_count(bytes value not None, uint64_t count) -> bytes:
    """The same sketch, with `count` in its header."""
    cdef bytes fresh = PyBytes_FromStringAndSize(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
    memcpy(PyBytes_AS_STRING(fresh) + CACHE_AT, &count, 8)
    return fresh


def hll_merge(bytes target, sources) -> bytes:
    """The union, as PFMERGE stores it: `target` (None: a new sketch) raised to it; dense when any part is dense."""
    cdef uint8_t regs[REGISTERS]
    cdef Sketch s
    cdef bytes value
    cdef bint dense = False
    cdef int i
    parts = [value for value in (target, *sources) if value is not None]
    memset(regs, 0, sizeof(regs))
    for value in parts:
        dense = dense or hll_is_dense(value)
        if not merge_into(<const uint8_t*>PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), regs):
            raise corrupted()
    sketch_open(&s, hll_new() if target is None else target)
    if dense and not make_dense(&s):
        free(s.p)
        raise corrupted()
    for i in range(REGISTERS):
        if regs[i] and sketch_raise(&s, i, regs[i]) < 0:
            free(s.p)
            raise corrupted()
    s.p[STALE_AT] |= 0x80
    return sketch_close(&s)


def hll_to_dense(bytes value not None) -> bytes:
    cdef Sketch s
    sketch_open(&s, value)
    if not make_dense(&s):
        free(s.p)
        raise corrupted()
    return sketch_close(&s)


def hll_registers(bytes value not None) -> list:
    """The 16,384 registers (PFDEBUG GETREG)."""
    cdef uint8_t regs[REGISTERS]
    cdef int i
    memset(regs, 0, sizeof(regs))
    if not merge_into(<const uint8_t*>PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), regs):
        raise corrupted()
    return [regs[i] for i in range(REGISTERS)]


def hll_runs(bytes value not None) -> list:
    """The runs of a sparse value as (value, registers, bytes of the opcode): value 0 is a run of empty registers."""
    cdef const uint8_t* p = <const uint8_t*>PyBytes_AS_STRING(value)
    cdef size_t i = HEADER, n = PyBytes_GET_SIZE(value)
    cdef Run run
    runs = []
    while i < n:
        run = run_at(p + i)
        runs.append((run.value, run.registers, run.size))
        i += run.size
    return runs


# PFSELFTEST.

def hll_selftest(uint64_t seed) -> str | None:
    """Check registers against a plain array, and estimates against ten million known elements; what failed, or None."""
    return registers_test(seed) or estimates_test(seed)


cdef object registers_test(uint64_t seed):
    """Every register keeps what was put into it, whatever its neighbours hold."""
    cdef uint8_t dense[DENSE_SIZE]
    cdef uint8_t plain[REGISTERS]
    cdef uint64_t multiplier = 6364136223846793005, increment = 1442695040888963407
    cdef int cycle, i
    memset(dense, 0, sizeof(dense))
    for cycle in range(1000):
        for i in range(REGISTERS):
            seed = seed * multiplier + increment
            plain[i] = (seed >> 33) & 63
            dense_put(dense + HEADER, i, plain[i])
        for i in range(REGISTERS):
            if dense_get(dense + HEADER, i) != plain[i]:
                return f"TESTFAILED Register {i} should be {plain[i]} but is {dense_get(dense + HEADER, i)}"
    return None


cdef object estimates_test(uint64_t seed):
    """Sparse and dense agree, and err by no more than six standard errors at each power of ten."""
    cdef Sketch growing, dense
    cdef uint64_t element, count = 0, other = 0
    cdef int64_t checkpoint = 1, j, error, allowed
    cdef uint32_t register = 0
    cdef uint8_t run
    sketch_open(&growing, hll_new())
    sketch_open(&dense, hll_new())
    try:
        make_dense(&dense)
        for j in range(1, 10_000_001):
            element = <uint64_t>j ^ seed
            run = pattern(<const uint8_t*>&element, sizeof(element), &register)
            dense_raise(dense.p + HEADER, register, run)
            sketch_raise(&growing, register, run)
            if j != checkpoint:
                continue
            if j < <int64_t>limits.hll_sparse_max_bytes // 2 and growing.p[ENCODING_AT] != SPARSE:
                return "TESTFAILED sparse encoding not used"
            sketch_count(dense.p, dense.n, &count)
            sketch_count(growing.p, growing.n, &other)
            if count != other:
                return "TESTFAILED dense/sparse disagree"
            # Ten elements collide now and then; everything else is statistics.
            allowed = 1 if j == 10 else <int64_t>ceil(1.04 / sqrt(REGISTERS) * 6 * checkpoint)
            error = checkpoint - <int64_t>count
            if error < 0:
                error = -error
            if error > allowed:
                return f"TESTFAILED Too big error. card:{checkpoint} abserr:{error}"
            checkpoint *= 10
    finally:
        free(growing.p)
        free(dense.p)
    return None
