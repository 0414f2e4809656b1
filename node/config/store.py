"""The configuration of one node: the value of every directive, CONFIG GET and SET, and who hears of changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from node.config.directive import Directive
from node.config.kinds import BadValue
from node.config.rewrite import rewritten
from node.config.table import DIRECTIVES, NAMES
from node.config.words import to_bytes
from node.glob import compile_glob
from node.replies import LOADING, CommandError


class ConfigFile(Protocol):
    """The file that CONFIG REWRITE writes; both methods may raise OSError."""

    def read(self) -> str:
        """The file's text, empty if there is no file."""

    def write(self, text: str) -> None:
        """Replace the file in one step."""


Apply = Callable[["Config"], None]
Change = tuple[Directive, str, str]  # the directive, the name it was called by, the new text


class Config:
    """Values by directive name: `config["maxmemory"]` is an int, `config["bind"]` a tuple of str (see the kinds)."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {name: directive.default for name, directive in DIRECTIVES.items()}
        self._subscribers: dict[str, list[Apply]] = {}
        self.file: ConfigFile | None = None
        self.path = ""
        self.users: list[list[str]] = []
        self.renamed_commands: dict[str, str] = {}

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def put(self, name: str, value: Any) -> None:
        """Set what the node itself has changed (`replicaof` after REPLICAOF, `dir` made absolute): nobody is told."""
        assert name in DIRECTIVES, name
        self._values[name] = value

    def show(self, name: str) -> str:
        """A directive's value as CONFIG GET replies it; an alias is as good as the name."""
        directive = NAMES[name.lower()]
        return directive.kind.show(self._values[directive.name])

    def subscribe(self, names: Iterable[str], apply: Apply) -> None:
        """Have `apply(config)` called once after each CONFIG SET that changed any of these directives.

        It may refuse by raising BadValue: then everything that the command set is set back.
        """
        for name in names:
            assert name in DIRECTIVES, name
            self._subscribers.setdefault(name, []).append(apply)

    def get(self, patterns: Iterable[str]) -> dict[str, str]:
        """What CONFIG GET replies: names and aliases that match any pattern. A plain name is echoed as it was typed."""
        found: dict[str, str] = {}
        plain: set[str] = set()
        for pattern in patterns:
            if not any(sign in pattern for sign in "[*?"):
                name = pattern.lower()
                if name in NAMES and name not in plain and name not in found:
                    plain.add(name)
                    found[pattern] = self.show(pattern)
                continue
            matches = compile_glob(to_bytes(pattern.lower()))
            for name, directive in NAMES.items():
                if not directive.hidden and name not in found and matches(name.encode()):
                    found[name] = self.show(name)
        return found

    def set(self, pairs: Sequence[tuple[str, str]], *, loading: bool = False, local: bool = False) -> None:
        """CONFIG SET: all of the pairs or none of them. `local` says that the client is on this host."""
        changes = self._accept(pairs, loading, local)
        before = {directive.name: self._values[directive.name] for directive, _, _ in changes}
        for directive, called, text in changes:
            try:
                words = _words(directive, text)
                self._values[directive.name] = directive.kind.parse(words, before[directive.name])
            except BadValue as error:
                self._values.update(before)
                raise _failed(called, str(error)) from None
        self._apply(changes, before)

    def _accept(self, pairs: Sequence[tuple[str, str]], loading: bool, local: bool) -> list[Change]:
        """The changes of these pairs, if all of them may be made at all; unknown names are reported first."""
        for called, _ in pairs:
            if called.lower() not in NAMES:
                raise CommandError(f"ERR Unknown option or number of arguments for CONFIG SET - '{called}'")
        changes: list[Change] = []
        for called, text in pairs:
            directive = NAMES[called.lower()]
            if directive.fixed:
                raise _failed(called, "can't set immutable config")
            allowed = self._values["enable-protected-configs"]
            if directive.protected and not (allowed == "yes" or (allowed == "local" and local)):
                raise _failed(called, "can't set protected config")
            if loading and directive.not_while_loading:
                raise LOADING
            if any(directive is other for other, _, _ in changes):
                raise _failed(called, "duplicate parameter")
            changes.append((directive, called, text))
        return changes

    def _apply(self, changes: list[Change], before: dict[str, Any]) -> None:
        """Tell the subscribers; when one refuses, set the old values back and tell those who had heard of the new."""
        told: list[Apply] = []
        for directive, called, _ in changes:
            if self._values[directive.name] == before[directive.name]:
                continue
            for apply in self._subscribers.get(directive.name, ()):
                if apply in told:
                    continue
                told.append(apply)
                try:
                    apply(self)
                except BadValue as error:
                    self._values.update(before)
                    _tell_again(told, self)
                    raise _failed(called, str(error)) from None

    def rewrite(self, everything: bool = False) -> None:
        """CONFIG REWRITE: bring the file that this configuration was read from up to date."""
        if self.file is None:
            raise CommandError("ERR The server is running without a config file")
        try:
            self.file.write(rewritten(self.file.read(), self._values, everything))
        except OSError as error:
            raise CommandError(f"ERR Rewriting config file: {error.strerror or error}") from None


def _words(directive: Directive, text: str) -> list[str]:
    """CONFIG SET gives the words of a multi-word value in one argument."""
    if not directive.kind.multi:
        return [text]
    return text.split(" ") if text else []


def _tell_again(told: list[Apply], config: Config) -> None:
    for apply in told:
        try:
            apply(config)
        except BadValue:
            # The old value is refused as well: nothing is left to go back to, and the first refusal is reported.
            continue


def _failed(called: str, why: str) -> CommandError:
    return CommandError(f"ERR CONFIG SET failed (possibly related to argument '{called}') - {why}")
