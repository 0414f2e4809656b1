# A node of a stream: a listpack of up to stream-node-max-entries entries, laid out as Redis lays it out, so that DUMP,
# RDB and replication copy it.
#
#     live  deleted  fields  field-1 ... field-n  0               the head: counts, and the first entry's field names
#     flags  ms  seq  value-1 ... value-n  length                 an entry with the head's field names
#     flags  ms  seq  fields  field-1  value-1 ...  length        any other entry
#
# ms and seq are differences from the node's id, which is its first entry's. `length` counts the elements before it, for
# those who come from behind; the head's is 0. A deleted entry is only marked: a node goes when its last entry is deleted.

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint64_t
from node.engine.structures.idmap cimport Id, IdMap, Spot
from node.engine.structures.listpack cimport lp_t

ctypedef struct Node:          # a record of the stream's IdMap
    Id id
    lp_t lp

ctypedef struct Entry:         # one entry that a walk has come to; valid until the next change
    Id id
    bint deleted
    bint same_fields           # the field names are the head's
    int64_t fields             # how many
    lp_t flags                 # where the entry begins
    lp_t body                  # its first value, or its first field name

ctypedef struct Walk:
    IdMap* nodes
    Spot spot
    Node* node                 # NULL: the walk is over
    bint backwards
    int64_t fields             # of the head
    lp_t names                 # the head's first field name
    lp_t p                     # forwards: the next entry's flags; backwards: its length; NULL: the node is through

# The next entry's fields and values are a flat list of bytes, two for each field.
cdef lp_t node_new(list fields)
cdef lp_t node_append(lp_t lp, Id node_id, Id id, list fields)
cdef bint node_is_full(lp_t lp, size_t more) noexcept      # of the entry's bytes
cdef int64_t node_live(lp_t lp) noexcept
cdef int64_t node_deleted(lp_t lp) noexcept
# To delete entries: mark each, which moves nothing, then count them.
cdef void entry_mark(Entry* e) noexcept
cdef lp_t node_count_deleted(lp_t lp, int64_t n) noexcept
cdef Id node_last_id(Node* node) noexcept                  # of its last entry, deleted or not
# A node from outside, checked; ValueError when it is none. *last is the last id of the stream so far, and then this node's.
cdef lp_t node_from(bytes data, Id id, Id* last) except NULL

cdef void walk_from(Walk* w, IdMap* nodes, Id start) noexcept    # forwards, from the node that may hold start
cdef void walk_back_from(Walk* w, IdMap* nodes, Id end) noexcept
cdef bint walk_next(Walk* w, Entry* e) noexcept            # False: there is none. Deleted entries are seen too
cdef list entry_fields(Walk* w, Entry* e)                  # flat, as for node_append
