"""Every kind of reply value and every reply text that more than one command uses.

Handlers return plain Python values and the engine's writer renders them in the client's protocol:

    None -> null          bytes -> bulk string     str -> simple string      int -> integer
    bool -> boolean       float -> double          list, tuple -> array      dict -> map

RESP2 has no booleans, doubles, maps, sets or pushes: there they become integers, bulk strings and (flat) arrays.
What those types cannot say has a small class here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, Union

Reply: TypeAlias = Union[
    bytes,
    bytearray,
    memoryview,
    str,
    int,
    float,
    Sequence["Reply"],
    Mapping[Any, "Reply"],  # of any kind of keys that are replies: Mapping[X, ...] would be of X alone
    "CommandError",
    "Attributed",
    "Verbatim",
    "BigNumber",
    "Raw",
    "Blocked",
    "_Marker",
    None,
]
"""What a handler returns. Any sequence or mapping here stands for a list, a tuple or a dict."""


class CommandError(Exception):
    """An error reply. The text starts with its code (`ERR`, `WRONGTYPE` ...), as clients parse it."""

    def __init__(self, text: str | bytes) -> None:
        super().__init__(text)
        self.text = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text

    @property
    def code(self) -> bytes:
        """The first word, as INFO errorstats counts it."""
        return self.text.split(b" ", 1)[0]


class Redirection(CommandError):
    """The request belongs to another node, or to none. EXEC passes it on as it is: clients look for its first word."""


class ProtocolError(Exception):
    """The client broke the protocol: it gets the text as an error and its connection is closed."""


class _Marker:
    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


NULL_ARRAY = _Marker("NULL_ARRAY")
NO_REPLY = _Marker("NO_REPLY")


class ReplySet(list[Reply]):
    """An unordered collection: `~` in RESP3, an array in RESP2."""

    __slots__ = ()


class Push(list[Reply]):
    """An out-of-band message: `>` in RESP3, an array in RESP2."""

    __slots__ = ()


class Attributed:
    """A reply with an attribute map before it (RESP3 only)."""

    __slots__ = ("attributes", "value")

    def __init__(self, attributes: Mapping[bytes, Reply], value: Reply) -> None:
        self.attributes = attributes
        self.value = value


class Verbatim:
    """Text with a three-letter format: `=` in RESP3, a bulk string in RESP2."""

    __slots__ = ("data", "format")

    def __init__(self, data: bytes, format: str = "txt") -> None:
        self.data = data
        self.format = format


class BigNumber:
    """An integer of any size: `(` in RESP3, a bulk string in RESP2."""

    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        self.value = value


class Raw:
    """Bytes that already are a reply."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class Blocked:
    """The command waits: for one of `keys` to become ready, or until `timeout_ms` has passed (0: for ever).

    `resume(session)` tries the command again when a key may be ready and returns the reply, or None to go on waiting.
    `on_timeout` is the reply when time is up. `kind` is the type of value that is waited for ("group": a stream by
    readers of the group named `group`), or what else. `forget(session)` is called when the wait ends, however it does.
    """

    __slots__ = ("forget", "group", "keys", "kind", "on_timeout", "resume", "timeout_ms")

    def __init__(
        self,
        keys: list[bytes],
        timeout_ms: int,
        resume: Callable[[Any], Reply | None],
        on_timeout: Reply | Callable[[], Reply] = NULL_ARRAY,
        kind: str = "list",
        group: bytes = b"",
        forget: Callable[[Any], object] | None = None,
    ) -> None:
        self.keys = keys
        self.timeout_ms = timeout_ms
        self.resume = resume
        self.on_timeout = on_timeout
        self.kind = kind
        self.group = group
        self.forget = forget


OK = "OK"

SYNTAX = CommandError("ERR syntax error")
WRONGTYPE = CommandError("WRONGTYPE Operation against a key holding the wrong kind of value")
NOT_INTEGER = CommandError("ERR value is not an integer or out of range")
NOT_FLOAT = CommandError("ERR value is not a valid float")
NO_SUCH_KEY = CommandError("ERR no such key")
OUT_OF_RANGE = CommandError("ERR index out of range")
NOT_POSITIVE = CommandError("ERR value is out of range, must be positive")
BUSYKEY = CommandError("BUSYKEY Target key name already exists.")
TOO_LONG = CommandError("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
OOM = CommandError("OOM command not allowed when used memory > 'maxmemory'.")
NOREPLICAS = CommandError("NOREPLICAS Not enough good replicas to write.")
NOAUTH = CommandError("NOAUTH Authentication required.")
WRONGPASS = CommandError("WRONGPASS invalid username-password pair or user is disabled.")
EXECABORT = CommandError("EXECABORT Transaction discarded because of previous errors.")
LOADING = CommandError("LOADING Redis is loading the dataset in memory")
CROSSSLOT = CommandError("CROSSSLOT Keys in request don't hash to the same slot")
TRYAGAIN = CommandError("TRYAGAIN Multiple keys request during rehashing of slot")
CLUSTERDOWN = CommandError("CLUSTERDOWN The cluster is down")
UNBOUND_SLOT = CommandError("CLUSTERDOWN Hash slot not served")
CLUSTERDOWN_READONLY = CommandError("CLUSTERDOWN The cluster is down and only accepts read commands")
MASTERDOWN = CommandError(
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
)
READONLY = CommandError("READONLY You can't write against a read only replica.")
CLUSTER_DISABLED = CommandError("ERR This instance has cluster support disabled")


def wrong_arity(name: str) -> CommandError:
    """`name` is the command's full lower-case name, `config|get` for a subcommand."""
    return CommandError(f"ERR wrong number of arguments for '{name}' command")


def wrong_syntax(sub: bytes, command: str) -> CommandError:
    """A subcommand that is known, with arguments that it does not take."""
    text = sub[:128].decode("utf-8", "surrogateescape")
    name = command.upper()
    return CommandError(f"ERR unknown subcommand or wrong number of arguments for '{text}'. Try {name} HELP.")


def unknown_subcommand(sub: bytes, command: str) -> CommandError:
    text = sub[:128].decode("utf-8", "surrogateescape")
    return CommandError(f"ERR unknown subcommand '{text}'. Try {command.upper()} HELP.")


def invalid_expire(name: str) -> CommandError:
    return CommandError(f"ERR invalid expire time in '{name}' command")
