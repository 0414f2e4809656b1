from libc.stdint cimport uint64_t
from node.engine.structures.idmap cimport Id, IdMap

cdef class Stream:
    """Entries in the order of their ids, in nodes (streamnode.pxd), with consumer groups."""
    cdef IdMap nodes               # of Node
    cdef uint64_t length           # entries that are not deleted
    cdef readonly uint64_t entries_added     # since the stream exists
    cdef Id last                   # the highest id given so far
    cdef Id first                  # of the first entry; 0-0: there is none
    cdef Id max_deleted            # the highest id deleted by XDEL
    cdef dict groups               # by name; None: none yet
