"""The same Lua snippets in a bare interpreter with our libraries and, by EVAL, in redis-server: values, errors.

Results are written by `tests.support.lua.wrapped`, in Lua, so that nothing of a reply's conversion is in between.
"""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lupa import lua51

from tests.support.lua import bare_runtime, literal, outcome, wrapped
from tests.support.servers import Pair, Server


class Both:
    """Our interpreter, and redis-server's."""

    def __init__(self, lua: lua51.LuaRuntime, redis: Server) -> None:
        self.lua = lua
        self.redis = redis

    def same(self, snippet: str) -> None:
        assert outcome(self.lua, snippet) == self.redis.call("EVAL", wrapped(snippet), 0)


@pytest.fixture(scope="module")
def both(pair: Pair) -> Both:
    return Both(bare_runtime(), pair.oracle("standalone"))


NUMBER_TEXTS = """
    0 1 -1 1.5 -1.5 0.5 2^31 2^31-1 2^31+0.5 -2^31 2^32 -2^32-1 2^52 2^53 2^53+1 2^62 2^63 2^63-1024 -2^63 2^64 2^65
    -2^70 1e15 1e14 123456789012345 1e16 1e100 1e300 -1e300 1e-7 1e-300 5e-324 0.1 1/3 100 255 256 65535 65536 0*-1 1/0
    -1/0 0/0 127 128 -32 -33 -128 -129 -32768 -32769 3.0000000000000004 16777217 '10' '0x10' 'a' nil {} true
"""
NUMBERS = NUMBER_TEXTS.split()

BIT_CALLS = [
    *(f"bit.{name}({{n}})" for name in ("tobit", "bnot", "bswap", "tohex", "band")),
    *(f"bit.{name}({{n}}, 5)" for name in ("band", "bor", "bxor", "lshift", "rshift", "arshift", "rol", "ror")),
    *(f"bit.{name}(-1234567, {{n}})" for name in ("lshift", "rshift", "arshift", "rol", "ror", "tohex", "bxor")),
]  # fmt: skip


@pytest.mark.parametrize("call", BIT_CALLS)
def test_bit(both: Both, call: str) -> None:
    for number in NUMBERS:
        if not (number == "{}" and "tohex" in call):
            both.same(f"return {call.format(n=number)}")


NUMBER_CALLS = [
    "cmsgpack.pack({n})",
    "cmsgpack.unpack(cmsgpack.pack({n}))",
    "cmsgpack.unpack_one('\\1\\2\\3', {n})",
    "cmsgpack.unpack_limit('\\1\\2\\3', {n})",
    "cmsgpack.pack({{[{n}] = 1}})",
    "cjson.encode({n})",
    "cjson.encode({{{n}}})",
    "cjson.encode({{[{n}] = 1}})",
    "struct.unpack('b', 'abc', {n})",
    *(f"struct.pack('{form}', {{n}})" for form in "bBhHlLTiIfd"),
]


@pytest.mark.parametrize("call", NUMBER_CALLS)
def test_numbers(both: Both, call: str) -> None:
    for number in NUMBERS:
        both.same(f"return {call.format(n=number)}")


SNIPPETS = r"""
    return cjson.encode()
    return cjson.encode(1, 2)
    return cjson.encode(nil)
    return cjson.decode()
    return cjson.decode(nil)
    return cjson.decode({})
    return cjson.decode(12)
    return pcall(cjson.decode)
    return pcall(cjson.encode, {[true] = 1})
    return pcall(cmsgpack.pack)
    return pcall(bit.band)
    return pcall(struct.pack, 'i', {})
    local t = {encode = cjson.encode} return t.encode()
    local e = cjson.encode e()
    return select('#', cjson.encode({}))
    return cjson.encode({{}, {{}}, {a = {}}})
    return cjson.encode({1, nil, 3})
    return cjson.encode({[1] = 1, [2] = 2, [4] = 4, a = 5})
    return cjson.encode({[5] = 1})
    return cjson.encode({[10] = 1})
    return cjson.encode({[11] = 1})
    return cjson.encode({[1] = 1, [11] = 1})
    return cjson.encode({1, 2, 3, 4, 5, [12] = 1})
    return cjson.encode({1, 2, 3, 4, 5, [13] = 1})
    return cjson.encode({[0] = 1})
    return cjson.encode({[-1] = 1})
    return cjson.encode({[1.5] = 1})
    return cjson.encode({[1e10] = 1})
    return cjson.encode({['1'] = 1})
    return cjson.encode({[type] = 1})
    return cjson.encode({[{}] = 1})
    return cjson.encode({a = {b = {c = tostring}}})
    return cjson.encode(coroutine.create(function() end))
    return cjson.encode(cjson.null)
    return cjson.encode({cjson.null, a = cjson.null})
    return cjson.encode(setmetatable({1}, {__index = function() return 2 end}))
    return cjson.encode('\0\1\2\3\4\5\6\7\8\9\10\11\12\13\14\15\16\17\18\19\20\21\22\23\24\25\26\27\28\29\30\31\127\128\255/"')
    return cjson.encode_sparse_array(), cjson.encode_max_depth(), cjson.decode_max_depth(), cjson.encode_number_precision()
    return cjson.encode_keep_buffer(), cjson.encode_invalid_numbers(), cjson.decode_invalid_numbers()
    return cjson.encode_sparse_array(1)
    return cjson.encode_sparse_array('maybe')
    local c = cjson.new() return c.encode_sparse_array(true, -1)
    return cjson.encode_sparse_array(true, 1, 2, 3)
    return cjson.encode_max_depth(0)
    return cjson.encode_max_depth('x')
    return cjson.encode_max_depth(1, 2)
    return cjson.encode_number_precision(15)
    return cjson.encode_number_precision(0)
    return cjson.encode_invalid_numbers('sometimes')
    return cjson.encode_invalid_numbers({})
    return cjson.decode_invalid_numbers('null')
    local c = cjson.new() return c.encode_sparse_array(true), c.encode({[1000] = 1}), c.encode_sparse_array(false, 0, 0)
    local c = cjson.new() c.encode_sparse_array(false, 0) return c.encode({[30] = 1}), c.encode({[2^31] = 1})
    local c = cjson.new() c.encode_sparse_array('on', 1, 0) return c.encode({[2] = 1}), c.encode({1, 2}), c.encode({1, nil, 3})
    local c = cjson.new() c.encode_max_depth(2) return c.encode({{1}}), pcall(c.encode, {{{1}}})
    local c = cjson.new() c.decode_max_depth(2) return c.decode('[[1]]'), pcall(c.decode, '[[[1]]]')
    local c = cjson.new() return c.encode_invalid_numbers('null'), c.encode({0/0, 1/0, -1/0})
    local c = cjson.new() return c.encode_invalid_numbers(true), c.encode({0/0, 1/0, -1/0}), c.encode_invalid_numbers('off')
    local c = cjson.new() c.encode_invalid_numbers('null') return c.encode({[1/0] = 1})
    local c = cjson.new() c.encode_number_precision(3) return c.encode({1234.5678, 100000, 0.1})
    local c = cjson.new() return c.encode_keep_buffer(false), c.encode_keep_buffer('on'), c.encode({1})
    local c = cjson.new() c.decode_invalid_numbers(false) return c.decode('[1, -0, 1e5, -1.5]')
    local c = cjson.new() c.decode_invalid_numbers(false) return c.decode('[01]')
    local c = cjson.new() c.decode_invalid_numbers(false) return c.decode('[-0x1]')
    local c = cjson.new() c.decode_invalid_numbers(false) return c.decode('[inf]')
    local c = cjson.new() c.decode_invalid_numbers(false) return c.decode('[-nan]')
    local c = cjson.new() c.decode_invalid_numbers(false) return c.decode('[+1]')
    local c = cjson.new() return c._NAME, c._VERSION, c.null == cjson.null, c.encode == cjson.encode, type(c.new)
    return cjson._NAME, cjson._VERSION, cmsgpack._NAME, cmsgpack._VERSION, cmsgpack._COPYRIGHT, cmsgpack._DESCRIPTION
    return tostring(cjson.null), type(cjson.null), cjson.null == nil, cjson.null == false, cjson.decode('null') == cjson.null
    return cjson.null.x
    return cjson.null()
    return getmetatable(cjson.null), getmetatable(cjson.encode)
    local t = {} for i = 1, 999 do t = {t} end return cjson.encode(t)
    local t = {} for i = 1, 1000 do t = {t} end return cjson.encode(t)
    local t = {} for i = 1, 1001 do t = {a = t} end return cjson.encode(t)
    local t = {} t.t = t return cjson.encode(t)
    return cjson.encode(cjson.decode(('['):rep(1000) .. (']'):rep(1000)))
    return cjson.decode(('['):rep(1001) .. (']'):rep(1001))
    return cjson.decode(('{"a":'):rep(1001) .. '1' .. ('}'):rep(1001))
    local t = {} for i = 1, 50 do t['key' .. i] = i end return cjson.encode(t), cmsgpack.pack(t)
    local t = {} for i = 1, 70000 do t[i] = i end return cmsgpack.pack(t), cjson.encode(t)
    local t = {} for i = 1, 70000 do t['k' .. i] = i end return cmsgpack.pack(t), cjson.encode(t)
    local s for _, n in ipairs({0, 31, 32, 255, 256, 65535, 65536}) do s = (s or '') .. cmsgpack.pack(('x'):rep(n)) end return s
    local t for i = 1, 20 do t = {t} end return cmsgpack.pack(t)
    local t = {} t.t = t return cmsgpack.pack(t)
    return cmsgpack.pack({[1] = 1, [3] = 3})
    return cmsgpack.pack({1, 2, nil, 4})
    return cmsgpack.pack({[1] = 1, [2] = 2, x = 3})
    return cmsgpack.pack({{}, {a = 1}, {1}})
    return cmsgpack.pack(nil), cmsgpack.pack(type), cmsgpack.pack(cjson.null)
    return cmsgpack.pack(setmetatable({1, 2}, {__index = function() return 7 end}))
    return cmsgpack.pack(1, 'a', {}), select('#', cmsgpack.unpack(cmsgpack.pack(1, nil, nil)))
    local t = {} for i = 1, 4100 do t[i] = 1 end return cmsgpack.pack(unpack(t))
    return cmsgpack.unpack('')
    return cmsgpack.unpack()
    return cmsgpack.unpack(5)
    return cmsgpack.unpack({})
    return cmsgpack.unpack_one('')
    return cmsgpack.unpack_one('\1\2', 1)
    return cmsgpack.unpack_one('\1\2', 2)
    return cmsgpack.unpack_one('\1\2', 3)
    return cmsgpack.unpack_one('\1\2', -1)
    return cmsgpack.unpack_one('\1\2', 'x')
    return cmsgpack.unpack_one({}, 'x')
    return cmsgpack.unpack_limit('\1\2')
    return cmsgpack.unpack_limit('\1\2', 0)
    return cmsgpack.unpack_limit('\1\2', 0, 1)
    return cmsgpack.unpack_limit('\1\2', 9, 1)
    return cmsgpack.unpack_limit('\1\2', -1, 1)
    return cmsgpack.unpack('\129\192\1')
    return cmsgpack.unpack('\129\203\255\255\255\255\255\255\255\255\1')
    return cmsgpack.unpack('\221\255\255\255\255\1\2')
    return cmsgpack.unpack('\223\255\255\255\255\1\2')
    return cmsgpack.unpack('\219\255\255\255\255abc')
    return cmsgpack.unpack(('\145'):rep(100) .. '\1')
    return cmsgpack.unpack(('\145'):rep(10000))
    return cmsgpack.unpack(('\129'):rep(10000))
    return cmsgpack.unpack(('\1'):rep(9000))
    return struct.pack()
    return struct.pack('i')
    return struct.pack('ii', 1)
    return struct.pack('is', 1)
    return struct.pack('c3', 'ab')
    return struct.pack('sc3', 'ab', 'x')
    return struct.pack('s', 12)
    return struct.pack('c0', 'abc'), struct.pack('s', 'a\0b')
    return struct.pack('')
    return struct.pack('i\0z', 1)
    return struct.pack('!i16i3i5', 1, 2, 3)
    return struct.pack('>!8 bi3bi5bd', 1, 2, 3, 4, 5, 6)
    return struct.pack('!0', 1)
    return struct.pack('!6i', 1)
    return struct.pack('i0', 7), struct.unpack('i0', 'abc')
    return struct.unpack('i32', ('\255'):rep(32))
    return struct.unpack('I17', ('\1'):rep(17))
    return struct.unpack('i9', ('\127'):rep(9))
    return struct.unpack('<i9', ('\200'):rep(9))
    return struct.unpack('>!4 b i3 h', ('\200'):rep(30))
    return struct.unpack('ssx', 'a\0bc\0d')
    return struct.unpack('bbc0', '\1\2abc')
    return struct.unpack('bc0', '\200abc')
    return struct.unpack('bc0', '\4abc')
    return struct.unpack('fc0', '\0\0\0\63abc')
    return struct.unpack('dc0', struct.pack('d', 0/0) .. 'abc')
    return struct.unpack('sc0', '2\0abc')
    return struct.unpack('i', 'abcd', -1)
    return struct.unpack('!8 d', 'abcdefgh', -3)
    return struct.unpack('', 'abc', 10)
    return struct.unpack(' ', 'abc', 10)
    return struct.unpack('i', 'abcd', 1.5)
    return struct.unpack('c2147483647', 'abc')
    return struct.unpack('c2147483648', 'abc')
    return struct.unpack('i2147483648', 'abc')
    return struct.unpack(('b'):rep(9000), ('a'):rep(9000))
    return struct.size('!bd'), struct.size('z'), struct.size('c10x'), struct.size('!4 b i8')
    return struct.size('c0')
    return struct.size('s')
    return struct.size('*')
    return struct.size('!')
    return struct.size()
""".strip().splitlines()  # noqa: E501


@pytest.mark.parametrize("snippet", [line.strip() for line in SNIPPETS])
def test_snippets(both: Both, snippet: str) -> None:
    both.same(snippet)


def test_snippets_within_the_sandbox(pair: Pair) -> None:
    ours, redis = pair.ours("standalone"), pair.oracle("standalone")
    for line in SNIPPETS:
        script = wrapped(line.strip())
        assert ours.call("EVAL", script, 0) == redis.call("EVAL", script, 0), line


def test_members(both: Both) -> None:
    for library in ("bit", "struct", "cmsgpack", "cjson"):
        both.same(f"return {library}")


JSON_PIECE_TEXTS = r"""
    [ ] { } : , [ ] { } : , " " "a" "key" "key": "\u00e9" "\ud83d\ude00" "\ud83d" "\ude00" "\ud83dx" "\ud83d\u0041"
    "\u12" "\u12g4" "\n\t\b\f\r\/\\\"" "\x" null true false nul tru
    1 -1 0 -0 01 1.5 1e5 1e400 -1e400 .5 5. 1e 0x1F 0x -0x1p4 inf -inf nan NaN
    Infinity +1 - + 1.2.3 # ' / \ \u0041
"""
JSON_BYTES = [
    *(b" ", b"\t", b"\r\n", b"\x0b", b"\x00", b"\xff", b"\xc3\xa9", b'"\xff\xfe"', b'"\x01"', b'"a\x00b"', b'"\x7f"'),
    *JSON_PIECE_TEXTS.encode().split(),
]
JSON_TEXTS = st.lists(st.sampled_from(JSON_BYTES), max_size=12).map(b"".join)


@given(text=JSON_TEXTS)
def test_any_text_is_decoded_or_refused_alike(both: Both, text: bytes) -> None:
    both.same(f"return cjson.decode({literal(text)})")


@given(text=JSON_TEXTS)
def test_any_array_is_decoded_or_refused_alike(both: Both, text: bytes) -> None:
    both.same(f"return cjson.decode({literal(b'[' + text + b']')})")


@given(data=st.binary(max_size=40) | st.lists(st.sampled_from(range(0x80, 0x100)), max_size=12).map(bytes))
def test_any_bytes_are_unpacked_or_refused_alike(both: Both, data: bytes) -> None:
    both.same(f"return cmsgpack.unpack({literal(data)})")
    both.same(f"return cmsgpack.unpack_limit({literal(data)}, 2, 1)")


OPTIONS = "< > ! !1 !2 !4 !8 !16 x b B h H l L T i I i1 i2 i3 I5 i7 i8 i9 I16 i0 f d s c c0 c3 z"
FORMATS = st.lists(st.sampled_from(OPTIONS.split()), max_size=8).map("".join)


@given(form=FORMATS, seed=st.integers(0, 2**32))
def test_any_format_packs_alike(both: Both, form: str, seed: int) -> None:
    rng = random.Random(seed)
    arguments = [rng.choice(["1", "-2", "300", "-70000", "2^40", "1.5", "'abc'", "''", "'12'"]) for _ in form]
    both.same(f"return struct.pack('{form}', {', '.join(arguments) or 'nil'})")
    both.same(f"return struct.size('{form}')")


@given(form=FORMATS, data=st.binary(max_size=60), start=st.integers(-2, 5))
def test_any_format_unpacks_alike(both: Both, form: str, data: bytes, start: int) -> None:
    both.same(f"return struct.unpack('{form}', {literal(data)}, {start})")


LUA_NUMBERS = st.one_of(
    st.sampled_from([*range(-2, 12), 0.5, -1.5, 2**31, 2**53, 1e15, 1e300]),
    st.floats(allow_nan=False, allow_infinity=False),
)
LUA_SCALARS = st.one_of(
    LUA_NUMBERS.map(lambda number: f"(struct.unpack('<d', {literal(struct.pack('<d', number))}))"),
    st.binary(max_size=8).map(literal),
    st.sampled_from(["true", "false", "nil", "cjson.null", "0/0", "1/0"]),
)
LUA_KEYS = st.one_of(
    st.integers(-1, 6).map(lambda number: f"[{number}]"),
    st.binary(max_size=3).map(lambda data: f"[{literal(data)}]"),
    st.sampled_from(["[1.5]", "[true]", "[1e10]", "[100]"]),
)
LUA_VALUES = st.recursive(
    LUA_SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5).map(lambda items: "{" + ", ".join(items) + "}"),
        st.lists(st.tuples(LUA_KEYS, inner), max_size=5).map(
            lambda items: "{" + ", ".join(f"{key} = {value}" for key, value in items) + "}"
        ),
    ),
    max_leaves=20,
)


@given(value=LUA_VALUES)
def test_any_value_is_encoded_or_refused_alike(both: Both, value: str) -> None:
    both.same(f"return cjson.encode({value})")
    both.same(f"return cmsgpack.pack({value})")
