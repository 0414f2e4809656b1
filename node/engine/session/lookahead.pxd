# Fetching what pipelined requests are going to need, before they run.

from libc.stddef cimport size_t

from node.engine.keyspace.table cimport Db

# Look at the whole requests at p[0:n], a few at most, and have the processor fetch the entries of their keys. Returns how
# many bytes were looked at. A hint: nothing is read that could fail, and nothing depends on it.
cdef size_t fetch_ahead(Db db, const char* p, size_t n) noexcept
