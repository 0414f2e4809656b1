"""What scripts find in `redis`: functions of Python, which the interpreter makes C functions of Lua."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Any

from node.monitoring.log import LEVELS
from node.replies import CommandError
from node.requests.dispatch import find
from node.scripting.errors import ScriptError
from node.version import REDIS_VERSION

if TYPE_CHECKING:
    from node.scripting.functions import Functions
    from node.scripting.running import Run
    from node.scripting.scripts import Scripts

REPL_NONE, REPL_AOF, REPL_REPLICA = 0, 1, 2
REPL_ALL = REPL_AOF | REPL_REPLICA


class Api:
    """`redis` of one node's scripts; `run` is the one that runs, if one does."""

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def common(self) -> dict[bytes, Any]:
        """What EVAL and functions share."""
        return {
            b"setresp": self.setresp,
            b"sha1hex": sha1hex,
            b"error_reply": error_reply,
            b"status_reply": status_reply,
            b"set_repl": self.set_repl,
            b"acl_check_cmd": self.acl_check_cmd,
            b"REPL_NONE": REPL_NONE,
            b"REPL_AOF": REPL_AOF,
            b"REPL_SLAVE": REPL_REPLICA,
            b"REPL_REPLICA": REPL_REPLICA,
            b"REPL_ALL": REPL_ALL,
            **self.everywhere(),
        }

    def everywhere(self) -> dict[bytes, Any]:
        """What a library finds even while it is loaded."""
        levels = {b"LOG_" + level.upper().encode(): number for number, level in enumerate(LEVELS)}
        major, minor, patch = (int(part) for part in REDIS_VERSION.split("."))
        return {
            b"log": self.log,
            b"REDIS_VERSION": REDIS_VERSION.encode(),
            b"REDIS_VERSION_NUM": major << 16 | minor << 8 | patch,
            **levels,
        }

    def for_eval(self) -> dict[bytes, Any]:
        """`breakpoint` and `debug` have nothing to do without a debugger, and commands are always replicated singly."""
        return {
            b"breakpoint": lambda: False,
            b"debug": lambda *values: (),
            b"replicate_commands": lambda: True,
            **self.common(),
        }

    def for_libraries(self, functions: Functions) -> dict[bytes, Any]:
        """What the text of a library finds, while it is loaded."""
        from node.scripting.registering import register_function

        return {b"register_function": partial(register_function, functions), **self.everywhere()}

    # -- commands

    def carry_out(self, *words: Any) -> bytes:
        """A command of the script, as any client's, after the gates for scripts; its reply. See calls.pyx."""
        scripts = self._scripts
        run = scripts.run
        if run is None:
            return b"!ERR redis.call/pcall can only be called inside a script invocation"
        verdict = scripts.interrupt()
        if verdict is not None:
            return b"!" + verdict
        argv = list(words) if type(words[0]) is bytes else list(words[0].values())
        try:
            command = run.admit(argv)
        except ScriptError as error:
            return b"-%s\r\n" % error.text
        session = run.session
        session.perform(command, argv)
        return session.take_output()

    def setresp(self, *values: Any) -> tuple[()]:
        run = self._running("redis.setresp")
        if len(values) != 1:
            raise ScriptError(b"ERR redis.setresp() requires one argument.")
        protocol = number(values[0])
        if protocol not in (2, 3):
            raise ScriptError(b"ERR RESP version must be 2 or 3.")
        run.session.proto = protocol
        return ()

    def set_repl(self, *values: Any) -> tuple[()]:
        """One stream serves the log of writes and the replicas: whether it is for the replicas decides for both."""
        run = self._running("redis.set_repl")
        if len(values) != 1:
            raise ScriptError(b"ERR redis.set_repl() requires one argument.")
        whither = number(values[0])
        if whither & ~REPL_ALL:
            raise ScriptError(
                b"ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE."
            )
        run.records(bool(whither & REPL_REPLICA))
        return ()

    def acl_check_cmd(self, *words: Any) -> bool:
        """The only user may do everything that there is."""
        self._running("redis.acl_check_cmd")
        if isinstance(find(self._scripts.commands, arguments(words)), CommandError):
            raise ScriptError(b"ERR Invalid command passed to redis.acl_check_cmd()")
        return True

    def _running(self, name: str) -> Run:
        run = self._scripts.run
        if run is None:
            raise ScriptError(f"ERR {name} can only be called inside a script invocation".encode())
        return run

    # -- the rest

    def log(self, *values: Any) -> tuple[()]:
        if len(values) < 2:
            raise ScriptError(b"ERR redis.log() requires two arguments or more.")
        level, *parts = values
        if is_number(level) or (isinstance(level, bytes) and level.strip().isdigit()):
            chosen = int(level)
        else:
            raise ScriptError(b"ERR First argument must be a number (log level).")
        if not 0 <= chosen < len(LEVELS):
            raise ScriptError(b"ERR Invalid debug level.")
        text = b" ".join(as_string(part) for part in parts if is_number(part) or isinstance(part, bytes))
        self._scripts.log.write(LEVELS[chosen], text.decode("utf-8", "replace"))
        return ()


def sha1hex(*values: Any) -> bytes:
    if len(values) != 1:
        raise ScriptError(b"ERR wrong number of arguments")
    value = values[0]
    data = value if isinstance(value, bytes) else as_string(value) if is_number(value) else b""
    return hashlib.sha1(data).hexdigest().encode()


def error_reply(*values: Any) -> dict[bytes, bytes]:
    if len(values) != 1 or not isinstance(values[0], bytes):
        return {b"err": b"ERR wrong number or type of arguments"}
    code, blank, message = values[0].split(b"\0")[0].removeprefix(b"-").partition(b" ")
    return {b"err": b"%s %s" % (code, message.strip(b"\r\n")) if blank else b"ERR " + code.strip(b"\r\n")}


def status_reply(*values: Any) -> dict[bytes, bytes]:
    if len(values) != 1 or not isinstance(values[0], bytes):
        return {b"err": b"ERR wrong number or type of arguments"}
    return {b"ok": values[0]}


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def number(value: Any) -> int:
    """As Lua takes any value for one; 0 if it is none."""
    try:
        return int(float(value)) if is_number(value) or isinstance(value, bytes) else 0
    except (ValueError, OverflowError):
        return 0


def as_string(value: Any) -> bytes:
    """A string or a number, as Lua itself shows it."""
    return value if isinstance(value, bytes) else b"%.14g" % value


def arguments(values: tuple[Any, ...]) -> list[bytes]:
    """The words of a command."""
    if not values:
        raise ScriptError(b"ERR Please specify at least one argument for this redis lib call")
    if not all(isinstance(value, bytes) or is_number(value) for value in values):
        raise ScriptError(b"ERR Lua redis lib command arguments must be strings or integers")
    return [as_string(value) for value in values]
