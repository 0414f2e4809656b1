"""bit, struct, cmsgpack and cjson in a bare interpreter: exact values and bytes, errors, limits, and round trips.

tests/compat/test_script_libraries.py asks redis-server the same kind of questions.
"""

from __future__ import annotations

import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lupa import lua51

from tests.support.lua import bare_runtime, literal, outcome


@pytest.fixture(scope="module")
def lua() -> lua51.LuaRuntime:
    return bare_runtime()


VALUES = [
    ("bit.tobit(4294967295)", b"-1"),
    ("bit.tobit(2^31)", b"-2147483648"),
    ("bit.bnot(0)", b"-1"),
    ("bit.band(255, 15, 7)", b"7"),
    ("bit.bor(1, 2, 4, 8)", b"15"),
    ("bit.bxor(5, 1)", b"4"),
    ("bit.lshift(1, 31), bit.lshift(1, 32)", b"-2147483648 1"),
    ("bit.rshift(-1, 28), bit.arshift(-16, 2)", b"15 -4"),
    ("bit.rol(0x12345678, 12), bit.rol(1, 0)", b"1164411171 1"),
    ("bit.ror(0x12345678, 12), bit.ror(1, 32)", b"1736516421 1"),
    ("bit.bswap(0x12345678)", b"2018915346"),
    ("bit.tohex(65535, -2147483648), bit.tohex(65535), bit.tohex(-1, 4), bit.tohex(1, 0)",
     b'"0000FFFF" "0000ffff" "ffff" ""'),
    ("struct.pack('>I2h', 1, -2)", b'"\x00\x01\xff\xfe"'),
    ("struct.pack('<i3', 66051)", b'"\x03\x02\x01"'),
    ("struct.pack('!4bi', 1, 2)", b'"\x01\x00\x00\x00\x02\x00\x00\x00"'),
    ("struct.pack('>d', 1.5), struct.pack('<f', 1.5)", b'"\x3f\xf8\x00\x00\x00\x00\x00\x00" "\x00\x00\xc0\x3f"'),
    ("struct.pack('sxc2c0', 'ab', 'cde', 'f')", b'"ab\x00\x00cdf"'),
    ("struct.unpack('>I2h', '\\0\\1\\255\\254')", b"1 -2 5"),
    ("struct.unpack('bc0s', '\\3abcde\\0f')", b'"abc" "de" 8'),
    ("struct.unpack('i2', 'abcd', 3)", b"25699 5"),
    ("struct.unpack('>i9', '\\255\\255\\255\\255\\255\\255\\255\\255\\254')", b"-2 10"),
    ("struct.size('!8bd'), struct.size('i32'), struct.size('')", b"16 32 0"),
    ("cmsgpack.pack(0, 127, 128, 255, 256, 65535, 65536)",
     b'"\x00\x7f\xcc\x80\xcc\xff\xcd\x01\x00\xcd\xff\xff\xce\x00\x01\x00\x00"'),
    ("cmsgpack.pack(-1, -32, -33, -128, -129, -32768, -32769)",
     b'"\xff\xe0\xd0\xdf\xd0\x80\xd1\xff\x7f\xd1\x80\x00\xd2\xff\xff\x7f\xff"'),
    ("cmsgpack.pack(2^32, -2^31 - 1)", b'"\xcf\x00\x00\x00\x01\x00\x00\x00\x00\xd3\xff\xff\xff\xff\x7f\xff\xff\xff"'),
    ("cmsgpack.pack(0.5, 0.1, 2^63)",
     b'"\xca\x3f\x00\x00\x00\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a\xca\x5f\x00\x00\x00"'),
    ("cmsgpack.pack(nil, true, false, 'ab', {}, {1, 2}, {a = 1}, print)",
     b'"\xc0\xc3\xc2\xa2ab\x90\x92\x01\x02\x81\xa1a\x01\xc0"'),
    ("cmsgpack.pack(('x'):rep(32)):sub(1, 3)", b'"\xd9\x20x"'),
    ("cmsgpack.pack(('x'):rep(256)):sub(1, 4)", b'"\xda\x01\x00x"'),
    ("cmsgpack.pack(('x'):rep(65536)):sub(1, 6)", b'"\xdb\x00\x01\x00\x00x"'),
    ("cmsgpack.unpack('\\1\\161a\\192')", b'1 "a" nil'),
    ("cmsgpack.unpack('\\207\\255\\255\\255\\255\\255\\255\\255\\254')", b"-2"),
    ("cmsgpack.unpack_one('\\1\\2\\3'), cmsgpack.unpack_limit('\\1\\2\\3', 2, 1)", b"1 -1 2 3"),
    ("cjson.encode({1, 'a', true, cjson.null})", b'"[1,"a",true,null]"'),
    ("cjson.encode({}), cjson.encode({a = {}}), cjson.encode({[3] = 1})", b'"{}" "{"a":{}}" "[null,null,1]"'),
    ("cjson.encode(1e15), cjson.encode(2^53), cjson.encode(0.1), cjson.encode(-1)",
     b'"1e+15" "9.007199254741e+15" "0.1" "-1"'),
    ("cjson.encode('\\1\\8\\9\\10\\12\\13\\34/\\92\\127\\200')", b'""\\u0001\\b\\t\\n\\f\\r\\"\\/\\\\\\u007f\xc8""'),
    ("cjson.decode('[1, {\"a\": [null, true]}, 0x10, -1.5e1]')",
     b'{1=1 2={"a"={1=userdata: (nil) 2=true}} 3=16 4=-15}'),
    ("cjson.decode('\"\\\\u00e9\\\\ud83d\\\\ude00\\\\n\\\\/\"')", b'"\xc3\xa9\xf0\x9f\x98\x80\n/"'),
    ("cjson.null == cjson.decode('null'), type(cjson.null), getmetatable(cjson.null)", b'true "userdata" nil'),
]  # fmt: skip


@pytest.mark.parametrize(("expressions", "expected"), VALUES)
def test_values(lua: lua51.LuaRuntime, expressions: str, expected: bytes) -> None:
    assert outcome(lua, f"return {expressions}") == b"true " + expected


ERRORS = [
    ("bit.band()", "bad argument #1 to 'band' (number expected, got no value)"),
    ("bit.bor(1, {})", "bad argument #2 to 'bor' (number expected, got table)"),
    ("struct.pack('z', 1)", "bad argument #1 to 'pack' (invalid format option 'z')"),
    ("struct.pack('i')", "bad argument #2 to 'pack' (number expected, got nil)"),
    ("struct.pack('i33', 1)", "integral size 33 is larger than limit of 32"),
    ("struct.pack('i99999999999', 1)", "integral size overflow"),
    ("struct.pack('!3', 1)", "alignment 3 is not a power of 2"),
    ("struct.unpack('I4', 'abc')", "bad argument #2 to 'unpack' (data string too short)"),
    ("struct.unpack('c0', 'abc')", "format 'c0' needs a previous size"),
    ("struct.unpack('s', 'abc')", "unfinished string in data"),
    ("struct.unpack('i', 'abcd', 0)", "bad argument #3 to 'unpack' (offset must be 1 or greater)"),
    ("struct.size('s')", "bad argument #1 to 'size' (option 's' has no fixed size)"),
    ("cmsgpack.pack()", "bad argument #0 to 'pack' (MessagePack pack needs input.)"),
    ("cmsgpack.unpack('\\205\\1')", "Missing bytes in input."),
    ("cmsgpack.unpack('\\193')", "Bad data format in input."),
    ("cmsgpack.unpack_one('a', 2)", "Start offset 2 greater than input length 1."),
    ("cmsgpack.unpack_one('a', -1)", "Invalid request to unpack with offset of -1 and limit of 1."),
    ("cjson.encode()", "bad argument #1 to 'encode' (expected 1 argument)"),
    ("cjson.encode(print)", "Cannot serialise function: type not supported"),
    ("cjson.encode({[true] = 1})", "Cannot serialise boolean: table key must be a number or string"),
    ("cjson.encode({[1000] = 1})", "Cannot serialise table: excessively sparse array"),
    ("cjson.encode(1 / 0)", "Cannot serialise number: must not be NaN or Inf"),
    ("cjson.decode('[1,}')", "Expected value but found T_OBJ_END at character 4"),
    ("cjson.decode('{1:2}')", "Expected object key string but found T_NUMBER at character 2"),
    ("cjson.decode('\"a')", "Expected value but found unexpected end of string at character 3"),
    ("cjson.decode('\"\\\\ud800\"')", "Expected value but found invalid unicode escape code at character 2"),
    ("cjson.decode('\\0\\0')", "JSON parser does not support UTF-16 or UTF-32"),
    ("cjson.encode_max_depth(0)", "bad argument #1 to 'encode_max_depth' (expected integer between 1 and 2147483647)"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "expected"), ERRORS)
def test_errors_name_function_and_line(lua: lua51.LuaRuntime, call: str, expected: str) -> None:
    # A tail call, too, tells the line: the functions are C functions to Lua.
    assert outcome(lua, f"return {call}") == f'false "user_script:1: {expected}"'.encode()


def test_every_member_is_a_function_or_a_plain_value(lua: lua51.LuaRuntime) -> None:
    """No member is an object of Python: those are userdata with a metatable."""
    snippet = """
        local kinds = {}
        for _, library in ipairs({bit, struct, cmsgpack, cjson}) do
            for name, member in pairs(library) do kinds[type(member)] = (kinds[type(member)] or 0) + 1 end
        end
        return kinds"""
    assert outcome(lua, snippet) == b'true {"function"=29 "string"=6 "userdata"=1}'


def test_settings_are_of_one_interpreter_and_new_has_its_own() -> None:
    first, second = bare_runtime(), bare_runtime()
    assert outcome(first, "return cjson.encode_number_precision(3), cjson.new().encode(1.2345)") == b'true 3 "1.2345"'
    assert outcome(first, "return cjson.encode(1.2345)") == b'true "1.23"'
    assert outcome(second, "return cjson.encode(1.2345)") == b'true "1.2345"'


@pytest.mark.parametrize(
    ("snippet", "expected"),
    [
        ("local t = {} for i = 1, 999 do t = {t} end return #cjson.encode(t)", b"true 2000"),
        (
            "local t = {} for i = 1, 1000 do t = {t} end return cjson.encode(t)",
            b'false "user_script:1: Cannot serialise, excessive nesting (1001)"',
        ),
        ("local t = {} t[1] = t return #cmsgpack.pack(t)", b"true 17"),
        ("return #cjson.decode(('['):rep(1000) .. (']'):rep(1000))", b"true 1"),
        (
            "return cjson.decode(('['):rep(1e6))",
            b'false "user_script:1: Found too many nested data structures (1001) at character 1001"',
        ),
        ("cjson.decode_max_depth(1e9) return pcall(cjson.decode, ('['):rep(1e6))", b"true false"),
        ("local t = {} cjson.encode_max_depth(1e9) t[1] = t return pcall(cjson.encode, t)", b"true false"),
        ("return pcall(cmsgpack.unpack, ('\\145'):rep(1e6))", b"true false"),
        ("return pcall(cmsgpack.unpack, ('\\129'):rep(1e6))", b"true false"),
        ("return pcall(cmsgpack.unpack, ('\\1'):rep(1e5))", b"true false"),
        ("return pcall(struct.unpack, ('b'):rep(1e5), ('a'):rep(1e5))", b"true false"),
        ("return pcall(cmsgpack.unpack, '\\221\\255\\255\\255\\255\\1')", b'true false "Missing bytes in input."'),
    ],
)
def test_nesting_and_counts_are_bounded(snippet: str, expected: bytes) -> None:
    assert outcome(bare_runtime(), snippet).startswith(expected)


@pytest.mark.parametrize(
    "snippet",
    [
        "local t = {} for i = 1, 40 do t = {t, t} end return pcall(cjson.encode, t)",
        "cjson.encode_sparse_array(true, 0) return pcall(cjson.encode, {[2^31 - 1] = 1})",
        "local s = ('x'):rep(1e6) local t = {} for i = 1, 100 do t[i] = s end return pcall(cmsgpack.pack, t)",
        "local s = ('x'):rep(2e6) return pcall(struct.pack, ('s'):rep(8), s, s, s, s, s, s, s, s)",
    ],
)
def test_a_result_larger_than_memory_is_an_error(snippet: str) -> None:
    lua = bare_runtime(max_memory=30 << 20)
    assert outcome(lua, snippet).startswith(b"true false")
    assert outcome(lua, "collectgarbage() return cjson.encode({1})") == b'true "[1]"'


SCALARS = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=20)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=6), inner, min_size=1, max_size=6),
    max_leaves=30,
)


def with_objects_for_empty_lists(value: object) -> object:
    """What comes back of a value: Lua has one kind of table, and an empty one is an object."""
    if isinstance(value, list):
        return [with_objects_for_empty_lists(item) for item in value] or {}
    if isinstance(value, dict):
        return {key: with_objects_for_empty_lists(item) for key, item in value.items()}
    return value


@given(value=JSON)
def test_json_comes_back(lua: lua51.LuaRuntime, value: object) -> None:
    text = literal(json.dumps(value).encode())
    encoded = outcome(lua, f"cjson.encode_sparse_array(true) return cjson.encode(cjson.decode({text}))")
    assert json.loads(encoded.removeprefix(b'true "').removesuffix(b'"')) == with_objects_for_empty_lists(value)


@given(value=JSON)
def test_msgpack_comes_back(lua: lua51.LuaRuntime, value: object) -> None:
    text = literal(json.dumps(value).replace("null", "false").encode())  # nil is no value of a table
    there = outcome(lua, f"return cjson.decode({text})")
    assert outcome(lua, f"return cmsgpack.unpack(cmsgpack.pack(cjson.decode({text})))") == there


@given(number=st.floats(), order=st.sampled_from("<>"), kind=st.sampled_from("df"))
def test_floats_are_packed_as_pythons(lua: lua51.LuaRuntime, number: float, order: str, kind: str) -> None:
    data = struct.pack("<d", number)
    try:
        expected = struct.pack(order + kind, number)
    except OverflowError:  # C's cast makes it infinite
        expected = struct.pack(order + kind, math.copysign(math.inf, number))
    if math.isnan(number):
        return
    snippet = f"return struct.pack('{order}{kind}', (struct.unpack('<d', {literal(data)})))"
    assert outcome(lua, snippet) == b'true "' + expected + b'"'
