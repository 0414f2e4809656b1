"""Small collections without their objects (packed.pxd is the contract).

Entries that are awake are listed, each with its place in the list (vlen, which strings alone need otherwise), so that one which
goes or moves is found at once. Whenever another is woken the last two are looked at, so that as a rule the list has one or
two entries; a command that holds thousands of collections leaves them to the turns that follow (packed_settle).

An object is at rest again when nobody but its entry holds it: then nobody can notice that the next to ask gets another one.
"""

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport uint32_t
from libc.stdlib cimport abort, realloc
from libc.string cimport memcpy

from node.engine.memory.alloc cimport mem_account, mem_size
from node.engine.keyspace.entry cimport (
    ENC_AWAKE, ENC_INTS, ENC_OBJECT, ENC_PACKED, TYPE_HASH, TYPE_SET, TYPE_ZSET, entry_encoding, entry_type, entry_value,
)
from node.engine.types.record cimport (
    REST_EMPTY, REST_INTSET, REST_LARGE, REST_LISTPACK, Rested, TYPES, TypeRecord, type_records,
)
from node.engine.structures.intset cimport ints_bytes, ints_free, ints_t
from node.engine.structures.listpack cimport lp_bytes, lp_free, lp_new, lp_t

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject* o)

cdef enum:
    SPARES = 8                   # objects of each type that wait for their next use
    LOOKED_AT = 2                # entries that might go to rest when another is woken

cdef Entry** awake = NULL
cdef uint32_t awake_count = 0, awake_room = 0
cdef PyObject* spares[TYPES][SPARES]
cdef int spare_count[TYPES]
cdef TypeRecord* types = type_records()


cdef inline void* pointer_of(Entry* e) noexcept nogil:
    cdef void* p
    memcpy(&p, entry_value(e), sizeof(p))
    return p


cdef inline void set_value(Entry* e, void* p, int encoding) noexcept nogil:
    memcpy(entry_value(e), &p, sizeof(p))
    e.meta = (e.meta & 0x0FFFFFFF) | (<uint32_t>encoding << 28)


# -- objects without content -------------------------------------------------------------------------------------------

cdef inline object spare(int type):
    """One that was used before, with nothing in it; None: there is none."""
    cdef object value
    if spare_count[type] == 0:
        return None
    spare_count[type] -= 1
    mem_account(types[type].object_bytes)
    value = <object>spares[type][spare_count[type]]
    Py_DECREF(value)
    return value


cdef inline void lay_by(int type, PyObject* value) noexcept:
    """Keep an object that is empty now, with the reference that the entry had; or let it go."""
    if spare_count[type] < SPARES:
        spares[type][spare_count[type]] = value
        spare_count[type] += 1
        mem_account(-types[type].object_bytes)       # it holds no data now
    else:
        Py_DECREF(<object>value)


cdef Hash fresh_hash():
    cdef Hash h = <Hash>spare(TYPE_HASH)
    if h is None:
        return Hash()
    h.lp = lp_new()
    return h


cdef Set fresh_set():
    cdef Set s = <Set>spare(TYPE_SET)
    return s if s is not None else Set()


cdef ZSet fresh_zset():
    cdef ZSet z = <ZSet>spare(TYPE_ZSET)
    if z is None:
        return ZSet()
    z.lp = lp_new()
    return z


# -- waking and resting ------------------------------------------------------------------------------------------------

cdef void note(Entry* e) noexcept:
    global awake, awake_room, awake_count
    cdef uint32_t room
    if awake_count == awake_room:
        room = awake_room * 2 if awake_room else 64
        awake = <Entry**>realloc(awake, room * sizeof(Entry*))
        if awake == NULL:
            abort()
        awake_room = room
    awake[awake_count] = e
    e.vlen = awake_count
    awake_count += 1


cdef inline void strike(uint32_t at) noexcept:
    """Take an entry off the list."""
    global awake_count
    awake_count -= 1
    if at < awake_count:
        awake[at] = awake[awake_count]
        awake[at].vlen = at


cdef int packed_wake(Entry* e) except -1:
    cdef int type = entry_type(e)
    cdef object value
    packed_settle(LOOKED_AT)
    value = types[type].wake(spare(type), pointer_of(e),
                             REST_INTSET if entry_encoding(e) == ENC_INTS else REST_LISTPACK)
    Py_INCREF(value)
    set_value(e, <void*>value, ENC_AWAKE)
    note(e)
    return 0


cdef void packed_watch(Entry* e) noexcept:
    if types[entry_type(e)].wake != NULL:
        packed_settle(LOOKED_AT)
        set_value(e, pointer_of(e), ENC_AWAKE)
        note(e)


cdef void packed_forget(Entry* e) noexcept:
    strike(e.vlen)
    set_value(e, pointer_of(e), ENC_OBJECT)


cdef void packed_moved(Entry* e) noexcept nogil:
    awake[e.vlen] = e


cdef bint rest(Entry* e, PyObject* value) noexcept:
    """Put an entry to rest if its value is one block, or leave it its object for good; False: it has no content yet."""
    cdef void* block = NULL
    cdef Rested form = types[entry_type(e)].rest(value, &block)
    if form == REST_EMPTY:
        return False
    if form == REST_LARGE:
        set_value(e, value, ENC_OBJECT)
    else:
        set_value(e, block, ENC_INTS if form == REST_INTSET else ENC_PACKED)
    return True


cdef void packed_settle(size_t most) noexcept:
    cdef uint32_t i = awake_count
    cdef Entry* e
    cdef PyObject* value
    cdef int type
    while i > 0 and most > 0:
        i -= 1
        most -= 1
        e = awake[i]
        value = <PyObject*>pointer_of(e)
        if Py_REFCNT(value) > 1:
            continue
        type = entry_type(e)
        if rest(e, value):
            strike(i)
            if entry_encoding(e) != ENC_OBJECT:
                lay_by(type, value)


# -- at rest -----------------------------------------------------------------------------------------------------------

cdef void packed_free(Entry* e) noexcept:
    if entry_encoding(e) == ENC_INTS:
        ints_free(<ints_t>pointer_of(e))
    else:
        lp_free(<lp_t>pointer_of(e))


cdef size_t packed_bytes(Entry* e) noexcept:
    if entry_encoding(e) == ENC_INTS:
        return mem_size(ints_bytes(<ints_t>pointer_of(e)))
    return mem_size(lp_bytes(<lp_t>pointer_of(e)))
