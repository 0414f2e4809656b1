"""What the server says it is. Clients look at `redis_version` to know which commands they may use.

pyproject.toml takes the version from here; asking for the installed one would load two megabytes of modules.
"""

import sys

VERSION = "0.1.0"
REDIS_VERSION = "7.2.4"
VALKEY_VERSION = "9.0.0"
"""The Valkey whose snapshots and stream we understand: what our replicas tell their primary."""
ALLOCATOR = "shardis-slabs"


def server_line() -> str:
    """What `--version` prints: as redis-server does, since programs read the version behind `v=`."""
    bits = 64 if sys.maxsize > 2**32 else 32
    return f"Shardis server v={REDIS_VERSION} sha=00000000:0 malloc={ALLOCATOR} bits={bits} build=shardis-{VERSION}"
