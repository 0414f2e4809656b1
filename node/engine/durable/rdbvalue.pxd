# Keys and values in RDB form, written from raw memory: what DUMP, snapshot files and full synchronisations are made of.

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t

from node.engine.structures.dict cimport Entry, Field
from node.engine.types.hash cimport Hash
from node.engine.structures.listpack cimport lp_t
from node.engine.durable.rdb cimport Writer
from node.engine.types.stream cimport Stream
from node.engine.types.streamnode cimport Node
from node.engine.keyspace.table cimport Keyspace

cdef enum AccessClock:           # what a file tells of a key's use, by maxmemory-policy
    CLOCK_NONE = 0
    CLOCK_IDLE = 1
    CLOCK_FREQ = 2

# What stands before a value: expiry, access clock, kind and key. The parts of values that are written bit by bit.
cdef int open_entry(Writer w, Keyspace space, Entry* e, AccessClock clock, int kind) except -1
cdef int put_node(Writer w, lp_t lp) except -1                             # of a list
cdef int put_stream_node(Writer w, Node* node) except -1
cdef int put_stream_facts(Writer w, Stream s) except -1                    # what follows the nodes: counters and groups

# A key with its expiry, its access clock and its value, as it stands between the other keys of a file.
cdef int put_entry(Writer w, Keyspace space, Entry* e, AccessClock clock) except -1
# A collection of one type: its kind, the key (NULL: none, as in DUMP), and its elements. The module that has this says so.
ctypedef int (*PutFn)(Writer w, object value, const char* key, uint32_t klen) except -1
cdef int declare_form(int code, PutFn how) except -1
cdef int open_value(Writer w, int kind, const char* key, uint32_t klen) except -1      # what comes first

# What of these values depends on the form that is written.
cdef int stream_kind(Writer w) noexcept
cdef int mortal_kind(Writer w) noexcept                                    # of a hash with fields that die
cdef int put_mortal_head(Writer w, Hash h) except -1
cdef int put_mortal_field(Writer w, Hash h, Field* field, int64_t first_ms) except -1
