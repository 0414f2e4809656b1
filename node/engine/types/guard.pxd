# Somebody who must see the elements of a large collection before they change: a snapshot that has written a part of it.

from libc.stdint cimport uint32_t

cdef class Guard:
    cdef Guard next                  # another one for the same collection, or None
    # An element is about to be changed, replaced or removed; item is NULL if it is about to be added.
    cdef void before_change(self, const char* key, uint32_t klen, void* item) noexcept

cdef inline void guard_change(void* guard, const char* key, uint32_t klen, void* item) noexcept:
    """For the collections: `guard` is what they hold, NULL as a rule."""
    if guard != NULL:
        (<Guard>guard).before_change(key, klen, item)
