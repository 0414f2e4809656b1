# The shortest text of a double that reads back as the same double, as Redis writes it from 7.2 on.

# The text into buf (room for 25 bytes, not terminated); returns its length. inf, -inf, nan and -nan are such texts, too.
cdef int shortest_text(double value, char* buf) noexcept nogil
