"""Errors of scripts, and what is left of a script that one has ended."""

from __future__ import annotations

from dataclasses import dataclass

ABANDONED = b"ERR Script ended by the server"


class ScriptError(Exception):
    """An error that a script sees as a table. `counted`: INFO errorstats has it already."""

    def __init__(self, text: bytes, counted: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.counted = counted


class LibraryError(Exception):
    """An error as functions of Lua's own libraries raise it: a string, with the place in the script before it."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.text = text


class CannotCompile(Exception):
    """`text` is what Lua says about it."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True, slots=True)
class Failure:
    """The error that has ended a script. `text` is None if the error has not the usual form; then there is `raw`."""

    text: bytes | None
    source: bytes = b""
    line: int | None = None
    counted: bool = False
    raw: bytes = b""

    def shown(self, script: bytes) -> bytes:
        """As the client of the script is told."""
        if self.text is None:
            return b"ERR Error running script %s, %s" % (script, self.raw[:100])
        if self.line is None or not self.source:
            return self.text
        return b"%s script: %s, on %s:%d." % (self.text, script, self.source, self.line)
