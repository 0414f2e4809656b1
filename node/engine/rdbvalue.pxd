# Keys and values in RDB form, written from raw memory: what DUMP, snapshot files and full synchronisations are made of.

from libc.stddef cimport size_t
from libc.stdint cimport uint32_t

from node.engine.dict cimport Entry
from node.engine.rdb cimport Writer
from node.engine.table cimport Keyspace

cdef enum AccessClock:           # what a file tells of a key's use, by maxmemory-policy
    CLOCK_NONE = 0
    CLOCK_IDLE = 1
    CLOCK_FREQ = 2

# A key with its expiry, its access clock and its value, as it stands between the other keys of a file.
cdef int put_entry(Writer w, Keyspace space, Entry* e, AccessClock clock) except -1
# A collection: its kind, the key (NULL: none, as in DUMP), and its elements.
cdef int put_object(Writer w, object value, const char* key, uint32_t klen) except -1
