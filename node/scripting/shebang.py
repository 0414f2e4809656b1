"""The first line of a script, which may say how it is to be run:

    #!lua flags=no-writes,allow-stale

A script without such a line is run as scripts were before Redis 7.0: what it may do is found out command by command.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.config.words import Unbalanced, split_words, to_bytes, to_text
from node.replies import CommandError

FLAGS = (b"no-writes", b"allow-oom", b"allow-stale", b"no-cluster", b"allow-cross-slot-keys")
"""In the order in which FUNCTION LIST shows them."""

ScriptFlags = frozenset[bytes] | None
"""What a script declares; None: nothing, it has no such line."""


@dataclass(frozen=True, slots=True)
class Shebang:
    """`length`: how much of the code it takes, without the end of the line, so that lines keep their numbers."""

    flags: ScriptFlags = None
    length: int = 0


def read_shebang(body: bytes) -> Shebang:
    """What the first line of a script for EVAL declares. CommandError."""
    if not body.startswith(b"#!"):
        return Shebang()
    end = body.find(b"\n")
    if end < 0:
        raise CommandError("ERR Invalid script shebang")
    words = shebang_words(body[:end])
    if not words:
        raise CommandError("ERR Invalid engine in script shebang")
    if words[0] != b"#!lua":
        raise CommandError(b"ERR Unexpected engine in script shebang: " + words[0])
    flags: set[bytes] = set()
    for word in words[1:]:
        if not word.startswith(b"flags="):
            raise CommandError(b"ERR Unknown lua shebang option: " + word)
        names = word.removeprefix(b"flags=")
        for name in names.split(b",") if names else ():
            if name not in FLAGS:
                raise CommandError(b"ERR Unexpected flag in script shebang: " + name)
            flags.add(name)
    return Shebang(frozenset(flags), end)


def shebang_words(line: bytes) -> list[bytes]:
    """None of them if a quote is not closed."""
    try:
        return [to_bytes(word) for word in split_words(to_text(line))]
    except Unbalanced:
        return []


def command_flags(usual: frozenset[str], flags: ScriptFlags) -> frozenset[str]:
    """The flags of a command that runs a script: those that the script has declared count instead of its own."""
    if flags is None:
        return usual
    found = usual - {"stale", "denyoom", "write", "may_replicate"}
    if b"no-writes" not in flags:
        found |= {"write"} if b"allow-oom" in flags else {"write", "denyoom"}
    if b"allow-stale" in flags:
        found |= {"stale"}
    return found


def flags_at_begin(flags: ScriptFlags) -> frozenset[str]:
    """What a script declares, in the words of commands' flags."""
    if flags is None:
        return frozenset({"undeclared"})
    return command_flags(frozenset(), flags) | ({"no-cluster"} if b"no-cluster" in flags else set())
