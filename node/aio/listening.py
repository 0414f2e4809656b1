"""Listening sockets from the `bind`, `port` and `unixsocket` directives, for clients, the bus and admin HTTP."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

WILDCARDS = {"*": (socket.AF_INET, "0.0.0.0"), "::*": (socket.AF_INET6, "::")}
WILD_HOSTS = {host for _, host in WILDCARDS.values()}

UNKNOWN_FAMILY = {
    errno.EAFNOSUPPORT,
    errno.EPFNOSUPPORT,
    errno.EPROTONOSUPPORT,
    errno.ESOCKTNOSUPPORT,
    errno.ENOPROTOOPT,
}
"""What a host without IPv6 answers. There, such an address is left out whether it has a `-` or not, as Redis does."""


class CannotListen(Exception):
    """No address could be bound; the text says which and why."""


def listen_tcp(
    addresses: Sequence[str], port: int, backlog: int, mine: Sequence[socket.socket] = ()
) -> list[socket.socket]:
    """A listener for each address. One that begins with `-` may be unavailable; without addresses there are none.

    `mine` are listeners that this is to take the place of. Those among them that are wanted still are part of the
    result; the others may overlap with the new ones, and are the caller's to close.
    """
    sockets: list[socket.socket] = []
    missing = ""
    try:
        for address in addresses:
            try:
                sockets.append(_listener(address.removeprefix("-"), port, backlog, mine, sockets))
            except OSError as error:
                missing = _why(f"TCP listening socket {address}:{port}", error)
                unavailable = error.errno == errno.EADDRNOTAVAIL and address.startswith("-")
                if not (unavailable or error.errno in UNKNOWN_FAMILY):
                    raise CannotListen(missing) from None
        if missing and not sockets:
            raise CannotListen(missing)
    except CannotListen:
        for each in sockets:
            if each not in mine:
                each.close()
        raise
    return sockets


def _why(what: str, error: OSError) -> str:
    return f"Could not create server {what}: bind: {error.strerror or error}"


def _listener(
    address: str, port: int, backlog: int, mine: Sequence[socket.socket], others: Sequence[socket.socket]
) -> socket.socket:
    family, host = _place(address, port)
    if any(_overlap(each, family, host) for each in others):
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    here = [each for each in mine if port and each.getsockname()[1] == port and _overlap(each, family, host)]
    for each in here:
        if each.family == family and each.getsockname()[0] == host:
            return each
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        with _sharing_port(listener, *here):
            listener.bind((host, port))
            listener.listen(backlog)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _place(address: str, port: int) -> tuple[int, str]:
    if address in WILDCARDS:
        return WILDCARDS[address]
    try:
        family, _, _, _, where = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    except UnicodeError:  # a label of a name is empty or too long
        raise OSError(errno.EINVAL, "not a host name or address") from None
    return family, str(where[0])


def _overlap(listener: socket.socket, family: int, host: str) -> bool:
    """Whether both stand for the same address, or one of them for all."""
    own = listener.getsockname()[0]
    return listener.family == family and (own == host or own in WILD_HOSTS or host in WILD_HOSTS)


@contextmanager
def _sharing_port(*sockets: socket.socket) -> Iterator[None]:
    """Let a new listener stand beside old ones of this process that overlap with it, and nobody else's."""
    sharing = sockets if len(sockets) > 1 else ()
    try:
        for each in sharing:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        yield
    finally:
        for each in sharing:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)


class Listeners:
    """The TCP listeners for one purpose, which can move to other addresses and ports.

    `begin` has the connections of a listener accepted, `end` no longer; then it is closed here.
    """

    def __init__(self, begin: Callable[[socket.socket], None], end: Callable[[socket.socket], None]) -> None:
        self._begin = begin
        self._end = end
        self.sockets: list[socket.socket] = []

    def move(self, addresses: Sequence[str], port: int, backlog: int) -> Move:
        """Listen at these addresses, beside the ones of now. CannotListen. Port 0 means nowhere."""
        return Move(self, listen_tcp(addresses, port, backlog, self.sockets) if port else [])

    def close(self) -> None:
        Move(self, []).commit()

    def replace(self, sockets: list[socket.socket]) -> None:
        before, self.sockets = self.sockets, sockets
        for each in sockets:
            if each not in before:
                self._begin(each)
        for each in before:
            if each not in sockets:
                self._end(each)
                each.close()


@dataclass(frozen=True)
class Move:
    """Listeners on their way to other addresses: all of them are there, and nobody has been told."""

    listeners: Listeners
    sockets: list[socket.socket]

    def commit(self) -> None:
        self.listeners.replace(self.sockets)

    def cancel(self) -> None:
        for each in self.sockets:
            if each not in self.listeners.sockets:
                each.close()


def listen_unix(path: str, permissions: int, backlog: int) -> socket.socket:
    """A listener on a Unix socket; a stale file of that name is replaced."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if os.path.lexists(path):
            os.unlink(path)
        listener.bind(path)
        if permissions:
            os.chmod(path, permissions)
        listener.listen(backlog)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise CannotListen(_why(f"Unix socket {path}", error)) from None
    return listener


def endpoint(address: object) -> bytes:
    """A socket's address as CLIENT LIST shows it: `1.2.3.4:5`, `[::1]:5`, or a path with `:0`."""
    if isinstance(address, tuple):
        host, port = address[0], address[1]
        return f"[{host}]:{port}".encode() if ":" in host else f"{host}:{port}".encode()
    text = address if isinstance(address, bytes) else str(address).encode()
    return text + b":0"
