"""The cluster bus of a running node: nodes.conf on disk, the bus on its port, effects handed to node/clustering.py."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from cluster.aio.nodesfile import ConfigInUse, NodesFile
from cluster.nodesconf import CorruptConfig
from gossip.aio.bus import Bus
from gossip.aio.clock import steady_clock
from node.clustering import Clustering, bus_port
from node.core import NodeCore

WILDCARDS = {"*": "0.0.0.0", "::*": "::"}


class CannotJoin(Exception):
    """The node cannot take part in a cluster; the text says why."""


class ClusterBus:
    """Owns nodes.conf (locked, so that two nodes cannot share it) and the bus."""

    def __init__(self, node: NodeCore, loop: asyncio.AbstractEventLoop, on_fatal: Callable[[Exception], None]) -> None:
        self.node = node
        self.loop = loop
        self.file = NodesFile(os.path.abspath(node.config["cluster-config-file"]))
        self.on_fatal = on_fatal
        self.bus: Bus | None = None

    async def start(self) -> None:
        """Read nodes.conf, listen on the bus port, and begin."""
        node = self.node
        port = bus_port(node.config)
        if port > 65535:
            raise CannotJoin(
                f"Port {port} for the cluster bus is too high: choose a client port below 55536 or set cluster-port."
            )
        clock = steady_clock()
        try:
            text = self.file.open()
            node.clustering = Clustering(node, node.rng, text, clock)
        except (OSError, ConfigInUse, CorruptConfig) as error:
            raise CannotJoin(f"Cannot use {node.config['cluster-config-file']}: {error}") from None
        bus = Bus(
            node.clustering.core,
            clock,
            write_config=self.file.write,
            carry_out=node.clustering.carry_out,
            on_fatal=self.on_fatal,
            on_settled=node.clustering.refresh,
            source_host=lambda: node.config["bind-source-addr"],
        )
        try:
            await bus.start(list(_hosts(node.config["bind"])), port)
        except OSError as error:
            raise CannotJoin(f"Failed listening on port {port} (cluster bus): {error.strerror or error}") from None
        self.bus = bus
        node.clustering.attend = bus.run
        node.clustering.buffers = bus.buffer_sizes

    async def stop(self) -> None:
        if self.bus is not None:
            await self.bus.stop()
        self.file.close()


def _hosts(addresses: tuple[str, ...]) -> list[str]:
    """The bind addresses that exist; an optional one (`-`) may be missing."""
    hosts = []
    for address in addresses or ("*",):
        host = address.removeprefix("-")
        hosts.append(WILDCARDS.get(host, host))
    return hosts
