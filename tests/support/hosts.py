"""Hosts of a test: network namespaces joined by a switch in this process. Links can be cut, lose packets, delay them.

Each host has a TUN device; what its kernel sends there is read by one thread here, which drops it, keeps it for a
while, or writes it to the device of the host that it is addressed to. So there is no bridge, no rule of a firewall and
no name in the file system: when the process ends, however it does, nothing is left. The kernel's netem, which would do
the same faster, is missing on many machines; a thousand packets a second, as a small cluster sends, cost little here.

Nothing is ever sent twice, and delay keeps the order of a link: TCP above sees what it sees on a bad line, no more.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import heapq
import itertools
import os
import random
import selectors
import struct
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
NET = "10.203.0"
MTU = 16000
TCP = 6

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _own_namespace() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@dataclass(frozen=True, slots=True)
class Host:
    """One network namespace; `enter` takes the calling thread there, and the children that it starts."""

    number: int
    namespace: int
    device: int

    @property
    def address(self) -> str:
        return f"{NET}.{self.number}"

    def enter(self) -> None:
        _check(_libc.setns(self.namespace, CLONE_NEWNET))


@dataclass(frozen=True, slots=True)
class Line:
    """What becomes of packets from one host to another: `loss` is a share of 1; `ports` limits it to those of TCP."""

    loss: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    ports: frozenset[int] | None = None


def _new_host(number: int) -> Host:
    """Make the namespace, its device and its address. The calling thread is there and back."""
    before = _own_namespace()
    try:
        _check(_libc.unshare(CLONE_NEWNET))
        namespace = _own_namespace()
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"net0", IFF_TUN | IFF_NO_PI))
        commands = f"link set lo up\naddress add {NET}.{number}/24 dev net0\nlink set net0 mtu {MTU} up\n"
        subprocess.run(["ip", "-batch", "-"], input=commands, text=True, check=True, capture_output=True)
    finally:
        _check(_libc.setns(before, CLONE_NEWNET))
        os.close(before)
    return Host(number, namespace, device)


class Network:
    """Hosts 1 to `count`, and host 254 where the test itself is, from where it reaches all of them."""

    TEST = 254

    def __init__(self, count: int, seed: int = 1) -> None:
        self.hosts = {number: _new_host(number) for number in [*range(1, count + 1), self.TEST]}
        self._lines: dict[tuple[int, int], Line] = {}
        self._random = random.Random(seed)
        self._waiting: list[tuple[float, int, int, bytes]] = []  # due, order, to, packet
        self._order = itertools.count()
        self._last_due: dict[tuple[int, int], float] = {}
        self._selector = selectors.DefaultSelector()
        for host in self.hosts.values():
            self._selector.register(host.device, selectors.EVENT_READ, host.number)
        self._wake_in, self._wake_out = os.pipe()
        self._selector.register(self._wake_in, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def set_line(self, sources: Iterable[int], targets: Iterable[int], line: Line, both: bool = True) -> None:
        """Packets from each source to each target (and back) fare as `line` says, until `heal`."""
        pairs = [(a, b) for a in sources for b in targets if a != b]
        for a, b in pairs:
            self._lines[a, b] = line
            if both:
                self._lines[b, a] = line

    def cut(self, sources: Iterable[int], targets: Iterable[int], both: bool = True) -> None:
        self.set_line(list(sources), list(targets), Line(loss=1.0), both)

    def heal(self) -> None:
        """Every line is whole again; what is on its way arrives."""
        self._lines.clear()

    def _run(self) -> None:
        while True:
            timeout = max(0.0, self._waiting[0][0] - time.monotonic()) if self._waiting else None
            for key, _ in self._selector.select(timeout):
                if key.data is None:
                    return
                self._read(key.fd, key.data)
            now = time.monotonic()
            while self._waiting and self._waiting[0][0] <= now:
                _, _, target, packet = heapq.heappop(self._waiting)
                self._deliver(target, packet)

    def _read(self, device: int, source: int) -> None:
        """Take some of what a host has sent; the rest waits until others had their turn."""
        for _ in range(32):
            try:
                packet = os.read(device, MTU + 100)
            except BlockingIOError:
                return
            target = packet[19] if packet[0] >> 4 == 4 and packet[16:19] == bytes(map(int, NET.split("."))) else None
            if target in self.hosts and target is not None:
                self._forward(source, target, packet)

    def _forward(self, source: int, target: int, packet: bytes) -> None:
        line = self._lines.get((source, target))
        if line is None or (line.ports is not None and not line.ports & _ports(packet)):
            line = Line()
        if line.loss and self._random.random() < line.loss:
            return
        delay_s = line.delay_s + self._random.random() * line.jitter_s
        due = max(time.monotonic() + delay_s, self._last_due.get((source, target), 0.0))
        self._last_due[source, target] = due
        if delay_s == 0 and due <= time.monotonic():
            self._deliver(target, packet)
        else:
            heapq.heappush(self._waiting, (due, next(self._order), target, packet))

    def _deliver(self, target: int, packet: bytes) -> None:
        with contextlib.suppress(OSError):  # a full queue loses packets, as anywhere
            os.write(self.hosts[target].device, packet)

    def close(self) -> None:
        """End the switch and let go of the namespaces; their processes have been ended before."""
        os.write(self._wake_out, b".")
        self._thread.join(5)
        self._selector.close()
        for descriptor in (self._wake_in, self._wake_out):
            os.close(descriptor)
        for host in self.hosts.values():
            os.close(host.device)
            os.close(host.namespace)


def _ports(packet: bytes) -> set[int]:
    """The ports of a TCP packet; none of others."""
    header = (packet[0] & 15) * 4
    return set(struct.unpack_from("!HH", packet, header)) if packet[9] == TCP and len(packet) >= header + 4 else set()


@contextlib.contextmanager
def network(count: int) -> Iterator[Network]:
    """A network whose host 254 is where the calling thread is meanwhile. Skips the test where that is not permitted."""
    home = _own_namespace()
    try:
        net = Network(count)
    except (OSError, subprocess.CalledProcessError) as error:
        os.close(home)
        pytest.skip(f"network namespaces with TUN devices cannot be made here: {error}")
    try:
        net.hosts[Network.TEST].enter()
        yield net
    finally:
        _check(_libc.setns(home, CLONE_NEWNET))
        os.close(home)
        net.close()
