"""One directive, and the short constructors in which the tables are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from node.config.kinds import INT64_MAX, INT_MAX, Bool, Check, Enum, Int, Kind, Memory, Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Directive:
    """A directive as files, CONFIG GET and CONFIG SET know it.

    `fixed` ones cannot be changed while the server runs, `protected` ones only where `enable-protected-configs` allows
    it, `not_while_loading` ones not before the data is loaded. CONFIG GET finds `hidden` ones by their full name only;
    the values of `secret` ones stay out of logs.
    """

    name: str
    kind: Kind
    default: Any
    help: str
    aliases: tuple[str, ...] = ()
    fixed: bool = False
    protected: bool = False
    hidden: bool = False
    secret: bool = False
    not_while_loading: bool = False


def special(name: str, kind: Kind, default: Any, help: str, *aliases: str, **marks: bool) -> Directive:
    """A directive of any kind."""
    return Directive(name=name, kind=kind, default=default, help=help, aliases=aliases, **marks)


def flag(name: str, default: bool, help: str, *aliases: str, **marks: bool) -> Directive:
    """A yes/no directive."""
    return special(name, Bool(), default, help, *aliases, **marks)


def number(
    name: str,
    default: int,
    help: str,
    *aliases: str,
    lo: int = 0,
    hi: int = INT_MAX,
    clamp: tuple[int, int] | None = None,
    **marks: bool,
) -> Directive:
    """An integer directive."""
    return special(name, Int(lo, hi, clamp), default, help, *aliases, **marks)


def memory(
    name: str, default: int, help: str, *aliases: str, lo: int = 0, hi: int = INT64_MAX, **marks: bool
) -> Directive:
    """A directive in bytes, with units."""
    return special(name, Memory(lo, hi), default, help, *aliases, **marks)


def text(name: str, default: str, help: str, *aliases: str, check: Check | None = None, **marks: bool) -> Directive:
    """A text directive. One whose default is not empty can be set to the empty text; for others that means "unset"."""
    return special(name, Text(blank_is_unset=not default, check=check), default, help, *aliases, **marks)


def choice(name: str, default: str, choices: str, help: str, *aliases: str, **marks: bool) -> Directive:
    """A directive with one of several (blank-separated) words."""
    return special(name, Enum(*choices.split()), default, help, *aliases, **marks)
