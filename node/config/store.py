"""The configuration of one node: the value of every directive, CONFIG GET and SET, and who hears of changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from node.config.directive import Directive
from node.config.kinds import BadValue
from node.config.rewrite import rewritten
from node.config.table import DIRECTIVES, NAMES
from node.config.words import to_bytes
from node.engine.structures.glob import Glob
from node.replies import LOADING, CommandError


class ConfigFile(Protocol):
    """The file that CONFIG REWRITE writes; both methods may raise OSError."""

    def read(self) -> str:
        """The file's text, empty if there is no file."""

    def write(self, text: str) -> None:
        """Replace the file in one step."""


class Prepared(Protocol):
    """A change that has been made ready beside what holds now. Neither method may fail."""

    def commit(self) -> None:
        """The change holds from now on."""

    def cancel(self) -> None:
        """The change is not to be: give back what was taken for it."""


Told = TypeVar("Told")
Apply = Callable[["Config"], None]
Prepare = Callable[["Config"], Prepared]
Change = tuple[Directive, str, str]  # the directive, the name it was called by, the new text


class Config:
    """Values by directive name: `config["maxmemory"]` is an int, `config["bind"]` a tuple of str (see the kinds)."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {name: directive.default for name, directive in DIRECTIVES.items()}
        self._subscribers: list[tuple[frozenset[str], Apply]] = []
        self._preparers: list[tuple[frozenset[str], Prepare]] = []
        self.file: ConfigFile | None = None
        self.path = ""
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

        It may refuse by raising BadValue or OSError. Whatever it raises, everything that the command set is set back.
        """
        self._subscribers.append((_known(names), apply))

    def prepare(self, names: Iterable[str], prepare: Prepare) -> None:
        """Have `prepare(config)` called before any subscriber, for changes that cannot be taken back once made.

        What it returns is committed when all others have agreed, and cancelled when one has refused. It refuses as
        subscribers do. Those that asked first are called first.
        """
        self._preparers.append((_known(names), prepare))

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
            matches = Glob(to_bytes(pattern.lower()))
            for name, directive in NAMES.items():
                if not directive.hidden and name not in found and matches(name.encode()):
                    found[name] = self.show(name)
        return found

    def set(self, pairs: Sequence[tuple[str, str]], *, loading: bool = False, local: bool = False) -> None:
        """CONFIG SET: all of the pairs or none of them. `local` says that the client is on this host."""
        changes = self._accept(pairs, loading, local)
        values: dict[str, Any] = {}
        for directive, called, text in changes:
            try:
                values[directive.name] = directive.parse(_words(directive, text), self._values[directive.name])
            except BadValue as error:
                raise _failed(called, str(error)) from None
        self._apply({directive.name: called for directive, called, _ in changes}, values)

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

    def _apply(self, called_by: dict[str, str], values: dict[str, Any]) -> None:
        """Set the values and have all who are concerned agree; when one does not, nothing has happened."""
        before = {name: self._values[name] for name in values}
        changed = {name: called_by[name] for name in values if values[name] != before[name]}
        ready: list[Prepared] = []
        told: list[Apply] = []
        called = ""
        self._values.update(values)
        try:
            for prepare, called in _concerned(self._preparers, changed):  # noqa: B007 (a refusal names it)
                ready.append(prepare(self))
            for apply, called in _concerned(self._subscribers, changed):  # noqa: B007
                told.append(apply)
                apply(self)
        except Exception as error:
            self._values.update(before)
            for each in ready:
                each.cancel()
            _tell_again(told, self)
            if isinstance(error, BadValue):
                raise _failed(called, str(error)) from None
            if isinstance(error, OSError):
                raise _failed(called, error.strerror or str(error)) from None
            raise
        for each in ready:
            each.commit()

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


def _known(names: Iterable[str]) -> frozenset[str]:
    """The names of directives, all of which there are."""
    known = frozenset(names)
    assert known <= DIRECTIVES.keys(), known - DIRECTIVES.keys()
    return known


def _concerned(table: list[tuple[frozenset[str], Told]], changed: dict[str, str]) -> Iterator[tuple[Told, str]]:
    """Each of those who are to hear of these changes, with the name of the first one that concerns it."""
    for names, each in table:
        called = next((called for name, called in changed.items() if name in names), None)
        if called is not None:
            yield each, called


def _tell_again(told: list[Apply], config: Config) -> None:
    """The old values hold again. Who cannot go back to them cannot be helped: the first refusal is what is reported."""
    for apply in told:
        with suppress(Exception):
            apply(config)


def _failed(called: str, why: str) -> CommandError:
    return CommandError(f"ERR CONFIG SET failed (possibly related to argument '{called}') - {why}")
