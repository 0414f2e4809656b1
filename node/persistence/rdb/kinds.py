"""The bytes that name the form of a value in RDB, and the versions of the format."""

VERSION = 10
"""What we write: Redis 7.0 and everything later reads it."""

VERSION_MAX = 12
"""What we read: Redis 7.4's. Values of kinds that we do not know are refused one by one."""

STRING = 0
LIST = 1
SET = 2
ZSET_TEXT = 3
HASH = 4
ZSET = 5
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
