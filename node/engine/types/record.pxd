# What the engine knows of a type of values, said once: by the module of the type, when it is imported.
#
#     declare_type(TYPE_HASH, "hash", Hash)
#
# Values of a type are objects of one class. The keyspace knows nothing of them but this, and what each such class has for
# all (collection.py).

from cpython.object cimport PyObject

cdef enum ValueType:
    TYPE_STRING = 0
    TYPE_LIST = 1
    TYPE_SET = 2
    TYPE_ZSET = 3
    TYPE_HASH = 4
    TYPE_STREAM = 6

cdef enum:
    TYPES = 16                   # an entry has four bits for it

cdef enum Rested:                # what an object is without its content, when nobody uses it (packed.pxd)
    REST_EMPTY = 0               # there is no content yet
    REST_LARGE = 1               # it is too large, and keeps its object
    REST_LISTPACK = 2            # its block is a listpack
    REST_INTSET = 3

# An object that has this block, which is `spare` if that is not None.
ctypedef object (*WakeFn)(object spare, void* block, Rested form)
# Take the block out of an object, if that is all that it has.
ctypedef Rested (*RestFn)(PyObject* value, void** block) noexcept

ctypedef struct TypeRecord:
    PyObject* name               # TYPE's word for it; NULL: there is no such type
    Py_ssize_t object_bytes      # of its objects, as Python's allocator rounds them
    WakeFn wake                  # NULL: its objects are never put to rest
    RestFn rest

cdef TypeRecord* type_records() noexcept nogil    # all, by ValueType
cdef TypeRecord* declare_type(int code, str name, type values) except NULL
cdef int code_of(object value) except -1           # of a collection; TypeError if it is none
