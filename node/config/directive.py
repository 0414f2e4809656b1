"""One directive, and the short constructors in which the tables are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from node.config.kinds import INT64_MAX, INT_MAX, BadValue, Bool, Check, Enum, Int, Kind, Memory, Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Directive:
    """A directive as files, CONFIG GET and CONFIG SET know it.

    `fixed` ones cannot be changed while the server runs, `protected` ones only where `enable-protected-configs` allows
    it, `not_while_loading` ones not before the data is loaded. CONFIG GET finds `hidden` ones by their full name only;
    the values of `secret` ones stay out of logs. `accepted` ones are read so that existing files load, and have no
    effect. `reserved` ones would promise safety that is not there yet, so they refuse any value but the default; the
    text says what to do instead.
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
    accepted: bool = False
    reserved: str = ""

    @property
    def text(self) -> str:
        """The help, and what must be known of it."""
        if self.accepted:
            return f"Accepted, without effect: {self.help}"
        return f"{self.help} Not there yet: {self.reserved}." if self.reserved else self.help

    def parse(self, words: Sequence[str], current: Any) -> Any:
        """The value of these words, where `current` is the one so far. BadValue."""
        value = self.kind.parse(words, current)
        if self.reserved and value != self.default:
            raise BadValue(
                f"{self.name} has no effect in this version, so it must stay at its default: {self.reserved}"
            )
        return value


def special(name: str, kind: Kind, default: Any, help: str, *aliases: str, **marks: Any) -> Directive:
    """A directive of any kind."""
    return Directive(name=name, kind=kind, default=default, help=help, aliases=aliases, **marks)


def flag(name: str, default: bool, help: str, *aliases: str, **marks: Any) -> Directive:
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
    **marks: Any,
) -> Directive:
    """An integer directive."""
    return special(name, Int(lo, hi, clamp), default, help, *aliases, **marks)


def memory(
    name: str, default: int, help: str, *aliases: str, lo: int = 0, hi: int = INT64_MAX, **marks: bool
) -> Directive:
    """A directive in bytes, with units."""
    return special(name, Memory(lo, hi), default, help, *aliases, **marks)


def text(name: str, default: str, help: str, *aliases: str, check: Check | None = None, **marks: Any) -> Directive:
    """A text directive. One whose default is not empty can be set to the empty text; for others that means "unset"."""
    return special(name, Text(blank_is_unset=not default, check=check), default, help, *aliases, **marks)


def choice(name: str, default: str, choices: str, help: str, *aliases: str, **marks: Any) -> Directive:
    """A directive with one of several (blank-separated) words."""
    return special(name, Enum(*choices.split()), default, help, *aliases, **marks)
