"""How many files the process may have open, and how many of them are for clients.

The node keeps some for itself: listeners, the append-only file, snapshots, the links of the bus, probes over HTTP.
Where the system grants less than all of that, there will be fewer clients, and those that are too many are told so.
"""

from __future__ import annotations

import resource

from node.aio.admin.listener import ADMIN_CONNECTIONS
from node.config import Config

OWN_FILES = 32
"""Files of any node, as Redis keeps them free. At rest a node has half of these open."""
BUS_LINKS = 200
"""Two for each other member of a cluster of a hundred."""


def own_files(config: Config) -> int:
    """What the node keeps for itself."""
    admin = ADMIN_CONNECTIONS if config["admin-port"] else 0
    return OWN_FILES + admin + (BUS_LINKS if config["cluster-enabled"] else 0)


def clients_among(files: int, own: int) -> int:
    """How many clients a limit of so many files leaves room for. A cluster's links may have to do with half of it."""
    return files - max(min(own, files // 2), OWN_FILES)


def allow_files(wanted: int) -> int:
    """Raise the limit to so many open files, or as far as the system lets us; the limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    # Beyond the hard limit goes who may, and nobody beyond what the kernel has.
    reachable = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    for limit in (wanted, min(wanted, _most_files()), reachable):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, max(limit, hard) if hard >= 0 else hard))
        except (OSError, ValueError, OverflowError):
            continue
        return limit
    return soft


def _most_files() -> int:
    try:
        with open("/proc/sys/fs/nr_open") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 1 << 20
