"""The server's log, by level. The host gives a sink that writes lines; without one the log is silent (tests)."""

from __future__ import annotations

from collections.abc import Callable

LEVELS = ("debug", "verbose", "notice", "warning")
MARKS = dict(zip(LEVELS, ".-*#", strict=True))


class Log:
    """`sink(mark, text)` gets each message that is at least as important as `level`."""

    def __init__(self, sink: Callable[[str, str], None] | None = None, level: str = "notice") -> None:
        self.sink = sink
        self.level = level

    def write(self, level: str, text: str) -> None:
        if self.sink is not None and LEVELS.index(level) >= LEVELS.index(self.level):
            self.sink(MARKS[level], text)

    def debug(self, text: str) -> None:
        self.write("debug", text)

    def verbose(self, text: str) -> None:
        self.write("verbose", text)

    def notice(self, text: str) -> None:
        self.write("notice", text)

    def warning(self, text: str) -> None:
        self.write("warning", text)
