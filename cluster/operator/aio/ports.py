"""Which ports of this machine are taken, and by whom: read from the kernel, for messages that say what to do."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

from cluster.operator.local import HOST, Taken

LISTENING = "0A"
ENDED = {"04", "05", "06", "07", "09", "0B"}
"""FIN_WAIT1 and 2, TIME_WAIT, CLOSE, LAST_ACK, CLOSING: the kernel alone still waits for the end of a connection."""

PROC = Path("/proc")


def is_port_free(port: int) -> bool:
    """Whether a server could listen on the port now (what lingers of a server's own connections does not count)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def who_has(port: int) -> Taken | None:
    """Who keeps a server from listening on the port; None if nobody does.

    The port of an outgoing connection cannot be listened on while that lives, and for a minute after.
    """
    if is_port_free(port):
        return None
    sockets = list(_sockets(port))
    listeners = {inode for state, inode in sockets if state == LISTENING}
    if listeners or not sockets:
        return Taken(port, by=_owner(listeners))
    lingers = {state for state, _ in sockets} <= ENDED
    return Taken(port, by="an outgoing connection", outgoing=True, lingers=lingers)


def _sockets(port: int) -> Iterator[tuple[str, str]]:
    """State and inode of every TCP socket with this local port."""
    for name in ("net/tcp", "net/tcp6"):
        try:
            lines = (PROC / name).read_text(encoding="ascii", errors="replace").splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[3], fields[9]


def _owner(inodes: set[str]) -> str:
    """`name (process 12)` for the process that has one of these sockets; empty if we may not see it."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in PROC.iterdir():
        if not process.name.isdigit():
            continue
        try:
            if any(os.readlink(entry) in wanted for entry in (process / "fd").iterdir()):
                name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
                return f"{name} (process {process.name})"
        except OSError:
            continue
    return ""


def outgoing_ports() -> tuple[int, int]:
    """The range from which outgoing connections get their ports; (0, 0) where the kernel does not tell."""
    try:
        low, high = (PROC / "sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return 0, 0
    return int(low), int(high)
