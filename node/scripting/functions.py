"""Libraries of functions: a text that is run once, when it is loaded, and gives names to functions while it runs.

    #!lua name=mylib
    redis.register_function('double', function(keys, args) return args[1] * 2 end)

What is saved, replicated and shown is the text. Libraries have an interpreter of their own, apart from that of EVAL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from node.engine.session.wire import count_bytes
from node.monitoring.figure import Table, shown
from node.replies import CommandError
from node.scripting.errors import CannotCompile, ScriptError
from node.scripting.shebang import shebang_words

if TYPE_CHECKING:
    from node.ports.host import Clock
    from node.scripting.interpreter import Interpreter

ENGINE = b"LUA"
LOAD_LIMIT_MS = 500
"""How long the text of a library may run."""
LIBRARY_OVERHEAD_BYTES = 250
FUNCTION_OVERHEAD_BYTES = 150
BAD_NAME = (
    b"ERR Library names can only contain letters, numbers, or underscores(_) and must be at least one character long"
)
_NAME = re.compile(rb"[A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True)
class Function:
    name: bytes
    callback: Any
    """A function of Lua."""
    flags: frozenset[bytes] = frozenset()
    description: bytes | None = None


@dataclass(frozen=True, slots=True)
class Library:
    """`code` with its first line."""

    name: bytes
    code: bytes
    functions: dict[bytes, Function] = field(default_factory=dict)

    def add(self, function: Function) -> None:
        """ScriptError."""
        if not _NAME.fullmatch(function.name):
            raise ScriptError(BAD_NAME)
        if function.name in self.functions:
            raise ScriptError(b"ERR Function already exists in the library")
        self.functions[function.name] = function


class Functions:
    """The libraries of a node, by name."""

    def __init__(self, clock: Clock, make_interpreter: Callable[[], Interpreter]) -> None:
        self._clock = clock
        self._make_interpreter = make_interpreter
        self.libraries: dict[bytes, Library] = {}
        self._by_name: dict[bytes, Function] = {}
        self.cache_bytes = 0
        """What they take beside Lua."""
        self.loading: Library | None = None
        """The library whose text runs."""
        self._interpreter: Interpreter | None = None
        self._deadline_us: int | None = None

    def find(self, name: bytes) -> Function | None:
        """Whatever the case of its letters; in a library names differ by case, too."""
        return self._by_name.get(name.lower())

    def _index(self) -> None:
        libraries = self.libraries.values()
        texts_bytes = sum(len(library.code) + LIBRARY_OVERHEAD_BYTES for library in libraries)
        cache_bytes = texts_bytes + self.count * FUNCTION_OVERHEAD_BYTES
        count_bytes(cache_bytes - self.cache_bytes)
        self.cache_bytes = cache_bytes
        self._by_name = {name.lower(): function for each in libraries for name, function in each.functions.items()}

    @property
    def count(self) -> int:
        return sum(len(library.functions) for library in self.libraries.values())

    def codes(self) -> list[bytes]:
        """For a snapshot."""
        return [library.code for library in self.libraries.values()]

    # -- loading

    @property
    def interpreter(self) -> Interpreter:
        """Made when the first library is loaded."""
        if self._interpreter is None:
            self._interpreter = self._make_interpreter()
        return self._interpreter

    def load(self, code: bytes, replace: bool, limited: bool = True) -> bytes:
        """Add a library, or put it in the place of the one of that name; its name. CommandError: nothing has changed.

        `limited`: its text must not run for long.
        """
        name = library_name(code)
        if name in self.libraries and not replace:
            raise CommandError(b"ERR Library '%s' already exists" % name)
        library = self._run(name, code, limited)
        self._check_collisions([library], [each for each in self.libraries.values() if each.name != name])
        self.libraries[name] = library
        self._index()
        return name

    def delete(self, name: bytes) -> bool:
        """False: there is no library of that name."""
        found = self.libraries.pop(name, None) is not None
        self._index()
        return found

    def prepare(self, codes: Iterable[bytes]) -> dict[bytes, Library]:
        """Libraries for `install`. CommandError."""
        made: dict[bytes, Library] = {}
        for code in codes:
            name = library_name(code)
            if name in made:
                raise CommandError(b"ERR Library '%s' already exists" % name)
            library = self._run(name, code, limited=False)
            self._check_collisions([library], made.values())
            made[name] = library
        return made

    def install(self, libraries: dict[bytes, Library]) -> None:
        """These instead of those that are here."""
        self.libraries = libraries
        self._index()
        if not libraries:
            self._interpreter = None

    def join(self, libraries: dict[bytes, Library], replace: bool) -> None:
        """These beside those that are here. CommandError: nothing has changed."""
        for name in libraries:
            if name in self.libraries and not replace:
                raise CommandError(b"ERR Library %s already exists" % name)
        stay = [library for name, library in self.libraries.items() if name not in libraries]
        self._check_collisions(libraries.values(), stay)
        self.libraries = {**self.libraries, **libraries}
        self._index()

    @staticmethod
    def _check_collisions(new: Iterable[Library], others: Iterable[Library]) -> None:
        taken = {name.lower() for library in others for name in library.functions}
        for name in (name for library in new for name in library.functions):
            if name.lower() in taken:
                raise CommandError(b"ERR Function %s already exists" % name)

    def _run(self, name: bytes, code: bytes, limited: bool) -> Library:
        """Run the text of a library, which says what its functions are."""
        library = Library(name, code)
        interpreter = self.interpreter
        try:
            function = interpreter.compile(code[code.index(b"\n") :], b"@user_function")
        except CannotCompile as error:
            raise CommandError(b"ERR Error compiling function: " + error.text) from None
        self.loading = library
        self._deadline_us = self._clock.now_us() + LOAD_LIMIT_MS * 1000 if limited else None
        try:
            error_text = interpreter.load(function)
        finally:
            self.loading = self._deadline_us = None
        if error_text is not None:
            raise CommandError(b"ERR Error registering functions: " + error_text)
        if not library.functions:
            raise CommandError("ERR No functions registered")
        return library

    @property
    def late(self) -> bool:
        """The text of a library takes too long."""
        return self._deadline_us is not None and self._clock.now_us() > self._deadline_us

    # -- figures

    @property
    def used_bytes(self) -> int:
        """What Lua has allocated for libraries."""
        return self._interpreter.used_bytes if self._interpreter is not None else 0


def library_name(code: bytes) -> bytes:
    """The name that the first line gives; CommandError if that line is not as it has to be."""
    if not code.startswith(b"#!"):
        raise CommandError("ERR Missing library metadata")
    words = shebang_words(code.partition(b"\n")[0]) if b"\n" in code else []
    if not words:
        raise CommandError("ERR Invalid library metadata")
    names = list(_names(words[1:]))
    if not names:
        raise CommandError("ERR Library name was not given")
    if not _NAME.fullmatch(names[0]):
        raise CommandError(BAD_NAME)
    engine = words[0].removeprefix(b"#!")
    if engine.upper() != ENGINE:
        raise CommandError(b"ERR Engine '%s' not found" % engine)
    return names[0]


def _names(words: list[bytes]) -> Iterator[bytes]:
    given = False
    for word in words:
        if not word.lower().startswith(b"name="):
            raise CommandError(b"ERR Invalid metadata value given: " + word)
        if given:
            raise CommandError("ERR Invalid metadata value, name argument was given multiple times")
        given = True
        yield word[len(b"name=") :]


def figures() -> Table[Functions]:
    return (
        shown("memory", "number_of_functions", lambda own: own.count, "Functions.", after="number_of_cached_scripts"),
        shown("memory", "number_of_libraries", lambda own: len(own.libraries), "Libraries of functions."),
        shown(
            "memory", "used_memory_vm_functions", lambda own: own.used_bytes, "What Lua has allocated for libraries."
        ),
        shown(
            "memory",
            "used_memory_functions",
            lambda own: own.cache_bytes,
            "What libraries take beside Lua.",
            after="used_memory_vm_total_human",
        ),
    )
