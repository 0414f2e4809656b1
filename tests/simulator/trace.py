"""What happened in a run: a hash over everything, to compare runs, and on demand the story for a reader.

The hash covers each arriving packet and each effect, so that two runs with the same hash went the same way. The story
tells what a person who looks for a cause wants to know: faults, log lines of the nodes, changes of roles.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from zlib import crc32


class Trace:
    """`tell`, if given, receives the story line by line as it happens."""

    def __init__(self, tell: Callable[[str], None] | None = None) -> None:
        self.names: dict[str, str] = {}
        """Node ids, and what a reader calls the nodes."""
        self._hash = 0
        self._tell = tell

    @property
    def telling(self) -> bool:
        return self._tell is not None

    @property
    def digest(self) -> str:
        return f"{self._hash:08x}"

    def count(self, at_us: int, number: int, data: bytes) -> None:
        """Something happened at a host: it changes the hash."""
        self._hash = crc32(data, crc32(b"%d %d" % (at_us, number), self._hash))

    def story(self, at_us: int, who: str, text: str) -> None:
        """A line for a reader. It counts too."""
        line = f"{at_us / 1_000_000:10.4f} {who:>4} {text}"
        self._hash = crc32(line.encode(), self._hash)
        if self._tell is not None:
            self._tell(re.sub(r"\b[0-9a-f]{40}\b", lambda found: self.names.get(found[0], found[0]), line))
