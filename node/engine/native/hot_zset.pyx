"""Native sorted set commands: ZADD, ZINCRBY, ZSCORE, ZCARD, ZRANK, ZREVRANK, ZRANGE and ZREVRANGE by rank, ZREM, ZPOPMIN, ZPOPMAX."""

from libc.math cimport isnan
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport free, malloc

from node.engine.structures.dict cimport Entry
from node.engine.native.hot cimport (
    PyBytes_FromStringAndSize,
    arg_int,
    clamp_range,
    drop_key,
    fallback,
    find_read,
    find_write,
    is_word,
    not_integer,
    syntax_error,
    wrong_type,
)
from node.engine.structures.numbers cimport text_to_double
from node.engine.keyspace.packed cimport fresh_zset
from node.engine.session.session cimport Session, register_native, session_error, touched
from node.engine.keyspace.table cimport TYPE_ZSET, entry_object, entry_type
from node.engine.session.framer cimport Arg
from node.engine.session.wire cimport w_bulk, w_double, w_header, w_int, w_null
from node.engine.types.zset cimport (
    ZSET_ADDED,
    ZSET_MOVED,
    ZSet,
    ZSetChange,
    zset_len,
    zset_range,
    zset_rank,
    zset_remove,
    zset_score,
    zset_set,
)

from node.replies import wrong_arity

cdef enum AddFlag:
    NX = 1
    XX = 2
    GT = 4
    LT = 8
    CH = 16
    INCR = 32


cdef int add(Session s, Arg* a, int argc, int at, int flags) except -1:
    """ZADD from its first score (argument `at`) on, and ZINCRBY."""
    cdef int pairs = (argc - at) // 2
    cdef double stack[16]
    cdef double* scores = stack
    cdef Entry* e
    cdef ZSet z
    cdef int i
    cdef long added = 0, updated = 0
    cdef double score = 0, old
    cdef Arg* m
    cdef ZSetChange change
    cdef bint present, processed = False
    if pairs > 16:
        scores = <double*>malloc(pairs * sizeof(double))
        if scores == NULL:
            raise MemoryError
    try:
        for i in range(pairs):
            if not text_to_double(a[at + 2 * i].p, a[at + 2 * i].n, &scores[i]):
                return session_error(s, "ERR value is not a valid float")
        e = find_write(s, &a[1])
        if e == NULL:
            if flags & XX:
                if flags & INCR:
                    w_null(&s.out, s.proto)
                else:
                    w_int(&s.out, 0)
                return 0
            z = fresh_zset()
            s.db.put_object(a[1].p, <uint32_t>a[1].n, s.slot, TYPE_ZSET, z, False)
        elif entry_type(e) != TYPE_ZSET:
            return wrong_type(s)
        else:
            z = <ZSet>entry_object(e)
        for i in range(pairs):
            m = &a[at + 2 * i + 1]
            score = scores[i]
            if flags == 0:
                # The usual form: set the score whatever it was.
                change = zset_set(z, m.p, <uint32_t>m.n, score)
                added += change == ZSET_ADDED
                updated += change == ZSET_MOVED
                continue
            present = zset_score(z, m.p, <uint32_t>m.n, &old)
            if present:
                if flags & NX:
                    continue
                if flags & INCR:
                    score += old
                    if isnan(score):
                        return session_error(s, "ERR resulting score is not a number (NaN)")
                if (flags & GT and score <= old) or (flags & LT and score >= old):
                    continue
                if score != old:
                    zset_set(z, m.p, <uint32_t>m.n, score)
                    updated += 1
            else:
                if flags & XX:
                    continue
                zset_set(z, m.p, <uint32_t>m.n, score)
                added += 1
            processed = True
    finally:
        if scores != stack:
            free(scores)
    if flags & INCR:
        if processed:
            w_double(&s.out, score, s.proto)
        else:
            w_null(&s.out, s.proto)
    else:
        w_int(&s.out, added + updated if flags & CH else added)
    if added or updated:
        touched(s, a[1].p, a[1].n, "zincr" if flags & INCR else "zadd", "z", added + updated)
    return 0


cdef int cmd_zadd(Session s, Arg* a, int argc) except -1:
    cdef int at = 2, flags = 0
    while at < argc:
        if is_word(&a[at], "NX"):
            flags |= NX
        elif is_word(&a[at], "XX"):
            flags |= XX
        elif is_word(&a[at], "CH"):
            flags |= CH
        elif is_word(&a[at], "INCR"):
            flags |= INCR
        elif is_word(&a[at], "GT"):
            flags |= GT
        elif is_word(&a[at], "LT"):
            flags |= LT
        else:
            break
        at += 1
    if (argc - at) % 2 or argc == at:
        return syntax_error(s)
    if flags & NX and flags & XX:
        return session_error(s, "ERR XX and NX options at the same time are not compatible")
    if (flags & GT and flags & (NX | LT)) or (flags & LT and flags & NX):
        return session_error(s, "ERR GT, LT, and/or NX options at the same time are not compatible")
    if flags & INCR and argc - at > 2:
        return session_error(s, "ERR INCR option supports a single increment-element pair")
    return add(s, a, argc, at, flags)


cdef int cmd_zincrby(Session s, Arg* a, int argc) except -1:
    return add(s, a, argc, 2, INCR)


cdef int cmd_zscore(Session s, Arg* a, int argc) except -1:
    cdef Entry* e = find_read(s, &a[1])
    cdef double score
    if e == NULL:
        w_null(&s.out, s.proto)
    elif entry_type(e) != TYPE_ZSET:
        wrong_type(s)
    elif zset_score(<ZSet>entry_object(e), a[2].p, <uint32_t>a[2].n, &score):
        w_double(&s.out, score, s.proto)
    else:
        w_null(&s.out, s.proto)
    return 0


cdef int cmd_zcard(Session s, Arg* a, int argc) except -1:
    cdef Entry* e = find_read(s, &a[1])
    if e == NULL:
        w_int(&s.out, 0)
    elif entry_type(e) != TYPE_ZSET:
        wrong_type(s)
    else:
        w_int(&s.out, zset_len(<ZSet>entry_object(e)))
    return 0


cdef int rank(Session s, Arg* a, int argc, bint reverse) except -1:
    cdef Entry* e
    cdef ZSet z
    cdef long at
    cdef bint with_score = False
    cdef double score = 0
    if argc > 4:
        s.error(wrong_arity("zrevrank" if reverse else "zrank"))
        return 0
    if argc == 4:
        if not is_word(&a[3], "WITHSCORE"):
            return syntax_error(s)
        with_score = True
    e = find_read(s, &a[1])
    if e == NULL:
        if with_score and s.proto == 2:
            w_header(&s.out, 42, -1)
        else:
            w_null(&s.out, s.proto)
        return 0
    if entry_type(e) != TYPE_ZSET:
        return wrong_type(s)
    z = <ZSet>entry_object(e)
    at = zset_rank(z, a[2].p, <uint32_t>a[2].n)
    if at < 0:
        if with_score and s.proto == 2:
            w_header(&s.out, 42, -1)
        else:
            w_null(&s.out, s.proto)
        return 0
    if reverse:
        at = <long>zset_len(z) - 1 - at
    if with_score:
        zset_score(z, a[2].p, <uint32_t>a[2].n, &score)
        w_header(&s.out, 42, 2)
        w_int(&s.out, at)
        w_double(&s.out, score, s.proto)
    else:
        w_int(&s.out, at)
    return 0


cdef int cmd_zrank(Session s, Arg* a, int argc) except -1:
    return rank(s, a, argc, False)


cdef int cmd_zrevrank(Session s, Arg* a, int argc) except -1:
    return rank(s, a, argc, True)


cdef void w_only_member(void* arg, const char* m, uint32_t n, double score) noexcept:
    w_bulk(&(<Session>arg).out, m, n)


cdef void w_flat_pair(void* arg, const char* m, uint32_t n, double score) noexcept:
    w_bulk(&(<Session>arg).out, m, n)
    w_double(&(<Session>arg).out, score, (<Session>arg).proto)


cdef void w_nested_pair(void* arg, const char* m, uint32_t n, double score) noexcept:
    w_header(&(<Session>arg).out, 42, 2)
    w_flat_pair(arg, m, n, score)


cdef int range_by_rank(Session s, Arg* a, bint reverse, bint scores) except -1:
    cdef Entry* e
    cdef ZSet z
    cdef int64_t start, stop, size
    if not arg_int(&a[2], &start) or not arg_int(&a[3], &stop):
        return not_integer(s)
    e = find_read(s, &a[1])
    if e == NULL:
        w_header(&s.out, 42, 0)
        return 0
    if entry_type(e) != TYPE_ZSET:
        return wrong_type(s)
    z = <ZSet>entry_object(e)
    size = zset_len(z)
    if not clamp_range(&start, &stop, size):
        w_header(&s.out, 42, 0)
        return 0
    if reverse:
        start, stop = size - 1 - stop, size - 1 - start
    if not scores:
        w_header(&s.out, 42, stop - start + 1)
        zset_range(z, start, stop, reverse, w_only_member, <void*>s)
    elif s.proto == 2:
        w_header(&s.out, 42, 2 * (stop - start + 1))
        zset_range(z, start, stop, reverse, w_flat_pair, <void*>s)
    else:
        w_header(&s.out, 42, stop - start + 1)
        zset_range(z, start, stop, reverse, w_nested_pair, <void*>s)
    return 0


cdef int cmd_zrange(Session s, Arg* a, int argc) except -1:
    if argc == 4:
        return range_by_rank(s, a, False, False)
    if argc == 5 and is_word(&a[4], "WITHSCORES"):
        return range_by_rank(s, a, False, True)
    return fallback(s, a, argc)


cdef int cmd_zrevrange(Session s, Arg* a, int argc) except -1:
    if argc == 4:
        return range_by_rank(s, a, True, False)
    if argc == 5 and is_word(&a[4], "WITHSCORES"):
        return range_by_rank(s, a, True, True)
    return fallback(s, a, argc)


cdef int cmd_zrem(Session s, Arg* a, int argc) except -1:
    cdef Entry* e = find_write(s, &a[1])
    cdef ZSet z
    cdef int i
    cdef long removed = 0
    if e == NULL:
        w_int(&s.out, 0)
        return 0
    if entry_type(e) != TYPE_ZSET:
        return wrong_type(s)
    z = <ZSet>entry_object(e)
    for i in range(2, argc):
        removed += zset_remove(z, a[i].p, <uint32_t>a[i].n)
        if zset_len(z) == 0:
            break
    if removed:
        touched(s, a[1].p, a[1].n, "zrem", "z", removed)
        if zset_len(z) == 0:
            drop_key(s, &a[1])
    w_int(&s.out, removed)
    return 0


cdef int pop(Session s, Arg* a, int argc, bint lowest) except -1:
    cdef Entry* e
    cdef ZSet z
    cdef int64_t count = 1
    cdef size_t size
    cdef bytes member
    cdef list popped
    if argc > 3:
        return syntax_error(s)
    if argc == 3 and (not arg_int(&a[2], &count) or count < 0):
        return session_error(s, "ERR value is out of range, must be positive")
    e = find_write(s, &a[1])
    if e == NULL:
        w_header(&s.out, 42, 0)
        return 0
    if entry_type(e) != TYPE_ZSET:
        return wrong_type(s)
    z = <ZSet>entry_object(e)
    size = zset_len(z)
    if <size_t>count > size:
        count = size
    if count == 0:
        w_header(&s.out, 42, 0)
        return 0
    if s.proto == 2 or argc == 2:
        w_header(&s.out, 42, 2 * count)
    else:
        w_header(&s.out, 42, count)
    for _ in range(count):
        member, score = z.pop(lowest)
        if s.proto != 2 and argc == 3:
            w_header(&s.out, 42, 2)
        w_bulk(&s.out, <char*>member, len(member))
        w_double(&s.out, score, s.proto)
    touched(s, a[1].p, a[1].n, "zpopmin" if lowest else "zpopmax", "z", count)
    if zset_len(z) == 0:
        drop_key(s, &a[1])
    return 0


cdef int cmd_zpopmin(Session s, Arg* a, int argc) except -1:
    return pop(s, a, argc, True)


cdef int cmd_zpopmax(Session s, Arg* a, int argc) except -1:
    return pop(s, a, argc, False)


register_native("zadd", cmd_zadd)
register_native("zincrby", cmd_zincrby)
register_native("zscore", cmd_zscore)
register_native("zcard", cmd_zcard)
register_native("zrank", cmd_zrank)
register_native("zrevrank", cmd_zrevrank)
register_native("zrange", cmd_zrange)
register_native("zrevrange", cmd_zrevrange)
register_native("zrem", cmd_zrem)
register_native("zpopmin", cmd_zpopmin)
register_native("zpopmax", cmd_zpopmax)
