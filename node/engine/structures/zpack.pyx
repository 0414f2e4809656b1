"""The compact form of a sorted set (zpack.pxd is the contract). All of it is linear: it holds few members."""

from libc.stdint cimport int64_t
from node.engine.structures.btree cimport is_before, place_of_pair
from node.engine.structures.listpack cimport (
    element, lp_append, lp_count, lp_delete, lp_find, lp_first, lp_get, lp_get_int, lp_insert, lp_last, lp_next,
    lp_prev, lp_replace,
)
from node.engine.structures.numbers cimport DOUBLE_TEXT, score_to_text, text_to_double


cdef inline bint read_score(lp_t p, double* score) noexcept nogil:
    cdef int64_t v
    cdef char[24] digits
    cdef char* s
    cdef uint32_t n
    if lp_get_int(p, &v):
        score[0] = <double>v
        return True
    lp_get(p, digits, &s, &n)
    return text_to_double(s, n, score)


cdef void zpack_read(lp_t lp, lp_t member, Pair* pair) noexcept nogil:
    lp_get(member, pair.digits, <char**>&pair.key, &pair.klen)
    pair.score = zpack_score(lp, member)


cdef double zpack_score(lp_t lp, lp_t member) noexcept nogil:
    cdef double score = 0
    read_score(lp_next(lp, member), &score)
    return score


cdef lp_t zpack_next(lp_t lp, lp_t member) noexcept nogil:
    return lp_next(lp, lp_next(lp, member))


cdef lp_t zpack_prev(lp_t lp, lp_t member) noexcept nogil:
    cdef lp_t score = lp_prev(lp, member)
    return lp_prev(lp, score) if score != NULL else NULL


cdef lp_t zpack_find(lp_t lp, const char* m, uint32_t n) noexcept nogil:
    return lp_find(lp, lp_first(lp), m, n, 1)


cdef long zpack_rank(lp_t lp, lp_t member) noexcept nogil:
    cdef long rank = 0
    cdef lp_t p = lp_first(lp)
    while p != member:
        p = zpack_next(lp, p)
        rank += 1
    return rank


cdef inline bint pair_before(lp_t lp, lp_t member, Place* place) noexcept nogil:
    cdef Pair pair
    pair.score = zpack_score(lp, member)
    if place.by_score and pair.score != place.score:
        return pair.score < place.score
    lp_get(member, pair.digits, <char**>&pair.key, &pair.klen)
    return is_before(pair.score, pair.key, pair.klen, place)


cdef long zpack_count_before(lp_t lp, Place* place) noexcept nogil:
    cdef long before = 0
    cdef lp_t p = lp_first(lp)
    while p != NULL and pair_before(lp, p, place):
        before += 1
        p = zpack_next(lp, p)
    return before


cdef lp_t zpack_add(lp_t lp, const char* m, uint32_t n, double score) noexcept nogil:
    cdef char[DOUBLE_TEXT] text
    cdef int text_len = score_to_text(score, text)
    cdef Place place = place_of_pair(score, m, n, False)
    cdef lp_t p = lp_first(lp)
    while p != NULL and pair_before(lp, p, &place):
        p = zpack_next(lp, p)
    if p == NULL:
        lp = lp_append(lp, m, n)
        return lp_append(lp, text, text_len)
    lp = lp_insert(lp, m, n, p, False, &p)
    return lp_insert(lp, text, text_len, p, True, NULL)


cdef lp_t zpack_move(lp_t lp, lp_t member, const char* m, uint32_t n, double score) noexcept nogil:
    cdef char[DOUBLE_TEXT] text
    cdef int text_len
    cdef Place place = place_of_pair(score, m, n, False)
    cdef lp_t before = zpack_prev(lp, member)
    cdef lp_t after = zpack_next(lp, member)
    if (before == NULL or pair_before(lp, before, &place)) and (after == NULL or not pair_before(lp, after, &place)):
        text_len = score_to_text(score, text)
        return lp_replace(lp, lp_next(lp, member), text, text_len, NULL)
    lp = lp_delete(lp, member, 2, NULL)
    return zpack_add(lp, m, n, score)


cdef int zpack_check(lp_t lp):
    cdef set seen = set()
    cdef bytes member, previous = None
    cdef double score, previous_score = 0
    cdef bint ordered = True
    cdef lp_t p = lp_first(lp)
    if p == NULL or lp_count(lp) & 1:
        return -1
    while p != NULL:
        member = element(p)
        p = lp_next(lp, p)
        if not read_score(p, &score) or member in seen:
            return -1
        seen.add(member)
        if previous is not None and (score < previous_score or (score == previous_score and member < previous)):
            ordered = False
        previous = member
        previous_score = score
        p = lp_next(lp, p)
    return ordered
