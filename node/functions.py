"""Libraries of functions, kept as their code: what files hold of them is written back, listed and passed on.

Running them is the script engine's part. A library's code opens with a line that names its engine and itself:

    #!lua name=mylib
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Library:
    """One library. `engine` is in upper case, as FUNCTION LIST shows it."""

    name: bytes
    engine: bytes
    code: bytes


class NoLibrary(ValueError):
    """The code does not open as a library's does."""


class Functions:
    """The libraries of a node, by name."""

    def __init__(self) -> None:
        self.libraries: dict[bytes, Library] = {}

    def codes(self) -> list[bytes]:
        """For a snapshot."""
        return [library.code for library in self.libraries.values()]

    def replace(self, codes: Iterable[bytes]) -> None:
        """Other libraries instead of those that are here. One whose first line says nothing is kept without a name."""
        self.libraries = {}
        for code in codes:
            try:
                library = parse(code)
            except NoLibrary:
                library = Library(b"", b"", code)
            self.libraries[library.name] = library


def parse(code: bytes) -> Library:
    """The library of a code."""
    first, _, _ = code.partition(b"\n")
    words = first.split()
    if not words or not words[0].startswith(b"#!"):
        raise NoLibrary("Missing library metadata")
    names = [word.removeprefix(b"name=") for word in words[1:] if word.startswith(b"name=")]
    if len(names) != 1:
        raise NoLibrary("Library name was not given")
    return Library(names[0], words[0].removeprefix(b"#!").upper(), code)
