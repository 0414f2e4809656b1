"""The bus on real sockets, driven by a core that does as the test says."""

import asyncio
import contextlib
import socket
import threading

import pytest

from gossip.aio.bus import Bus
from gossip.effects import Close, Closed, Connect, LinkAccepted, LinkClosed, LinkOpened, Note, Persist, Received, Send
from gossip.settings import GossipSettings
from tests.compat.bus_host import eventually, free_port


class Script:
    """A core that records events and asks for what it is told to ask for."""

    def __init__(self):
        self.settings = GossipSettings()
        self.events, self.ticks, self.effects, self.due_ms = [], [], [], 1 << 60
        self.links = 0

    def step(self, event, now_ms):
        self.events.append(event)

    def tick(self, now_ms):
        self.ticks.append(now_ms)

    def next_due_ms(self):
        return self.due_ms

    def take_effects(self):
        effects, self.effects = self.effects, []
        return effects

    def new_link_id(self):
        self.links += 1
        return self.links

    def heard(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


class Stage:
    """A bus with its script, and a server that the bus can connect to."""

    def __init__(self):
        self.core, self.written, self.others, self.fatal = Script(), [], [], []
        self.may_write = threading.Event()
        self.may_write.set()
        self.now = 0
        self.got = b""
        self.read = True

    def write_config(self, text, durable):
        assert self.may_write.wait(10)
        if text == "fail":
            raise OSError("disk full")
        self.written.append((text, durable))

    async def start(self):
        self.bus = Bus(
            self.core,
            lambda: self.now,
            write_config=self.write_config,
            carry_out=self.others.append,
            on_fatal=self.fatal.append,
        )
        self.port = free_port()
        await self.bus.start([socket.create_server(("127.0.0.1", self.port))])
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.server_port = self.server.sockets[0].getsockname()[1]
        return self

    async def _serve(self, reader, writer):
        self.writer = writer
        while self.read and (data := await reader.read(65536)):
            self.got += data

    def ask(self, *effects):
        self.core.effects += effects
        self.bus.run()

    async def connected(self, link_id=50):
        self.ask(Connect(link_id, "127.0.0.1", self.server_port))
        await eventually(lambda: self.core.heard(LinkOpened))
        return link_id

    async def stop(self):
        self.may_write.set()
        await self.bus.stop()
        self.server.close()


@pytest.fixture
async def stage():
    stage = await Stage().start()
    yield stage
    await stage.stop()


async def test_a_link_that_we_open(stage):
    link = await stage.connected()
    assert stage.core.heard(LinkOpened) == [LinkOpened(link, "127.0.0.1", "127.0.0.1")]
    stage.ask(Send(link, b"hello"))
    await eventually(lambda: stage.got == b"hello")
    stage.writer.write(b"answer")
    await eventually(lambda: stage.core.heard(Received) == [Received(link, b"answer")])
    stage.writer.close()
    await eventually(lambda: stage.core.heard(LinkClosed) == [LinkClosed(link, Closed.EOF)])


async def test_a_link_that_they_open(stage):
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    writer.write(b"hi")
    await eventually(lambda: stage.core.heard(Received))
    assert stage.core.events == [LinkAccepted(1, "127.0.0.1", "127.0.0.1"), Received(1, b"hi")]
    stage.ask(Send(1, b"ho"), Close(1))
    assert await reader.read() == b"ho"  # what was sent before the close still leaves
    writer.close()
    assert not stage.core.heard(LinkClosed)


async def test_nobody_there(stage):
    stage.ask(Connect(7, "127.0.0.1", free_port()))
    await eventually(lambda: stage.core.heard(LinkClosed) == [LinkClosed(7, Closed.REFUSED)])


async def test_closing_an_attempt_ends_it(stage):
    stage.ask(Connect(7, "127.0.0.1", stage.server_port), Close(7))
    stage.ask(Connect(8, "127.0.0.1", stage.server_port))
    await eventually(lambda: stage.core.heard(LinkOpened))
    assert [event.link_id for event in stage.core.events] == [8]


async def test_nothing_leaves_before_what_it_rests_on_is_on_disk(stage):
    link = await stage.connected()
    stage.may_write.clear()
    stage.ask(Persist("vote", True), Send(link, b"vote"), Note("notice", "voted"))
    stage.ask(Send(link, b" later"))
    _reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)  # meanwhile the loop lives
    writer.write(b"x")
    await eventually(lambda: stage.core.heard(Received))
    assert (stage.got, stage.written, stage.others) == (b"", [], [])
    stage.may_write.set()
    await eventually(lambda: stage.got == b"vote later")
    assert stage.written == [("vote", True)]
    assert stage.others == [Note("notice", "voted")]
    writer.close()


async def test_a_disk_that_fails_silences_the_node(stage):
    link = await stage.connected()
    stage.ask(Persist("fail", True), Send(link, b"vote"))
    await eventually(lambda: stage.fatal)
    stage.ask(Send(link, b"more"))
    await stage.bus.stop()
    assert stage.got == b""


async def test_what_is_not_yet_written_is_written_at_the_end(stage):
    stage.may_write.clear()
    stage.ask(Persist("one", True), Persist("two", False))
    stopping = asyncio.create_task(stage.bus.stop())
    stage.may_write.set()
    await stopping
    assert [text for text, _ in stage.written] == ["one", "two"]


async def test_a_link_whose_buffer_grows_over_the_limit_is_cut(stage):
    stage.read = False
    stage.core.settings.link_sendbuf_limit = 1 << 20
    link = await stage.connected()
    for _ in range(64):
        stage.ask(Send(link, bytes(1 << 18)))
    assert stage.core.heard(LinkClosed) == [LinkClosed(link, Closed.OVERFLOW)]
    assert stage.bus.buffer_sizes(link) == (0, 0)
    assert stage.bus.buffered_bytes() == 0


async def test_the_core_is_ticked_when_it_wants_to_be(stage):
    stage.core.ticks.clear()
    stage.core.due_ms = 30
    stage.bus.event(Received(99, b""))

    async def clock():
        while True:
            await asyncio.sleep(0.001)
            stage.now += 1
            if stage.core.ticks and stage.core.due_ms <= stage.now:
                stage.core.due_ms = 1 << 60

    ticking = asyncio.create_task(clock())
    await eventually(lambda: stage.core.ticks)
    ticking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await ticking


async def test_a_port_that_is_taken_is_an_error(stage):
    with pytest.raises(OSError):
        await stage.bus.start([socket.create_server(("127.0.0.1", stage.port))])
