"""One state of Lua, with the sandbox around whatever runs there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn, Protocol

from lupa import lua51

from node.scripting.errors import ABANDONED, CannotCompile, Failure, LibraryError, ScriptError
from node.scripting.libraries import install, open_compiled
from node.scripting.random import Random, math_random, math_randomseed
from node.scripting.sandbox import HOOK_INSTRUCTIONS, SANDBOX

MEMORY_MAX_BYTES = 2 << 30
"""More than any script needs: one that never stops growing shall end, not the node."""


class Host(Protocol):
    """What an interpreter asks while a script runs."""

    @property
    def running(self) -> bool:
        """Whether one runs: its libraries do not work otherwise."""

    @property
    def protocol(self) -> int:
        """2 or 3: in which version of the protocol the script thinks."""

    def interrupt(self) -> bytes | None:
        """Called every millisecond or so: the error with which the script has to end, if it has to."""

    def count_error(self, code: bytes, counted: bool) -> None:
        """An error is part of a reply. `counted`: a command has said it, and it was counted there."""

    def unexpected(self, error: Exception) -> bytes:
        """A bug of ours has come up: the error that the script gets."""


class Interpreter:
    """`carry_out` runs a command of a script (calls.pyx says how). `api` is what scripts find in `redis` besides.

    That is constants, and functions of Python, which are called with values of Lua. `loading_api` is what the text of a
    library finds there instead, while it is loaded. `deprecated`: scripts have functions with which they can get out of
    the sandbox.
    """

    def __init__(
        self,
        host: Host,
        carry_out: Callable[..., bytes],
        api: Mapping[bytes, Any],
        random: Random,
        loading_api: Mapping[bytes, Any] | None = None,
        deprecated: bool = False,
    ) -> None:
        self._host = host
        self._lua = lua51.LuaRuntime(
            encoding=None,
            unpack_returned_tuples=True,
            register_eval=False,
            register_builtins=False,
            attribute_filter=_refuse,
            max_memory=MEMORY_MAX_BYTES,
        )
        # They are linked to the Lua which `libraries` has made visible, so not before that.
        import node.scripting.calls as calls
        import node.scripting.libraries.guards as checks
        import node.scripting.results as results

        install(self._lua)
        wrap = open_compiled(self._lua, "calls", calls)
        guards = open_compiled(self._lua, "guards", checks)
        call, pcall = wrap(guards[b"host"](carry_out, self._explain))
        services = {
            b"guards": guards,
            b"write": open_compiled(self._lua, "results", results),
            b"explain": self._explain,
            b"interrupt": host.interrupt,
            b"random": partial(math_random, host, random),
            b"randomseed": partial(math_randomseed, host, random),
            b"count_error": host.count_error,
            b"protocol": lambda: host.protocol,
        }
        make = self._lua.eval(b"loadstring")(SANDBOX, b"=sandbox")
        self._language = make(self._lua.table_from(services), HOOK_INSTRUCTIONS)
        loading_table = self._table(loading_api) if loading_api is not None else None
        table = self._table(api)
        self._language[b"put"](table, b"call", call)
        self._language[b"put"](table, b"pcall", pcall)
        self._language[b"close"](table, loading_table, deprecated)
        self._collect: Callable[[], Any] = self._lua.eval(b"collectgarbage")
        self._run: Callable[..., Any] = self._language[b"run"]
        self._define: Callable[..., None] = self._language[b"define"]

    @property
    def used_bytes(self) -> int:
        used: int = self._lua.get_memory_used(total=True)
        return used

    def compile(self, code: bytes, name: bytes) -> Any:
        """A function of Lua; `name` begins with @ and stands in errors. CannotCompile."""
        result = self._language[b"compile"](code, name)
        if isinstance(result, tuple):
            raise CannotCompile(result[1])
        return result

    def define(self, name: bytes, value: Any) -> None:
        """Give scripts a global variable."""
        self._define(name, value)

    def array(self, items: Sequence[bytes]) -> Any:
        return self._lua.table_from(items)

    def load(self, function: Any) -> bytes | None:
        """Run the text of a library; its error, if there is one."""
        error: bytes | None = self._language[b"load"](function)
        return error

    def _table(self, api: Mapping[bytes, Any]) -> Any:
        """A table of the host, its functions as C functions."""
        put = self._language[b"put"]
        table = self._lua.table_from({})
        for name, value in api.items():
            put(table, name, self._with_tables(value) if callable(value) else value)
        return table

    def _with_tables(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose results come to Lua as tables where they are lists and dicts."""
        table_from = self._lua.table_from

        def called(*values: Any) -> Any:
            result = function(*values)
            return table_from(result, recursive=True) if type(result) in (list, dict) else result

        return called

    def run(self, function: Any, protocol: int, *arguments: Any) -> bytes | Failure:
        """Call it: its reply in this version of the protocol, or its error."""
        try:
            ended, *what = self._run(function, protocol, *arguments)
        except lua51.LuaError as error:
            return Failure(None, raw=str(error).encode("utf-8", "surrogateescape"))
        finally:
            if self.used_bytes > MEMORY_MAX_BYTES // 2:
                self._collect()  # at the limit, Lua would not do so by itself
        if ended:
            reply: bytes = what[0]
            return reply
        text, source, line, counted = (*what, None, None, None)[:4]
        if text is None:
            return Failure(None, raw=source or b"")
        return Failure(_text(text), source or b"", line, bool(counted))

    def _explain(self, error: BaseException) -> tuple[bytes, bool, bool]:
        """The text of an exception; whether it has been counted; whether a string of it is enough."""
        if isinstance(error, ScriptError):
            return error.text, error.counted, False
        if isinstance(error, LibraryError):
            return error.text, False, True
        if not isinstance(error, Exception):
            return ABANDONED, False, False  # the greenlet of the script is thrown away
        return self._host.unexpected(error), False, False


def _refuse(obj: object, name: object, setting: bool) -> NoReturn:
    raise AttributeError("objects of the host have no attributes for scripts")


def _text(value: Any) -> bytes:
    """`err` of an error's table, which scripts may have set to a number."""
    return value if isinstance(value, bytes) else b"%.14g" % value
