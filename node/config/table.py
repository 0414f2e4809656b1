"""The directive table: every directive by name and by alias, in the order of the themes below."""

from __future__ import annotations

from node.config import admin, clustering, data, durability, server, tls
from node.config.directive import Directive

THEMES: dict[str, tuple[Directive, ...]] = {
    "Network": server.NETWORK,
    "Clients": server.CLIENTS,
    "Security": server.SECURITY,
    "Process": server.PROCESS,
    "Logging": server.LOGGING,
    "Monitoring": server.MONITORING,
    "Admin HTTP": admin.ADMIN,
    "Memory": data.MEMORY,
    "Lazy freeing": data.LAZY_FREEING,
    "Encodings": data.ENCODINGS,
    "Notifications": data.NOTIFICATIONS,
    "Snapshots": durability.SNAPSHOTS,
    "Append-only file": durability.APPEND_ONLY,
    "Replication": durability.REPLICATION,
    "Cluster": clustering.CLUSTER,
    "TLS": tls.TLS,
    "Scripts": server.SCRIPTS,
    "Defragmentation": server.DEFRAGMENTATION,
}

DIRECTIVES: dict[str, Directive] = {}
NAMES: dict[str, Directive] = {}

for _directives in THEMES.values():
    for _directive in _directives:
        assert _directive.name not in DIRECTIVES, f"two directives are called {_directive.name}"
        DIRECTIVES[_directive.name] = _directive
        for _name in (_directive.name, *_directive.aliases):
            assert _name not in NAMES, f"two directives answer to {_name}"
            NAMES[_name] = _directive

# What a file may hold beside directives; the loader and REWRITE know them by name.
FILE_ONLY = ("include", "user", "rename-command", "loadmodule")


def nearest(name: str) -> str | None:
    """The known name most like one that is not known."""
    import difflib  # Wanted for a mistake only.

    close = difflib.get_close_matches(name.lower(), [*NAMES, *FILE_ONLY], n=1, cutoff=0.6)
    return close[0] if close else None
