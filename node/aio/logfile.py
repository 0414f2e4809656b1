"""Where the log goes: standard output or a file, a line a message, as redis-server writes them; the system's log."""

from __future__ import annotations

import os
import sys
import syslog
import time
from collections.abc import Callable
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


PRIORITIES = {".": syslog.LOG_DEBUG, "-": syslog.LOG_INFO, "*": syslog.LOG_NOTICE, "#": syslog.LOG_WARNING}


class SystemLog:
    """A sink that gives each message to the system's log as well (`syslog-enabled`)."""

    def __init__(self, ident: str, facility: str, beside: Callable[[str, str], None]) -> None:
        syslog.openlog(ident, syslog.LOG_PID | syslog.LOG_NDELAY | syslog.LOG_NOWAIT, FACILITIES[facility])
        self._beside = beside

    def __call__(self, mark: str, text: str) -> None:
        self._beside(mark, text)
        syslog.syslog(PRIORITIES[mark], text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0"))


FACILITIES = {"user": syslog.LOG_USER}
FACILITIES |= {f"local{number}": getattr(syslog, f"LOG_LOCAL{number}") for number in range(8)}


def why_not_writable(path: str) -> str | None:
    """Why a log cannot be written there, if so: who starts a node must hear of it, since later nobody does."""
    try:
        with open(path, "a"):
            return None
    except (OSError, ValueError) as error:
        return str(getattr(error, "strerror", None) or error)
