"""Passwords in the words of commands, which neither MONITOR nor the slow log shows."""

from __future__ import annotations

REDACTED = b"(redacted)"

SECRETS = {b"migrate": (6, {b"AUTH": 1, b"AUTH2": 2})}
"""By command: from which word on there are options, and how many words behind an option are secret."""


def without_secrets(argv: list[bytes]) -> list[bytes]:
    """The words as others may see them: the same list, if there is nothing to hide."""
    where = SECRETS.get(argv[0].lower())
    if where is None:
        return argv
    at, options = where
    shown = list(argv)
    while at < len(argv):
        secret = options.get(argv[at].upper(), 0)
        for hidden in range(at + 1, min(at + 1 + secret, len(argv))):
            shown[hidden] = REDACTED
        if argv[at].upper() == b"KEYS":
            break  # what follows are keys
        at += 1 + secret
    return shown
