"""FUNCTION and FCALL: libraries of functions (node/scripting/functions.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node import flags
from node.commands.server.scripting import COMPLEXITY, KEYS, KEYS_READ, MAY_WRITE, READS, read_call, show_to_monitors
from node.commands.table.cursor import Cursor
from node.commands.table.help import help_for
from node.commands.table.spec import command, container
from node.engine.durable.rdb import Malformed
from node.engine.structures.glob import Glob
from node.engine.structures.numbers import parse_int64 as parse_int
from node.persistence.rdb.payload import WrongFooter, dump_functions, load_functions
from node.replies import OK, CommandError, Reply, ReplySet, wrong_syntax
from node.scripting.functions import ENGINE, Function, Library
from node.scripting.shebang import FLAGS

if TYPE_CHECKING:
    from node.engine.session.session import Session

ALL_SHARDS = "request_policy:all_shards response_policy:all_succeeded"
BY_NAME = "function numkeys:int [key...] [arg...]"


@command(
    "FCALL",
    arity=-3,
    flags=MAY_WRITE,
    keys=KEYS,
    group="scripting",
    since="7.0.0",
    summary="Call a function.",
    complexity=COMPLEXITY,
    args=BY_NAME,
)
def fcall(s: Session, argv: list[bytes], read_only: bool = False) -> Reply:
    show_to_monitors(s, argv)
    if s.node.functions.find(argv[1]) is None:
        raise CommandError("ERR Function not found")
    if parse_int(argv[2]) is None:
        raise CommandError("ERR Bad number of keys provided")
    return s.node.scripts.call_function(read_call(s, argv, read_only))


@command(
    "FCALL_RO",
    arity=-3,
    flags=READS,
    keys=f"{KEYS_READ} (nobody knows what the function will do)",
    group="scripting",
    since="7.0.0",
    summary="Call a function that may not write.",
    complexity=COMPLEXITY,
    args=BY_NAME,
)
def fcall_ro(s: Session, argv: list[bytes]) -> Reply:
    return fcall(s, argv, read_only=True)


container(
    "FUNCTION",
    arity=-2,
    acl="-scripting",
    group="scripting",
    since="7.0.0",
    summary="Commands about functions.",
    complexity="that of the subcommand",
)


@command(
    "FUNCTION DELETE",
    arity=3,
    flags="write noscript",
    group="scripting",
    since="7.0.0",
    summary="Delete a library.",
    complexity="O(1)",
    args="library-name",
    tips=ALL_SHARDS,
)
def function_delete(s: Session, argv: list[bytes]) -> Reply:
    if not s.node.functions.delete(argv[2]):
        raise CommandError("ERR Library not found")
    s.node.space.dirty += 1
    return OK


@command(
    "FUNCTION DUMP",
    arity=2,
    flags="noscript",
    group="scripting",
    since="7.0.0",
    summary="Return all libraries in serialized form.",
    complexity="O(N), N: functions",
)
def function_dump(s: Session, argv: list[bytes]) -> Reply:
    return dump_functions(s.node.functions.codes(), s.node.config["rdbcompression"])


@command(
    "FUNCTION FLUSH",
    arity=-2,
    flags="write noscript",
    group="scripting",
    since="7.0.0",
    summary="Delete all libraries.",
    complexity="O(N), N: functions",
    args="[(ASYNC|SYNC)=async]",
    tips=ALL_SHARDS,
)
def function_flush(s: Session, argv: list[bytes]) -> Reply:
    if len(argv) > 3:
        raise wrong_syntax(argv[1], "function")
    if len(argv) == 3 and argv[2].upper() not in (b"SYNC", b"ASYNC"):
        raise CommandError("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
    s.node.functions.install({})
    s.node.space.dirty += 1
    return OK


help_for("FUNCTION", group="scripting", since="7.0.0")


@command(
    "FUNCTION KILL",
    arity=2,
    flags="noscript allow_busy",
    group="scripting",
    since="7.0.0",
    summary="End the function that runs, if it has not written yet.",
    complexity="O(1)",
    tips="request_policy:all_shards response_policy:one_succeeded",
)
def function_kill(s: Session, argv: list[bytes]) -> Reply:
    s.node.scripts.kill(is_eval=False)
    return OK


@command(
    "FUNCTION LIST",
    arity=-2,
    flags="noscript",
    group="scripting",
    since="7.0.0",
    summary="Describe the libraries and their functions.",
    complexity="O(N), N: functions",
    args="[LIBRARYNAME library-name-pattern] [WITHCODE]",
    tips="nondeterministic_output_order",
)
def function_list(s: Session, argv: list[bytes]) -> Reply:
    pattern, with_code = None, False
    args = Cursor(argv, 2)
    for word in args.words():
        if word == b"WITHCODE" and not with_code:
            with_code = True
        elif word == b"LIBRARYNAME" and pattern is None:
            if args.at == len(argv):
                raise CommandError("ERR library name argument was not given")
            pattern = args.take()
        else:
            raise CommandError(b"ERR Unknown argument %s" % argv[args.at - 1])
    libraries = s.node.functions.libraries.values()
    matches = Glob(pattern.lower()) if pattern is not None else None
    return [
        _library(library, with_code)
        for library in libraries
        if matches is None or matches(library.name.lower())
    ]


def _library(library: Library, with_code: bool) -> dict[bytes, Reply]:
    shown: dict[bytes, Reply] = {
        b"library_name": library.name,
        b"engine": ENGINE,
        b"functions": [_function(function) for function in library.functions.values()],
    }
    return {**shown, b"library_code": library.code} if with_code else shown


def _function(function: Function) -> dict[bytes, Reply]:
    return {
        b"name": function.name,
        b"description": function.description,
        b"flags": ReplySet(flag.decode() for flag in FLAGS if flag in function.flags),
    }


@command(
    "FUNCTION LOAD",
    arity=-3,
    flags="write denyoom noscript",
    group="scripting",
    since="7.0.0",
    summary="Add a library.",
    complexity="O(N), N: bytes of the library",
    args="[REPLACE] function-code",
    tips=ALL_SHARDS,
)
def function_load(s: Session, argv: list[bytes]) -> Reply:
    for word in argv[2:-1]:
        if word.upper() != b"REPLACE":
            raise CommandError(b"ERR Unknown option given: " + word)
    limited = not s.flags & flags.OBEYED

    def load() -> Reply:
        name = s.node.functions.load(argv[-1], replace=len(argv) > 3, limited=limited)
        s.node.space.dirty += 1
        return name

    return s.node.scripts.slices.run(s, argv, load)


@command(
    "FUNCTION RESTORE",
    arity=-3,
    flags="write denyoom noscript",
    group="scripting",
    since="7.0.0",
    summary="Load the libraries that FUNCTION DUMP returned.",
    complexity="O(N), N: functions",
    args="serialized-value [(FLUSH|APPEND|REPLACE)=policy]",
    tips=ALL_SHARDS,
)
def function_restore(s: Session, argv: list[bytes]) -> Reply:
    if len(argv) > 4:
        raise wrong_syntax(argv[1], "function")
    policy = argv[3].upper() if len(argv) == 4 else b"APPEND"
    if policy not in (b"FLUSH", b"APPEND", b"REPLACE"):
        raise CommandError("ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.")
    functions = s.node.functions
    try:
        codes = load_functions(argv[2], s.node.checks_payloads)
    except WrongFooter:
        raise CommandError("ERR DUMP payload version or checksum are wrong") from None
    except Malformed as error:
        raise CommandError(f"ERR {error}") from None
    libraries = functions.prepare(codes)
    if policy == b"FLUSH":
        functions.install(libraries)
    else:
        functions.join(libraries, replace=policy == b"REPLACE")
    s.node.space.dirty += 1
    return OK


@command(
    "FUNCTION STATS",
    arity=2,
    flags="noscript allow_busy",
    group="scripting",
    since="7.0.0",
    summary="Tell which function runs, and how many there are.",
    complexity="O(1)",
    tips="nondeterministic_output request_policy:all_shards response_policy:special",
)
def function_stats(s: Session, argv: list[bytes]) -> Reply:
    scripts, functions = s.node.scripts, s.node.functions
    run = scripts.run
    if run is not None and run.is_eval:
        raise scripts.busy_error
    running: Reply = None
    if run is not None:
        running = {b"name": run.name, b"command": run.call.argv, b"duration_ms": scripts.slices.elapsed_ms}
    counts = {b"libraries_count": len(functions.libraries), b"functions_count": functions.count}
    return {b"running_script": running, b"engines": {ENGINE: counts}}
