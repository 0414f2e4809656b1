# Small hashes, sets and sorted sets without their objects.
#
# A collection that one block of memory holds (a listpack or an intset) needs its Python object only while somebody works with
# it. At rest its entry has the block itself, which saves 32 to 48 bytes a key and every lookup a step. entry_object() wakes it:
# the block moves into an object, mostly one that was used before, and the entry has that. Soon after nobody else holds the
# object any more it is put to rest again.

from libc.stddef cimport size_t

from node.engine.structures.dict cimport Entry
from node.engine.types.hash cimport Hash
from node.engine.types.set cimport Set
from node.engine.types.zset cimport ZSet

cdef int packed_wake(Entry* e) except -1             # ENC_PACKED or ENC_INTS becomes ENC_AWAKE
cdef void packed_watch(Entry* e) noexcept            # an object was stored (ENC_OBJECT): it will be put to rest if it is small
cdef void packed_forget(Entry* e) noexcept           # the value of an entry that is ENC_AWAKE is about to leave it, or the entry to go
cdef void packed_moved(Entry* e) noexcept nogil      # an entry that is ENC_AWAKE lies here now
cdef void packed_settle(size_t most) noexcept        # put to rest what nobody holds, of the `most` that were woken last
cdef void packed_free(Entry* e) noexcept             # the block of an entry at rest
cdef size_t packed_bytes(Entry* e) noexcept          # what it occupies

# Empty collections, mostly from objects that were used before.
cdef Hash fresh_hash()
cdef Set fresh_set()
cdef ZSet fresh_zset()
