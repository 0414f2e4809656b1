"""Our command table against the one of redis-server 7.0.15: rows, documentation and key extraction.

No server of ours is needed: the facts are compared, and what COMMAND replies is made of them.
"""

from __future__ import annotations

from typing import Any

import pytest

from node.commands.groups import load
from node.commands.server.introspect import command_row, documentation
from node.commands.table.keyspec import KEY_FLAGS
from node.commands.table.spec import CommandSpec
from tests.support.peers import needs
from tests.support.servers import Fleet, Server

pytestmark = needs("redis")

REGISTRY = load()
ORACLE_VERSION = (7, 0, 15)

# Where Redis 7.2 differs, and what it changed. Valkey 9 has these rows, too.
CHANGED_BY_7_2 = {
    "zrank": "WITHSCORE: one more argument",
    "zrevrank": "WITHSCORE: one more argument",
    **dict.fromkeys(("blmove", "blpop", "brpop", "brpoplpush"), "not `noscript`: they return at once"),
    **dict.fromkeys(("bzpopmax", "bzpopmin"), "not `noscript`: they return at once"),
    **dict.fromkeys(("command|getkeys", "command|getkeysandflags"), "take a command without arguments"),
    **dict.fromkeys(("cluster|shards", "cluster|slots"), "answered while the node loads"),
    **dict.fromkeys(("config|resetstat", "config|rewrite", "latency|reset"), "tips for proxies"),
    **dict.fromkeys(("msetnx", "randomkey", "scan"), "tips for proxies"),
    **dict.fromkeys(("setnx", "setex", "psetex", "quit"), "deprecated"),
    "client|pause": "since 3.0.0, not 2.9.50",
}

# Where we mean to differ from 7.0, and why.
DIFFERENT = {
    **CHANGED_BY_7_2,
    "client|setname": "tips for proxies; Valkey answers it in the middle of a script, too",
    "wait": "not `noscript`, as in 7.2; Valkey has since called it `blocking`",
    "set": "IFEQ, which is newer",
    "script|debug": "valkey-cli names the engine, too",
    "client|kill": "the notation has no colon in names: `address` stands for `ip:port`",
}


def is_newer(spec: CommandSpec) -> bool:
    """True for what 7.0.15 does not have yet."""
    return _number(spec.since) > ORACLE_VERSION


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def expected_equal() -> list[CommandSpec]:
    everything = [each for spec in REGISTRY for each in (spec, *spec.subcommands.values())]
    return [spec for spec in everything if not is_newer(spec) and spec.name not in DIFFERENT]


@pytest.fixture(scope="module")
def oracle(session_fleet: Fleet) -> Server:
    return session_fleet.oracle("command-table")


def in_resp2(value: Any) -> Any:
    """A reply value as a RESP2 client reads it: maps are flat, simple strings are bytes."""
    if isinstance(value, dict):
        return [in_resp2(item) for pair in value.items() for item in pair]
    if isinstance(value, (list, tuple)):
        return [in_resp2(item) for item in value]
    return value.encode() if isinstance(value, str) else value


def pairs(flat: list[Any]) -> dict[bytes, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def comparable_row(row: list[Any]) -> list[Any]:
    """A row without subcommands, which have rows of their own, and without notes, which are in our own words."""
    name, arity, flags, first, last, step, categories, tips, keys, _ = row
    keys = [{k: v for k, v in pairs(key).items() if k != b"notes"} for key in keys]
    return [name, arity, set(flags), first, last, step, set(categories), tips, keys]


def comparable_docs(flat: list[Any]) -> dict[bytes, Any]:
    """Documentation without the sentences, which are our own; of the history the versions remain."""
    docs = pairs(flat)
    for sentence in (b"summary", b"complexity", b"subcommands"):
        docs.pop(sentence, None)
    if b"history" in docs:
        docs[b"history"] = {version for version, _ in docs[b"history"] if _number(version.decode()) <= ORACLE_VERSION}
    if b"arguments" in docs:
        docs[b"arguments"] = [each for each in docs[b"arguments"] if not _is_newer_argument(pairs(each))]
    return {name: value for name, value in docs.items() if value}


def _is_newer_argument(argument: dict[bytes, Any]) -> bool:
    return _number(argument.get(b"since", b"0").decode()) > ORACLE_VERSION


def test_rows(oracle: Server) -> None:
    specs = expected_equal()
    rows = oracle.call("COMMAND", "INFO", *(spec.name for spec in specs))
    wrong = {}
    for spec, row in zip(specs, rows, strict=True):
        ours = comparable_row(in_resp2(command_row(spec)))
        theirs = comparable_row(row) if row else None
        if ours != theirs:
            wrong[spec.name] = (ours, theirs)
    assert not wrong


@needs("valkey")
def test_rows_that_7_2_has_changed(session_fleet: Fleet) -> None:
    specs = [spec for name in CHANGED_BY_7_2 if (spec := REGISTRY.find(name.encode()))]
    rows = session_fleet.peer("valkey", "command-table-9").call("COMMAND", "INFO", *(spec.name for spec in specs))
    for spec, row in zip(specs, rows, strict=True):
        assert comparable_row(in_resp2(command_row(spec))) == comparable_row(row)


def test_documentation(oracle: Server) -> None:
    specs = expected_equal()
    theirs = pairs(oracle.call("COMMAND", "DOCS", *(spec.name for spec in specs)))
    wrong = {}
    for spec in specs:
        ours = comparable_docs(in_resp2(documentation(spec)))
        theirs_here = comparable_docs(theirs.get(spec.name.encode(), []))
        if ours != theirs_here:
            wrong[spec.name] = (ours, theirs_here)
    assert not wrong


def test_known_differences_are_still_differences(oracle: Server) -> None:
    """A name in the list above that no longer differs must leave it."""
    for name in DIFFERENT:
        spec = REGISTRY.find(name.encode())
        if spec is None:
            continue
        (row,) = oracle.call("COMMAND", "INFO", name)
        docs = pairs(oracle.call("COMMAND", "DOCS", name))[name.encode()]
        same_row = comparable_row(in_resp2(command_row(spec))) == comparable_row(row)
        assert not (same_row and comparable_docs(in_resp2(documentation(spec))) == comparable_docs(docs)), name


# One request a line. Those of commands that are not registered are left out.
KEY_REQUESTS = """
    GET k
    SET k v
    SET k v GET
    SET k v EX 10 get
    SET k GET
    GETEX k EX 1
    MGET a b c
    MSET a 1 b 2
    MSETNX a 1 b 2 c 3
    LCS a b LEN
    APPEND k v
    BITOP AND d a b
    BITFIELD k GET u8 0
    BITFIELD k GET u8 0 OVERFLOW SAT GET u4 1
    BITFIELD k GET u8 0 SET u8 0 1
    BITFIELD k INCRBY u8 0 1
    BITFIELD k OVERFLOW WRAP
    BITFIELD k GET u8
    BITFIELD k nonsense
    BITFIELD_RO k GET u8 0
    DEL a b
    UNLINK a
    EXISTS a a b
    TOUCH a b
    COPY a b REPLACE
    RENAME a b
    OBJECT ENCODING k
    OBJECT HELP
    MEMORY USAGE k
    SORT k
    SORT k BY p STORE d
    SORT k STORE d STORE e
    SORT k LIMIT 0 STORE STORE d
    SORT k BY STORE GET STORE DESC
    SORT k STORE
    SORT_RO k BY p
    BLPOP a b 0
    BLMOVE a b LEFT RIGHT 0
    LMPOP 2 a b LEFT
    LMPOP 0 a LEFT
    LMPOP 3 a LEFT
    LMPOP x a LEFT
    BLMPOP 0 2 a b LEFT
    RPOPLPUSH a b
    SINTERCARD 2 a b LIMIT 1
    SINTERSTORE d a b
    SMOVE a b m
    ZADD k 1 m
    ZUNION 2 a b WEIGHTS 1 2
    ZUNIONSTORE d 2 a b
    ZUNIONSTORE d 0 a b
    ZUNIONSTORE d 3 a b
    ZINTERCARD 2 a b
    ZDIFF 1 a
    ZMPOP 1 a MIN
    BZMPOP 0 1 a MIN
    BZPOPMIN a b 0
    ZRANGESTORE d s 0 -1
    GEORADIUS k 0 0 1 m
    GEORADIUS k 0 0 1 m STORE d
    GEORADIUS k 0 0 1 m STORE d STOREDIST e
    GEORADIUSBYMEMBER k m 1 m STORE d
    GEORADIUS_RO k 0 0 1 m
    GEOSEARCHSTORE d s FROMMEMBER m BYRADIUS 1 m
    PFCOUNT a b
    PFMERGE d a b
    PFADD k
    XADD k * f v
    XREAD STREAMS a b 0 0
    XREAD COUNT 1 BLOCK 0 STREAMS a 0
    XREADGROUP GROUP STREAMS c STREAMS a >
    XGROUP CREATE k g 0
    XINFO STREAM k
    EVAL s 2 a b c
    EVAL s 0
    EVAL s 0 a
    EVAL s 3 a
    EVAL s -1 a
    EVALSHA_RO s 1 a
    FCALL f 1 a
    FCALL_RO f 0
    MIGRATE h 1 k 0 10
    MIGRATE h 1 k 0 10 COPY REPLACE
    WATCH a b
    EXEC
    SPUBLISH ch m
    SSUBSCRIBE a
    SUBSCRIBE a
    PUBLISH a m
    RESTORE k 0 v
    DUMP k
    SCAN 0
    HSCAN k 0
    CONFIG GET a
    DEBUG OBJECT k
    CLUSTER KEYSLOT k
    PING
    GET
    GET a b
"""


def requests() -> list[list[str]]:
    every = [line.split() for line in KEY_REQUESTS.strip().splitlines()]
    every += [
        ["MIGRATE", "h", "1", "", "0", "10", "KEYS", "a", "b"],
        ["MIGRATE", "h", "1", "", "0", "10", "AUTH", "KEYS", "KEYS", "a"],
        ["MIGRATE", "h", "1", "k", "0", "10", "KEYS", "a"],
    ]
    return [words for words in every if REGISTRY.resolve([word.encode() for word in words])]


@pytest.mark.parametrize("words", requests(), ids=" ".join)
def test_keys_and_flags(oracle: Server, words: list[str]) -> None:
    reply = oracle.ask("COMMAND", "GETKEYSANDFLAGS", *words)
    argv = [word.encode() for word in words]
    spec = REGISTRY.resolve(argv)
    assert spec is not None
    uses = spec.key_uses(argv) if spec.accepts(len(argv)) else []
    ours = [[argv[at], [flag.encode() for flag in KEY_FLAGS if flag in flags]] for at, flags in uses]
    if reply.is_error:
        assert not ours, f"Redis says {reply.value}"
    else:
        assert ours == reply.value
