"""Guards of large collections (guard.pxd is the contract)."""


cdef class Guard:
    cdef void before_change(self, const char* key, uint32_t klen, void* item) noexcept:
        if self.next is not None:
            self.next.before_change(key, klen, item)
