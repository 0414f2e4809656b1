"""redis.register_function, in both forms: with a name and a function, or with one table of named arguments."""

from __future__ import annotations

from typing import Any

from lupa import lua51

from node.scripting.api import as_string, is_number
from node.scripting.errors import ScriptError
from node.scripting.functions import Function, Functions
from node.scripting.shebang import FLAGS


def register_function(functions: Functions, *values: Any) -> tuple[()]:
    if functions.loading is None:
        raise ScriptError(b"ERR redis.register_function can only be called on FUNCTION LOAD command")
    if not 1 <= len(values) <= 2:
        raise ScriptError(b"ERR wrong number of arguments to redis.register_function")
    functions.loading.add(_named(values[0]) if len(values) == 1 else _positional(*values))
    return ()


def _positional(name: Any, callback: Any) -> Function:
    if not _is_string(name):
        raise ScriptError(b"ERR first argument to redis.register_function must be a string")
    if not _is_function(callback):
        raise ScriptError(b"ERR second argument to redis.register_function must be a function")
    return Function(as_string(name), callback)


def _named(table: Any) -> Function:
    if lua51.lua_type(table) != "table":
        raise ScriptError(
            b"ERR calling redis.register_function with a single argument is only applicable to Lua table (representing "
            b"named arguments)."
        )
    found: dict[bytes, Any] = {}
    for key, value in table.items():
        if not _is_string(key):
            raise ScriptError(b"ERR named argument key given to redis.register_function is not a string")
        name = as_string(key).lower()
        found[name] = _argument(name, value)
    if b"function_name" not in found:
        raise ScriptError(b"ERR redis.register_function must get a function name argument")
    if b"callback" not in found:
        raise ScriptError(b"ERR redis.register_function must get a callback argument")
    flags = found.get(b"flags", frozenset())
    return Function(found[b"function_name"], found[b"callback"], flags, found.get(b"description"))


def _argument(name: bytes, value: Any) -> Any:
    """One named argument, checked."""
    if name in (b"function_name", b"description"):
        if not _is_string(value):
            raise ScriptError(b"ERR %s argument given to redis.register_function must be a string" % name)
        return as_string(value)
    if name == b"callback":
        if not _is_function(value):
            raise ScriptError(b"ERR callback argument given to redis.register_function must be a function")
        return value
    if name == b"flags":
        if lua51.lua_type(value) != "table":
            raise ScriptError(
                b"ERR flags argument to redis.register_function must be a table representing function flags"
            )
        return _flags(value)
    raise ScriptError(b"ERR unknown argument given to redis.register_function")


def _flags(table: Any) -> frozenset[bytes]:
    flags = set()
    at = 1
    while (value := table[at]) is not None:
        flag = as_string(value).lower() if _is_string(value) else b""
        if flag not in FLAGS:
            raise ScriptError(b"ERR unknown flag given")
        flags.add(flag)
        at += 1
    return frozenset(flags)


def _is_string(value: Any) -> bool:
    """As Lua sees it, numbers are strings."""
    return isinstance(value, bytes) or is_number(value)


def _is_function(value: Any) -> bool:
    return lua51.lua_type(value) == "function" or (callable(value) and lua51.lua_type(value) is None)
