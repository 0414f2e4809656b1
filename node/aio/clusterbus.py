"""The cluster bus of a running node: nodes.conf on disk, the bus on its port, effects handed to node/clustering.py."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

from cluster.agreement.nodesconf import CorruptConfig
from cluster.aio.nodesfile import ConfigInUse, NodesFile
from gossip.aio.bus import Bus
from gossip.aio.clock import steady_clock
from gossip.settings import BUS_PORT_OFFSET
from node.aio.listening import CannotListen, Listeners, Move
from node.clustering import bus_port
from node.config import BadValue, Config
from node.core import NodeCore

PORT_TOO_HIGH = "Port {} for the cluster bus is too high: choose a client port below {} or set cluster-port."


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
        self.listeners = Listeners(self._listen, self._stop_listening)

    async def start(self) -> None:
        """Read nodes.conf, listen on the bus port, and begin."""
        node = self.node
        clock = steady_clock()
        try:
            text = self.file.open()
            clustering = node.join_cluster(text, clock, self)
        except (OSError, ConfigInUse, CorruptConfig) as error:
            raise CannotJoin(f"Cannot use {node.config['cluster-config-file']}: {error}") from None
        bus = Bus(
            clustering.core,
            clock,
            write_config=self.file.write,
            carry_out=clustering.carry_out,
            on_fatal=self.on_fatal,
            on_settled=clustering.refresh,
            source_host=lambda: node.config["bind-source-addr"],
        )
        try:
            self.listeners.sockets = self._move(node.config).sockets
        except CannotListen as error:
            raise CannotJoin(f"Failed listening on port {bus_port(node.config)} (cluster bus): {error}") from None
        if not self.listeners.sockets:
            raise CannotJoin('A node of a cluster needs an address for its bus: set bind to something else than "".')
        await bus.start(self.listeners.sockets)
        self.bus = bus
        node.config.prepare(["bind", "port"], self._prepare)

    # -- the node's port (node/ports/)

    def attend(self) -> None:
        if self.bus is not None:
            self.bus.run()
        elif self.node.clustering is not None:
            self.node.clustering.refresh()

    def buffer_sizes(self, link_id: int) -> tuple[int, int]:
        return self.bus.buffer_sizes(link_id) if self.bus is not None else (0, 0)

    async def stop(self) -> None:
        if self.bus is not None:
            await self.bus.stop()
        self.file.close()

    # -- where it listens

    def _move(self, config: Config) -> Move:
        """The bus listens where clients are served, at a port of its own. CannotListen."""
        port = bus_port(config)
        if port > 65535:
            raise CannotListen(PORT_TOO_HIGH.format(port, 65536 - BUS_PORT_OFFSET))
        return self.listeners.move(config["bind"], port, config["tcp-backlog"])

    def _prepare(self, config: Config) -> Move:
        """CONFIG SET bind or port: the bus goes along, as it would with the next start."""
        try:
            move = self._move(config)
        except CannotListen as error:
            raise BadValue(f"Failed listening on port {bus_port(config)} (cluster bus): {error}") from None
        if not move.sockets:
            raise BadValue("A node of a cluster needs an address for its bus")
        return move

    def _listen(self, sock: socket.socket) -> None:
        assert self.bus is not None
        self._beginning = self.loop.create_task(self.bus.listen(sock))

    def _stop_listening(self, sock: socket.socket) -> None:
        assert self.bus is not None
        self.bus.stop_listening(sock)
