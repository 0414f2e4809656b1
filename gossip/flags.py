"""The bits by which nodes describe each other, and their names in CLUSTER NODES and nodes.conf.

The numbers are those of the cluster bus, version 1: they travel in packet headers and gossip sections. Plain integers
rather than an enum, since they are tested for every gossip section of every packet.
"""

from __future__ import annotations

PRIMARY = 1
REPLICA = 2
PFAIL = 4  # we have not heard from it for too long
FAIL = 8  # a majority has not
MYSELF = 16
HANDSHAKE = 32  # its id is a placeholder until the first PONG
NOADDR = 64
MEET = 128  # the first packet on its link is a MEET
MIGRATE_TO = 256  # a primary that should have replicas
NOFAILOVER = 512
EXTENSIONS = 1024  # understands ping extensions beyond the hostname (Redis 7.2 and later, and this project)
LIGHT_PUBLISH = 2048  # understands published messages with the short header (Valkey 8 and later, and this project)

ROLE = PRIMARY | REPLICA
FAILING = PFAIL | FAIL

# What nodes may tell us about others. MYSELF would make a stranger us, MEET is a note to oneself.
GOSSIPED = PRIMARY | REPLICA | PFAIL | FAIL | HANDSHAKE | NOADDR | MIGRATE_TO | NOFAILOVER | EXTENSIONS

_NAMES: tuple[tuple[int, str], ...] = (
    (MYSELF, "myself"),
    (PRIMARY, "master"),
    (REPLICA, "slave"),
    (PFAIL, "fail?"),
    (FAIL, "fail"),
    (HANDSHAKE, "handshake"),
    (NOADDR, "noaddr"),
    (NOFAILOVER, "nofailover"),
)
_BY_NAME = {name: bit for bit, name in _NAMES}


def flags_text(flags: int) -> str:
    """`myself,master`: the flags field of a CLUSTER NODES line."""
    return ",".join(name for bit, name in _NAMES if flags & bit) or "noflags"


def parse_flags(text: str) -> int:
    """The reverse of `flags_text`; an unknown name is a ValueError."""
    flags = 0
    for name in text.lower().split(","):
        if name == "noflags":
            continue
        if name not in _BY_NAME:
            raise ValueError(f"unknown node flag '{name}'")
        flags |= _BY_NAME[name]
    return flags
