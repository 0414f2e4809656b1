"""What a script returns, as its client is told, and what commands reply, as a script is told: drawn by hypothesis."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.compare import difference, same_but_for_doubles
from tests.support.lua import literal, wrapped
from tests.support.resp import Connection, Frame, Word
from tests.support.servers import Pair

TEXTS = st.one_of(
    st.sampled_from([b"", b"OK", b"ERR no", b"MY err", b"-x y", b" a ", b"a\r\nb", b"\nx\n", b"a\0b", b"123", b"txt"]),
    st.binary(max_size=6),
).map(literal)
NUMBERS = st.one_of(
    st.sampled_from([0, -1, 1.5, -1.9, 2**31, 2**53, 2**62, -(2**63), 1e17, 0.1]),
    st.floats(-1e18, 1e18),
).map(lambda number: f"(struct.unpack('<d', {literal(struct.pack('<d', number))}))")
SCALARS = TEXTS | NUMBERS | st.sampled_from(["true", "false", "nil", "cjson.null", "type", "0/0", "1/0", "-1/0", "{}"])


def table(fields: list[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{key} = {value}" for key, value in fields) + "}"


def special(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Tables that stand for a type of the protocol, also with something else in the place of their value."""
    return st.one_of(
        st.tuples(st.sampled_from(["ok", "err", "double", "big_number", "map", "set"]), TEXTS | NUMBERS | inner).map(
            lambda pair: table([pair])
        ),
        TEXTS.map(lambda text: table([("err", text)])),
        TEXTS.map(lambda text: table([("ok", text)])),
        TEXTS.map(lambda text: table([("big_number", text)])),
        NUMBERS.map(lambda number: table([("double", number)])),
        st.tuples(TEXTS | inner, TEXTS | inner).map(
            lambda pair: table([("verbatim_string", table([("format", pair[0]), ("string", pair[1])]))])
        ),
        # One member: the order of more depends on where Lua has put them.
        st.tuples(TEXTS | st.just("true"), inner).map(
            lambda pair: table([("map", "{" + f"[{pair[0]}] = {pair[1]}" + "}")])
        ),
        TEXTS.map(lambda text: table([("set", "{" + f"[{text}] = true" + "}")])),
    )


VALUES = st.recursive(
    SCALARS | special(SCALARS),
    lambda inner: st.lists(inner, max_size=5).map(lambda items: "{" + ", ".join(items) + "}") | special(inner),
    max_leaves=12,
)


class Both:
    """A connection to our node and one to redis-server, in one version of the protocol."""

    def __init__(self, pair: Pair, protocol: int) -> None:
        servers = (pair.ours("standalone"), pair.oracle("standalone"))
        self.connections: list[Connection] = [server.connect(protocol) for server in servers]

    def ask(self, *words: Word) -> list[Frame]:
        for connection in self.connections:
            connection.send(*words)
        return [connection.read() for connection in self.connections]

    def same(self, *words: Word) -> None:
        ours, theirs = self.ask(*words)
        assert same_but_for_doubles(ours, theirs), difference(repr(words), ours, theirs)


@pytest.fixture(scope="module", params=[2, 3], ids=["resp2", "resp3"])
def both(pair: Pair, request: pytest.FixtureRequest) -> Both:
    return Both(pair, request.param)


@pytest.mark.parametrize("script_protocol", [2, 3])
@given(value=VALUES)
def test_what_a_script_returns(both: Both, script_protocol: int, value: str) -> None:
    both.same("EVAL", f"redis.setresp({script_protocol}) return {value}", 0)


COMMANDS = r"""
    {'get', 'nothing'} {'set', 'k', 'v'} {'get', 'k'} {'get', 'k', 'k'} {'nosuch', 'k'} {'incr', 'k'} {'strlen', 'k'} {'type', 'k'}
    {'rpush', 'l', 'a', 'b'} {'lrange', 'l', '0', '-1'} {'lpop', 'nothing'} {'lpop', 'nothing', '1'} {'lpos', 'l', 'z'} {'hset', 'h', 'f', 'v'}
    {'hgetall', 'h'} {'hmget', 'h', 'f', 'g'} {'sadd', 's', 'm'} {'smembers', 's'} {'sismember', 's', 'm'} {'smismember', 's', 'm', 'n'}
    {'zadd', 'z', '1.5', 'm'} {'zscore', 'z', 'm'} {'zscore', 'z', 'n'} {'zrange', 'z', '0', '-1', 'withscores'} {'zrandmember', 'z'}
    {'zmscore', 'z', 'm', 'n'} {'xadd', 'x', '1-*', 'f', 'v'} {'xrange', 'x', '-', '+'} {'xinfo', 'stream', 'nothing'} {'config', 'get', 'maxmemory'}
    {'debug', 'protocol', 'bignum'} {'debug', 'protocol', 'double'} {'debug', 'protocol', 'null'} {'debug', 'protocol', 'map'}
    {'debug', 'protocol', 'set'} {'debug', 'protocol', 'verbatim'} {'debug', 'protocol', 'true'} {'debug', 'protocol', 'false'} {'debug', 'protocol', 'attrib'}
    {'debug', 'protocol', 'string'} {'debug', 'protocol', 'integer'} {'debug', 'protocol', 'array'} {'ping'} {'echo', 1.5}
    {'echo', true} {'echo', {}} {'echo', 12} {'multi'} {'eval', 'return 1', '0'} {} {'command', 'count', 'x'} {'object', 'encoding', 'nothing'}
""".strip()  # noqa: E501
CALLS = [line + "}" for line in COMMANDS.replace("\n", " ").replace("    ", " ").split("} ")]
CALLS[-1] = CALLS[-1].removesuffix("}")


@pytest.mark.parametrize("script_protocol", [2, 3])
@pytest.mark.parametrize("call", CALLS)
def test_what_a_command_replies(both: Both, script_protocol: int, call: str) -> None:
    for words in (
        "DEL k l h s z x",
        "SET k v",
        "RPUSH l a",
        "HSET h f v",
        "SADD s m",
        "ZADD z 1.5 m",
        "XADD x 1-1 f v",
    ):
        both.ask(*words.split())
    begin = f"redis.setresp({script_protocol}) local words = {call} "
    both.same("EVAL", begin + "return redis.call(unpack(words))", 0)
    both.same("EVAL", begin + "return redis.pcall(unpack(words))", 0)
    both.same("EVAL", wrapped(begin + "return redis.pcall(unpack(words))"), 0)
    both.same("EVAL", wrapped(begin + "return pcall(redis.call, unpack(words))"), 0)
