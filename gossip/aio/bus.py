"""The bus on real sockets: one listener, the links, a timer, and the core's effects carried out in order.

`Bus` is a host: it owns no rule of the cluster. Bytes and lost connections become events of the core, and what the core
then asks for is done here. Effects that concern more than the bus (persisting, delivering published messages, following
a primary, log lines) are handed to the node.

A durable `Persist` is written in a thread, since an fsync may take long; whatever the core asked for after it waits
in the queue until it is on disk, so the order of effects holds while clients are served.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from gossip.aio.source import local_address
from gossip.effects import (
    Close,
    Closed,
    Connect,
    Effect,
    Event,
    LinkAccepted,
    LinkClosed,
    LinkOpened,
    Persist,
    Received,
    Resolve,
    Resolved,
    Send,
)
from gossip.settings import GossipSettings

if TYPE_CHECKING:
    import ssl


class Core(Protocol):
    """What a core offers to its host."""

    @property
    def settings(self) -> GossipSettings: ...

    def step(self, event: Event, now_ms: int) -> None: ...

    def tick(self, now_ms: int) -> None: ...

    def next_due_ms(self) -> int: ...

    def take_effects(self) -> list[Effect]: ...

    def new_link_id(self) -> int: ...


class Bus:
    """Runs a core over TCP on the running asyncio loop."""

    def __init__(
        self,
        core: Core,
        clock: Callable[[], int],
        *,
        write_config: Callable[[str, bool], None],
        carry_out: Callable[[Effect], None],
        on_fatal: Callable[[Exception], None],
        on_settled: Callable[[], None] = lambda: None,
        client_tls: ssl.SSLContext | None = None,
        server_tls: ssl.SSLContext | None = None,
        source_host: Callable[[], str] = lambda: "",
        look_up: Callable[[str], Awaitable[Sequence[str]]] | None = None,
    ) -> None:
        """`write_config(text, durable)` writes nodes.conf, blocking. If it fails the node must stop (`on_fatal`): it
        could break its promises. `carry_out` gets every effect that is not the bus' own. `on_settled` is called when
        the effects of a step are done, or wait for the disk. `source_host` is where our connections come from; empty:
        the system decides. `look_up` finds the addresses of a host name; by default the system's resolver does.
        """
        self._core = core
        self._clock = clock
        self._write_config = write_config
        self._carry_out = carry_out
        self._on_fatal = on_fatal
        self._on_settled = on_settled
        self._client_tls = client_tls
        self._server_tls = server_tls
        self._source_host = source_host
        self._look_up = look_up or _system_look_up
        self._look_ups: set[asyncio.Task[None]] = set()
        self._servers: dict[socket.socket, asyncio.Server] = {}
        self._transports: dict[int, asyncio.Transport] = {}
        self._attempts: dict[int, asyncio.Task[None]] = {}
        self._queue: deque[Effect] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._flushing = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = 0
        self._stopped = False

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections at these listening sockets, and begin."""
        for each in sockets:
            await self.listen(each)
        self.run()

    async def listen(self, sock: socket.socket) -> None:
        """Accept connections at one more listening socket, which from now on is the bus' own."""
        loop = asyncio.get_running_loop()
        self._servers[sock] = await loop.create_server(self._accept, sock=sock, ssl=self._server_tls)

    def stop_listening(self, sock: socket.socket) -> None:
        """Accept no more connections there; those that it has brought stay."""
        self._servers.pop(sock).close()

    async def stop(self) -> None:
        """Finish writing, then close everything."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await self._writing
        for effect in (*self._queue, *self._core.take_effects()):
            if isinstance(effect, Persist):
                self._write_config(effect.text, True)
        for server in self._servers.values():
            server.close()
        for attempt in list(self._attempts.values()):
            attempt.cancel()
        for transport in list(self._transports.values()):
            transport.abort()
        for look_up in self._look_ups:
            look_up.cancel()
        await asyncio.gather(*self._attempts.values(), *self._look_ups, return_exceptions=True)

    def run(self) -> None:
        """Do what is due and carry out what the core asks. Call it after using the core from outside the bus."""
        if not self._stopped:
            self._core.tick(self._clock())
            self._flush()

    def buffer_sizes(self, link_id: int) -> tuple[int, int]:
        """(allocated, used) bytes that wait to be sent on a link, for CLUSTER LINKS."""
        transport = self._transports.get(link_id)
        used = transport.get_write_buffer_size() if transport is not None else 0
        return used, used

    def buffered_bytes(self) -> int:
        """Bytes that wait to be sent on all links."""
        return sum(transport.get_write_buffer_size() for transport in self._transports.values())

    # Events.

    def event(self, event: Event) -> None:
        """Tell the core, then do what it asks."""
        if self._stopped:
            return
        self._core.step(event, self._clock())
        self._flush()

    def opened(self, link_id: int, transport: asyncio.Transport, *, inbound: bool) -> None:
        self._transports[link_id] = transport
        kind = LinkAccepted if inbound else LinkOpened
        self.event(kind(link_id, _ip(transport, "peername"), _ip(transport, "sockname")))

    def lost(self, link_id: int, reason: Closed) -> None:
        if self._transports.pop(link_id, None) is not None:
            self.event(LinkClosed(link_id, reason))

    def _accept(self) -> asyncio.Protocol:
        return _LinkProtocol(self, self._core.new_link_id(), inbound=True)

    async def _connect(self, effect: Connect) -> None:
        loop = asyncio.get_running_loop()
        reason: Closed | None = None
        try:
            await loop.create_connection(
                lambda: _LinkProtocol(self, effect.link_id, inbound=False),
                effect.host,
                effect.port,
                ssl=self._client_tls,
                server_hostname="" if self._client_tls else None,
                local_addr=await local_address(self._source_host()),
            )
        except (OSError, UnicodeError) as error:
            reason = _why(error)
        finally:
            self._attempts.pop(effect.link_id, None)
        if reason is not None:
            self.event(LinkClosed(effect.link_id, reason))

    async def _resolve(self, host: str) -> None:
        try:
            ips = tuple(await self._look_up(host))
        except (OSError, UnicodeError):  # the latter: a label of the name is empty or too long
            ips = ()
        self.event(Resolved(host, ips))

    # Effects.

    def _flush(self) -> None:
        """Carry out effects until there are none, or one has to wait for the disk."""
        if self._flushing:
            return
        self._flushing = True
        try:
            while not self._writing:
                self._queue.extend(self._core.take_effects())
                if not self._queue:
                    break
                self._perform(self._queue.popleft())
        finally:
            self._flushing = False
            self._on_settled()
            self._arm()

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Send(link_id, data):
                self._send(link_id, data)
            case Connect():
                task = asyncio.get_running_loop().create_task(self._connect(effect))
                self._attempts[effect.link_id] = task
            case Close(link_id):
                self._close(link_id)
            case Resolve(host):
                look_up = asyncio.get_running_loop().create_task(self._resolve(host))
                self._look_ups.add(look_up)
                look_up.add_done_callback(self._look_ups.discard)
            case Persist(text, durable):
                self._persist(text, durable)
            case _:
                self._carry_out(effect)

    def _send(self, link_id: int, data: bytes) -> None:
        transport = self._transports.get(link_id)
        if transport is None:
            return
        transport.write(data)
        limit = self._core.settings.link_sendbuf_limit
        if limit and transport.get_write_buffer_size() > limit:
            del self._transports[link_id]
            transport.abort()
            self._core.step(LinkClosed(link_id, Closed.OVERFLOW), self._clock())

    def _close(self, link_id: int) -> None:
        attempt = self._attempts.pop(link_id, None)
        if attempt is not None:
            attempt.cancel()
        transport = self._transports.pop(link_id, None)
        if transport is not None:
            transport.close()

    def _persist(self, text: str, durable: bool) -> None:
        if durable:
            self._writing = asyncio.get_running_loop().create_task(self._write_durably(text))
            return
        try:
            self._write_config(text, False)
        except OSError as error:
            self._on_fatal(error)

    async def _write_durably(self, text: str) -> None:
        try:
            await asyncio.to_thread(self._write_config, text, True)
        except OSError as error:
            self._on_fatal(error)
            return  # the queue stays closed: nothing may leave that was to be remembered first
        self._writing = None
        if not self._stopped:
            self._flush()

    # The timer.

    def _arm(self) -> None:
        """Have the core ticked when it next wants to be. To wake up too early costs more than to set the timer anew."""
        if self._stopped:
            return
        due_ms = self._core.next_due_ms()
        if self._timer is not None and self._timer_ms == due_ms:
            return
        if self._timer is not None:
            self._timer.cancel()
        delay_s = max(due_ms - self._clock(), 0) / 1000
        self._timer_ms = due_ms
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        try:
            self.run()
        finally:
            if self._timer is None:  # run() failed: the node must go on pinging all the same
                self._arm()


class _LinkProtocol(asyncio.Protocol):
    """One connection: its bytes and its end become events."""

    def __init__(self, bus: Bus, link_id: int, *, inbound: bool) -> None:
        self._bus = bus
        self._link_id = link_id
        self._inbound = inbound

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not asserted: uvloop's transports are not subclasses of asyncio's.
        self._bus.opened(self._link_id, cast(asyncio.Transport, transport), inbound=self._inbound)

    def data_received(self, data: bytes) -> None:
        self._bus.event(Received(self._link_id, data))

    def connection_lost(self, exc: Exception | None) -> None:
        self._bus.lost(self._link_id, Closed.EOF if exc is None else _why(exc))


async def _system_look_up(host: str) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return sorted({str(address[0]) for *_, address in found})


def _ip(transport: asyncio.Transport, which: str) -> str:
    name: Any = transport.get_extra_info(which)
    return str(name[0]) if name else ""


def _why(error: Exception) -> Closed:
    if isinstance(error, ConnectionRefusedError):
        return Closed.REFUSED
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return Closed.RESET
    if isinstance(error, TimeoutError):
        return Closed.TIMEOUT
    if isinstance(error, OSError) and error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return Closed.UNREACHABLE
    return Closed.ERROR
