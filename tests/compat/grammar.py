"""Command lines drawn at random from one-line templates.

A template reads like the synopsis of a command:

    SET <key> <value> [NX|XX] [GET] [EX <seconds>|KEEPTTL]
    MSET (<key> <value>)+

`<pool>` draws a word from a small pool, so that commands meet the same keys and members again and again; `[a|b]` is
one of the alternatives or nothing, `(a|b)` one of them, `(...)+` one to three of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

Words = tuple[bytes, ...]
_TOKENS = re.compile(r"<\w+>|[\[\]()|]|\+|[^\s\[\]()|<]+")


@dataclass(frozen=True)
class Choice:
    """Alternatives, each a sequence of parts; `optional` adds nothing at all, `repeated` draws up to three times."""

    options: tuple[tuple[Part, ...], ...]
    optional: bool = False
    repeated: bool = False


Part = str | Choice


def parse(template: str) -> tuple[Part, ...]:
    """The parts of a template."""
    tokens = _TOKENS.findall(template)
    parts, at = _sequence(tokens, 0)
    assert at == len(tokens), f"unbalanced template: {template}"
    return parts[0]


def _sequence(tokens: list[str], at: int) -> tuple[list[tuple[Part, ...]], int]:
    options: list[list[Part]] = [[]]
    while at < len(tokens) and tokens[at] not in "])":
        token = tokens[at]
        at += 1
        if token == "|":
            options.append([])
        elif token in "[(":
            inner, at = _sequence(tokens, at)
            at += 1
            repeated = at < len(tokens) and tokens[at] == "+"
            at += repeated
            options[-1].append(Choice(tuple(inner), optional=token == "[", repeated=repeated))
        else:
            options[-1].append(token)
    return [tuple(option) for option in options], at


def commands(templates: Mapping[str, str], pools: Mapping[str, st.SearchStrategy[bytes]]) -> st.SearchStrategy[Command]:
    """A strategy for one command, given template -> form of comparison."""
    parsed = [(parse(template), form) for template, form in templates.items()]

    @st.composite
    def draw_command(draw: st.DrawFn) -> Command:
        parts, form = draw(st.sampled_from(parsed))
        return Command(tuple(_words(draw, parts, pools)), form)

    return draw_command()


@dataclass(frozen=True)
class Command:
    """A drawn command and how its replies are to be compared."""

    words: Words
    form: str

    def __repr__(self) -> str:
        return " ".join(_readable(word) for word in self.words)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """How hypothesis shows it in a failure."""
        printer.text(repr(self))


def _words(draw: st.DrawFn, parts: tuple[Part, ...], pools: Mapping[str, st.SearchStrategy[bytes]]) -> list[bytes]:
    found: list[bytes] = []
    for part in parts:
        if isinstance(part, Choice):
            least, most = (0 if part.optional else 1), (3 if part.repeated else 1)
            for _ in range(draw(st.integers(least, most))):
                found += _words(draw, draw(st.sampled_from(part.options)), pools)
        elif part.startswith("<"):
            found.append(draw(pools[part[1:-1]]))
        else:
            found.append(part.encode())
    return found


def _readable(word: bytes) -> str:
    text = repr(word)[2:-1]
    return text if text and " " not in text and text == word.decode("latin-1") else f'"{text}"'
