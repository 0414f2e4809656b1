"""The text notation for a command's arguments, and what COMMAND DOCS says about them.

    key value                      arguments; a bare lower-case word is a string, except `key`, which is a key
    seconds:int  score:float       other types: key, pattern, time (a unix time), str
    destination:key#1              a key, and which key specification finds it (the first one when left out)
    NX                             a token: the word itself; its name is the word in lower case
    change=CH                      a token under another name, or one that no value follows although a word does
    exact='='                      a token that is not a word, even an empty one
    EX seconds:int                 a token and its value
    [COUNT count:int]              optional
    key...                         one or more
    GET* pattern...                one or more, each with the token before it
    (NX|XX)=condition              one of these, with the name of the choice
    (score:float member)=data...   a block: these together, with the name of the block
    LIMIT (offset:int count:int)=limit
    [GET @6.2.0]                   since that version; `!6.2.0` deprecates

The name of a group follows it, so that the text reads like the synopsis that a person would write.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

TYPES = {
    "str": "string",
    "int": "integer",
    "float": "double",
    "key": "key",
    "pattern": "pattern",
    "time": "unix-time",
}

_LEXEME = re.compile(
    r"""\s*(?:
        (?P<open>[\[(]) | (?P<close>[\])]) | (?P<bar>\|) | (?P<dots>\.\.\.)
      | =(?P<label>[\w/-]+) | @(?P<since>[\d.]+) | !(?P<until>[\d.]+)
      | (?:(?P<alias>[\w/-]+)=)?'(?P<quoted>[^']*)'
      | (?P<named>[\w/-]+)=(?P<token>[A-Z][A-Z0-9_-]*)(?![\w:])
      | (?P<word>[\w/-]+)(?::(?P<type>[a-z]+))?(?:\#(?P<spec>\d+|-))?(?P<star>\*)?
    )""",
    re.VERBOSE,
)
_TOKEN = re.compile(r"[A-Z][A-Z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument, as COMMAND DOCS describes it."""

    name: str
    type: str
    key_spec: int | None = None
    token: str | None = None
    since: str = ""
    deprecated_since: str = ""
    optional: bool = False
    multiple: bool = False
    multiple_token: bool = False
    arguments: tuple[Argument, ...] = ()

    @property
    def flags(self) -> tuple[str, ...]:
        return tuple(name for name in ("optional", "multiple", "multiple_token") if getattr(self, name))


def parse_arguments(text: str) -> tuple[Argument, ...]:
    """Read the notation above."""
    return _Parser(text).read()


class _Parser:
    """Recursive descent over the lexemes; one method for each thing that can stand in the text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lexemes: list[re.Match[str]] = []
        position, end = 0, len(text.rstrip())
        while position < end:
            match = _LEXEME.match(text, position)
            if match is None:
                raise ValueError(f"cannot read the arguments at {text[position:]!r}")
            self.lexemes.append(match)
            position = match.end()
        self.at = 0

    def read(self) -> tuple[Argument, ...]:
        choices = self._choices()
        if self.at != len(self.lexemes) or len(choices) != 1:
            raise ValueError(f"unbalanced arguments {self.text!r}")
        return choices[0]

    def _peek(self, kind: str) -> str | None:
        return self.lexemes[self.at][kind] if self.at < len(self.lexemes) else None

    def _take(self, kind: str) -> str | None:
        found = self._peek(kind)
        if found is not None:
            self.at += 1
        return found

    def _choices(self) -> list[tuple[Argument, ...]]:
        """Sequences parted by bars, up to a closing bracket or the end."""
        choices: list[list[Argument]] = [[]]
        while self.at < len(self.lexemes) and not self._peek("close"):
            if self._take("bar"):
                choices.append([])
            else:
                choices[-1].append(self._argument())
        return [tuple(sequence) for sequence in choices]

    def _argument(self) -> Argument:
        if self._peek("open") == "[":
            return replace(self._suffixes(self._bracketed()), optional=True)
        return self._suffixes(self._plain())

    def _bracketed(self) -> Argument:
        self.at += 1
        choices = self._choices()
        if self._take("close") != "]" or len(choices) != 1 or len(choices[0]) != 1:
            raise ValueError(f"[...] must hold one argument in {self.text!r}")
        return choices[0][0]

    def _plain(self) -> Argument:
        if self._peek("open") == "(":
            return self._group()
        lexeme = self.lexemes[self.at]
        self.at += 1
        if (quoted := lexeme["quoted"]) is not None:
            return Argument(lexeme["alias"] or quoted, "pure-token", token=quoted)
        if token := lexeme["token"]:
            return Argument(lexeme["named"], "pure-token", token=token)
        word = lexeme["word"]
        if word is None:
            raise ValueError(f"unexpected {lexeme.group().strip()!r} in {self.text!r}")
        if lexeme["type"] is None and _TOKEN.fullmatch(word):
            return self._token(word, star=bool(lexeme["star"]))
        kind = TYPES.get(lexeme["type"] or ("key" if word == "key" else "str"))
        if kind is None:
            raise ValueError(f"unknown argument type {lexeme['type']!r} in {self.text!r}")
        return Argument(word, kind, key_spec=self._key_spec(kind, lexeme["spec"]))

    def _token(self, token: str, star: bool) -> Argument:
        """A pure token, or, when a value or a group follows it directly, that argument introduced by the token."""
        if self._value_follows():
            return replace(self._plain(), token=token, multiple_token=star)
        return Argument(token.lower(), "pure-token", token=token)

    def _value_follows(self) -> bool:
        word = self._peek("word")
        if word is None:
            return self._peek("open") == "("
        return self._peek("type") is not None or not _TOKEN.fullmatch(word)

    @staticmethod
    def _key_spec(kind: str, index: str | None) -> int | None:
        if index == "-":
            return None
        if index is not None:
            return int(index)
        return 0 if kind == "key" else None

    def _group(self) -> Argument:
        self.at += 1
        choices = self._choices()
        if self._take("close") != ")":
            raise ValueError(f"unbalanced parentheses in {self.text!r}")
        name = self._take("label")
        if name is None:
            raise ValueError(f"a group needs a name, (...)=name, in {self.text!r}")
        if len(choices) == 1:
            return Argument(name, "block", arguments=choices[0])
        if any(len(choice) != 1 for choice in choices):
            raise ValueError(f"each choice of {name!r} must be one argument; use a block for several")
        return Argument(name, "oneof", arguments=tuple(choice[0] for choice in choices))

    def _suffixes(self, argument: Argument) -> Argument:
        while self.at < len(self.lexemes):
            if self._take("dots"):
                argument = replace(argument, multiple=True)
            elif since := self._take("since"):
                argument = replace(argument, since=since)
            elif until := self._take("until"):
                argument = replace(argument, deprecated_since=until)
            else:
                break
        return argument


def synopsis(arguments: tuple[Argument, ...]) -> str:
    """The arguments as a person writes them: `key [NX|XX] [COUNT count] member [member ...]`."""
    return " ".join(_synopsis(argument) for argument in arguments)


def _synopsis(argument: Argument) -> str:
    value = "" if argument.type == "pure-token" else argument.name
    if argument.type == "oneof":
        value = "|".join(_synopsis(choice) for choice in argument.arguments)
        if argument.token or not argument.optional:
            value = f"<{value}>"
    elif argument.type == "block":
        value = synopsis(argument.arguments)
    if argument.multiple and not argument.multiple_token:
        value = f"{value} [{value} ...]"
    if argument.token == "":
        value = '""'
    text = f"{argument.token or ''} {value}".strip()
    if argument.multiple_token:
        text = f"{text} [{text} ...]"
    return f"[{text}]" if argument.optional else text
