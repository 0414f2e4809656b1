"""Items of one indexed hash or set (items.pxd is the contract)."""

from node.engine.memory.alloc cimport mem_alloc, mem_free, mem_realloc, mem_size
from node.engine.structures.dict cimport KIND_FIELD, KLEN_MASK, VOLATILE, dict_bytes, dict_init, dict_next, dict_release


cdef inline size_t size_of(uint8_t kind, void* item) noexcept nogil:
    cdef Field* field
    if kind == KIND_FIELD:
        field = <Field*>item
        return sizeof(Field) + (8 if field.klen_flags & VOLATILE else 0) + (field.klen_flags & KLEN_MASK) + field.vlen
    return sizeof(Member) + (<Member*>item).klen


cdef Items* items_new(uint8_t kind) noexcept nogil:
    cdef Items* t = <Items*>mem_alloc(sizeof(Items))
    dict_init(&t.dict, kind)
    t.ttls = NULL
    t.bytes = 0
    t.freed = 0
    t.guard = NULL
    return t


cdef bint items_free_some(Items* t, long budget) noexcept nogil:
    cdef void* item
    while budget > 0:
        item = dict_next(&t.dict, &t.freed)
        if item == NULL:
            return False
        items_drop(t, item)
        budget -= 1
    return True


cdef void items_free(Items* t) noexcept nogil:
    while items_free_some(t, 1 << 20):
        pass
    dict_release(&t.dict)
    mem_free(t, sizeof(Items))


cdef size_t items_memory(Items* t) noexcept nogil:
    return mem_size(sizeof(Items)) + dict_bytes(&t.dict) + t.bytes


cdef void* items_alloc(Items* t, size_t n) noexcept nogil:
    t.bytes += mem_size(n)
    return mem_alloc(n)


cdef void* items_realloc(Items* t, void* item, size_t old, size_t new) noexcept nogil:
    t.bytes += mem_size(new) - mem_size(old)
    return mem_realloc(item, old, new)


cdef void items_drop(Items* t, void* item) noexcept nogil:
    cdef size_t n = size_of(t.dict.kind, item)
    t.bytes -= mem_size(n)
    mem_free(item, n)
