"""What no script may get: compiled functions, objects of Python, tables of the host, memory without limit."""

from __future__ import annotations

import pytest

from node.scripting import interpreter
from tests.support.embedded import Embedded


def evaluate(script: str) -> object:
    return Embedded().client()("EVAL", script, "0")


@pytest.mark.parametrize(
    "load",
    [
        "loadstring(string.dump(function() return 1 end))",
        "loadstring('\\27Lua')",
        "load((function() local n = 0 return function() n = n + 1 return n == 1 and '\\27Lua' or nil end end)())",
    ],
)
def test_byte_code_is_refused(load: str) -> None:
    assert evaluate(f"return type({load})") == b"nil"


@pytest.mark.parametrize(
    "error",
    [
        "pcall(redis.call, 'nosuch')",
        "pcall(redis.setresp, 9)",
        "pcall(math.random, {})",
        "load(function() redis.setresp(9) end)",
        "xpcall(function() redis.setresp(9) end, function(e) return e end)",
        "coroutine.resume(coroutine.create(function() redis.setresp(9) end))",
        "pcall(coroutine.wrap(function() redis.setresp(9) end))",
        "pcall(string.gsub, 'a', 'a', function() redis.setresp(9) end)",
    ],
)
def test_no_exception_of_python_reaches_a_script(error: str) -> None:
    assert evaluate(f"local _, e = {error} return type(e)") in (b"string", b"table")


@pytest.mark.parametrize(
    "change",
    [
        "redis.call = 1",
        "string.rep = 1",
        "rawset(redis, 'call', 1)",
        "rawset(_G, 'x', 1)",
        "table.insert(redis, 1)",
        "setmetatable(redis, {})",
        "setmetatable(_G, nil)",
        "getmetatable(_G).__index = nil",
        "getmetatable('').__index = {}",
        "getmetatable('').__index.rep = 1",
        "cjson.encode = 1",
        "for _, library in pairs(_G) do if type(library) == 'table' then library.x = 1 end end",
    ],
)
def test_tables_of_the_host_cannot_be_changed(change: str) -> None:
    assert "Attempt to modify a readonly table" in str(evaluate(change))


OUTSIDE = "debug dofile getfenv io loadfile module newproxy os package print python require setfenv"


@pytest.mark.parametrize("name", OUTSIDE.split())
def test_what_reaches_out_is_absent(name: str) -> None:
    assert "nonexistent global variable" in str(evaluate(f"return {name}"))


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("return string.rep('x', 2^30)", "resulting string too large"),
        ("return ('x'):rep(2^20):rep(2^11 - 1)", "resulting string too large"),
        ("return unpack({}, -2^31 + 2, 2^31 - 1)", "too many results to unpack"),
        ("local function f() return 1 + f() end return f()", "stack overflow"),
        ("local function f() return (string.gsub('a', 'a', f)) end return f()", "C stack overflow"),
    ],
)
def test_limits_are_errors(script: str, error: str) -> None:
    assert error in str(evaluate(script))


def test_repeated_strings_are_whole() -> None:
    assert evaluate("return ('abc'):rep(3)") == b"abcabcabc"
    assert evaluate("return ('abc'):rep(-1) .. ('abc'):rep(0) .. (''):rep(2^31 - 1)") == b""


@pytest.mark.parametrize(
    "script",
    [
        "local s = 'x' while true do s = s .. s end",
        "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end",
        "return ('x'):rep(2^27)",
        "local t = {} for i = 1, 40 do t = {t, t} end return cjson.encode(t)",
        "local t = {} pcall(function() while true do t[#t + 1] = ('x'):rep(1000) .. #t end end) return #t",
    ],
)
def test_a_script_that_never_stops_growing_ends(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr(interpreter, "MEMORY_MAX_BYTES", 20 << 20)
    client = Embedded().client()
    reply = client("EVAL", script, "0")
    assert "not enough memory" in str(reply) or isinstance(reply, int)
    assert client("EVAL", "return #('x'):rep(2^22)", "0") == 1 << 22
