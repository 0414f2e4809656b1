"""How the process stands to whoever started it: in the background, under systemd, or under upstart."""

from __future__ import annotations

import os
import signal
import socket


def go_into_background() -> None:
    """`daemonize`: a child of nobody goes on, without a terminal; the process that was started ends."""
    if os.fork():
        os._exit(0)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    if null > 2:
        os.close(null)


class Supervisor:
    """`supervised`: whom to tell how far the node is. `problem` says why nobody can be told."""

    def __init__(self, mode: str) -> None:
        self._notify_path = ""
        self.problem = ""
        if mode in ("systemd", "auto"):
            self._notify_path = os.environ.get("NOTIFY_SOCKET", "")
            if mode == "systemd" and not self._notify_path:
                self.problem = "systemd supervision requested, but NOTIFY_SOCKET is not set"
        self._stop_for_upstart = mode in ("upstart", "auto") and "UPSTART_JOB" in os.environ
        if mode == "upstart" and not self._stop_for_upstart:
            self.problem = "upstart supervision requested, but UPSTART_JOB is not set"

    def starting(self) -> None:
        """The process is there. Upstart takes it for ready when it stops itself, and wakes it."""
        self._tell("STATUS=Shardis is loading...\n")
        if self._stop_for_upstart:
            self._stop_for_upstart = False
            del os.environ["UPSTART_JOB"]
            signal.raise_signal(signal.SIGSTOP)

    def ready(self) -> None:
        self._tell("STATUS=Ready to accept connections\nREADY=1\n")

    def stopping(self) -> None:
        self._tell("STATUS=Shutting down\nSTOPPING=1\n")

    def _tell(self, message: str) -> None:
        """sd_notify(3): one datagram to a socket whose name may be an abstract one."""
        if not self._notify_path:
            return
        path = "\0" + self._notify_path[1:] if self._notify_path.startswith("@") else self._notify_path
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.sendto(message.encode(), path)
        except OSError as error:
            self.problem = f"the supervisor at {self._notify_path} cannot be told: {error.strerror or error}"
