"""Records in the order of their stream ids (idmap.pxd is the contract)."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport UINT64_MAX
from libc.string cimport memcpy, memmove, memset
from node.engine.memory.alloc cimport mem_alloc, mem_free, mem_realloc, mem_size

cdef enum:
    PAGE_MAX = 128             # records
    SPARSE = PAGE_MAX // 4     # a page with fewer looks for a neighbour to join
    JOINED_MAX = PAGE_MAX * 3 // 4
    DIGITS_MAX = 20


cdef bint id_advance(Id* id) noexcept nogil:
    if id.seq < UINT64_MAX:
        id.seq += 1
        return True
    if id.ms == UINT64_MAX:
        return False
    id.ms += 1
    id.seq = 0
    return True


cdef Id id_from(tuple value) except *:
    cdef Id id
    id.ms = value[0]
    id.seq = value[1]
    return id


cdef tuple id_tuple(Id id):
    return id.ms, id.seq


cdef inline char* put_number(char* p, uint64_t v) noexcept nogil:
    cdef char[DIGITS_MAX] digits
    cdef int n = 0
    while True:
        digits[n] = 48 + v % 10
        n += 1
        v //= 10
        if v == 0:
            break
    while n:
        n -= 1
        p[0] = digits[n]
        p += 1
    return p


cdef bytes id_text(Id id):
    """`<ms>-<seq>`."""
    cdef char[2 * DIGITS_MAX + 1] text
    cdef char* p = put_number(text, id.ms)
    p[0] = c"-"
    p = put_number(p + 1, id.seq)
    return PyBytes_FromStringAndSize(text, p - text)


# --- Pages -------------------------------------------------------------------------------------------------------

cdef inline char* record_at(IdMap* map, Page* page, uint32_t at) noexcept nogil:
    return page.records + <size_t>at * map.record_bytes


cdef inline Id id_at(IdMap* map, Page* page, uint32_t at) noexcept nogil:
    return (<Id*>record_at(map, page, at))[0]


cdef void resize_page(IdMap* map, Page* page, uint32_t cap) noexcept nogil:
    page.records = <char*>mem_realloc(
        page.records, <size_t>page.cap * map.record_bytes, <size_t>cap * map.record_bytes
    )
    page.cap = cap


cdef Page* add_page(IdMap* map, uint32_t i, uint32_t cap) noexcept nogil:
    """An empty page in front of page i."""
    cdef uint32_t page_cap
    cdef Page* page
    if map.page_count == map.page_cap:
        page_cap = map.page_cap * 2 if map.page_cap else 1
        map.pages = <Page*>mem_realloc(map.pages, map.page_cap * sizeof(Page), page_cap * sizeof(Page))
        map.page_cap = page_cap
    memmove(&map.pages[i + 1], &map.pages[i], (map.page_count - i) * sizeof(Page))
    map.page_count += 1
    page = &map.pages[i]
    page.records = <char*>mem_alloc(<size_t>cap * map.record_bytes)
    page.count = 0
    page.cap = cap
    return page


cdef void drop_page(IdMap* map, uint32_t i) noexcept nogil:
    mem_free(map.pages[i].records, <size_t>map.pages[i].cap * map.record_bytes)
    map.page_count -= 1
    memmove(&map.pages[i], &map.pages[i + 1], (map.page_count - i) * sizeof(Page))


cdef uint32_t page_of(IdMap* map, Id id) noexcept nogil:
    """The last page that does not begin after id; the first one if all do."""
    cdef uint32_t low = 0, high = map.page_count, middle
    while high - low > 1:
        middle = (low + high) // 2
        if id_compare(id_at(map, &map.pages[middle], 0), id) <= 0:
            low = middle
        else:
            high = middle
    return low


cdef uint32_t place_in(IdMap* map, Page* page, Id id) noexcept nogil:
    """Where the first record not before id is in a page, or would be."""
    cdef uint32_t low = 0, high = page.count, middle
    if page.count and id_compare(id_at(map, page, page.count - 1), id) < 0:
        return page.count                         # the usual case: it comes last
    while low < high:
        middle = (low + high) // 2
        if id_compare(id_at(map, page, middle), id) < 0:
            low = middle + 1
        else:
            high = middle
    return low


cdef void split(IdMap* map, uint32_t i) noexcept nogil:
    """The upper half of page i becomes a page of its own."""
    cdef uint32_t kept = map.pages[i].count // 2
    cdef Page* upper = add_page(map, i + 1, PAGE_MAX)
    cdef Page* lower = &map.pages[i]
    upper.count = lower.count - kept
    memcpy(upper.records, record_at(map, lower, kept), <size_t>upper.count * map.record_bytes)
    lower.count = kept


cdef void join(IdMap* map, uint32_t i) noexcept nogil:
    """Make pages i and i + 1 one, if both exist and that leaves room."""
    cdef Page* left
    cdef Page* right
    if i + 1 >= map.page_count or map.pages[i].count + map.pages[i + 1].count > JOINED_MAX:
        return
    left = &map.pages[i]
    right = &map.pages[i + 1]
    if left.cap < left.count + right.count:
        resize_page(map, left, PAGE_MAX)
    memcpy(record_at(map, left, left.count), right.records, <size_t>right.count * map.record_bytes)
    left.count += right.count
    drop_page(map, i + 1)


# --- The contract (idmap.pxd) ------------------------------------------------------------------------------------

cdef void idmap_init(IdMap* map, uint32_t record_bytes) noexcept nogil:
    memset(map, 0, sizeof(IdMap))
    map.record_bytes = record_bytes


cdef void idmap_release(IdMap* map) noexcept nogil:
    while map.page_count:
        drop_page(map, map.page_count - 1)
    mem_free(map.pages, map.page_cap * sizeof(Page))
    idmap_init(map, map.record_bytes)


cdef void idmap_copy(IdMap* source, IdMap* target) noexcept nogil:
    cdef uint32_t i
    cdef Page* page
    idmap_init(target, source.record_bytes)
    for i in range(source.page_count):
        page = add_page(target, i, source.pages[i].cap)
        page.count = source.pages[i].count
        memcpy(page.records, source.pages[i].records, <size_t>page.count * source.record_bytes)
    target.count = source.count


cdef size_t idmap_memory(IdMap* map) noexcept nogil:
    cdef size_t n = mem_size(map.page_cap * sizeof(Page)) if map.page_cap else 0
    cdef uint32_t i
    for i in range(map.page_count):
        n += mem_size(<size_t>map.pages[i].cap * map.record_bytes)
    return n


cdef void* idmap_find(IdMap* map, Id id) noexcept nogil:
    cdef Page* page
    cdef uint32_t at
    if map.count == 0:
        return NULL
    page = &map.pages[page_of(map, id)]
    at = place_in(map, page, id)
    if at == page.count or id_compare(id_at(map, page, at), id) != 0:
        return NULL
    return record_at(map, page, at)


cdef void* idmap_add(IdMap* map, Id id, bint* added) noexcept nogil:
    cdef uint32_t i = 0, at
    cdef Page* page
    cdef char* record
    if map.count == 0:
        add_page(map, 0, 1)
    else:
        i = page_of(map, id)
    page = &map.pages[i]
    at = place_in(map, page, id)
    if at < page.count and id_compare(id_at(map, page, at), id) == 0:
        added[0] = False
        return record_at(map, page, at)
    if page.count == PAGE_MAX:
        if at == PAGE_MAX and i + 1 == map.page_count:
            i += 1
            page = add_page(map, i, PAGE_MAX // 4)       # full pages behind us stay full
            at = 0
        else:
            split(map, i)
            if at > map.pages[i].count:
                at -= map.pages[i].count
                i += 1
            page = &map.pages[i]
    if page.count == page.cap:
        resize_page(map, page, min(page.cap * 2, <uint32_t>PAGE_MAX))
    record = record_at(map, page, at)
    memmove(record + map.record_bytes, record, <size_t>(page.count - at) * map.record_bytes)
    memset(record, 0, map.record_bytes)
    (<Id*>record)[0] = id
    page.count += 1
    map.count += 1
    added[0] = True
    return record


cdef bint idmap_remove(IdMap* map, Id id) noexcept nogil:
    cdef char* record = <char*>idmap_find(map, id)
    cdef uint32_t i
    cdef Page* page
    if record == NULL:
        return False
    i = page_of(map, id)
    page = &map.pages[i]
    page.count -= 1
    map.count -= 1
    memmove(record, record + map.record_bytes, record_at(map, page, page.count) - record)
    if page.count == 0:
        drop_page(map, i)
        if map.count == 0:
            idmap_release(map)
    elif page.count < SPARSE:
        join(map, i)
        if i > 0:
            join(map, i - 1)
    return True


cdef inline void* here(IdMap* map, Spot* spot) noexcept nogil:
    return record_at(map, &map.pages[spot.page], spot.at)


cdef void* idmap_first(IdMap* map, Spot* spot) noexcept nogil:
    spot.page = spot.at = 0
    return here(map, spot) if map.count else NULL


cdef void* idmap_last(IdMap* map, Spot* spot) noexcept nogil:
    if map.count == 0:
        return NULL
    spot.page = map.page_count - 1
    spot.at = map.pages[spot.page].count - 1
    return here(map, spot)


cdef void* idmap_after(IdMap* map, Id id, Spot* spot) noexcept nogil:
    if map.count == 0:
        return NULL
    spot.page = page_of(map, id)
    spot.at = place_in(map, &map.pages[spot.page], id)
    if spot.at == map.pages[spot.page].count:
        spot.at -= 1
        return idmap_next(map, spot)
    return here(map, spot)


cdef void* idmap_before(IdMap* map, Id id, Spot* spot) noexcept nogil:
    if map.count == 0:
        return NULL
    spot.page = page_of(map, id)
    spot.at = place_in(map, &map.pages[spot.page], id)
    if spot.at < map.pages[spot.page].count and id_compare((<Id*>here(map, spot))[0], id) == 0:
        return here(map, spot)
    return idmap_prev(map, spot)


cdef void* idmap_next(IdMap* map, Spot* spot) noexcept nogil:
    spot.at += 1
    if spot.at == map.pages[spot.page].count:
        if spot.page + 1 == map.page_count:
            return NULL
        spot.page += 1
        spot.at = 0
    return here(map, spot)


cdef void* idmap_prev(IdMap* map, Spot* spot) noexcept nogil:
    if spot.at == 0:
        if spot.page == 0:
            return NULL
        spot.page -= 1
        spot.at = map.pages[spot.page].count
    spot.at -= 1
    return here(map, spot)
