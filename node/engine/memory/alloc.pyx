"""Raw memory for the data (alloc.pxd is the contract).

Three ranges of sizes, each counted in `mem_used` by what a block really occupies:

- up to 1 KiB: slabs. A page of 64 KiB, aligned to its size, holds blocks of one class; a block finds its page by masking
  its address. Free blocks form a list inside the page, and blocks never handed out yet are not touched at all.
- up to 1 MiB: malloc.
- above: mmap, so that a huge array is zero without being written, grows without being copied (mremap) and is gone from
  the process as soon as it is freed.

Pages are carved from arenas whose address space is kept for good. All arenas but the first ask for huge pages, and so do
the arrays of large tables (`mem_calloc_huge`): who looks up members at random in 100 MB needs a translation of addresses
for each, and those of small pages do not fit into the processor. There is no fork that would copy them.

An empty page is warm at first: it has memory, and is the next to be used. `mem_trim` gives the memory of warm pages back
with madvise, some at a time: when a million keys go, nearly all of their pages become empty with the last few keys, and
giving back that much at once takes milliseconds.

One thread allocates: the one that holds the GIL. Out of memory ends the process, as there is no state to go back to.
Under AddressSanitizer every block comes from malloc, so that each one has its red zones.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint32_t, uintptr_t
from libc.stdio cimport fprintf, stderr
from libc.stdlib cimport abort, calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <sys/mman.h>
    #ifdef SHARDIS_ASAN
    #define SHARDIS_PLAIN_MALLOC 1
    #else
    #define SHARDIS_PLAIN_MALLOC 0
    #endif
    """
    const bint PLAIN_MALLOC "SHARDIS_PLAIN_MALLOC"
    const int PROT_READ
    const int PROT_WRITE
    const int MAP_PRIVATE
    const int MAP_ANONYMOUS
    const int MADV_DONTNEED
    const int MADV_HUGEPAGE
    const int MREMAP_MAYMOVE
    void* MAP_FAILED
    void* mmap(void* addr, size_t n, int prot, int flags, int fd, long offset) noexcept nogil
    void* mremap(void* addr, size_t old, size_t new, int flags, ...) noexcept nogil
    int munmap(void* addr, size_t n) noexcept nogil
    int madvise(void* addr, size_t n, int advice) noexcept nogil

cdef enum:
    SLAB_MAX = 1024
    HUGE_MIN = 1 << 20
    OS_PAGE = 4096
    PAGE = 1 << 16
    PAGE_HEADER = 64             # keeps blocks of 16, 32, 48 ... bytes aligned to 16
    ARENA = 4 << 20
    OS_HUGE_PAGE = 2 << 20
    WARM_MAX = 16                # empty pages that keep their memory for good, against calling the kernel at every turn
    CLASSES = 48                 # 8..256 by 8, 288..512 by 32, 576..1024 by 64

ctypedef struct Page:
    Page* next                   # in the list of its class's pages that have room
    Page* prev
    void* free                   # first free block; each points to the next
    uint32_t fresh               # offset of the first block never handed out
    uint32_t used
    uint32_t capacity
    uint32_t size_class

cdef Page* with_room[CLASSES]
cdef Page* warm                  # empty pages, linked by next
cdef size_t warm_count
cdef void** cold                 # a stack of empty pages without memory; has room for every page there is
cdef size_t cold_count
cdef size_t pages_total
cdef size_t large_bytes          # of mem_used: blocks from malloc,
cdef size_t huge_bytes           # mappings,
cdef size_t object_bytes         # and Python's objects; the rest is in slabs


cdef void out_of_memory(size_t n) noexcept nogil:
    fprintf(stderr, b"shardis: out of memory while allocating %zu bytes\n", n)
    abort()


# -- size classes ------------------------------------------------------------------------------------------------------

cdef inline int class_of(size_t n) noexcept nogil:
    if n <= 256:
        return <int>((n - 1) >> 3) if n else 0
    if n <= 512:
        return 32 + <int>((n - 257) >> 5)
    return 40 + <int>((n - 513) >> 6)


cdef inline uint32_t class_size(int c) noexcept nogil:
    if c < 32:
        return 8 * (c + 1)
    if c < 40:
        return 256 + 32 * (c - 31)
    return 512 + 64 * (c - 39)


cdef size_t mem_size(size_t n) noexcept nogil:
    if n <= SLAB_MAX:
        return class_size(class_of(n))
    if n < HUGE_MIN:
        return (n + 8 + 15) & ~<size_t>15          # malloc's own header and rounding
    return (n + OS_PAGE - 1) & ~<size_t>(OS_PAGE - 1)


# -- pages -------------------------------------------------------------------------------------------------------------

cdef inline void link_page(Page* page) noexcept nogil:
    cdef Page* head = with_room[page.size_class]
    page.prev = NULL
    page.next = head
    if head != NULL:
        head.prev = page
    with_room[page.size_class] = page


cdef inline void unlink_page(Page* page) noexcept nogil:
    if page.next != NULL:
        page.next.prev = page.prev
    if page.prev != NULL:
        page.prev.next = page.next
    else:
        with_room[page.size_class] = page.next


cdef void* map_aligned(size_t n) noexcept nogil:
    """New zeroed memory that begins where a huge page may."""
    cdef char* base = <char*>mmap(NULL, n + OS_HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    cdef size_t head
    if <void*>base == MAP_FAILED:
        out_of_memory(n)
    head = (OS_HUGE_PAGE - (<uintptr_t>base & (OS_HUGE_PAGE - 1))) & (OS_HUGE_PAGE - 1)
    if head:
        munmap(base, head)
    munmap(base + head + n, OS_HUGE_PAGE - head)
    return base + head


cdef void add_arena() noexcept nogil:
    global cold, cold_count, pages_total
    cdef char* base = <char*>map_aligned(ARENA)
    cdef size_t i, count = ARENA // PAGE
    if pages_total:
        madvise(base, ARENA, MADV_HUGEPAGE)
    pages_total += count
    cold = <void**>realloc(cold, pages_total * sizeof(void*))
    if cold == NULL:
        out_of_memory(pages_total * sizeof(void*))
    for i in range(count):
        cold[cold_count] = base + (count - 1 - i) * PAGE          # the lowest address is taken first
        cold_count += 1


cdef Page* new_page(int c) noexcept nogil:
    global warm, warm_count, cold_count
    cdef Page* page
    if warm != NULL:
        page = warm
        warm = page.next
        warm_count -= 1
    else:
        if cold_count == 0:
            add_arena()
        cold_count -= 1
        page = <Page*>cold[cold_count]
    page.free = NULL
    page.fresh = PAGE_HEADER
    page.used = 0
    page.size_class = c
    page.capacity = (PAGE - PAGE_HEADER) // class_size(c)
    link_page(page)
    return page


cdef void retire_page(Page* page) noexcept nogil:
    global warm, warm_count
    unlink_page(page)
    page.next = warm
    warm = page
    warm_count += 1


cdef bint mem_trim(int pages) noexcept nogil:
    global warm, warm_count, cold_count
    cdef Page* page
    while pages > 0 and warm_count > WARM_MAX:
        page = warm
        warm = page.next
        warm_count -= 1
        madvise(page, PAGE, MADV_DONTNEED)
        cold[cold_count] = page
        cold_count += 1
        pages -= 1
    return warm_count > WARM_MAX


cdef inline void* slab_alloc(int c) noexcept nogil:
    cdef Page* page = with_room[c]
    cdef void* block
    if page == NULL:
        page = new_page(c)
    block = page.free
    if block != NULL:
        page.free = (<void**>block)[0]
    else:
        block = <char*>page + page.fresh
        page.fresh += class_size(c)
    page.used += 1
    if page.used == page.capacity:
        unlink_page(page)
    return block


cdef inline void slab_free(void* p) noexcept nogil:
    cdef Page* page = <Page*>(<uintptr_t>p & ~<uintptr_t>(PAGE - 1))
    (<void**>p)[0] = page.free
    page.free = p
    if page.used == page.capacity:
        link_page(page)
    page.used -= 1
    if page.used == 0:
        retire_page(page)


# -- the contract ------------------------------------------------------------------------------------------------------

cdef void* large_alloc(size_t n, bint zeroed) noexcept nogil:
    global huge_bytes, large_bytes
    cdef void* p
    if n < HUGE_MIN or PLAIN_MALLOC:
        large_bytes += mem_size(n)
        p = calloc(1, n if n else 1) if zeroed else malloc(n if n else 1)
        if p == NULL:
            out_of_memory(n)
        return p
    huge_bytes += mem_size(n)
    p = mmap(NULL, mem_size(n), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    if p == MAP_FAILED:
        out_of_memory(n)
    return p


cdef void* mem_alloc(size_t n) noexcept nogil:
    global mem_used
    mem_used += mem_size(n)
    if n > SLAB_MAX or PLAIN_MALLOC:
        return large_alloc(n, False)
    return slab_alloc(class_of(n))


cdef void* mem_calloc(size_t n) noexcept nogil:
    global mem_used
    cdef void* p
    mem_used += mem_size(n)
    if n > SLAB_MAX or PLAIN_MALLOC:
        return large_alloc(n, True)
    p = slab_alloc(class_of(n))
    memset(p, 0, n)
    return p


cdef void* mem_calloc_huge(size_t n) noexcept nogil:
    global huge_bytes, mem_used
    cdef void* p
    if n < OS_HUGE_PAGE or PLAIN_MALLOC:
        return mem_calloc(n)
    mem_used += mem_size(n)
    huge_bytes += mem_size(n)
    p = map_aligned(mem_size(n))
    madvise(p, mem_size(n), MADV_HUGEPAGE)
    return p


cdef void mem_free(void* p, size_t n) noexcept nogil:
    global huge_bytes, large_bytes, mem_used
    if p == NULL:
        return
    mem_used -= mem_size(n)
    if PLAIN_MALLOC or SLAB_MAX < n < HUGE_MIN:
        large_bytes -= mem_size(n)
        free(p)
    elif n <= SLAB_MAX:
        slab_free(p)
    else:
        huge_bytes -= mem_size(n)
        munmap(p, mem_size(n))


cdef void* mem_realloc(void* p, size_t old, size_t new) noexcept nogil:
    global huge_bytes, large_bytes, mem_used
    cdef void* q
    if p == NULL:
        return mem_alloc(new)
    if not PLAIN_MALLOC and old <= SLAB_MAX and new <= SLAB_MAX and class_of(old) == class_of(new):
        return p
    if PLAIN_MALLOC or (SLAB_MAX < old < HUGE_MIN and SLAB_MAX < new < HUGE_MIN):
        q = realloc(p, new if new else 1)
        if q == NULL:
            out_of_memory(new)
        large_bytes += mem_size(new) - mem_size(old)
    elif old >= HUGE_MIN and new >= HUGE_MIN:
        q = mremap(p, mem_size(old), mem_size(new), MREMAP_MAYMOVE)
        if q == MAP_FAILED:
            out_of_memory(new)
        huge_bytes += mem_size(new) - mem_size(old)
    else:
        q = mem_alloc(new)
        memcpy(q, p, old if old < new else new)
        mem_free(p, old)
        return q
    mem_used += mem_size(new) - mem_size(old)
    return q


cdef void* mem_grow_zeroed(void* p, size_t old, size_t new) noexcept nogil:
    cdef size_t dirty = new
    if new >= HUGE_MIN and not PLAIN_MALLOC:       # a mapping's new pages are zero: a jump to 512 MiB writes next to nothing
        dirty = old if old < HUGE_MIN else mem_size(old) if mem_size(old) < new else new
    p = mem_realloc(p, old, new)
    memset(<char*>p + old, 0, dirty - old)
    return p


cdef bint mem_fits(size_t old, size_t new) noexcept nogil:
    return mem_size(old) == mem_size(new) and (new <= old or not PLAIN_MALLOC)


cpdef void mem_account(ssize_t delta) noexcept nogil:
    """Count memory that Python allocated for the data: the object of a collection, its blocks being counted already."""
    global mem_used, object_bytes
    mem_used += delta
    object_bytes += delta


def slabs_and_mappings() -> tuple:
    """Bytes of slabs and mappings of our own: in use, in pages that hold something, and in pages that have memory."""
    cdef size_t slabs = mem_used - large_bytes - huge_bytes - object_bytes
    cdef size_t held = (pages_total - cold_count) * PAGE
    return slabs + huge_bytes, held - warm_count * PAGE + huge_bytes, held + huge_bytes


def _mem_used() -> int:
    """Bytes that the data occupies."""
    return mem_used


globals()["mem_used"] = _mem_used      # Python's name for it; in C the name belongs to the counter itself
