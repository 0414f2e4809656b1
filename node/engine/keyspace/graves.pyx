"""Lazy freeing: a million keys or members are unlinked at once and freed in slices, so that no call takes long.

Only what is really large comes here; freeing anything else at once is cheaper than remembering it.
"""

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from libc.stddef cimport size_t
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from node.engine.memory.alloc cimport mem_free, mem_realloc
from node.engine.structures.dict cimport Dict, Entry, dict_next, dict_release
from node.engine.keyspace.entry cimport (
    ENC_AWAKE, ENC_OBJECT, ENC_PACKED, ENC_RAW, Raw, entry_encoding, entry_free, entry_raw, entry_value, raw_free, raw_size,
)
from node.engine.keyspace.keyslot cimport SLOTS
from node.engine.keyspace.packed cimport packed_forget, packed_free

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject* o)

cdef enum:
    LONG_STRING = 8 << 20        # the kernel takes about half a millisecond to take back so much
    STRING_SLICE = 4 << 20
    SLICE_COST = 2000            # of cutting one slice off, in items
    SLOTS_AN_ITEM = 16           # empty slots that cost as much as one item


@cython.final
cdef class Grave:
    def __cinit__(self):
        self.slots = NULL
        self.raw = NULL
        self.slot = 0
        self.pos = 0
        self.pending = 1
        self.counted = False

    def __dealloc__(self):
        cdef long budget
        while self.slots != NULL:
            budget = 1 << 30
            free_slots(self, &budget, None)
        if self.raw != NULL:
            raw_free(self.raw)

    cdef bint free_some(self, long* budget, list graves) except -1:
        if self.slots != NULL:
            return free_slots(self, budget, graves)
        if self.raw != NULL:
            return free_string(self, budget)
        return free_value(self, budget)


cdef bint free_slots(Grave grave, long* budget, list graves) except -1:
    cdef Dict* d
    cdef Entry* e
    cdef Grave inner
    while grave.slot < SLOTS:
        d = &grave.slots[grave.slot]
        e = <Entry*>dict_next(d, &grave.pos) if d.used else NULL
        while e != NULL:
            inner = dispose_value(e, LARGE) if graves is not None else dispose_value(e, <size_t>-1)
            entry_free(e)
            budget[0] -= 1
            grave.pending -= 1
            if inner is not None:
                inner.pending = 0              # as an object it has just been counted
                graves.append(inner)
                return True
            if budget[0] <= 0:
                return True
            e = <Entry*>dict_next(d, &grave.pos)
        dict_release(d)
        grave.slot += 1
        grave.pos = 0
        budget[0] -= grave.slot % SLOTS_AN_ITEM == 0
    mem_free(grave.slots, SLOTS * sizeof(Dict))
    grave.slots = NULL
    grave.pending = 0
    return False


cdef bint free_string(Grave grave, long* budget) except -1:
    cdef size_t cap
    while grave.raw.cap > LONG_STRING:
        if budget[0] <= 0:
            return True
        budget[0] -= SLICE_COST
        cap = grave.raw.cap - STRING_SLICE
        grave.raw = <Raw*>mem_realloc(grave.raw, raw_size(grave.raw), sizeof(Raw) + cap)
        grave.raw.cap = cap
    raw_free(grave.raw)
    grave.raw = NULL
    grave.pending = 0
    return False


cdef bint free_value(Grave grave, long* budget) except -1:
    # Somebody who still holds the collection may be reading it: then it is freed whole when they let go.
    if grave.value is not None and Py_REFCNT(<PyObject*>grave.value) == 1:
        if grave.value.free_some(budget[0]):
            budget[0] = 0
            return True
        budget[0] -= LARGE
    grave.value = None
    grave.pending = 0
    return False


cdef Grave grave_of_slots(Dict* slots, size_t pending):
    cdef Grave grave = Grave()
    grave.slots = slots
    grave.pending = pending
    return grave


cdef Grave grave_of_value(object value):
    cdef Grave grave = Grave()
    grave.value = value
    return grave


cdef Grave dispose_value(Entry* e, size_t limit):
    cdef int encoding = entry_encoding(e)
    cdef PyObject* value
    cdef Grave grave
    cdef Raw* raw
    if encoding == ENC_RAW:
        raw = entry_raw(e)
        if raw.cap <= LONG_STRING or limit == <size_t>-1:
            raw_free(raw)
            return None
        grave = Grave()
        grave.raw = raw
        return grave
    if encoding >= ENC_PACKED:
        packed_free(e)
        return None
    if encoding >= ENC_OBJECT:
        if encoding == ENC_AWAKE:
            packed_forget(e)
        memcpy(&value, entry_value(e), sizeof(value))
        grave = None
        if limit != <size_t>-1 and <size_t>len(<object>value) > limit:
            grave = Grave()
            grave.value = <object>value
        Py_DECREF(<object>value)
        return grave
    return None
