"""What is known about a command, stated once beside its handler.

    @command("LPOS", arity=-3, flags="readonly", keys="1 RO access", group="list", since="6.0.6",
             summary="...", complexity="...", args="key element [RANK rank:int]")
    def lpos(s: Session, argv: list[bytes]) -> Reply: ...

    native("GET", arity=2, flags="readonly fast", keys="1 RO access", ...)     # the engine implements it
    container("CONFIG", arity=-2, group="server", since="2.0.0", summary="...")
    @command("CONFIG GET", ...)                                                # a subcommand of it

COMMAND's replies, ACL categories, the keys that decide the slot, the gates (write on a replica, memory, loading,
scripts) and the table in the docs all derive from these facts. The alternative, a second table that repeats them, is
what other servers have, and theirs drift apart. A contradiction raises SpecError while the module is imported.

keyspec.py and argspec.py describe the two notations used here; registry.py collects the declarations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from node.commands.table.argspec import Argument, parse_arguments
from node.commands.table.keyspec import (
    Extractor,
    KeySpec,
    KeyUse,
    LegacyRange,
    find_uses,
    legacy_range,
    parse_keys,
    routing,
)
from node.replies import Reply

if TYPE_CHECKING:
    from node.engine.session.session import Session

Handler = Callable[["Session", list[bytes]], Reply]
H = TypeVar("H", bound=Handler)

# In the order COMMAND INFO lists them. `movablekeys` is derived, never declared.
FLAGS = (
    "write",
    "readonly",
    "denyoom",
    "admin",
    "pubsub",
    "noscript",
    "blocking",
    "loading",
    "stale",
    "skip_monitor",
    "skip_slowlog",
    "asking",
    "fast",
    "no_auth",
    "no_mandatory_keys",
    "no_async_loading",
    "no_multi",
    "movablekeys",
    "allow_busy",
)
# Flags that steer the server and that clients are not shown.
# `script`: its writes are those of the commands that a script calls.
HIDDEN_FLAGS = frozenset({"may_replicate", "protected", "script", "touches_arbitrary_keys"})

# Each group, and the ACL category that belonging to it implies.
GROUP_CATEGORY = {
    "generic": "keyspace",
    "string": "string",
    "list": "list",
    "set": "set",
    "sorted-set": "sortedset",
    "hash": "hash",
    "pubsub": "pubsub",
    "transactions": "transaction",
    "connection": "connection",
    "server": "",
    "scripting": "scripting",
    "hyperloglog": "hyperloglog",
    "cluster": "",
    "geo": "geo",
    "stream": "stream",
    "bitmap": "bitmap",
}

# In the order COMMAND INFO and ACL CAT list them.
CATEGORIES = (
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
)


class SpecError(Exception):
    """Facts about a command that contradict each other. Raised at import: it is our own bug."""


@dataclass(frozen=True, slots=True, eq=False)
class CommandSpec:
    """One command or subcommand. `name` is lower case; a subcommand's is `container|subcommand`."""

    name: str
    arity: int
    """The number of arguments with the name; negative: at least so many."""
    flags: frozenset[str]
    keys: tuple[KeySpec, ...]
    categories: frozenset[str]
    group: str
    since: str
    summary: str
    complexity: str = ""
    args: tuple[Argument, ...] = ()
    tips: tuple[str, ...] = ()
    history: tuple[tuple[str, str], ...] = ()
    doc_flags: frozenset[str] = frozenset()
    deprecated_since: str = ""
    replaced_by: str = ""
    handler: Handler | None = None
    native: bool = False
    """The engine has its own form of the command. With a handler too, the engine tries first and may pass on."""
    module: str = ""
    extractor: Extractor | None = None
    id: int = -1
    """Dense and stable while the process lives; given by the registry, for tables indexed by command."""
    subcommands: dict[bytes, CommandSpec] = field(default_factory=dict)
    """By lower-case name without the container's."""

    legacy: LegacyRange = field(init=False)
    get_keys: Callable[[Sequence[bytes]], list[int]] = field(init=False, repr=False)
    """Positions of the arguments that decide the slot, channels of sharded pub/sub included."""

    def __post_init__(self) -> None:
        legacy = legacy_range(self.keys)
        object.__setattr__(self, "legacy", legacy)
        object.__setattr__(self, "get_keys", routing(self.keys, self.extractor))
        if legacy.movable:
            object.__setattr__(self, "flags", self.flags | {"movablekeys"})

    @property
    def movablekeys(self) -> bool:
        """True if first/last/step do not find every key; then only `get_keys` knows."""
        return self.legacy.movable

    @property
    def first_key(self) -> int:
        return self.legacy.first

    @property
    def last_key(self) -> int:
        return self.legacy.last

    @property
    def key_step(self) -> int:
        return self.legacy.step

    @property
    def container(self) -> str:
        """The name of the container of a subcommand, otherwise empty."""
        return self.name.partition("|")[0] if "|" in self.name else ""

    @property
    def has_keys(self) -> bool:
        """True if any argument can be a key; channels do not count."""
        return any("not_key" not in spec.flags for spec in self.keys)

    def accepts(self, argc: int) -> bool:
        """True if a request of `argc` arguments, the name included, fits the arity."""
        return argc == self.arity if self.arity >= 0 else argc >= -self.arity

    def key_uses(self, argv: Sequence[bytes]) -> list[KeyUse]:
        """Positions of the keys with what the command does to each, for ACL and COMMAND GETKEYSANDFLAGS."""
        return find_uses(self.keys, argv, self.extractor)


_declared: list[CommandSpec] = []


def declared() -> list[CommandSpec]:
    """Every command declared by the modules imported so far, in order of declaration."""
    return list(_declared)


def command(name: str, **facts: Any) -> Callable[[H], H]:
    """Declare the decorated function the handler of `name` (`CONFIG GET` is the subcommand GET of CONFIG).

    The facts are those of `declare`. The function itself is returned unchanged.
    """

    def register(handler: H) -> H:
        _declared.append(declare(name, handler=handler, module=handler.__module__, **facts))
        return handler

    return register


def native(name: str, **facts: Any) -> None:
    """Declare a command that the engine implements alone. The engine finds its function by the lower-case name."""
    _declared.append(declare(name, native=True, **facts))


def container(name: str, **facts: Any) -> None:
    """Declare a command that does nothing itself: all it has is subcommands."""
    _declared.append(declare(name, **facts))


def declare(
    name: str,
    *,
    arity: int,
    group: str,
    since: str,
    summary: str,
    flags: str = "",
    keys: str = "",
    complexity: str = "",
    args: str = "",
    acl: str = "",
    tips: str = "",
    history: Mapping[str, str] | None = None,
    doc_flags: str = "",
    deprecated_since: str = "",
    replaced_by: str = "",
    extractor: Extractor | None = None,
    handler: Handler | None = None,
    native: bool = False,
    module: str = "",
) -> CommandSpec:
    """Read the facts, check them against each other and derive the rest.

    `acl` adds categories to those that flags and group imply, or takes one away with a minus sign before it.
    """
    full_name = name.lower().replace(" ", "|")
    try:
        spec = CommandSpec(
            name=full_name,
            arity=arity,
            flags=frozenset(flags.split()),
            keys=parse_keys(keys),
            categories=_categories(group, flags.split(), acl.split()),
            group=group,
            since=since,
            summary=summary,
            complexity=complexity,
            args=parse_arguments(args),
            tips=tuple(tips.split()),
            history=tuple((history or {}).items()),
            doc_flags=frozenset(doc_flags.split()),
            deprecated_since=deprecated_since,
            replaced_by=replaced_by,
            handler=handler,
            native=native,
            module=module,
            extractor=extractor,
        )
        _check(spec, frozenset(flags.split()))
    except (ValueError, SpecError) as error:
        raise SpecError(f"{full_name}: {error}") from error
    return spec


def _categories(group: str, flags: Sequence[str], extra: Sequence[str]) -> frozenset[str]:
    """The ACL categories, from the group, the flags and the corrections."""
    if group not in GROUP_CATEGORY:
        raise SpecError(f"unknown group {group!r}")
    found = {GROUP_CATEGORY[group]} - {""}
    if "write" in flags:
        found.add("write")
    if "readonly" in flags and group != "scripting":
        found.add("read")
    if "admin" in flags:
        found |= {"admin", "dangerous"}
    for flag in ("pubsub", "blocking"):
        if flag in flags:
            found.add(flag)
    found.add("fast" if "fast" in flags else "slow")
    for correction in extra:
        category = correction.removeprefix("-")
        if category not in CATEGORIES:
            raise SpecError(f"unknown ACL category {category!r}")
        if category in found and category == correction:
            raise SpecError(f"the ACL category {category!r} is implied already")
        if correction.startswith("-"):
            found.remove(category)
        else:
            found.add(category)
    return frozenset(found)


def _check(spec: CommandSpec, flags: frozenset[str]) -> None:
    """Refuse facts that cannot all be true."""
    if unknown := flags - set(FLAGS) - HIDDEN_FLAGS:
        raise SpecError(f"unknown flags {sorted(unknown)}")
    if "movablekeys" in flags:
        raise SpecError("movablekeys is derived from the key specifications, not declared")
    if {"write", "readonly"} <= flags:
        raise SpecError("a command is write or readonly, not both")
    if "denyoom" in flags and "readonly" in flags:
        raise SpecError("a readonly command needs no memory for data: denyoom contradicts readonly")
    if spec.arity == 0 or (spec.container and abs(spec.arity) < 2):
        raise SpecError(f"arity {spec.arity} leaves no room for the name")
    if not spec.summary or not spec.since:
        raise SpecError("summary and since must be given")
    _check_keys(spec)
    known = len(spec.keys)
    for argument in spec.args:
        _check_argument(argument, known)


def _check_keys(spec: CommandSpec) -> None:
    if "write" in spec.flags and not spec.keys and spec.group not in ("server", "scripting"):
        raise SpecError("a write command must say which keys it writes")
    if "readonly" in spec.flags:
        for key in spec.keys:
            if key.flags & {"OW", "RM", "update", "insert", "delete"}:
                raise SpecError(f"a readonly command cannot use a key as {sorted(key.flags)}")
    for i, key in enumerate(spec.keys):
        if key.count or not key.index or "not_key" in key.flags:
            continue
        furthest = key.index + max(key.last, 0)
        if spec.arity > 0 and furthest >= spec.arity:
            raise SpecError(f"the key at {furthest} lies beyond arity {spec.arity}")
        if i == 0 and furthest >= abs(spec.arity):
            raise SpecError(f"arity {spec.arity} does not guarantee the key at {furthest}")


def _check_argument(argument: Argument, known: int) -> None:
    if argument.key_spec is not None and argument.key_spec >= known:
        raise SpecError(f"argument {argument.name!r} refers to key specification {argument.key_spec} of {known}")
    for nested in argument.arguments:
        _check_argument(nested, known)
