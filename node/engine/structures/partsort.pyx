"""The first few of a sequence in order, without sorting the rest.

A quicksort (Bentley and McIlroy, "Engineering a Sort Function", 1993) that only descends into the parts that are asked
for. It does not keep equal keys in their order; but it moves them just as Redis' partial sort does, so that of several
places at one distance, GEOSEARCH ... COUNT picks the same ones.
"""

from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc

cdef enum:
    INSERTION_BELOW = 7         # shorter parts are sorted by insertion
    NINTHER_ABOVE = 40          # longer ones take the median of three medians as their pivot


ctypedef struct Item:
    double key
    uint32_t index


cdef inline void swap(Item* a, Item* b) noexcept nogil:
    cdef Item kept = a[0]
    a[0] = b[0]
    b[0] = kept


cdef inline Item* median(Item* a, Item* b, Item* c) noexcept nogil:
    if a.key < b.key:
        return b if b.key < c.key else (c if a.key < c.key else a)
    return b if b.key > c.key else (a if a.key < c.key else c)


cdef inline Item* pivot_of(Item* a, size_t n) noexcept nogil:
    cdef Item* low = a
    cdef Item* middle = a + n // 2
    cdef Item* high = a + n - 1
    cdef size_t step = n // 8
    if n == INSERTION_BELOW:
        return middle
    if n > NINTHER_ABOVE:
        low = median(low, low + step, low + 2 * step)
        middle = median(middle - step, middle, middle + step)
        high = median(high - 2 * step, high - step, high)
    return median(low, middle, high)


cdef inline void swap_runs(Item* a, Item* b, size_t n) noexcept nogil:
    cdef size_t i
    for i in range(n):
        swap(a + i, b + i)


cdef void insertion_sort(Item* a, size_t n) noexcept nogil:
    cdef size_t i, j
    for i in range(1, n):
        j = i
        while j > 0 and a[j - 1].key > a[j].key:
            swap(a + j, a + j - 1)
            j -= 1


cdef void sort_first(Item* a, size_t n, size_t wanted) noexcept nogil:
    """Bring the `wanted` smallest items of a[0:n] to the front, in order."""
    cdef Item* b
    cdef Item* c
    cdef Item* left           # before it: items equal to the pivot, gathered from the left
    cdef Item* right          # behind it: the same from the right
    cdef size_t smaller, greater, run
    while n >= INSERTION_BELOW:
        swap(a, pivot_of(a, n))
        left = b = a + 1
        right = c = a + n - 1
        while True:
            while b <= c and b.key <= a.key:
                if b.key == a.key:
                    swap(left, b)
                    left += 1
                b += 1
            while b <= c and c.key >= a.key:
                if c.key == a.key:
                    swap(c, right)
                    right -= 1
                c -= 1
            if b > c:
                break
            swap(b, c)
            b += 1
            c -= 1
        # The equal ones go from both ends to the middle, where they are in place.
        smaller = b - left
        greater = right - c
        run = min(<size_t>(left - a), smaller)
        swap_runs(a, b - run, run)
        run = min(greater, <size_t>(a + n - right - 1))
        swap_runs(b, a + n - run, run)
        if smaller > 1:
            sort_first(a, smaller, wanted)
        if greater <= 1 or n - greater >= wanted:
            return
        a += n - greater
        wanted -= n - greater
        n = greater
    insertion_sort(a, n)


def smallest(list keys not None, size_t count, bint descending=False) -> list:
    """The positions of the `count` smallest keys (the greatest, descending), in order."""
    cdef size_t n = len(keys), i
    cdef Item* items
    cdef double key
    if n == 0 or count == 0:
        return []
    items = <Item*>malloc(n * sizeof(Item))
    if items == NULL:
        raise MemoryError
    try:
        for i in range(n):
            key = keys[i]
            items[i].key = -key if descending else key
            items[i].index = <uint32_t>i
        sort_first(items, n, count)
        return [items[i].index for i in range(min(count, n))]
    finally:
        free(items)
