"""Reading a node's configuration: the optional file, what it includes, then `--directive value` arguments.

Arguments become lines that are read after the file's, as in Redis, so that the last word on a directive is the command
line's. Reading files is left to the caller (`Files`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from node.config.kinds import BadValue
from node.config.store import Config
from node.config.table import NAMES, nearest
from node.config.words import Unbalanced, quote, split_words

# Directives of old versions whose lines are still found in files; they are read and dropped.
DROPPED = ("list-max-ziplist-entries", "list-max-ziplist-value", "lua-replicate-commands")


class Files(Protocol):
    """Where configuration files come from; `read` may raise OSError."""

    def read(self, path: str) -> str:
        """The text of a file."""

    def matching(self, pattern: str) -> list[str]:
        """The paths that match a wildcard pattern, sorted."""

    def absolute(self, path: str) -> str:
        """The one full spelling of a path."""

    def standard_input(self) -> str:
        """Everything on standard input."""


class ConfigFileError(Exception):
    """The configuration cannot be used; the text is for the person who starts the server."""


def load(argv: Sequence[str], files: Files) -> Config:
    """The configuration of `[FILE] [--directive value ...]`; `-` reads standard input after the file."""
    config = Config()
    rest = list(argv)
    loader = _Loader(config, files)
    if rest and not rest[0].startswith("-"):
        config.path = files.absolute(rest.pop(0))
        loader.read_file(config.path)
    if rest and "-" in (rest[0], rest[-1]):
        rest.remove("-")
        loader.read_lines(files.standard_input(), "standard input")
    loader.read_lines("\n".join(option_lines(rest)), "the command line")
    if config["cluster-enabled"] and config["replicaof"]:
        raise ConfigFileError("replicaof directive not allowed in cluster mode")
    return config


def option_lines(options: Sequence[str]) -> Iterator[str]:
    """Configuration lines of command-line options.

    An option's first value may itself begin with `--`; after that, `--` begins the next option. Name and value may be
    one argument (`"--port 6380"`), and a `--save` without a value means `save ""`.
    """
    line: list[str] = []
    complete = True
    for at, option in enumerate(options):
        if not (complete and option.startswith("--")):
            line.append(quote(option))
            complete = True
            continue
        if line:
            yield " ".join(line)
        line = [option[2:].strip()]
        complete = len(option.split()) > 1
        if option.lower() == "--save" and (at + 1 == len(options) or options[at + 1].startswith("--")):
            line.append('""')
            complete = True
    if line:
        yield " ".join(line)


class _Loader:
    """Reads lines into a Config; remembers which accumulating directives the lines have begun to set."""

    def __init__(self, config: Config, files: Files) -> None:
        self.config = config
        self.files = files
        self.open_files: list[str] = []
        self.begun: set[str] = set()

    def read_file(self, path: str) -> None:
        if path in self.open_files:
            raise ConfigFileError(
                f"Configuration file '{path}' includes itself: {' -> '.join([*self.open_files, path])}"
            )
        try:
            text = self.files.read(path)
        except OSError as error:
            raise ConfigFileError(f"Can't open config file '{path}': {error.strerror or error}") from None
        self.open_files.append(path)
        self.read_lines(text, path)
        self.open_files.pop()

    def read_lines(self, text: str, source: str) -> None:
        for number, raw in enumerate(text.split("\n"), 1):
            line = raw.strip(" \t\r\n")
            if not line or line.startswith("#"):
                continue
            try:
                self._line(split_words(line))
            except Unbalanced:
                raise _fatal(source, number, line, "Unbalanced quotes in configuration line") from None
            except BadValue as error:
                raise _fatal(source, number, line, str(error)) from None

    def _line(self, words: list[str]) -> None:
        name, values = words[0].lower(), words[1:]
        if name in NAMES:
            self._directive(name, values)
        elif name == "include" and len(values) == 1:
            self._include(values[0])
        elif name == "user" and values:
            raise BadValue("There is no user but 'default' in this version: protect it with requirepass")
        elif name == "rename-command" and len(values) == 2:
            self.config.renamed_commands[values[0].lower()] = values[1]
        elif name == "loadmodule":
            raise BadValue("Modules cannot be loaded: this server has none")
        elif not (name in DROPPED and len(values) == 1):
            raise BadValue(_unknown(name))

    def _directive(self, name: str, words: list[str]) -> None:
        directive = NAMES[name]
        kind = directive.kind
        if kind.multi:
            if len(words) == 1 and words[0]:
                words = split_words(words[0])
        elif len(words) != 1:
            raise BadValue("wrong number of arguments")
        current = self.config[directive.name]
        value = directive.parse(words, current)
        if kind.accumulates:
            if directive.name in self.begun and value:
                value = current + value
            self.begun.add(directive.name)
        self.config.put(directive.name, value)

    def _include(self, path: str) -> None:
        wild = any(sign in path for sign in "*?[")
        for included in self.files.matching(path) if wild else [path]:
            self.read_file(self.files.absolute(included))


def _unknown(name: str) -> str:
    close = nearest(name)
    hint = f"; did you mean '{close}'?" if close else ""
    return f"Bad directive or wrong number of arguments: there is no directive '{name}'{hint}"


def _fatal(source: str, number: int, line: str, why: str) -> ConfigFileError:
    return ConfigFileError(f"Reading {source}, at line {number}\n>>> '{line}'\n{why}")
