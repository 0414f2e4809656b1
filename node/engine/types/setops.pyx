"""Set algebra at the engine's speed: the members never become Python objects.

Union adds every set to a new one. Intersection walks the smallest set and asks the others; difference walks the first set
and asks the others, the largest first since they answer most of the questions.
"""

from cpython.ref cimport PyObject
from libc.stddef cimport size_t
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from node.engine.structures.dict cimport FETCH_AHEAD, Coming, Dict, Member, dict_fetch, dict_next
from node.engine.types.set cimport Set, set_add, set_each, set_expect, set_has, set_len

cdef struct Sieve:
    PyObject* others        # a list of Set
    bint wanted             # a member passes if it is in all of them (True), or in none (False)
    PyObject* result        # the Set that takes what passes; NULL: only count
    size_t limit            # 0: none
    size_t passed


cdef void sift(void* arg, const char* m, uint32_t n) noexcept:
    cdef Sieve* sieve = <Sieve*>arg
    if sieve.limit and sieve.passed >= sieve.limit:
        return
    for other in <list>sieve.others:
        if set_has(<Set>other, m, n) != sieve.wanted:
            return
    sieve.passed += 1
    if sieve.result != NULL:
        set_add(<Set>sieve.result, m, n)


cdef void add_member(void* arg, const char* m, uint32_t n) noexcept:
    set_add(<Set>arg, m, n)


cdef void add_index(Set result, Dict* d):
    """Add the members of an index, fetching ahead what each will touch."""
    cdef Member* members[FETCH_AHEAD]
    cdef Coming coming
    cdef Member* member
    cdef uint64_t pos = 0
    cdef size_t count = 0, i
    cdef Dict* into = &result.index.dict
    memset(&coming, 0, sizeof(coming))
    while (member := <Member*>dict_next(d, &pos)) != NULL:
        dict_fetch(into, &coming, <char*>member + sizeof(Member), member.klen)
        i = count % FETCH_AHEAD
        if count >= FETCH_AHEAD:
            set_add(result, <char*>members[i] + sizeof(Member), members[i].klen)
        members[i] = member
        count += 1
    for i in range(count - min(count, FETCH_AHEAD), count):
        set_add(result, <char*>members[i % FETCH_AHEAD] + sizeof(Member), members[i % FETCH_AHEAD].klen)


cdef size_t walk(Set walked, list others, bint wanted, Set result, size_t limit):
    cdef Sieve sieve
    sieve.others = <PyObject*>others
    sieve.wanted = wanted
    sieve.result = <PyObject*>result if result is not None else NULL
    sieve.limit = limit
    sieve.passed = 0
    set_each(walked, sift, &sieve)
    return sieve.passed


def union(sets):
    """What is in any of the sets."""
    cdef Set result = Set()
    cdef Set s
    set_expect(result, NULL, 0, max(map(len, sets), default=0))
    for s in sets:
        if s.index != NULL and result.index != NULL:
            add_index(result, &s.index.dict)
        else:
            set_each(s, add_member, <void*>result)
    return result


def intersection(sets):
    """What is in all of the sets, of which there is at least one."""
    cdef Set result = Set()
    cdef list by_size = sorted(sets, key=len)
    walk(<Set?>by_size[0], by_size[1:], True, result, 0)
    return result


def intersection_size(sets, size_t limit):
    """How many members are in all of the sets, counted up to `limit` (0: no limit)."""
    cdef list by_size = sorted(sets, key=len)
    return walk(<Set?>by_size[0], by_size[1:], True, None, limit)


def difference(Set first not None, others):
    """What is in the first set and in none of the others."""
    cdef Set result = Set()
    walk(first, sorted(others, key=len, reverse=True), False, result, 0)
    return result
