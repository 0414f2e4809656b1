"""How many bytes of a stream count, wherever it is cut."""

from __future__ import annotations

import random

import pytest

from node.replication.applier import Applier
from node.replication.history import History
from node.replication.lineage import Lineage
from tests.unit.replication.test_lineage import Stream

STREAM = b"set a;multi;set b;select 2;set c;exec;set d;"
WHOLE = [0, 6, 38, 44]
"""Where it may be cut without a loss."""


class Lines:
    """Takes requests that end with a semicolon."""

    def __init__(self) -> None:
        self.done: list[bytes] = []
        self.bytes_whole = 0
        self.broken = self.closed = False
        self.database = 0
        self._bytes_done = 0
        self._queued: list[bytes] | None = None
        self._rest = b""

    def input(self, data: bytes) -> None:
        *requests, self._rest = (self._rest + data).split(b";")
        for request in requests:
            if request == b"nonsense":
                self.broken = True
                return
            self._bytes_done += len(request) + 1
            if request == b"multi":
                self._queued = []
            elif self._queued is None:
                self._run([request])
            elif request == b"exec":
                self._run(self._queued)
                self._queued = None
            else:
                self._queued.append(request)
            if self._queued is None:
                self.bytes_whole = self._bytes_done

    def _run(self, requests: list[bytes]) -> None:
        for request in requests:
            self.done.append(request)
            if request.startswith(b"select"):
                self.database = int(request.split()[1])

    def close(self) -> None:
        self.closed = True


class Relay(Stream):
    """Keeps what was relayed."""

    def __init__(self) -> None:
        super().__init__()
        self.data = b""

    def relay(self, data: bytes) -> None:
        super().relay(data)
        self.data += data


class Replica:
    def __init__(self) -> None:
        self.relay = Relay()
        self.lineage = Lineage(History(random.Random(1)), self.relay, lambda: None)
        self.waits = False
        self.lines: list[Lines] = []
        self.applier = Applier(self.lineage, self.start, lambda: self.waits)
        self.lineage.follow()
        self.applier.enter()

    def start(self) -> Lines:
        self.lines.append(Lines())
        return self.lines[-1]


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_what_counts_is_whole_wherever_the_stream_is_cut(cut: int) -> None:
    replica = Replica()
    applier, relay = replica.applier, replica.relay
    assert applier.apply(STREAM[:cut])
    whole = max(end for end in WHOLE if end <= cut)
    assert relay.data == STREAM[:whole]
    assert applier.applied_offset == relay.offset == whole
    assert applier.read_offset == cut
    assert applier.apply(STREAM[cut:])
    assert relay.data == STREAM
    assert (applier.applied_offset, applier.read_offset) == (len(STREAM), len(STREAM))
    assert replica.lineage.database == 2


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_what_does_not_count_comes_again_after_the_link_broke(cut: int) -> None:
    replica = Replica()
    replica.applier.apply(STREAM[:cut])
    replica.applier.leave(5_000)
    assert replica.lines[0].closed
    assert replica.lineage.down_since_ms == 5_000
    assert replica.applier.read_offset == replica.relay.offset
    replica.applier.enter()
    assert replica.lineage.down_since_ms == 0
    replica.applier.apply(STREAM[replica.relay.offset :])
    assert replica.relay.data == STREAM
    done = [request for lines in replica.lines for request in lines.done]
    assert done == [b"set a", b"set b", b"select 2", b"set c", b"set d"]  # each of them once


def test_data_waits_while_it_must_not_change() -> None:
    replica = Replica()
    applier = replica.applier
    replica.waits = True
    applier.apply(STREAM[:10])
    applier.apply(STREAM[10:])
    assert (applier.applied_offset, applier.read_offset) == (0, len(STREAM))
    assert replica.lines[0].done == []
    replica.waits = False
    assert applier.go_on()
    assert replica.relay.data == STREAM
    assert applier.go_on()  # nothing is done twice
    assert replica.relay.data == STREAM


def test_a_broken_stream_is_not_gone_on_with() -> None:
    replica = Replica()
    assert not replica.applier.apply(b"set a;nonsense;set b;")
    assert replica.relay.data == b"set a;"
    assert replica.lineage.position() is None


def test_without_a_stream_nothing_is_applied() -> None:
    replica = Replica()
    replica.applier.leave(1)
    assert replica.applier.apply(STREAM)
    assert (replica.relay.data, replica.applier.read_offset, replica.applier.running) == (b"", 0, False)
