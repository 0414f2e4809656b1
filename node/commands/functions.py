"""FUNCTION, as far as there is anything to say without scripting: there are no libraries.

Tools send FUNCTION FLUSH and FUNCTION LIST to every server (the official test suite before each block, redis-cli when a
node joins). Loading and calling functions comes with the script engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.commands.cursor import Cursor
from node.commands.help import help_for
from node.commands.spec import command, container
from node.replies import OK, CommandError, Reply

if TYPE_CHECKING:
    from node.engine.session import Session


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
    "FUNCTION FLUSH",
    arity=-2,
    flags="write noscript",
    group="scripting",
    since="7.0.0",
    summary="Delete all libraries.",
    complexity="O(N), N: functions",
    args="[(ASYNC|SYNC)=async]",
    tips="request_policy:all_shards response_policy:all_succeeded",
)
def function_flush(s: Session, argv: list[bytes]) -> Reply:
    if len(argv) > 3 or (len(argv) == 3 and argv[2].upper() not in (b"SYNC", b"ASYNC")):
        raise CommandError("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
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
    args = Cursor(argv, 2)
    for word in args.words():
        if word == b"LIBRARYNAME":
            args.take()
        elif word != b"WITHCODE":
            raise CommandError(b"ERR Unknown argument %s" % argv[args.at - 1])
    return []
