"""A process as a replica: the node's own link, carrier, applier and arrival, on the simulated network and disk.

What decides is the code of node/replication/, as it is. Here is what it asks of the world (node/primary_port.py): a
connection, a place for a file, time to load. And here is who carries the requests of the stream out, in the place of
the engine's session.
"""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from node.monitoring.log import Log
from node.ports.steps import CannotLoad
from node.replication.applier import Applier
from node.replication.arrival import Arrival
from node.replication.carrier import Carrier
from node.replication.link import Introduction, State
from tests.simulator.clock import MS
from tests.simulator.dataset import Image
from tests.simulator.network import DATA, End
from tests.simulator.network import Arrival as What
from tests.simulator.resp import Malformed, Requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from node.ports.primary import Events, Progress
    from node.ports.steps import Steps
    from tests.simulator.store import Store

MIN_PATIENCE_MS = 1000
"""As in node/aio/replication.py: a connection is not given up earlier, however short the node timeout is."""
PORT = 6379


class Follower:
    """Whom a store follows, and how."""

    def __init__(self, store: Store) -> None:
        self.store = store
        process = store.process
        parameters = process.world.parameters
        self.primary: tuple[str, str] | None = None  # node id and address
        self.host = ReplicationHost(store, self)
        self.loading = Loading()
        log = Log(self._log)
        config = {
            "repl-diskless-load": parameters.diskless_load,
            "dbfilename": "dump.rdb",
            "replica-lazy-flush": True,
            "rdb-del-sync-files": False,
        }
        basics = SimpleNamespace(config=config, log=log, space=SimpleNamespace(dirty=0, dbs=[store]))
        self.executor = Executor(self)
        self.applier = Applier(store.lineage, self._begin_stream, lambda: False)
        self.arrival = Arrival(
            cast(Any, basics),
            store.lineage,
            cast(Any, SimpleNamespace(forget=lambda: None)),
            self.host,
            cast(Any, self.host),
            self,
            self.loading,
            lambda lazy: store.replace({}),
            lambda: None,
        )
        self.time = SimpleNamespace(now_ms=0)
        self.carrier = Carrier(
            self.time,
            log,
            self.host,
            store.lineage,
            self.applier,
            self.arrival,
            self._introduction,
            lambda: None,
            self._settled,
        )
        self._was_connected = False

    def _log(self, mark: str, text: str) -> None:
        world = self.store.process.world
        world.story(self.store.process.host, text)
        if "is the address of node" in text:
            world.count("logged: another node has the primary's address")
        elif mark == "#":
            world.count(f"logged: {text.partition(':')[0][:40]}")

    def _begin_stream(self) -> Executor:
        self.executor = Executor(self)
        self.store.placed()
        return self.executor

    def _introduction(self) -> Introduction:
        return Introduction(
            port=PORT,
            timeout_ms=self.store.process.world.parameters.repl_timeout_ms,
            to_memory=self.arrival.to_memory,
            primary_id=self.primary[0] if self.primary is not None else "",
        )

    @property
    def connected(self) -> bool:
        return self.carrier.connected

    @property
    def state(self) -> State:
        return self.carrier.link.state

    @property
    def in_request(self) -> bool:
        """A part of a request has come, or of a transaction."""
        return self.connected and self.applier.read_offset > self.applier.applied_offset

    @property
    def in_transaction(self) -> bool:
        """The beginning of a transaction has come."""
        return self.connected and self.executor.in_transaction

    @property
    def in_transaction_behind_write(self) -> bool:
        """What has come last held something that was carried out, and the beginning of a transaction."""
        return self.in_transaction and self.executor.carried_out_some

    def within(self) -> str:
        """In the middle of what the stream is."""
        if self.in_transaction_behind_write:
            return ", in a transaction behind a write of the same piece"
        if self.in_transaction:
            return ", in a transaction"
        return ", in a request" if self.in_request else ""

    def follow(self, primary: tuple[str, str]) -> None:
        self._look_at_clock()
        self.primary = primary
        self.carrier.follow(primary[1], PORT)

    def stop(self) -> None:
        self._look_at_clock()
        self.primary = None
        self.carrier.stop()

    def tick(self) -> None:
        if self.primary is not None:
            self._look_at_clock()
            self.host.look_at_connection()
            self.carrier.tick()

    def _look_at_clock(self) -> None:
        self.time.now_ms = self.store.process.clock.now_ms()

    def _settled(self) -> None:
        store = self.store
        if self.connected != self._was_connected:
            self._was_connected = self.connected
            store.process.flush()  # the others are told
        store.process.world.linked(store.process)
        store.wake()

    # The loader's part (arrival.Loader).

    def rdb(self, data: Any, *, keep_dead: bool = False) -> Steps[Any]:
        """Put the data of this file into the place of ours."""
        yield 0
        try:
            image = Image.decoded(bytes(data))
        except ValueError as error:
            raise CannotLoad(str(error)) from error
        self.store.replace(image.data)
        return SimpleNamespace(facts={})


class Loading:
    """What clients are told of a load."""

    def __init__(self) -> None:
        self.active = False
        self.asynchronous = False
        self.loaded_bytes = 0

    def begin(self, total_bytes: int, asynchronous: bool = False) -> None:
        self.active, self.asynchronous = True, asynchronous

    def goes_on(self, now_ms: int) -> None:
        pass

    def end(self) -> None:
        self.active = False


class ReplicationHost:
    """node.ports.primary.Host on the simulated network, and the file that a snapshot comes in."""

    def __init__(self, store: Store, follower: Follower) -> None:
        self._store = store
        self._follower = follower
        self._network = store.process.world.network
        self._timeline = store.process.world.timeline
        self._events: Events | None = None
        self.end: End | None = None
        self._reading = True
        self._unread: deque[tuple[What, Any]] = deque()
        self._load: object = None
        self._file = bytearray()
        self.whole_file: bytes | None = None
        """The snapshot that lies on the disk in the place of the data's file."""

    # -- the connection

    def connect(self, host: str, port: int, events: Events) -> None:
        self.close()
        self._events = events
        process = self._store.process
        end = self.end = self._network.connect(process, host, DATA)
        self._timeline.after(self._patience_us(), process.when_running, lambda: self._give_up(end))

    def _patience_us(self) -> int:
        return max(self._store.process.settings.node_timeout_ms, MIN_PATIENCE_MS) * MS

    def _give_up(self, end: End) -> None:
        if end is self.end and self._follower.state is State.CONNECTING:
            self.close()
            self._tell_lost("no answer")

    def reset(self) -> None:
        """Something on the way resets the connection."""
        if self.end is not None:
            self._network.reset(self.end)

    def look_at_connection(self) -> None:
        """TCP gives a connection up, on which what was sent has not been acknowledged for long."""
        if self.end is not None and self._network.silent_us(self.end) > self._patience_us():
            self._network.close(self.end)
            self._lost("Connection timed out")

    def arrived(self, what: What, payload: Any) -> None:
        """Something came in on our connection. What waits to be read comes first."""
        if not self._reading or self._unread:
            self._unread.append((what, payload))
        else:
            self._handle(what, payload)

    def _handle(self, what: What, payload: Any) -> None:
        assert self._events is not None
        if what is What.OPENED:
            self._events.connected_to(self._now_ms())
        elif what is What.CLOSED:
            self._lost(payload.value)
        else:
            self._events.received(payload, self._now_ms())

    def _lost(self, reason: str) -> None:
        self.end = None
        self._unread.clear()
        self._tell_lost(reason)

    def _tell_lost(self, reason: str) -> None:
        assert self._events is not None
        world, follower = self._store.process.world, self._follower
        world.count(f"link lost in {follower.state.value}{follower.within()}")
        self._events.lost(reason, self._now_ms())

    def _now_ms(self) -> int:
        return self._store.process.clock.now_ms()

    def send(self, data: bytes) -> None:
        end = self.end
        if end is None:
            return
        if end.open:
            self._network.send_bytes(end, data)
        elif self._unread:
            self._timeline.after(0, self._store.process.when_running, lambda: self._is_gone(end))

    def _is_gone(self, end: End) -> None:
        """A write has shown that the connection has ended, which was not read yet."""
        if end is self.end:
            self._lost("Broken pipe")

    def close(self) -> None:
        end, self.end = self.end, None
        self._unread.clear()
        if end is not None:
            self._network.close(end)

    def read(self, on: bool) -> None:
        self._reading = on
        if on and self._unread:
            self._timeline.after(0, self._store.process.when_running, self._read_on)

    def _read_on(self) -> None:
        while self._reading and self._unread:
            self._handle(*self._unread.popleft())

    # -- the file

    def begin_file(self) -> None:
        self._file = bytearray()

    def store_file(self, data: bytes) -> None:
        self._file += data

    def finish_file(self, name: str) -> None:
        self.whole_file = bytes(self._file)

    def drop_file(self) -> None:
        self._file = bytearray()

    def remove_file(self, name: str) -> None:
        pass

    def map(self, name: str) -> bytes | None:
        return self.whole_file

    def load(self, steps: Steps[None], progress: Progress, done: Callable[[Exception | None, int], None]) -> None:
        """The first step is taken now, the others when the time is over that a load takes."""
        self._load = steps
        if self._step(steps, done):
            process = self._store.process
            self._timeline.after(process.world.load_us(), process.when_running, lambda: self._finish(steps, done))

    def _finish(self, steps: Steps[None], done: Callable[[Exception | None, int], None]) -> None:
        while self._load is steps and self._step(steps, done):
            pass

    def _step(self, steps: Steps[None], done: Callable[[Exception | None, int], None]) -> bool:
        """Whether there is more to do."""
        failure: Exception | None = None
        try:
            next(steps)
        except StopIteration:
            pass
        except CannotLoad as error:
            failure = error
        else:
            return True
        self._load = None
        self.whole_file = None  # from here on the data's file is written as ever
        done(failure, self._now_ms())
        return False

    def cancel_load(self) -> None:
        steps, self._load = self._load, None
        if steps is not None:
            cast("Steps[None]", steps).close()


class Executor:
    """Carries out a stream's requests: applier.Executor."""

    database = 0

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._store = follower.store
        self._requests = Requests()
        self._queued: list[list[bytes]] | None = None
        self._bytes_done = 0
        self.bytes_whole = 0
        self.broken = False
        self.carried_out_some = False

    @property
    def in_transaction(self) -> bool:
        return self._queued is not None

    def input(self, data: bytes) -> None:
        self.carried_out_some = False
        self._requests.add(data)
        try:
            while (taken := self._requests.take()) is not None:
                words, length = taken
                self._run(words)
                self._bytes_done += length
                if self._queued is None:
                    self.bytes_whole = self._bytes_done
        except Malformed as error:
            self.broken = True
            self._fail(str(error))

    def close(self) -> None:
        pass

    def _run(self, words: list[bytes]) -> None:
        name = words[0]
        if name == b"MULTI" and self._queued is None:
            self._queued = []
        elif name == b"EXEC" and self._queued is not None:
            queued, self._queued = self._queued, None
            for each in queued:
                self._carry_out(each)
        elif self._queued is not None:
            self._queued.append(words)
        elif name == b"REPLCONF":
            self._follower.carrier.acknowledge()
        elif name != b"PING":
            self._carry_out(words)

    def _carry_out(self, words: list[bytes]) -> None:
        self.carried_out_some = True
        match words:
            case [b"SET", number, slot]:
                if not self._store.dataset.add(int(number), int(slot)):
                    self._fail(f"write {int(number)} comes a second time")
            case [b"DEL", *numbers]:
                self._store.dataset.delete(map(int, numbers))
            case _:
                self._fail(f"{words!r} is no command of a stream")

    def _fail(self, text: str) -> None:
        self._store.process.world.stream_failed(self._store.process, text)
