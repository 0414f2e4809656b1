# Floats and their texts, exactly as Redis reads and writes them (integers: digits.pxd). No text needs a terminator.

cdef enum:
    DOUBLE_TEXT = 32      # room for the text of any double

# True and *value when the whole text is a number to strtod (decimal, hexadecimal, infinities) within a double's range.
cdef bint text_to_double(const char* s, size_t n, double* value) noexcept nogil
# The text into buf (not terminated); returns its length.
cdef int double_to_text(double value, char* buf) noexcept nogil      # as in replies: integers in full, else the shortest
cdef int score_to_text(double value, char* buf) noexcept nogil       # as in a sorted set's listpack, and Lua's numbers: without minus zero
