"""What a node tells about itself: the parts that have figures, in the order in which they are told.

A new figure is a line in the table of the part that it is of; a new part with figures is a line here.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from node import clustering, leaving
from node.figures import absent, memory, server
from node.keyspace import eviction
from node.monitoring import engine, process, rates
from node.monitoring.figure import Catalogue, Source
from node.persistence import loading, saving, snapshots
from node.persistence.aof import appendonly
from node.replication import carrier, following, fullsync, history, local_expiry, replicas, stream_session, write_stream
from node.requests import blocking, clients, pause, pubsub, transactions
from node.scripting import functions, scripts
from node.transfer import transfers

if TYPE_CHECKING:
    from node.core import NodeCore


@cache
def catalogue() -> Catalogue[NodeCore]:
    """All figures. Made when somebody asks for the first time: a node at rest does without."""
    return Catalogue(_sources())


def _sources() -> tuple[Source[NodeCore, Any], ...]:
    return (
        Source(server.figures(), lambda node: node),
        Source(process.figures(), lambda node: node.process.facts()),
        Source(leaving.figures(), lambda node: node.leaving),
        Source(memory.figures(), lambda node: node.memory.measure()),
        Source(clients.figures(), lambda node: node.clients),
        Source(blocking.figures(), lambda node: node.blocking),
        Source(transactions.figures(), lambda node: node.watches),
        Source(pause.figures(), lambda node: node.pause),
        Source(engine.of_engine(), lambda node: node.engine),
        Source(engine.of_keyspace(), lambda node: node.space),
        Source(rates.figures(), lambda node: node.rates),
        Source(eviction.figures(), lambda node: node.eviction),
        Source(pubsub.figures(), lambda node: node.pubsub),
        Source(scripts.figures(), lambda node: node.scripts),
        Source(functions.figures(), lambda node: node.functions),
        Source(loading.figures(), lambda node: node.loading),
        Source(snapshots.figures(), lambda node: node.snapshots),
        Source(saving.figures(), lambda node: node.saving),
        Source(appendonly.figures(), lambda node: node.aof),
        Source(carrier.figures(), lambda node: node.following.carrier),
        Source(local_expiry.figures(), lambda node: node.following.local_expiry),
        Source(stream_session.figures(), lambda node: node.following.sessions),
        Source(following.figures(), lambda node: node.following),
        Source(write_stream.figures(), lambda node: node.stream),
        Source(fullsync.figures(), lambda node: node.replicas.sync),
        Source(replicas.figures(), lambda node: node.replicas),
        Source(history.figures(), lambda node: node.history),
        Source(transfers.figures(), lambda node: node.transfers),
        Source(clustering.figures(), lambda node: node.clustering),
        Source(absent.figures(), lambda node: node),
    )
