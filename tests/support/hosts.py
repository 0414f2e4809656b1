"""Hosts of a test: network namespaces joined by a switch in user space. Links can be cut, lose packets, or delay them.

Each host has a TUN device; what its kernel sends there is read by one process (switch.py), which drops it, keeps it for
a while, or writes it to the device of the host that it is addressed to. So there is no bridge, no rule of a firewall
and no name in the file system: when the test ends, however it does, nothing is left. The kernel's netem, which would do
the same faster, is missing on many machines; a thousand packets a second, as a small cluster sends, cost little here.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest

from tests.support.servers import ROOT, end_with_parent
from tests.support.switch import MTU, Line

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
NET = "10.203.0"

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

    def __init__(self, count: int) -> None:
        self.hosts = {number: _new_host(number) for number in [*range(1, count + 1), self.TEST]}
        self._lines: dict[tuple[int, int], Line] = {}
        self._switch = subprocess.Popen(
            [sys.executable, "-m", "tests.support.switch", *(f"{h.number}={h.device}" for h in self.hosts.values())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            pass_fds=[host.device for host in self.hosts.values()],
            preexec_fn=end_with_parent,
        )
        self._tell()

    def set_line(self, sources: Iterable[int], targets: Iterable[int], line: Line, both: bool = True) -> None:
        """Packets from each source to each target (and back) fare as `line` says, until `heal`."""
        for a, b in [(a, b) for a in sources for b in targets if a != b]:
            self._lines[a, b] = line
            if both:
                self._lines[b, a] = line
        self._tell()

    def cut(self, sources: Iterable[int], targets: Iterable[int], both: bool = True) -> None:
        self.set_line(list(sources), list(targets), Line(loss=1.0), both)

    def heal(self) -> None:
        """Every line is whole again; what is on its way arrives."""
        self._lines.clear()
        self._tell()

    def _tell(self) -> None:
        """Give the switch its rules, and wait until they hold."""
        rules = [
            (*pair, line.loss, line.delay_s, line.jitter_s, None if line.ports is None else sorted(line.ports))
            for pair, line in self._lines.items()
        ]
        assert self._switch.stdin is not None
        assert self._switch.stdout is not None
        self._switch.stdin.write(json.dumps(rules) + "\n")
        self._switch.stdin.flush()
        assert self._switch.stdout.readline() == "\n", "the switch has ended"

    def close(self) -> None:
        """End the switch and let go of the namespaces; their processes have been ended before."""
        self._switch.communicate(timeout=10)
        for host in self.hosts.values():
            os.close(host.device)
            os.close(host.namespace)


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
