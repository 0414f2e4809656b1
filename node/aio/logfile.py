"""Where the log goes: standard output or a file, one line a message, as redis-server writes them."""

from __future__ import annotations

import os
import sys
import time
from typing import TextIO

ROLES = {"primary": "M", "replica": "S"}


class LogFile:
    """A sink for node.monitoring.log.Log. A file is opened for each message, so that it can be rotated at any time."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.role = "primary"
        self._pid = os.getpid()

    def __call__(self, mark: str, text: str) -> None:
        now = time.time()
        day = time.strftime("%d %b %Y %H:%M:%S", time.localtime(now))
        line = f"{self._pid}:{ROLES[self.role]} {day}.{int(now * 1000) % 1000:03d} {mark} {text}\n"
        if not self.path:
            self._write(sys.stdout, line)
            return
        try:
            with open(self.path, "a") as file:
                self._write(file, line)
        except OSError:
            # A log that cannot be written must not stop the server.
            return

    @staticmethod
    def _write(file: TextIO, line: str) -> None:
        try:
            file.write(line)
            file.flush()
        except (OSError, ValueError):
            # Nobody reads the log any more.
            return
