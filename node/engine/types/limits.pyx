"""Encoding thresholds, set by directives and read by the collections (limits.pxd says why they are process-wide)."""

limits.hash_max_listpack_entries = 512
limits.hash_max_listpack_value = 64
limits.set_max_intset_entries = 512
limits.set_max_listpack_entries = 128
limits.set_max_listpack_value = 64
limits.zset_max_listpack_entries = 128
limits.zset_max_listpack_value = 64
limits.list_max_listpack_size = -2
limits.list_compress_depth = 0
limits.hll_sparse_max_bytes = 3000
limits.stream_node_max_bytes = 4096
limits.stream_node_max_entries = 100


def set_limit(str name, long value):
    """Set one threshold by its directive's name (`hash-max-listpack-entries`; the older `ziplist` names too)."""
    name = name.replace("ziplist", "listpack")
    if name == "hash-max-listpack-entries":
        limits.hash_max_listpack_entries = value
    elif name == "hash-max-listpack-value":
        limits.hash_max_listpack_value = value
    elif name == "set-max-intset-entries":
        limits.set_max_intset_entries = value
    elif name == "set-max-listpack-entries":
        limits.set_max_listpack_entries = value
    elif name == "set-max-listpack-value":
        limits.set_max_listpack_value = value
    elif name == "zset-max-listpack-entries":
        limits.zset_max_listpack_entries = value
    elif name == "zset-max-listpack-value":
        limits.zset_max_listpack_value = value
    elif name == "list-max-listpack-size":
        limits.list_max_listpack_size = value
    elif name == "list-compress-depth":
        limits.list_compress_depth = value
    elif name == "hll-sparse-max-bytes":
        limits.hll_sparse_max_bytes = value
    elif name == "stream-node-max-bytes":
        limits.stream_node_max_bytes = value
    elif name == "stream-node-max-entries":
        limits.stream_node_max_entries = value
    else:
        raise ValueError(f"no encoding threshold is called {name}")
