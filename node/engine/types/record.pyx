"""The records of the types of values (record.pxd is the contract)."""

from cpython.ref cimport Py_INCREF
from libc.string cimport memset

cdef TypeRecord records[TYPES]
memset(records, 0, sizeof(records))
cdef dict codes = {}             # by class


cdef TypeRecord* type_records() noexcept nogil:
    return records


cdef TypeRecord* declare_type(int code, str name, type values) except NULL:
    cdef TypeRecord* record = &records[code]
    if not 0 <= code < TYPES or record.name != NULL:
        raise ValueError(f"there is a type with the number {code} already, or no room for it: {name}")
    Py_INCREF(name)
    record.name = <PyObject*>name
    record.object_bytes = (values.__basicsize__ + 15) & ~15
    codes[values] = code
    return record


cdef int code_of(object value) except -1:
    code = codes.get(type(value))
    if code is None:
        raise TypeError(f"no value of the keyspace: {type(value).__name__}")
    return code


def type_number(str name not None) -> int:
    """The number that Redis gives a type, by TYPE's word for it; ValueError: there is none."""
    cdef int code
    for code in range(TYPES):
        if records[code].name != NULL and <str>records[code].name == name:
            return code
    raise ValueError(name)


# Strings are no objects: they lie behind their keys, or raw.
declare_type(TYPE_STRING, "string", bytes)
del codes[bytes]
