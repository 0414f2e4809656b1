"""Directives of the data set: memory, eviction, expiry, lazy freeing, encodings, notifications."""

from __future__ import annotations

from node.config.directive import choice, flag, memory, number, special
from node.config.kinds import INT64_MAX, UINT64_MAX
from node.config.special import Events

MEMORY = (
    number("databases", 16, "Number of databases of a node outside a cluster.", lo=1, hi=100_000, fixed=True),
    memory("maxmemory", 0, "Most memory of the data set; 0 is no limit.", hi=UINT64_MAX),
    choice(
        "maxmemory-policy",
        "noeviction",
        "volatile-lru volatile-lfu volatile-random volatile-ttl allkeys-lru allkeys-lfu allkeys-random noeviction",
        "Which keys to evict when maxmemory is reached.",
    ),
    number("maxmemory-samples", 5, "Keys compared for each eviction.", lo=1),
    number(
        "maxmemory-eviction-tenacity",
        10,
        "eviction holds up a request for a few milliseconds at most, and goes on with the next one.",
        hi=100,
        accepted=True,
    ),
    number("lfu-log-factor", 10, "How slowly the access counter of LFU grows."),
    number("lfu-decay-time", 1, "Minutes after which the access counter of LFU shrinks by one."),
    number("active-expire-effort", 1, "How hard to look for expired keys, from 1 to 10.", lo=1, hi=10),
    flag("activerehashing", True, "tables resize a little at a time in any case.", accepted=True),
)

LAZY_FREEING = (
    flag("lazyfree-lazy-eviction", False, "Free evicted values in the background."),
    flag("lazyfree-lazy-expire", False, "Free expired values in the background."),
    flag("lazyfree-lazy-server-del", False, "see lazyfree-lazy-user-del.", accepted=True),
    flag("lazyfree-lazy-user-del", False, "large values are always freed bit by bit, between requests.", accepted=True),
    flag("lazyfree-lazy-user-flush", False, "Let FLUSHALL and FLUSHDB free in the background unless told otherwise."),
)

ENCODINGS = (
    number(
        "hash-max-listpack-entries", 512, "Most fields of a compact hash.", "hash-max-ziplist-entries", hi=INT64_MAX
    ),
    memory("hash-max-listpack-value", 64, "Longest field or value of a compact hash.", "hash-max-ziplist-value"),
    number("set-max-intset-entries", 512, "Most members of a compact set of integers.", hi=INT64_MAX),
    number("set-max-listpack-entries", 128, "Most members of a compact set.", hi=INT64_MAX),
    memory("set-max-listpack-value", 64, "Longest member of a compact set."),
    number(
        "zset-max-listpack-entries",
        128,
        "Most members of a compact sorted set.",
        "zset-max-ziplist-entries",
        hi=INT64_MAX,
    ),
    memory("zset-max-listpack-value", 64, "Longest member of a compact sorted set.", "zset-max-ziplist-value"),
    number(
        "list-max-listpack-size",
        -2,
        "Size of a list's nodes: elements, or -1 to -5 for 4 to 64 KiB.",
        "list-max-ziplist-size",
        lo=-(2**31),
    ),
    number("list-compress-depth", 0, "Accepted: lists are not compressed."),
    memory("hll-sparse-max-bytes", 3000, "Largest sparse HyperLogLog."),
    memory("stream-node-max-bytes", 4096, "Most bytes of a stream's node."),
    number("stream-node-max-entries", 100, "Most entries of a stream's node.", hi=INT64_MAX),
)

NOTIFICATIONS = (
    special("notify-keyspace-events", Events(), "", "Event classes to publish: K or E, then any of g$lshzxetdnm or A."),
)
