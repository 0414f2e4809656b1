"""What the server says it is. Clients look at `redis_version` to know which commands they may use.

pyproject.toml takes the version from here; asking for the installed one would load two megabytes of modules.
"""

VERSION = "0.1.0"
REDIS_VERSION = "7.2.4"
VALKEY_VERSION = "9.0.0"
"""The Valkey whose snapshots and stream we understand: what our replicas tell their primary."""
