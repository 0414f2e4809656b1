"""Listening sockets from the `bind`, `port` and `unixsocket` directives."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence

WILDCARDS = {"*": (socket.AF_INET, "0.0.0.0"), "::*": (socket.AF_INET6, "::")}


class CannotListen(Exception):
    """No address could be bound; the text says which and why."""


def listen_tcp(addresses: Sequence[str], port: int, backlog: int) -> list[socket.socket]:
    """A listener for each address. One that begins with `-` may be unavailable."""
    sockets: list[socket.socket] = []
    failure = ""
    for address in addresses or ("*",):
        optional = address.startswith("-")
        try:
            sockets.append(_listener(address.removeprefix("-"), port, backlog))
        except OSError as error:
            unavailable = error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT)
            if optional and unavailable:
                continue
            failure = f"Could not create server TCP listening socket {address}:{port}: bind: {error.strerror or error}"
            break
    if failure or not sockets:
        for each in sockets:
            each.close()
        raise CannotListen(failure or f"no address to listen on at port {port}")
    return sockets


def _listener(address: str, port: int, backlog: int) -> socket.socket:
    if address in WILDCARDS:
        family, host = WILDCARDS[address]
    else:
        family, _, _, _, where = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        host = str(where[0])
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen(backlog)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def listen_unix(path: str, permissions: int, backlog: int) -> socket.socket:
    """A listener on a Unix socket; a stale file of that name is replaced."""
    if os.path.exists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        if permissions:
            os.chmod(path, permissions)
        listener.listen(backlog)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise CannotListen(f"Failed opening Unix socket: bind: {error.strerror or error}") from None
    return listener


def endpoint(address: object) -> bytes:
    """A socket's address as CLIENT LIST shows it: `1.2.3.4:5`, `[::1]:5`, or a path with `:0`."""
    if isinstance(address, tuple):
        host, port = address[0], address[1]
        return f"[{host}]:{port}".encode() if ":" in host else f"{host}:{port}".encode()
    text = address if isinstance(address, bytes) else str(address).encode()
    return text + b":0"
