"""Work that takes long, one step at a time: whoever runs it decides how long it may take at a stretch."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

Result = TypeVar("Result")
Steps = Generator[int, None, Result]
"""A load: each step yields how many keys it has loaded; what is returned is the outcome."""


class CannotLoad(Exception):
    """The data cannot be loaded: a node must not start without it. The text is for the log."""


def at_once(steps: Steps[Result]) -> Result:
    """Run it to its end, for a command that cannot go on without it."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: Result = stop.value
            return result
