"""The servers that ours is compared with, and where they are found.

    redis     redis-server 7.0, from Debian's stable package: the oracle for bytes and error texts
    valkey    Valkey 9, which keeps the contract of Redis 7.2: the oracle where 7.2 and 7.0 differ
    redis-8   Redis 8

Each is looked for where its environment variable says, which the options `--valkey-server PROGRAM` and so on set, and
else under its usual names on PATH. What a program is, it must say itself (`--version`): a `valkey-server` of another
version is none. A test that lacks its server is skipped, and the end of the run says how many were, for want of which.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import pytest

_MISSING = re.compile(r"([\w-]+(?: \d[\d.]*)?) is not installed")


@dataclass(frozen=True)
class Peer:
    """A kind of server. `programs` and `tools` are usual names of its server and its client; `versions` begin so."""

    kind: str
    title: str
    programs: tuple[str, ...]
    tools: tuple[str, ...]
    versions: str
    option: str

    @property
    def variable(self) -> str:
        """The environment variable that says where it is."""
        return f"SHARDIS_{self.option[2:].replace('-', '_').upper()}"

    @property
    def missing(self) -> str:
        """Why a test is skipped. The summary at the end counts by its first words."""
        return f"{self.title} is not installed: give {self.option} PROGRAM or set {self.variable}"


_VALKEY = ("valkey-server-9", "valkey-server"), ("valkey-cli-9", "valkey-cli")
_REDIS_8 = ("redis-server-8", "redis-server"), ("redis-cli-8", "redis-cli")
_ALL = [
    Peer("redis", "redis-server 7.0", ("redis-server",), ("redis-cli",), "Redis server v=7.0.", "--redis-server"),
    Peer("valkey", "valkey-server 9", *_VALKEY, "Valkey server v=9.", "--valkey-server"),
    Peer("redis-8", "redis-server 8", *_REDIS_8, "Redis server v=8.", "--redis-8-server"),
]
PEERS = {peer.kind: peer for peer in _ALL}


class WrongPeer(Exception):
    """What the option or the variable names is not the server that it should be."""


@cache
def program(kind: str) -> str | None:
    """The path of the server of that kind; None where there is none. Raises WrongPeer."""
    peer = PEERS[kind]
    if told := os.environ.get(peer.variable):
        found = shutil.which(told)
        if found is None or not _is(peer, found):
            raise WrongPeer(f"{told}, which {peer.option} or {peer.variable} names, is not {peer.title}")
        return found
    found_all = (shutil.which(name) for name in peer.programs)
    return next((found for found in found_all if found and _is(peer, found)), None)


def cli(kind: str) -> str:
    """The command line client that belongs to it, else redis-cli."""
    return next((found for name in PEERS[kind].tools if (found := shutil.which(name))), "redis-cli")


def _is(peer: Peer, path: str) -> bool:
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20).stdout
    return answer.startswith(peer.versions)


def have(*kinds: str) -> bool:
    return all(program(kind) for kind in kinds)


def needs(*kinds: str) -> pytest.MarkDecorator:
    """The mark of tests that cannot run without these servers."""
    lacking = [PEERS[kind].missing for kind in kinds if not have(kind)]
    return pytest.mark.skipif(bool(lacking), reason=lacking[0] if lacking else "")


def command(kind: str) -> list[str]:
    """How it is started; where it is missing, the test that wants it is skipped."""
    found = program(kind)
    if found is None:
        pytest.skip(PEERS[kind].missing)
    return [found]


def add_options(group: pytest.OptionGroup) -> None:
    for peer in PEERS.values():
        group.addoption(peer.option, metavar="PROGRAM", help=f"the {peer.title} to compare with ({peer.variable})")


def take_options(config: pytest.Config) -> None:
    """What the options say holds for all that looks for a server, also while tests are collected."""
    for peer in PEERS.values():
        if told := config.getoption(peer.option):
            os.environ[peer.variable] = told
    for kind in PEERS:
        try:
            program(kind)
        except WrongPeer as error:
            raise pytest.UsageError(str(error)) from None


def missing_in(reasons: Iterable[str]) -> list[str]:
    """The lines of the summary: how many tests were skipped for want of which program."""
    counts = Counter(match[1] for reason in reasons if (match := _MISSING.search(reason)))
    return [f"{count} tests were skipped: {name} is not installed" for name, count in counts.most_common()]
