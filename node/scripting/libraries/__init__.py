"""What Redis gives to scripts beside Lua itself: the tables bit, struct, cmsgpack and cjson.

Each is a compiled module that speaks Lua's own C API. So a function is a function to Lua, an error names the function
and the caller's line as in Redis, and nothing of Python is within a script's reach. Functions written in Lua were
rejected: after `return f(x)`, a tail call, their errors know no line. So were functions of Python, which are slower by
far, and whose exceptions arrive in Lua as objects.

Lua takes them by the way that it has for libraries, `package.loadlib`. They are linked to no Lua: their symbols are
those of lupa's interpreter, which is made visible to them here. They use no Python, and no state but the interpreter's.
"""

from __future__ import annotations

import ctypes
from types import ModuleType
from typing import Any

from lupa import lua51

# Loading it again only changes who sees its symbols. What is linked to them can be imported from here on.
ctypes.CDLL(lua51.__file__, mode=ctypes.RTLD_GLOBAL)

import node.scripting.libraries.bits as bits  # noqa: E402
import node.scripting.libraries.json as json  # noqa: E402
import node.scripting.libraries.msgpack as msgpack  # noqa: E402
import node.scripting.libraries.structs as structs  # noqa: E402

# The names of the tables, and the modules that have them.
LIBRARIES: dict[str, ModuleType] = {"bit": bits, "struct": structs, "cmsgpack": msgpack, "cjson": json}

_OPEN = b"""
local name, path = ...
return assert(package.loadlib(path, 'luaopen_' .. name))()
"""


def install(lua: lua51.LuaRuntime) -> None:
    """Put the tables among the globals of a new runtime, which must still have `package`."""
    for name, module in LIBRARIES.items():
        lua.globals()[name.encode()] = open_compiled(lua, name, module)


def open_compiled(lua: lua51.LuaRuntime, name: str, module: ModuleType) -> Any:
    """What the compiled module has for Lua under this name."""
    assert module.__file__ is not None
    return lua.execute(_OPEN, name.encode(), module.__file__.encode())
