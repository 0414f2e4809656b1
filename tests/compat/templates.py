"""What the machine draws: every command of the data types, with all its options, over small pools of words.

The groups are separate pools of keys only by chance: all commands share the same few keys, so that every command also
meets keys of the wrong type. Commands whose result is random stand here only in the forms that are not (`SPOP k 100`
takes all). The second column says how replies are compared; nothing means byte for byte.
"""

from __future__ import annotations

from hypothesis import strategies as st


def _pool(*words: bytes | str) -> st.SearchStrategy[bytes]:
    return st.sampled_from([word if isinstance(word, bytes) else word.encode() for word in words])


KEYS = ("{t}a", "{t}b", "{t}c", "{t}d", "{t}e")
_long = b"long-" * 13
_numbers = ("10", "-3", "3.5", "007", "9223372036854775807")

POOLS: dict[str, st.SearchStrategy[bytes]] = {
    "key": _pool(*KEYS),
    "value": _pool("", "a", "b", "foo", "bar", "hello world", _long, b"\x00\xff\r\n", *_numbers),
    "field": _pool("a", "b", "c", "d", "1", "", "x" * 64, "x" * 65),
    "member": _pool("a", "b", "c", "aa", "1", "2", "-5", "3000000000", "", "y" * 65),
    # Not -0: in a listpack it is 0, in an index -0, and Redis turns a set into an index more often than we do.
    "score": _pool("0", "1", "-1", "2", "2.5", "0.1", "1e10", "inf", "-inf", "3.0000000001", "1e-9", "1e300"),
    "badscore": _pool("x", "nan", ""),
    "min": _pool("-inf", "0", "(0", "1", "(1", "2", "(2.5", "x", "+inf"),
    "max": _pool("+inf", "0", "(0", "1", "(1", "2", "(2.5", "-inf", "3"),
    "lexmin": _pool("-", "[a", "(a", "[b", "(1", "+", "a"),
    "lexmax": _pool("+", "[c", "(c", "[b", "(aa", "-", "["),
    "int": _pool("0", "1", "-1", "2", "5", "100", "9223372036854775807", "-9223372036854775808", "x", "1.5", " 1"),
    "float": _pool("0", "1", "-1.5", "0.1", "1e3", "3.0e-5", "x", "inf", "1e17"),
    "index": _pool("0", "1", "-1", "2", "-3", "5", "100", "-100"),
    "count": _pool("0", "1", "2", "-1", "-2", "5"),
    "some": _pool("1", "2", "3", "10"),
    "offset": _pool("0", "1", "7", "8", "9", "31", "64", "100", "1000"),
    "bit": _pool("0", "1"),
    "fieldtype": _pool("u1", "u4", "u8", "i8", "u16", "i16", "u31", "i32", "u63", "i64", "i5"),
    "fieldoffset": _pool("0", "1", "4", "#0", "#1", "#3", "33"),
    "seconds": _pool("100", "1000", "0", "-1", "x"),
    "lon": _pool("0", "13.361389", "15.087269", "-179.9", "2.35", "181"),
    "lat": _pool("0", "38.115556", "37.502669", "-85", "48.85"),
    "radius": _pool("0", "1", "200", "5000", "-1"),
    "unit": _pool("m", "km", "ft", "mi"),
    "pattern": _pool("*", "a*", "?", "[ab]", "zz", "{t}[a-c]"),
    "weight": _pool("1", "2", "-1", "0.5", "0", "inf", "x"),
    "numkeys": _pool("1", "2", "0", "3"),
    "newid": _pool("1-*", "2-*", "3", "3-1", "5-0", "5-*", "9-9", "300-1", "70000-0", "5000000000-3", "0-0", "x"),
    "id": _pool("0", "1", "1-0", "1-1", "2", "3-0", "3-1", "5-0", "5-1", "9-9", "300-1", "70000-0", "x"),
    "start": _pool("-", "0", "1-1", "(1-1", "3", "(3", "5", "300", "x", "+"),
    "end": _pool("+", "1", "3-0", "(3", "(5", "9", "70000-0", "(70000-0", "-"),
    "group": _pool("g", "h", "none"),
    "consumer": _pool("ann", "bob"),
}

STRINGS = {
    "SET <key> <value> [NX|XX] [GET] [EX <seconds>|KEEPTTL|PX 100000|EXAT 9999999999]": "",
    "GET <key>": "",
    "(GETDEL|STRLEN|INCR|DECR) <key>": "",
    "GETSET <key> <value>": "",
    "GETEX <key> [EX <seconds>|PERSIST|PX 100000]": "",
    "(SETNX|APPEND) <key> <value>": "",
    "SETEX <key> <seconds> <value>": "",
    "(INCRBY|DECRBY) <key> <int>": "",
    "INCRBYFLOAT <key> <float>": "",
    "MGET <key> [<key>]+": "",
    "(MSET|MSETNX) (<key> <value>)+": "",
    "(GETRANGE|SUBSTR) <key> <index> <index>": "",
    "SETRANGE <key> <offset> <value>": "",
    "LCS <key> <key> [LEN|IDX] [MINMATCHLEN <count>] [WITHMATCHLEN]": "",
    "SETBIT <key> <offset> <bit>": "",
    "GETBIT <key> <offset>": "",
    "BITCOUNT <key> [<index> <index> [BYTE|BIT]]": "",
    "BITPOS <key> <bit> [<index> [<index> [BYTE|BIT]]]": "",
    "BITOP (AND|OR|XOR) <key> (<key>)+": "",
    "BITOP NOT <key> <key>": "",
    "BITFIELD <key> [OVERFLOW (WRAP|SAT|FAIL)] (GET <fieldtype> <fieldoffset>|SET <fieldtype> <fieldoffset> <int>"
    "|INCRBY <fieldtype> <fieldoffset> <int>)+": "",
    "PFADD <key> [<member>]+": "",
    "PFCOUNT (<key>)+": "",
    "PFMERGE <key> [<key>]+": "",
}

LISTS = {
    "(LPUSH|RPUSH|LPUSHX|RPUSHX) <key> (<value>)+": "",
    "(LPOP|RPOP) <key> [<count>]": "",
    "LLEN <key>": "",
    "LRANGE <key> <index> <index>": "",
    "LTRIM <key> <index> <index>": "",
    "LINDEX <key> <index>": "",
    "LSET <key> <index> <value>": "",
    "LREM <key> <count> <value>": "",
    "LINSERT <key> (BEFORE|AFTER) <value> <value>": "",
    "LPOS <key> <value> [RANK <count>] [COUNT <count>] [MAXLEN <count>]": "",
    "RPOPLPUSH <key> <key>": "",
    "LMOVE <key> <key> (LEFT|RIGHT) (LEFT|RIGHT)": "",
    "LMPOP 2 <key> <key> (LEFT|RIGHT) [COUNT <some>]": "",
}

HASHES = {
    "(HSET|HMSET) <key> (<field> <value>)+": "",
    "HSETNX <key> <field> <value>": "",
    "(HGET|HEXISTS|HSTRLEN) <key> <field>": "",
    "(HMGET|HDEL) <key> (<field>)+": "",
    "HLEN <key>": "",
    "HGETALL <key>": "pairs",
    "(HKEYS|HVALS) <key>": "sorted",
    "HINCRBY <key> <field> <int>": "",
    "HINCRBYFLOAT <key> <field> <float>": "",
    "HRANDFIELD <key> <some>": "shape",
    "HRANDFIELD <key> -3 [WITHVALUES]": "shape",
    "HSCAN <key> 0 MATCH <pattern> COUNT 1000": "anyhow",
}

SETS = {
    "(SADD|SREM) <key> (<member>)+": "",
    "SISMEMBER <key> <member>": "",
    "SMISMEMBER <key> (<member>)+": "",
    "SCARD <key>": "",
    "SMEMBERS <key>": "sorted",
    "SPOP <key> 100": "sorted",
    "SRANDMEMBER <key> <count>": "shape",
    "SMOVE <key> <key> <member>": "",
    "(SUNION|SINTER|SDIFF) (<key>)+": "sorted",
    "(SUNIONSTORE|SINTERSTORE|SDIFFSTORE) <key> (<key>)+": "",
    "SINTERCARD 2 <key> <key> [LIMIT <count>]": "",
    "SSCAN <key> 0 MATCH <pattern> COUNT 1000": "anyhow",
}

SORTED_SETS = {
    "ZADD <key> [NX|XX|GT|LT] [CH] (<score> <member>)+": "",
    "ZADD <key> [NX|XX|GT|LT] [CH] INCR <score> <member>": "",
    "ZADD <key> <badscore> <member>": "",
    "ZINCRBY <key> <score> <member>": "",
    "(ZSCORE|ZRANK|ZREVRANK) <key> <member>": "",
    "(ZMSCORE|ZREM) <key> (<member>)+": "",
    "ZCARD <key>": "",
    "(ZRANGE|ZREVRANGE) <key> <index> <index> [WITHSCORES]": "",
    "ZRANGE <key> <index> <index> REV [WITHSCORES]": "",
    "ZRANGE <key> <min> <max> BYSCORE [LIMIT <index> <count>] [WITHSCORES]": "",
    "ZRANGE <key> <max> <min> BYSCORE REV [LIMIT <index> <count>] [WITHSCORES]": "",
    "ZRANGEBYSCORE <key> <min> <max> [WITHSCORES] [LIMIT <index> <count>]": "",
    "ZREVRANGEBYSCORE <key> <max> <min> [WITHSCORES] [LIMIT <index> <count>]": "",
    "ZCOUNT <key> <min> <max>": "",
    "ZREMRANGEBYRANK <key> <index> <index>": "",
    "ZREMRANGEBYSCORE <key> <min> <max>": "",
    "(ZPOPMIN|ZPOPMAX) <key> [<count>]": "",
    "ZMPOP 2 <key> <key> (MIN|MAX) [COUNT <some>]": "",
    "ZRANDMEMBER <key> <count> [WITHSCORES]": "shape",
    "(ZUNION|ZINTER) 2 <key> <key> [WEIGHTS <weight> <weight>] [AGGREGATE (SUM|MIN|MAX)] [WITHSCORES]": "",
    "(ZUNIONSTORE|ZINTERSTORE) <key> 2 <key> <key> [WEIGHTS <weight> <weight>] [AGGREGATE (SUM|MIN|MAX)]": "",
    "ZDIFF <numkeys> <key> <key> [WITHSCORES]": "",
    "ZDIFFSTORE <key> 2 <key> <key>": "",
    "ZINTERCARD 2 <key> <key> [LIMIT <count>]": "",
    "ZRANGESTORE <key> <key> <min> <max> BYSCORE [LIMIT <index> <count>]": "",
    "ZRANGESTORE <key> <key> <index> <index> [REV]": "",
    "ZSCAN <key> 0 MATCH <pattern> COUNT 1000": "anyhow",
    "GEOADD <key> [NX|XX] [CH] (<lon> <lat> <member>)+": "",
    "(GEOPOS|GEOHASH) <key> (<member>)+": "",
    "GEODIST <key> <member> <member> <unit>": "",
    "GEOSEARCH <key> (FROMMEMBER <member>|FROMLONLAT <lon> <lat>)"
    " (BYRADIUS <radius> <unit>|BYBOX <radius> <radius> <unit>) [WITHDIST] [WITHCOORD] [WITHHASH]": "anyhow",
    "GEOSEARCHSTORE <key> <key> FROMLONLAT <lon> <lat> BYRADIUS <radius> <unit>": "",
}

# Times are compared nowhere: what was delivered when differs. Ids are few, so that commands meet what others left.
STREAMS = {
    "XADD <key> [NOMKSTREAM] [MAXLEN [~|=] <count>|MINID [~|=] <id>] <newid> (<field> <value>)+": "",
    "XADD <key> <newid> a <value> b <value>": "",
    "XADD <key> MAXLEN ~ <count> LIMIT <count> <newid> <field> <value>": "",
    "XLEN <key>": "",
    "XRANGE <key> <start> <end> [COUNT <count>]": "",
    "XREVRANGE <key> <end> <start> [COUNT <count>]": "",
    "XDEL <key> (<id>)+": "",
    "XTRIM <key> (MAXLEN|MINID) [~|=] <id>": "",
    "XSETID <key> <id> [ENTRIESADDED <count>] [MAXDELETEDID <id>]": "",
    "XREAD [COUNT <count>] STREAMS <key> <id>": "",
    "XINFO (STREAM|GROUPS) <key>": "",
    "XGROUP CREATE <key> <group> (<id>|$) [MKSTREAM] [ENTRIESREAD <count>]": "",
    "XGROUP SETID <key> <group> (<id>|$) [ENTRIESREAD <count>]": "",
    "XGROUP DESTROY <key> <group>": "",
    "XGROUP (CREATECONSUMER|DELCONSUMER) <key> <group> <consumer>": "",
    "XREADGROUP GROUP <group> <consumer> [COUNT <count>] [NOACK] STREAMS <key> (>|<id>)": "",
    "XACK <key> <group> (<id>)+": "",
    "XPENDING <key> <group>": "",
    "XPENDING <key> <group> [IDLE 0] <start> <end> <count> [<consumer>]": "near 2000",
    "XCLAIM <key> <group> <consumer> 0 (<id>)+ [RETRYCOUNT <count>] [FORCE] [JUSTID] [LASTID <id>]": "",
    "XAUTOCLAIM <key> <group> <consumer> 0 <start> [COUNT <some>] [JUSTID]": "",
}

# Ranges by member are only defined where all scores are equal.
SORTED_SETS_BY_MEMBER = {
    "ZADD <key> (0 <member>)+": "",
    "ZREM <key> (<member>)+": "",
    "ZRANGE <key> <lexmin> <lexmax> BYLEX [LIMIT <index> <count>]": "",
    "ZRANGE <key> <lexmax> <lexmin> BYLEX REV [LIMIT <index> <count>]": "",
    "ZRANGEBYLEX <key> <lexmin> <lexmax> [LIMIT <index> <count>]": "",
    "ZREVRANGEBYLEX <key> <lexmax> <lexmin> [LIMIT <index> <count>]": "",
    "ZRANGESTORE <key> <key> <lexmin> <lexmax> BYLEX [LIMIT <index> <count>]": "",
    "ZLEXCOUNT <key> <lexmin> <lexmax>": "",
    "ZREMRANGEBYLEX <key> <lexmin> <lexmax>": "",
}

# Not here: OBJECT ENCODING, which Redis' SORT changes for sorted sets. At the end the encodings are compared.
KEYSPACE = {
    "(DEL|UNLINK|EXISTS|TOUCH) (<key>)+": "",
    "TYPE <key>": "",
    "(EXPIRE|PEXPIRE) <key> <seconds> [NX|XX]": "",
    # The same number of seconds a moment later may or may not be a later millisecond.
    "(EXPIRE|PEXPIRE) <key> <seconds> (GT|LT)": "type",
    "PEXPIREAT <key> 9999999999999 [NX|XX|GT|LT]": "",
    "(PERSIST|EXPIRETIME|DUMP) <key>": "type",
    "TTL <key>": "near 2",
    "(RENAME|RENAMENX) <key> <key>": "",
    "COPY <key> <key> [REPLACE]": "",
    "KEYS <pattern>": "sorted",
    "SORT <key> BY nosort [ASC|DESC]": "anyhow",
    "SORT <key> [LIMIT <index> <count>] [ASC|DESC] ALPHA": "",
    "SORT <key> [LIMIT <index> <count>] [ASC|DESC]": "",
    "SORT <key> ALPHA STORE <key>": "",
    "DBSIZE": "",
    "MULTI": "",
    "EXEC": "",
    "DISCARD": "",
    "WATCH <key>": "",
}

GROUPS = {
    "strings": STRINGS,
    "lists": LISTS,
    "hashes": HASHES,
    "sets": SETS,
    "sorted sets": SORTED_SETS,
    "sorted sets by member": SORTED_SETS_BY_MEMBER,
    "streams": STREAMS,
    "everything": {**STRINGS, **LISTS, **HASHES, **SETS, **SORTED_SETS, **STREAMS},
}
