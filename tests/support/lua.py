"""Lua snippets whose outcome is one string, the same for a bare interpreter and for EVAL on a server."""

from __future__ import annotations

from lupa import lua51

from node.scripting.libraries import install

# `show` writes values so that different ones differ: numbers in full, tables sorted by their keys.
_WRAPPER = b"""local snippet = function() %s end
local show
show = function(v)
  local kind = type(v)
  if kind == 'number' then return string.format('%%.17g', v) end
  if kind == 'string' then return '"' .. v .. '"' end
  if kind == 'function' then return 'function' end
  if kind ~= 'table' then return tostring(v) end
  local parts = {}
  for k, x in pairs(v) do parts[#parts + 1] = show(k) .. '=' .. show(x) end
  table.sort(parts)
  return '{' .. table.concat(parts, ' ') .. '}'
end
local outcome = function(...)
  local parts = {}
  for i = 1, select('#', ...) do parts[i] = show((select(i, ...))) end
  return table.concat(parts, ' ')
end
return outcome(pcall(snippet))
"""


def wrapped(snippet: str | bytes) -> bytes:
    """A script that returns what the snippet (its line 1) returns, or its error, as one string behind true or false."""
    return _WRAPPER % (snippet.encode() if isinstance(snippet, str) else snippet)


def literal(data: bytes) -> str:
    """A Lua string of these bytes."""
    return "'" + "".join(f"\\{byte:03d}" for byte in data) + "'"


def refuse(*_: object) -> str:
    """An attribute filter of lupa that lets nothing through."""
    raise AttributeError("scripts do not see Python's attributes")


def bare_runtime(max_memory: int | None = None) -> lua51.LuaRuntime:
    """Lua 5.1 with the libraries that Redis has, and nothing else of Redis."""
    lua = lua51.LuaRuntime(
        encoding=None,
        unpack_returned_tuples=True,
        register_eval=False,
        register_builtins=False,
        attribute_filter=refuse,
        max_memory=max_memory,
    )
    install(lua)
    return lua


def outcome(lua: lua51.LuaRuntime, snippet: str | bytes) -> bytes:
    """What the wrapped snippet returns in this interpreter; errors name the chunk as Redis does."""
    run = lua.globals()[b"loadstring"](wrapped(snippet), b"@user_script")
    return run()
