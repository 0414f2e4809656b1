"""The commands of a server, one module a group: each declares its commands when it is imported, and all are, here.

The list is written out, so that reading it tells which modules there are and nothing registers itself by accident.
"""

from __future__ import annotations

from functools import cache

from node.commands.data import (  # noqa: F401
    bitmaps,
    dump,
    expire,
    geo,
    hash_expiry,
    hashes,
    hyperloglog,
    keys,
    lists,
    migrate,
    scan,
    sets,
    sort,
    sorted_set_algebra,
    sorted_set_ranges,
    sorted_sets,
    stream_claims,
    stream_groups,
    stream_info,
    stream_reads,
    streams,
    strings,
)
from node.commands.server import (  # noqa: F401
    client,
    cluster,
    config,
    connection,
    debug,
    functions,
    introspect,
    latency,
    memory,
    persistence,
    pubsub,
    replication,
    scripting,
    server,
    slowlog,
    transactions,
)
from node.commands.table.registry import Registry, assemble
from node.commands.table.spec import CommandSpec, declared


def load() -> Registry:
    """A fresh table of all commands; the specifications are shared."""
    return Registry(_specs())


@cache
def _specs() -> tuple[CommandSpec, ...]:
    return assemble(declared())
