"""What the server says it is. Clients look at `redis_version` to know which commands they may use."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("shardis")
except PackageNotFoundError:
    # Run from a source tree that is not installed.
    VERSION = "0.1.0"

REDIS_VERSION = "7.2.4"
