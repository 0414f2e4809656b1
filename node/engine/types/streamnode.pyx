"""Nodes of a stream (streamnode.pxd is the contract, and shows how they are laid out)."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t
from node.engine.structures.digits cimport format_int64
from node.engine.structures.idmap cimport id_compare, idmap_before, idmap_first, idmap_next, idmap_prev
from node.engine.types.limits cimport limits
from node.engine.structures.listpack cimport (
    LP_MAX_BYTES, element, lp_append, lp_append_int, lp_bytes, lp_copy, lp_equals, lp_first, lp_get_int, lp_last,
    lp_new, lp_next, lp_prev, lp_replace, lp_valid,
)

cdef enum:
    DELETED = 1
    SAME_FIELDS = 2
    FIXED = 3                  # flags, ms, seq


cdef inline int64_t number(lp_t p) noexcept nogil:
    cdef int64_t v = 0
    lp_get_int(p, &v)
    return v


cdef inline lp_t skip(lp_t lp, lp_t p, int64_t count) noexcept nogil:
    while count > 0:
        p = lp_next(lp, p)
        count -= 1
    return p


cdef lp_t set_number(lp_t lp, lp_t p, int64_t v, lp_t* at) noexcept nogil:
    cdef char[24] digits
    return lp_replace(lp, p, digits, format_int64(v, digits), at)


cdef inline lp_t append(lp_t lp, list fields, Py_ssize_t i):
    cdef bytes text = <bytes>fields[i]
    return lp_append(lp, PyBytes_AS_STRING(text), <uint32_t>PyBytes_GET_SIZE(text))


# --- Writing -----------------------------------------------------------------------------------------------------

cdef lp_t node_new(list fields):
    """A node for an entry that is still to be appended."""
    cdef Py_ssize_t i
    cdef lp_t lp = lp_new()
    lp = lp_append_int(lp, 0)
    lp = lp_append_int(lp, 0)
    lp = lp_append_int(lp, len(fields) // 2)
    for i in range(0, len(fields), 2):
        lp = append(lp, fields, i)
    return lp_append_int(lp, 0)


cdef bint has_fields(lp_t lp, lp_t head_fields, list fields):
    """The head names just these fields, in this order."""
    cdef Py_ssize_t i
    cdef bytes name
    cdef lp_t p = head_fields
    if number(p) != len(fields) // 2:
        return False
    for i in range(0, len(fields), 2):
        p = lp_next(lp, p)
        name = <bytes>fields[i]
        if not lp_equals(p, PyBytes_AS_STRING(name), <uint32_t>PyBytes_GET_SIZE(name)):
            return False
    return True


cdef lp_t node_append(lp_t lp, Id node_id, Id id, list fields):
    cdef Py_ssize_t i, count = len(fields)
    cdef lp_t p = lp_first(lp)
    cdef bint same
    lp = set_number(lp, p, number(p) + 1, &p)
    same = has_fields(lp, skip(lp, p, 2), fields)
    lp = lp_append_int(lp, SAME_FIELDS if same else 0)
    lp = lp_append_int(lp, <int64_t>(id.ms - node_id.ms))
    lp = lp_append_int(lp, <int64_t>(id.seq - node_id.seq))
    if same:
        for i in range(1, count, 2):
            lp = append(lp, fields, i)
        return lp_append_int(lp, FIXED + count // 2)
    lp = lp_append_int(lp, count // 2)
    for i in range(count):
        lp = append(lp, fields, i)
    return lp_append_int(lp, FIXED + 1 + count)


cdef bint node_is_full(lp_t lp, size_t more) noexcept:
    cdef size_t most = limits.stream_node_max_bytes
    if most == 0 or most > LP_MAX_BYTES:
        most = LP_MAX_BYTES
    if lp_bytes(lp) + more >= most:
        return True
    return 0 < limits.stream_node_max_entries <= node_live(lp) + node_deleted(lp)


cdef int64_t node_live(lp_t lp) noexcept:
    return number(lp_first(lp))


cdef int64_t node_deleted(lp_t lp) noexcept:
    return number(lp_next(lp, lp_first(lp)))


cdef void entry_mark(Entry* e) noexcept:
    e.flags[0] |= DELETED                                          # a small number is its own encoding
    e.deleted = True


cdef lp_t node_count_deleted(lp_t lp, int64_t n) noexcept:
    cdef lp_t p = lp_first(lp)
    lp = set_number(lp, p, number(p) - n, &p)
    p = lp_next(lp, p)
    return set_number(lp, p, number(p) + n, NULL)


# --- Walking -----------------------------------------------------------------------------------------------------

cdef void enter(Walk* w, void* record) noexcept:
    """Begin with a node, or end the walk where there is none."""
    cdef lp_t lp
    cdef lp_t head
    w.node = <Node*>record
    w.p = NULL
    if record == NULL:
        return
    lp = w.node.lp
    head = skip(lp, lp_first(lp), 2)
    w.fields = number(head)
    w.names = lp_next(lp, head)
    if w.backwards:
        w.p = lp_last(lp)
        if number(w.p) == 0:
            w.p = NULL                                             # the head's own end
    else:
        w.p = lp_next(lp, skip(lp, w.names, w.fields))


cdef void walk_from(Walk* w, IdMap* nodes, Id start) noexcept:
    cdef void* record = idmap_before(nodes, start, &w.spot)
    w.nodes = nodes
    w.backwards = False
    enter(w, record if record != NULL else idmap_first(nodes, &w.spot))


cdef void walk_back_from(Walk* w, IdMap* nodes, Id end) noexcept:
    w.nodes = nodes
    w.backwards = True
    enter(w, idmap_before(nodes, end, &w.spot))


cdef lp_t read_entry(Walk* w, lp_t p, Entry* e) noexcept:
    """The entry whose flags are at p; returns its last element."""
    cdef lp_t lp = w.node.lp
    cdef int64_t flags = number(p)
    e.flags = p
    e.deleted = flags & DELETED != 0
    e.same_fields = flags & SAME_FIELDS != 0
    p = lp_next(lp, p)
    e.id.ms = w.node.id.ms + <uint64_t>number(p)
    p = lp_next(lp, p)
    e.id.seq = w.node.id.seq + <uint64_t>number(p)
    p = lp_next(lp, p)
    if e.same_fields:
        e.fields = w.fields
        e.body = p
        return skip(lp, p, e.fields)
    e.fields = number(p)
    e.body = lp_next(lp, p)
    return skip(lp, e.body, 2 * e.fields)


cdef lp_t entry_before(lp_t lp, lp_t length) noexcept:
    """Where the entry begins whose length is here."""
    cdef int64_t i
    for i in range(number(length)):
        length = lp_prev(lp, length)
    return length


cdef bint walk_next(Walk* w, Entry* e) noexcept:
    cdef lp_t flags
    while w.node != NULL and w.p == NULL:
        enter(w, idmap_prev(w.nodes, &w.spot) if w.backwards else idmap_next(w.nodes, &w.spot))
    if w.node == NULL:
        return False
    if w.backwards:
        flags = entry_before(w.node.lp, w.p)
        read_entry(w, flags, e)
        w.p = lp_prev(w.node.lp, flags)
        if number(w.p) == 0:
            w.p = NULL
    else:
        w.p = lp_next(w.node.lp, read_entry(w, w.p, e))
    return True


cdef list entry_fields(Walk* w, Entry* e):
    cdef list out = []
    cdef lp_t lp = w.node.lp
    cdef lp_t name = w.names
    cdef lp_t p = e.body
    cdef int64_t i
    for i in range(e.fields):
        if e.same_fields:
            out.append(element(name))
            name = lp_next(lp, name)
        else:
            out.append(element(p))
            p = lp_next(lp, p)
        out.append(element(p))
        p = lp_next(lp, p)
    return out


cdef Id node_last_id(Node* node) noexcept:
    cdef Entry e
    cdef Walk w
    e.id = node.id
    w.node = node
    w.fields = 0                   # only the id is wanted: where the entry ends does not matter
    read_entry(&w, entry_before(node.lp, lp_last(node.lp)), &e)
    return e.id


# --- From outside ------------------------------------------------------------------------------------------------

cdef struct Inspection:
    lp_t lp
    lp_t p                         # NULL: at the end
    bint broken


cdef int64_t take_number(Inspection* s) noexcept:
    cdef int64_t v = 0
    if s.p == NULL or not lp_get_int(s.p, &v):
        s.broken = True
        return 0
    s.p = lp_next(s.lp, s.p)
    return v


cdef void take(Inspection* s, int64_t count) noexcept:
    if count < 0:
        s.broken = True
    while count > 0 and not s.broken:
        if s.p == NULL:
            s.broken = True
        else:
            s.p = lp_next(s.lp, s.p)
        count -= 1


cdef bint inspect(lp_t lp, Id id, Id* last) noexcept:
    """Every element is where it belongs, the counts are right, and the ids of entries that are not deleted ascend."""
    cdef Inspection s
    cdef Id at
    cdef int64_t live, deleted, head_fields, fields, flags, length
    cdef bint empty = True
    s.lp = lp
    s.p = lp_first(lp)
    s.broken = False
    live = take_number(&s)
    deleted = take_number(&s)
    head_fields = take_number(&s)
    take(&s, head_fields)
    if take_number(&s) != 0 or s.broken or live < 0 or deleted < 0:
        return False
    while s.p != NULL:
        if s.p[0] > (DELETED | SAME_FIELDS):
            return False
        flags = take_number(&s)
        at.ms = id.ms + <uint64_t>take_number(&s)
        at.seq = id.seq + <uint64_t>take_number(&s)
        length = FIXED
        fields = head_fields
        if not flags & SAME_FIELDS:
            fields = take_number(&s)
            length += 1
            take(&s, fields)
            length += fields
        take(&s, fields)
        if take_number(&s) != length + fields or s.broken:
            return False
        empty = False
        if flags & DELETED:
            deleted -= 1
            continue
        if id_compare(at, last[0]) <= 0:
            return False
        last[0] = at
        live -= 1
    return not empty and live == 0 and deleted == 0


cdef lp_t node_from(bytes data, Id id, Id* last) except NULL:
    cdef const unsigned char* p = <const unsigned char*>PyBytes_AS_STRING(data)
    if not lp_valid(p, len(data)) or not inspect(<lp_t>p, id, last):
        raise ValueError("a node of a stream is broken")
    return lp_copy(p, <uint32_t>len(data))
