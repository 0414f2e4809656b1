"""COMMAND: the command table told to clients, in the shapes of Redis 7.

Cluster clients ask for the whole table whenever they connect, so the two whole-table replies are rendered once for each
protocol and then served as bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from node.commands.table.argspec import Argument
from node.commands.table.cursor import Cursor
from node.commands.table.help import help_for
from node.commands.table.keyspec import KEY_FLAGS, KeySpec
from node.commands.table.registry import Registry
from node.commands.table.spec import CATEGORIES, FLAGS, CommandSpec, command
from node.engine.session.session import Session
from node.engine.session.wire import render
from node.engine.structures.glob import Glob
from node.replies import SYNTAX, CommandError, Raw, Reply, ReplySet

INVALID_COMMAND = CommandError("ERR Invalid command specified")
NO_KEYS = CommandError("ERR The command has no key arguments")
WRONG_COUNT = CommandError("ERR Invalid number of arguments specified for command")
INVALID_ARGUMENTS = CommandError("ERR Invalid arguments specified for command")


@command(
    "COMMAND",
    arity=-1,
    flags="loading stale",
    acl="connection",
    group="server",
    since="2.8.13",
    summary="Describe every command.",
    complexity="O(N), N: commands",
    tips="nondeterministic_output_order",
)
def command_(s: Session, argv: list[bytes]) -> Reply:
    return _whole_table(s, "info", lambda registry: [command_row(spec) for spec in registry])


@command(
    "COMMAND COUNT",
    arity=2,
    flags="loading stale",
    acl="connection",
    group="server",
    since="2.8.13",
    summary="Return the number of commands.",
    complexity="O(1)",
)
def command_count(s: Session, argv: list[bytes]) -> Reply:
    return len(s.node.registry)


@command(
    "COMMAND DOCS",
    arity=-2,
    flags="loading stale",
    acl="connection",
    group="server",
    since="7.0.0",
    summary="Return documentation of commands, of all when none is named.",
    complexity="O(N), N: commands asked for",
    args="[command-name...]",
    tips="nondeterministic_output_order",
)
def command_docs(s: Session, argv: list[bytes]) -> Reply:
    if len(argv) == 2:
        return _whole_table(s, "docs", lambda registry: {spec.name.encode(): documentation(spec) for spec in registry})
    found = (s.node.registry.find(name) for name in argv[2:])
    return {spec.name.encode(): documentation(spec) for spec in found if spec}


@command(
    "COMMAND GETKEYS",
    arity=-3,
    flags="loading stale",
    acl="connection",
    group="server",
    since="2.8.13",
    summary="Return the keys in a complete command.",
    complexity="O(N), N: arguments of that command",
)
def command_getkeys(s: Session, argv: list[bytes]) -> Reply:
    return [key for key, _ in _keys_of(s.node.registry, argv[2:])]


@command(
    "COMMAND GETKEYSANDFLAGS",
    arity=-3,
    flags="loading stale",
    acl="connection",
    group="server",
    since="7.0.0",
    summary="Return the keys in a complete command and how each is used.",
    complexity="O(N), N: arguments of that command",
)
def command_getkeysandflags(s: Session, argv: list[bytes]) -> Reply:
    return [
        [key, ReplySet(flag for flag in KEY_FLAGS if flag in flags)]
        for key, flags in _keys_of(s.node.registry, argv[2:])
    ]


help_for("COMMAND", group="server", since="5.0.0", acl="connection")


@command(
    "COMMAND INFO",
    arity=-2,
    flags="loading stale",
    acl="connection",
    group="server",
    since="2.8.13",
    summary="Describe commands, all of them when none is named.",
    complexity="O(N), N: commands asked for",
    args="[command-name...]",
    tips="nondeterministic_output_order",
    history={"7.0.0": "All commands when none is named."},
)
def command_info(s: Session, argv: list[bytes]) -> Reply:
    if len(argv) == 2:
        return command_(s, argv)
    found = (s.node.registry.find(name) for name in argv[2:])
    return [command_row(spec) if spec else None for spec in found]


@command(
    "COMMAND LIST",
    arity=-2,
    flags="loading stale",
    acl="connection",
    group="server",
    since="7.0.0",
    summary="Return the names of all commands, or of those that pass a filter.",
    complexity="O(N), N: commands",
    args="[FILTERBY (MODULE module-name|ACLCAT category|PATTERN pattern:pattern)=filterby]",
    tips="nondeterministic_output_order",
)
def command_list(s: Session, argv: list[bytes]) -> Reply:
    keep = _list_filter(Cursor(argv, 2))
    return [spec.name.encode() for spec in _with_subcommands(s.node.registry) if keep(spec)]


def _whole_table(s: Session, name: str, build: Callable[[Registry], Reply]) -> Raw:
    """The reply that `build` makes of the table, rendered at the first request."""
    registry: Registry = s.node.registry
    rendered = registry.derived.get((name, s.proto))
    if rendered is None:
        rendered = registry.derived[name, s.proto] = Raw(render(build(registry), s.proto))
    return rendered


def _with_subcommands(registry: Registry) -> Iterator[CommandSpec]:
    for spec in registry:
        yield spec
        yield from spec.subcommands.values()


def _list_filter(args: Cursor) -> Callable[[CommandSpec], bool]:
    """The predicate of FILTERBY; without it, everything passes."""
    if args.left == 0:
        return lambda spec: True
    if not args.accept(b"FILTERBY"):
        raise SYNTAX
    kind, operand = args.take_word(), args.take()
    args.end()
    match kind:
        case b"MODULE":
            return lambda spec: False  # There are no modules, hence no commands of theirs.
        case b"ACLCAT":
            category = operand.decode("utf-8", "replace").lower()
            return lambda spec: category in spec.categories
        case b"PATTERN":
            matches = Glob(operand.lower())
            return lambda spec: matches(spec.name.encode())
        case _:
            raise SYNTAX


def _keys_of(registry: Registry, argv: Sequence[bytes]) -> list[tuple[bytes, frozenset[str]]]:
    """The keys of a complete command and their flags, or the error that says why there are none."""
    spec = registry.resolve(argv)
    if spec is None:
        raise INVALID_COMMAND
    if not spec.has_keys:
        raise NO_KEYS
    if not spec.accepts(len(argv)):
        raise WRONG_COUNT
    uses = spec.key_uses(argv)
    if not uses and "no_mandatory_keys" not in spec.flags:
        raise INVALID_ARGUMENTS
    return [(argv[position], flags) for position, flags in uses]


def command_row(spec: CommandSpec) -> list[Reply]:
    """The ten items of COMMAND INFO."""
    return [
        spec.name.encode(),
        spec.arity,
        ReplySet(flag for flag in FLAGS if flag in spec.flags),
        spec.first_key,
        spec.last_key,
        spec.key_step,
        ReplySet("@" + category for category in CATEGORIES if category in spec.categories),
        ReplySet(tip.encode() for tip in spec.tips),
        ReplySet(_key_spec(key) for key in spec.keys),
        [command_row(sub) for sub in spec.subcommands.values()] or ReplySet(),
    ]


def _key_spec(key: KeySpec) -> dict[bytes, Reply]:
    described: dict[bytes, Reply] = {b"notes": key.notes.encode()} if key.notes else {}
    described[b"flags"] = ReplySet(flag for flag in KEY_FLAGS if flag in key.flags)
    described[b"begin_search"] = _begin_search(key)
    described[b"find_keys"] = _find_keys(key)
    return described


def _begin_search(key: KeySpec) -> dict[bytes, Reply]:
    if key.unknown:
        return {b"type": b"unknown", b"spec": {}}
    if key.word:
        return {b"type": b"keyword", b"spec": {b"keyword": key.word, b"startfrom": key.start}}
    return {b"type": b"index", b"spec": {b"index": key.index}}


def _find_keys(key: KeySpec) -> dict[bytes, Reply]:
    if key.unknown:
        return {b"type": b"unknown", b"spec": {}}
    if key.count:
        return {b"type": b"keynum", b"spec": {b"keynumidx": 0, b"firstkey": 1, b"keystep": key.step}}
    return {b"type": b"range", b"spec": {b"lastkey": key.last, b"keystep": key.step, b"limit": key.limit}}


def documentation(spec: CommandSpec) -> dict[bytes, Reply]:
    """What COMMAND DOCS says about one command; what is not known is left out."""
    docs: dict[bytes, Reply] = {
        b"summary": spec.summary.encode(),
        b"since": spec.since.encode(),
        b"group": spec.group.encode(),
    }
    if spec.complexity:
        docs[b"complexity"] = spec.complexity.encode()
    if spec.doc_flags:
        docs[b"doc_flags"] = ReplySet(sorted(spec.doc_flags))
    if spec.deprecated_since:
        docs[b"deprecated_since"] = spec.deprecated_since.encode()
    if spec.replaced_by:
        docs[b"replaced_by"] = spec.replaced_by.encode()
    if spec.history:
        docs[b"history"] = ReplySet([version.encode(), change.encode()] for version, change in spec.history)
    if spec.args:
        docs[b"arguments"] = [_argument(argument) for argument in spec.args]
    if spec.subcommands:
        docs[b"subcommands"] = {sub.name.encode(): documentation(sub) for sub in spec.subcommands.values()}
    return docs


def _argument(argument: Argument) -> dict[bytes, Reply]:
    described: dict[bytes, Reply] = {b"name": argument.name.encode(), b"type": argument.type.encode()}
    if argument.key_spec is not None:
        described[b"key_spec_index"] = argument.key_spec
    if argument.token is not None:
        described[b"token"] = argument.token.encode()
    if argument.since:
        described[b"since"] = argument.since.encode()
    if argument.deprecated_since:
        described[b"deprecated_since"] = argument.deprecated_since.encode()
    if argument.flags:
        described[b"flags"] = ReplySet(argument.flags)
    if argument.arguments:
        described[b"arguments"] = [_argument(nested) for nested in argument.arguments]
    return described
