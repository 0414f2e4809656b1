# The sizes at which a compact form gives way to an indexed one. Directives set them (node/config), collections read
# them; they are one set a process, because a threshold changes how a value is stored and never what it is.

ctypedef struct Limits:
    size_t hash_max_listpack_entries
    size_t hash_max_listpack_value
    size_t set_max_intset_entries
    size_t set_max_listpack_entries
    size_t set_max_listpack_value
    size_t zset_max_listpack_entries
    size_t zset_max_listpack_value
    long list_max_listpack_size          # negative: -1..-5 = 4..64 KiB a node; positive: elements a node
    long list_compress_depth
    size_t hll_sparse_max_bytes
    size_t stream_node_max_bytes         # 0: no limit; so for the entries
    long stream_node_max_entries

cdef Limits limits
