"""Imports the event loop and the hashes without OpenSSL, which comes along with both and is used by neither.

It makes a node at rest 5 MiB larger, of 36, and its start a tenth longer. asyncio, hashlib and hmac look for it and do
without where it is missing; uvloop names a few of its classes and numbers, for which any can stand as long as nobody
asks the loop for TLS. Whoever needs OpenSSL later, such as the libraries of the admin HTTP, finds it as usual.
"""

from __future__ import annotations

import sys
from types import ModuleType

OPENSSL = ("ssl", "_ssl", "_hashlib")


class _Nothing(Exception):
    """What stands for a class of the module `ssl`: nothing is one of it."""


class _StandIn(ModuleType):
    """Has a class or a number of any name."""

    def __getattr__(self, name: str) -> type | int:
        if name.startswith("__"):
            raise AttributeError(name)
        return 0 if name.isupper() else _Nothing


def run() -> None:
    """Do that, unless OpenSSL is there already."""
    if any(name in sys.modules for name in OPENSSL):
        return
    sys.modules.update(dict.fromkeys(OPENSSL))  # type: ignore[arg-type]  # None: "there is no such module"
    try:
        import asyncio.sslproto  # noqa: F401
        import hashlib  # noqa: F401
        import hmac  # noqa: F401

        sys.modules["ssl"] = _StandIn("ssl")
        import uvloop  # noqa: F401
    finally:
        for name in OPENSSL:
            del sys.modules[name]
