"""Consumer groups (streamgroup.pxd is the contract).

An entry that is pending stands in two maps: the group's, with all that is known about its delivery, and its consumer's,
which holds the id alone, so that a consumer's history is read without looking at everybody else's.
"""

cimport cython
from cpython.bytes cimport PyBytes_GET_SIZE
from libc.stdint cimport INT64_MAX, UINT64_MAX
from node.engine.memory.alloc cimport mem_account
from node.engine.structures.idmap cimport (
    Spot, id_compare, id_from, id_tuple, idmap_add, idmap_after, idmap_copy, idmap_find, idmap_first, idmap_init,
    idmap_last, idmap_memory, idmap_next, idmap_release, idmap_remove,
)

cdef enum:
    IN_DICT = 100                  # what a name takes in a dict, about


@cython.final
@cython.no_gc
cdef class Consumer:
    def __cinit__(self, bytes name not None, int64_t seen_ms=0):
        self.name = name
        self.seen_ms = seen_ms
        self.active_ms = -1
        idmap_init(&self.pel, sizeof(Id))
        mem_account(CONSUMER_BYTES + name_bytes(name))

    def __dealloc__(self):
        idmap_release(&self.pel)
        mem_account(-CONSUMER_BYTES - name_bytes(self.name))

    def __len__(self):
        """How many entries it has not acknowledged."""
        return self.pel.count

    def ids(self) -> list:
        """Those entries' ids."""
        return self.ids_from((0, 0), self.pel.count)

    def ids_from(self, tuple start, uint64_t count) -> list:
        """Up to `count` of them that are not before `start`."""
        cdef list out = []
        cdef Spot spot
        cdef void* record = idmap_after(&self.pel, id_from(start), &spot)
        while record != NULL and <uint64_t>len(out) < count:
            out.append(id_tuple((<Id*>record)[0]))
            record = idmap_next(&self.pel, &spot)
        return out


@cython.final
@cython.no_gc
cdef class Group:
    def __cinit__(self, bytes name not None):
        self.name = name
        self.consumers = {}
        self.entries_read = -1
        idmap_init(&self.pel, sizeof(Pending))
        mem_account(GROUP_BYTES + name_bytes(name))

    def __dealloc__(self):
        idmap_release(&self.pel)
        mem_account(-GROUP_BYTES - name_bytes(self.name))

    @property
    def last_id(self) -> tuple:
        return id_tuple(self.last)

    @last_id.setter
    def last_id(self, tuple id):
        self.last = id_from(id)

    # -- consumers

    def consumer(self, bytes name) -> Consumer | None:
        return self.consumers.get(name)

    def all_consumers(self) -> list:
        """In the order of their names."""
        return [self.consumers[name] for name in sorted(self.consumers)]

    def create_consumer(self, bytes name not None, int64_t now_ms) -> Consumer | None:
        """A new consumer; None if there is one of that name."""
        if name in self.consumers:
            return None
        consumer = self.consumers[name] = Consumer(name, now_ms)
        return consumer

    def delete_consumer(self, Consumer consumer not None) -> int:
        """Forget a consumer and what it had pending: how much that was."""
        cdef uint64_t count = consumer.pel.count
        cdef Spot spot
        cdef void* record = idmap_first(&consumer.pel, &spot)
        while record != NULL:
            idmap_remove(&self.pel, (<Id*>record)[0])
            record = idmap_next(&consumer.pel, &spot)
        del self.consumers[consumer.name]
        return count

    # -- what is pending

    def __len__(self):
        """How many entries are delivered and not acknowledged."""
        return self.pel.count

    def acknowledge(self, tuple id) -> bool:
        """Forget a pending entry; False: it is not pending."""
        cdef Id key = id_from(id)
        cdef Pending* pending = <Pending*>idmap_find(&self.pel, key)
        if pending == NULL:
            return False
        idmap_remove(&(<Consumer>pending.consumer).pel, key)
        return idmap_remove(&self.pel, key)

    def pending(self, tuple id) -> tuple | None:
        """(id, consumer, when it was delivered, how often), or None."""
        cdef Pending* pending = <Pending*>idmap_find(&self.pel, id_from(id))
        return pending_tuple(pending) if pending != NULL else None

    def first_and_last(self) -> tuple:
        """The ids of the first and the last pending entry, of which there must be one."""
        cdef Spot spot
        cdef Id first = (<Id*>idmap_first(&self.pel, &spot))[0]
        return id_tuple(first), id_tuple((<Id*>idmap_last(&self.pel, &spot))[0])

    def pending_from(self, tuple start, uint64_t count, tuple end=None, Consumer consumer=None,
                     int64_t delivered_before_ms=INT64_MAX) -> list:
        """Up to `count` pending entries from `start` to `end`, of one consumer or of all, as `pending` returns them.

        Only those count that were last delivered at `delivered_before_ms` or earlier.
        """
        cdef list out = []
        cdef IdMap* map = &consumer.pel if consumer is not None else &self.pel
        cdef Id last
        cdef Spot spot
        cdef Pending* pending
        cdef void* record = idmap_after(map, id_from(start), &spot)
        last.ms = last.seq = UINT64_MAX
        if end is not None:
            last = id_from(end)
        while record != NULL and <uint64_t>len(out) < count and id_compare((<Id*>record)[0], last) <= 0:
            pending = <Pending*>record
            if consumer is not None:
                pending = <Pending*>idmap_find(&self.pel, (<Id*>record)[0])
            if pending.delivered_ms <= delivered_before_ms:
                out.append(pending_tuple(pending))
            record = idmap_next(map, &spot)
        return out

    def assign(self, tuple id, Consumer consumer not None, int64_t delivered_ms, uint64_t deliveries) -> None:
        """Make an entry pending for a consumer, whoever may have had it before."""
        group_assign(self, id_from(id), consumer, delivered_ms, deliveries)

    # -- for payloads, which list what is pending before they tell whose it is

    def add_unowned(self, tuple id, int64_t delivered_ms, uint64_t deliveries) -> bool:
        """False: it is there already."""
        cdef bint added
        cdef Pending* pending = <Pending*>idmap_add(&self.pel, id_from(id), &added)
        pending.delivered_ms = delivered_ms
        pending.deliveries = deliveries
        return added

    def give(self, tuple id, Consumer consumer not None) -> bool:
        """False: it is not pending, or has an owner."""
        cdef Pending* pending = <Pending*>idmap_find(&self.pel, id_from(id))
        cdef bint added
        if pending == NULL or pending.consumer != NULL:
            return False
        pending.consumer = <void*>consumer
        idmap_add(&consumer.pel, pending.id, &added)
        return True

    def all_owned(self) -> bool:
        cdef uint64_t owned = 0
        for consumer in self.consumers.values():
            owned += (<Consumer>consumer).pel.count
        return owned == self.pel.count


cdef inline tuple pending_tuple(Pending* pending):
    return id_tuple(pending.id), <Consumer>pending.consumer, pending.delivered_ms, pending.deliveries


cdef inline ssize_t name_bytes(bytes name) noexcept:
    return IN_DICT + (PyBytes_GET_SIZE(name) if name is not None else 0)


cdef Group group_new(bytes name, Id last, int64_t entries_read):
    cdef Group g = Group(name)
    g.last = last
    g.entries_read = entries_read
    return g


cdef Group group_copy(Group g):
    cdef Group copied = group_new(g.name, g.last, g.entries_read)
    cdef Consumer consumer, twin
    cdef Pending* pending
    cdef Spot spot
    idmap_copy(&g.pel, &copied.pel)
    for consumer in g.consumers.values():
        twin = Consumer(consumer.name, consumer.seen_ms)
        twin.active_ms = consumer.active_ms
        idmap_copy(&consumer.pel, &twin.pel)
        copied.consumers[consumer.name] = twin
    pending = <Pending*>idmap_first(&copied.pel, &spot)
    while pending != NULL:
        twin = copied.consumers[(<Consumer>pending.consumer).name]
        pending.consumer = <void*>twin
        pending = <Pending*>idmap_next(&copied.pel, &spot)
    return copied


cdef size_t group_memory(Group g):
    cdef size_t n = GROUP_BYTES + name_bytes(g.name) + idmap_memory(&g.pel)
    cdef Consumer consumer
    for consumer in g.consumers.values():
        n += CONSUMER_BYTES + name_bytes(consumer.name) + idmap_memory(&consumer.pel)
    return n


cdef int group_assign(Group g, Id id, Consumer consumer, int64_t delivered_ms, uint64_t deliveries) except -1:
    cdef bint added
    cdef Pending* pending = <Pending*>idmap_add(&g.pel, id, &added)
    pending.delivered_ms = delivered_ms
    pending.deliveries = deliveries
    if pending.consumer != <void*>consumer:
        if pending.consumer != NULL:
            idmap_remove(&(<Consumer>pending.consumer).pel, id)
        pending.consumer = <void*>consumer
        idmap_add(&consumer.pel, id, &added)
    return 0


cdef ssize_t CONSUMER_BYTES = (Consumer.__basicsize__ + 15) & ~15
cdef ssize_t GROUP_BYTES = (Group.__basicsize__ + 15) & ~15
