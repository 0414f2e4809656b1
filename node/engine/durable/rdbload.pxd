from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint64_t
from node.engine.structures.dict cimport Coming, Dict, Entry
from node.engine.durable.rdb cimport Reader, Text
from node.engine.keyspace.table cimport Db, Keyspace

cdef class KeyLoader:
    """Puts the keys of an RDB file into databases, some at a time."""
    cdef Reader reader
    cdef Keyspace space
    cdef public Db db               # where the keys that follow belong
    cdef object read_value          # callable(Reader, kind) -> value | None: what is not read natively; None: an empty one
    cdef bint keep_dead, merge
    cdef public bint foreign        # the file is Valkey's, where one kind of value has another meaning
    cdef public object on_dead      # callable(db, key: bytes) | None: told of each key that is left out because it is dead
    cdef readonly uint64_t loaded, dead, empty          # keys: stored; left out because they are dead, or empty
    cdef readonly uint64_t elsewhere                    # keys left out because their slots are not wanted
    cdef bytes slots                # one byte for each slot, 0: its keys are left out; None: all are wanted
    cdef readonly list empty_keys   # the first of those that had no elements
    # The key in the making: what stood before it, and how far its value is.
    cdef Text key, first, second
    cdef readonly int kind          # NO_KEY between keys
    cdef int64_t at_ms, idle_s
    cdef int freq
    cdef object value               # a collection whose elements come one by one
    cdef uint64_t left              # that are still to come
    cdef size_t ahead               # where the element begins that is to be fetched next; 0: none is
    cdef Coming coming
    cdef int64_t first_ms           # of a hash of Redis 7.4 with fields that die: when the first does

    cdef uint64_t keys_read(self) noexcept
    cdef bint note(self, int code) except -1
    cdef int begin(self, int kind) except -1
    cdef int open_value(self, int kind) except -1
    cdef object complete(self)
    cdef void look_ahead(self, Dict* d, int texts) noexcept
    cdef bint fill(self, size_t until) except -1
    cdef int element(self) except -1
    cdef int mortal_field(self) except -1
    cdef int whole(self) except -1
    cdef int finish(self) except -1
    cdef int put(self, int type, object value) except -1
    cdef int put_text(self) except -1
    cdef int stored(self, Entry* e, size_t before) except -1
    cdef bint is_elsewhere(self) noexcept
    cdef bint unwanted(self) except -1
    cdef void forget(self) noexcept
