"""The bytes that name the form of a value in RDB, and the versions of the format."""

from enum import IntEnum


class Form(IntEnum):
    """What is written for whom. The numbers are those of node/engine/durable/rdb.pxd."""

    REDIS_70 = 0
    """Redis 7.0 and everything later reads it: what files and payloads have."""
    REDIS_72 = 1
    """With what Redis 7.2 knows of streams."""
    VALKEY_9 = 2
    """With that, and with Valkey's own kind of hashes with fields that die."""


VERSION = 10
"""The version of files of REDIS_70, unless the data has hashes with fields that die."""

VERSION_72 = 11
"""The version of files of REDIS_72, with the same exception."""

VERSION_EXPIRING = 12
"""The version of both where hashes have fields that die: only Redis 7.4 and later reads those."""

VERSION_MAX = 12
"""What we read: Redis 7.4's. Values of kinds that we do not know are refused one by one."""

VERSION_VALKEY = 80
"""Valkey's own format, which it calls by this number so that the two never meet."""

STRING = 0
LIST = 1
SET = 2
ZSET_TEXT = 3
HASH = 4
ZSET = 5
MODULE_OLD = 6
MODULE = 7
HASH_ZIPMAP = 9
LIST_ZIPLIST = 10
SET_INTSET = 11
ZSET_ZIPLIST = 12
HASH_ZIPLIST = 13
LIST_ZIPLISTS = 14
STREAM_5 = 15
HASH_LISTPACK = 16
ZSET_LISTPACK = 17
LIST_NODES = 18
STREAM_7 = 19
SET_LISTPACK = 20
STREAM_72 = 21
HASH_EXPIRING_PRE_GA = 22
HASH_LISTPACK_EXPIRING_PRE_GA = 23
HASH_EXPIRING = 24
HASH_LISTPACK_EXPIRING = 25
HASH_VALKEY = 1022
"""Valkey gives 22 another meaning; no byte, so that the two cannot be confused."""
