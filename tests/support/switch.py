"""The switch between the hosts of a test, as a process of its own: a test that is busy does not slow its network down.

    python -m tests.support.switch NUMBER=DEVICE ...       with the open TUN devices of the hosts

Each line on standard input is all the rules from now on: a JSON list of [source, target, loss, delay_s, jitter_s,
ports], where `ports` may be null. It is answered with an empty line once it holds. The end of the input is the end.

Nothing is ever sent twice, and delay keeps the order of a link: TCP above sees what it sees on a bad line, no more.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import os
import random
import selectors
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

MTU = 16000
TCP = 6
AT_ONCE = 32  # packets of one host, before others have their turn


@dataclass(frozen=True, slots=True)
class Line:
    """What becomes of packets from one host to another: `loss` is a share of 1; `ports` limits it to those of TCP."""

    loss: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    ports: frozenset[int] | None = None


WHOLE = Line()


class Switch:
    """Reads packets from the hosts' devices, and drops, keeps or delivers them."""

    def __init__(self, devices: dict[int, int]) -> None:
        self._devices = devices
        self._lines: dict[tuple[int, int], Line] = {}
        self._random = random.Random(1)
        self._waiting: list[tuple[float, int, int, bytes]] = []  # due, order, to, packet
        self._order = itertools.count()
        self._last_due: dict[tuple[int, int], float] = {}

    def run(self) -> None:
        """Until the end of standard input."""
        selector = selectors.DefaultSelector()
        selector.register(sys.stdin, selectors.EVENT_READ, None)
        for number, device in self._devices.items():
            selector.register(device, selectors.EVENT_READ, number)
        while True:
            timeout = max(0.0, self._waiting[0][0] - time.monotonic()) if self._waiting else None
            for key, _ in selector.select(timeout):
                if key.data is not None:
                    self._read(key.fd, key.data)
                elif not self._obey(sys.stdin.readline()):
                    return
            now = time.monotonic()
            while self._waiting and self._waiting[0][0] <= now:
                _, _, target, packet = heapq.heappop(self._waiting)
                self._deliver(target, packet)

    def _obey(self, order: str) -> bool:
        if not order:
            return False
        self._lines = {
            (source, target): Line(loss, delay_s, jitter_s, None if ports is None else frozenset(ports))
            for source, target, loss, delay_s, jitter_s, ports in json.loads(order)
        }
        print(flush=True)
        return True

    def _read(self, device: int, source: int) -> None:
        for _ in range(AT_ONCE):
            try:
                packet = os.read(device, MTU + 100)
            except BlockingIOError:
                return
            if packet[0] >> 4 == 4 and packet[19] in self._devices:  # IPv4; hosts differ in the last byte
                self._forward(source, packet[19], packet)

    def _forward(self, source: int, target: int, packet: bytes) -> None:
        line = self._lines.get((source, target), WHOLE)
        if line.ports is not None and not line.ports & _ports(packet):
            line = WHOLE
        if line.loss and self._random.random() < line.loss:
            return
        now = time.monotonic()
        due = max(now + line.delay_s + self._random.random() * line.jitter_s, self._last_due.get((source, target), 0.0))
        self._last_due[source, target] = due
        if due <= now:
            self._deliver(target, packet)
        else:
            heapq.heappush(self._waiting, (due, next(self._order), target, packet))

    def _deliver(self, target: int, packet: bytes) -> None:
        with contextlib.suppress(OSError):  # a full queue loses packets, as anywhere
            os.write(self._devices[target], packet)


def _ports(packet: bytes) -> set[int]:
    """The ports of a TCP packet; none of others."""
    header = (packet[0] & 15) * 4
    return set(struct.unpack_from("!HH", packet, header)) if packet[9] == TCP and len(packet) >= header + 4 else set()


def main(arguments: Sequence[str]) -> None:
    Switch(dict(tuple(map(int, each.split("="))) for each in arguments)).run()  # type: ignore[misc]


if __name__ == "__main__":
    main(sys.argv[1:])
