"""The longest common subsequence of two strings, for LCS.

The textbook table of the lengths for all pairs of prefixes, walked back from its far corner. Where the subsequence is not
unique, the choices on the way back are Redis' own, since clients see them.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stddef cimport size_t
from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free


cdef void fill(uint32_t* lengths, const char* a, size_t a_len, const char* b, size_t b_len) noexcept nogil:
    """lengths[i * (b_len + 1) + j]: of the first i bytes of a and the first j of b. Row and column 0 are zero already."""
    cdef size_t i, j
    cdef uint32_t* above = lengths
    cdef uint32_t* row
    for i in range(a_len):
        row = above + b_len + 1
        for j in range(b_len):
            if a[i] == b[j]:
                row[j + 1] = above[j] + 1
            else:
                row[j + 1] = max(above[j + 1], row[j])
        above = row


def longest_common_subsequence(bytes a not None, bytes b not None):
    """The subsequence, and the runs it consists of as (start in a, start in b, length), the last run first.

    Takes 4 * (len(a) + 1) * (len(b) + 1) bytes for a moment: the caller sees to it that this is not too much.
    """
    cdef const char* p = PyBytes_AS_STRING(a)
    cdef const char* q = PyBytes_AS_STRING(b)
    cdef size_t i = PyBytes_GET_SIZE(a), j = PyBytes_GET_SIZE(b), width = j + 1, run = 0, left
    cdef uint32_t* lengths = <uint32_t*>calloc((i + 1) * width, sizeof(uint32_t))
    cdef bytes common
    cdef char* out
    cdef list runs = []
    if lengths == NULL:
        raise MemoryError
    try:
        fill(lengths, p, i, q, j)
        left = lengths[i * width + j]
        common = PyBytes_FromStringAndSize(NULL, left)
        out = PyBytes_AS_STRING(common)
        while i and j:
            if p[i - 1] == q[j - 1]:
                i -= 1
                j -= 1
                left -= 1
                out[left] = p[i]
                run += 1
                continue
            if run:
                runs.append((i, j, run))
                run = 0
            if lengths[(i - 1) * width + j] > lengths[i * width + j - 1]:
                i -= 1
            else:
                j -= 1
        if run:
            runs.append((i, j, run))
    finally:
        free(lengths)
    return common, runs
