"""Where our connections come from (`bind-source-addr`)."""

from __future__ import annotations

import asyncio
import socket


async def local_address(source: str) -> tuple[str, int] | None:
    """What to bind an outgoing connection to; None: the system decides.

    An address that this host does not have, or not any more, must not cut it off: then it is as if none had been named.
    """
    if not source:
        return None
    try:
        found = await asyncio.get_running_loop().getaddrinfo(source, 0, type=socket.SOCK_STREAM)
        family, _, _, _, where = found[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind(where)
    except (OSError, UnicodeError):  # the latter: a label of a name is empty or too long
        return None
    return str(where[0]), 0
