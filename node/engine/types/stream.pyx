"""The stream (stream.pxd is the contract): entries that are appended, read by ranges, and trimmed from the front.

Ids are tuples (ms, seq) to Python, and entries are what replies are made of: [b"<ms>-<seq>", [field, value, ...]].
A stream without entries is a value like any other: its last id and its groups are still worth something.

How far a group is behind (its lag) is the difference of two counts: entries ever added, and entries read by the group.
Deleting entries in the middle makes the second one unknowable, -1 or None here; `distance` finds it again where it can.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport UINT64_MAX, int64_t
from node.engine.memory.alloc cimport mem_account, mem_size
from node.engine.structures.idmap cimport (
    Spot, id_advance, id_compare, id_from, id_is_zero, id_text, id_tuple, idmap_add, idmap_copy,
    idmap_first, idmap_init, idmap_last, idmap_memory, idmap_next, idmap_release, idmap_remove,
)
from node.engine.structures.listpack cimport LP_MAX_BYTES, lp_bytes, lp_copy, lp_free, lp_t
from node.engine.types.streamgroup cimport Consumer, Group, group_assign, group_copy, group_memory, group_new
from node.engine.types.streamnode cimport (
    Entry, Node, Walk, entry_fields, entry_mark, node_append, node_count_deleted, node_from, node_is_full, node_last_id,
    node_live, node_new, walk_back_from, walk_from, walk_next,
)
from node.engine.types.record cimport TYPE_STREAM, declare_type

MAX_ENTRY_BYTES = LP_MAX_BYTES

cdef enum:
    UNKNOWN = -1               # a count of entries that deletions have made unknowable
    ID_BYTES = 16
    FREED_AT_ONCE = 16384      # bytes that free_some counts as one more unit of work


# --- Ranges ------------------------------------------------------------------------------------------------------

cdef inline Id lowest() noexcept:
    cdef Id id
    id.ms = id.seq = 0
    return id


cdef inline Id highest() noexcept:
    cdef Id id
    id.ms = id.seq = UINT64_MAX
    return id


cdef bint next_live(Walk* w, Id low, Id high, Entry* e) noexcept:
    """Go on to the next entry from low to high that is not deleted."""
    while walk_next(w, e):
        if id_compare(e.id, high) > 0:
            if not w.backwards:
                return False
        elif id_compare(e.id, low) < 0:
            if w.backwards:
                return False
        elif not e.deleted:
            return True
    return False


cdef bint find(Stream s, Id id, Walk* w, Entry* e) noexcept:
    """The entry with this id; False: there is none."""
    walk_from(w, &s.nodes, id)
    return next_live(w, id, id, e)


cdef Id edge(Stream s, bint backwards) noexcept:
    """The id of the first or of the last entry; there must be one."""
    cdef Walk w
    cdef Entry e
    if backwards:
        walk_back_from(&w, &s.nodes, highest())
    else:
        walk_from(&w, &s.nodes, lowest())
    e.id = lowest()
    next_live(&w, lowest(), highest(), &e)
    return e.id


cdef inline list reply_of(Walk* w, Entry* e):
    return [id_text(e.id), entry_fields(w, e)]


# --- Deleting ----------------------------------------------------------------------------------------------------

cdef void drop_node(Stream s, Node* node) noexcept:
    lp_free(node.lp)
    idmap_remove(&s.nodes, node.id)


cdef void find_first(Stream s) noexcept:
    """After entries were deleted."""
    s.first = edge(s, False) if s.length else lowest()


cdef uint64_t trim_node(Stream s, uint64_t most, Id end) noexcept:
    """Delete up to `most` entries before `end` from the first node, which stays."""
    cdef Walk w
    cdef Entry e
    cdef uint64_t deleted = 0
    cdef Node* node
    walk_from(&w, &s.nodes, lowest())
    node = w.node
    while deleted < most and walk_next(&w, &e) and w.node == node and id_compare(e.id, end) < 0:
        if not e.deleted:
            entry_mark(&e)
            deleted += 1
    node.lp = node_count_deleted(node.lp, deleted)
    s.length -= deleted
    return deleted


cdef uint64_t trim(Stream s, uint64_t keep, Id end, bint by_id, bint whole_nodes, uint64_t limit) noexcept:
    """Delete from the front: what is before `end`, or what is more than `keep` (then `end` is the highest id).

    `whole_nodes`: only nodes of which nothing would stay, so that no node is rewritten. limit: no more entries than
    these, in whole nodes (0: any).
    """
    cdef Spot spot
    cdef Node* node
    cdef uint64_t deleted = 0, live
    cdef bint whole
    while True:
        node = <Node*>idmap_first(&s.nodes, &spot)
        if node == NULL or (not by_id and s.length <= keep):
            break
        live = node_live(node.lp)
        if limit and deleted + live > limit:
            break
        whole = id_compare(node_last_id(node), end) < 0 if by_id else s.length - live >= keep
        if not whole:
            if not whole_nodes:
                deleted += trim_node(s, live if by_id else s.length - keep, end)
            break
        drop_node(s, node)
        s.length -= live
        deleted += live
    if deleted:
        find_first(s)
    return deleted


# --- Counting what groups have read ------------------------------------------------------------------------------

cdef bint deleted_after(Stream s, Id id) noexcept:
    """XDEL may have left a gap from id on."""
    if s.length == 0 or id_is_zero(s.max_deleted) or id_compare(s.first, s.max_deleted) > 0:
        return False
    return id_compare(id, s.max_deleted) <= 0


cdef int64_t distance(Stream s, Id id) noexcept:
    """How many entries were added up to id, if that can be told."""
    cdef int order
    if s.entries_added == 0:
        return 0
    order = id_compare(id, s.last)
    if order == 0 or (order < 0 and s.length == 0):
        return s.entries_added
    if order > 0:
        return UNKNOWN
    if id_is_zero(s.max_deleted) or id_compare(s.max_deleted, s.first) < 0:
        order = id_compare(id, s.first)
        if order <= 0:
            return s.entries_added - s.length + (order == 0)
    return UNKNOWN


cdef void note_read(Stream s, Group group, Id id) noexcept:
    """The group has got an entry beyond its last one."""
    if group.entries_read != UNKNOWN and not deleted_after(s, id):
        group.entries_read += 1
    elif s.entries_added:
        group.entries_read = distance(s, id)
    group.last = id


# --- The nodes as a radix tree -----------------------------------------------------------------------------------

cdef int common_bytes(Id a, Id b) noexcept:
    """How many bytes two different ids have in common at the front, written with the highest byte first."""
    cdef uint64_t difference = a.ms ^ b.ms if a.ms != b.ms else a.seq ^ b.seq
    cdef int n = 0 if a.ms != b.ms else 8
    while difference >> 56 == 0:
        difference <<= 8
        n += 1
    return n


cdef uint64_t radix_nodes(IdMap* nodes) noexcept:
    """The nodes of a radix tree that has these keys, where a run of bytes without a branch is one node.

    Neighbouring keys branch after their common bytes. Branches at the same depth belong together until a shallower
    one comes between them, so a stack of open branches finds each once.
    """
    cdef int[ID_BYTES + 1] depth      # of the open branches, ascending; depth[0] is outside of the tree
    cdef int open = 0, common, below
    cdef uint64_t count
    cdef Spot spot
    cdef Id key
    cdef void* record = idmap_first(nodes, &spot)
    if record == NULL:
        return 1
    count = 1                         # the first key's end
    depth[0] = -1
    while True:
        key = (<Id*>record)[0]
        record = idmap_next(nodes, &spot)
        common = common_bytes(key, (<Id*>record)[0]) if record != NULL else -1
        below = ID_BYTES                              # where the path ends that hangs below the branch looked at
        while depth[open] > common:
            count += below > depth[open] + 1          # the run of bytes between the branch and what is below
            below = depth[open]
            open -= 1
        if common < 0:
            return count + (below > 0)                # the run from the root
        count += below > common + 1
        if depth[open] < common:
            open += 1
            depth[open] = common
            count += 1
        count += 1                                    # the next key's end


# --- For Python --------------------------------------------------------------------------------------------------

cdef bytes node_key(Id id):
    """The id as Redis writes it where order counts: big-endian."""
    cdef char[ID_BYTES] key
    cdef int i
    for i in range(8):
        key[i] = <char>(id.ms >> (56 - 8 * i))
        key[8 + i] = <char>(id.seq >> (56 - 8 * i))
    return PyBytes_FromStringAndSize(key, ID_BYTES)


cdef Id id_from_key(bytes key) except *:
    cdef Id id = lowest()
    cdef int i
    if len(key) != ID_BYTES:
        raise ValueError("not the id of a node")
    for i in range(8):
        id.ms = (id.ms << 8) | <unsigned char>key[i]
        id.seq = (id.seq << 8) | <unsigned char>key[8 + i]
    return id


cdef void release(Stream s) noexcept:
    cdef Spot spot
    cdef Node* node = <Node*>idmap_first(&s.nodes, &spot)
    while node != NULL:
        lp_free(node.lp)
        node = <Node*>idmap_next(&s.nodes, &spot)
    idmap_release(&s.nodes)


@cython.final
@cython.no_gc
cdef class Stream:
    def __cinit__(self):
        idmap_init(&self.nodes, sizeof(Node))
        self.first = self.last = self.max_deleted = lowest()
        mem_account(OBJECT_BYTES)

    def __dealloc__(self):
        release(self)
        mem_account(-OBJECT_BYTES)

    @staticmethod
    def from_nodes(nodes) -> Stream:
        """A stream of what `node_list` returns. ValueError when that is broken. The other facts are set afterwards."""
        cdef Stream s = Stream()
        cdef bytes key, data
        cdef Id id, before = lowest()
        cdef Node* node
        cdef lp_t lp
        cdef bint added
        for key, data in nodes:
            id = id_from_key(key)
            if s.nodes.count and id_compare(id, before) <= 0:
                raise ValueError("the nodes of a stream are out of order")
            before = id
            lp = node_from(data, id, &s.last)
            node = <Node*>idmap_add(&s.nodes, id, &added)
            node.lp = lp
            s.length += node_live(lp)
        s.entries_added = s.length
        find_first(s)
        return s

    def node_list(self) -> list:
        """(key, listpack) of each node."""
        cdef list out = []
        cdef Spot spot
        cdef Node* node = <Node*>idmap_first(&self.nodes, &spot)
        while node != NULL:
            out.append((node_key(node.id), PyBytes_FromStringAndSize(<char*>node.lp, lp_bytes(node.lp))))
            node = <Node*>idmap_next(&self.nodes, &spot)
        return out

    def __len__(self):
        return self.length

    # -- facts

    @property
    def last_id(self) -> tuple:
        """The highest id given so far."""
        return id_tuple(self.last)

    @property
    def first_id(self) -> tuple:
        return id_tuple(self.first)

    @property
    def max_deleted_id(self) -> tuple:
        return id_tuple(self.max_deleted)

    @property
    def top_id(self) -> tuple:
        """The id of the last entry that is there, (0, 0) without entries."""
        return id_tuple(edge(self, True))

    @property
    def trimmed_to(self) -> tuple:
        """The lowest id that trimming by id would have to name to leave the stream as it is."""
        cdef Walk w
        cdef Entry e
        e.id = highest()
        walk_from(&w, &self.nodes, lowest())
        walk_next(&w, &e)
        return id_tuple(e.id)

    @property
    def node_count(self) -> int:
        return self.nodes.count

    @property
    def radix_nodes(self) -> int:
        """What Redis would call the nodes of its radix tree."""
        return radix_nodes(&self.nodes)

    def set_facts(self, tuple last_id, entries_added=None, tuple max_deleted_id=None) -> None:
        """XSETID, and what a payload says."""
        self.last = id_from(last_id)
        if entries_added is not None:
            self.entries_added = entries_added
        if max_deleted_id is not None:
            self.max_deleted = id_from(max_deleted_id)

    # -- entries

    def add(self, tuple id not None, list fields not None) -> bytes:
        """Append an entry, whose id must be higher than last_id, and return the id's text. `fields`: names and values
        by turns, of no more than MAX_ENTRY_BYTES together."""
        cdef Id key = id_from(id)
        cdef Spot spot
        cdef Node* node = <Node*>idmap_last(&self.nodes, &spot)
        cdef size_t size = 0
        cdef bint added
        cdef bytes text
        for text in fields:
            size += PyBytes_GET_SIZE(text)
        if node != NULL and self.length == 0 and id_compare(key, node_last_id(node)) <= 0:
            release(self)      # XSETID went back behind entries of which only marks remain
            node = NULL
        if node == NULL or node_is_full(node.lp, size):
            node = <Node*>idmap_add(&self.nodes, key, &added)
            node.lp = node_new(fields)
        node.lp = node_append(node.lp, node.id, key, fields)
        self.length += 1
        self.entries_added += 1
        self.last = key
        if self.length == 1:
            self.first = key
        return id_text(key)

    def __contains__(self, tuple id):
        cdef Walk w
        cdef Entry e
        return find(self, id_from(id), &w, &e)

    def entry(self, tuple id) -> list | None:
        """One entry, as `range` returns it."""
        cdef Walk w
        cdef Entry e
        return reply_of(&w, &e) if find(self, id_from(id), &w, &e) else None

    def range(self, tuple start=(0, 0), tuple end=None, uint64_t count=0, bint rev=False) -> list:
        """The entries from `start` to `end`, ends included, at most `count` (0: all); `rev`: from the end on."""
        cdef list out = []
        cdef Id low = id_from(start), high = highest()
        cdef Walk w
        cdef Entry e
        if end is not None:
            high = id_from(end)
        if rev:
            walk_back_from(&w, &self.nodes, high)
        else:
            walk_from(&w, &self.nodes, low)
        while (count == 0 or <uint64_t>len(out) < count) and next_live(&w, low, high, &e):
            out.append(reply_of(&w, &e))
        return out

    def delete(self, tuple id) -> bool:
        """Delete one entry; False: it is not there."""
        cdef Id key = id_from(id)
        cdef Walk w
        cdef Entry e
        if not find(self, key, &w, &e):
            return False
        if node_live(w.node.lp) == 1:
            drop_node(self, w.node)
        else:
            entry_mark(&e)
            w.node.lp = node_count_deleted(w.node.lp, 1)
        self.length -= 1
        if id_compare(key, self.max_deleted) > 0:
            self.max_deleted = key
        if self.length == 0 or id_compare(key, self.first) == 0:
            find_first(self)
        return True

    def trim_to_length(self, uint64_t length, bint whole_nodes=False, uint64_t limit=0) -> int:
        """Delete entries from the front until `length` are left; how many they were. See `trim`."""
        return trim(self, length, highest(), False, whole_nodes, limit)

    def trim_before(self, tuple id, bint whole_nodes=False, uint64_t limit=0) -> int:
        """Delete the entries before id; how many they were."""
        return trim(self, 0, id_from(id), True, whole_nodes, limit)

    # -- groups

    def group(self, bytes name) -> Group | None:
        return self.groups.get(name) if self.groups is not None else None

    def all_groups(self) -> list:
        """In the order of their names."""
        return [self.groups[name] for name in sorted(self.groups)] if self.groups is not None else []

    def create_group(self, bytes name not None, tuple last_id, int64_t entries_read=UNKNOWN) -> Group | None:
        """A new group; None if there is one of that name."""
        if self.groups is None:
            self.groups = {}
        if name in self.groups:
            return None
        group = self.groups[name] = group_new(name, id_from(last_id), entries_read)
        return group

    def destroy_group(self, bytes name) -> bool:
        """False: there is no such group."""
        return self.groups is not None and self.groups.pop(name, None) is not None

    def lag(self, Group group not None) -> int | None:
        """How many entries the group has still to get; None: unknown."""
        cdef int64_t read = group.entries_read
        if self.entries_added == 0:
            return 0
        if read == UNKNOWN or deleted_after(self, group.last):
            read = distance(self, group.last)
            if read == UNKNOWN:
                return None
        return <int64_t>self.entries_added - read

    def distance(self, tuple id) -> int:
        """How many entries were added up to id; -1: unknown."""
        return distance(self, id_from(id))

    def deliver(self, Group group not None, Consumer consumer not None, uint64_t count, bint pending, int64_t now_ms):
        """Entries that the group has not got yet, at most `count` (0: all): they are the consumer's from now on.

        `pending`: it will acknowledge them.
        """
        cdef list out = []
        cdef Id low = group.last
        cdef Walk w
        cdef Entry e
        if not id_advance(&low):
            return out
        walk_from(&w, &self.nodes, low)
        while (count == 0 or <uint64_t>len(out) < count) and next_live(&w, low, highest(), &e):
            note_read(self, group, e.id)
            if pending:
                group_assign(group, e.id, consumer, now_ms, 1)
            out.append(reply_of(&w, &e))
        return out

    # -- what every value has

    @property
    def encoding(self):
        return "stream"

    def memory(self):
        """Bytes that the stream occupies, this object and its groups included."""
        cdef size_t n = OBJECT_BYTES + idmap_memory(&self.nodes)
        cdef Spot spot
        cdef Node* node = <Node*>idmap_first(&self.nodes, &spot)
        while node != NULL:
            n += mem_size(lp_bytes(node.lp))
            node = <Node*>idmap_next(&self.nodes, &spot)
        for group in self.all_groups():
            n += group_memory(group)
        return n

    def copy(self):
        cdef Stream s = Stream()
        cdef Spot spot
        cdef Node* node
        idmap_copy(&self.nodes, &s.nodes)
        node = <Node*>idmap_first(&s.nodes, &spot)
        while node != NULL:
            node.lp = lp_copy(node.lp, lp_bytes(node.lp))
            node = <Node*>idmap_next(&s.nodes, &spot)
        s.length = self.length
        s.entries_added = self.entries_added
        s.first, s.last, s.max_deleted = self.first, self.last, self.max_deleted
        if self.groups:
            s.groups = {name: group_copy(group) for name, group in self.groups.items()}
        return s

    def free_some(self, long budget):
        """Free up to `budget` nodes of a stream that nobody will use again; True while there is more."""
        cdef Spot spot
        cdef Node* node = <Node*>idmap_last(&self.nodes, &spot)
        while node != NULL and budget > 0:
            budget -= 1 + lp_bytes(node.lp) // FREED_AT_ONCE
            drop_node(self, node)
            node = <Node*>idmap_last(&self.nodes, &spot)
        return node != NULL


cdef ssize_t OBJECT_BYTES = (Stream.__basicsize__ + 15) & ~15
declare_type(TYPE_STREAM, "stream", Stream)
