"""Scenarios: what an operator types at several nodes, and what the nodes answer.

A scenario is a text file of blocks. A block is some commands, `----`, and the transcript of what happened; blocks are
separated by empty lines, and lines that start with `#` explain. `pytest tests/scenarios --rerecord` writes the
transcripts anew; the change is then reviewed in the diff.

    start a b [DIRECTIVE=VALUE ...]     start nodes
    cluster a b c [DIRECTIVE=VALUE ...] start nodes that share all slots evenly and know each other
    meet a b                            introduce b to a and wait until both agree
    stop a | restart a                  kill -9; the same directory and port again
    view a                              CLUSTER NODES as a table: who, what, which slots, link
    info a cluster_state ...            fields of CLUSTER INFO
    a GET foo                           a command at node a; `a/2 GET foo` on another connection
    a/2 ...                             read what has come on that connection
    eventually COMMAND                  repeat until it answers what the transcript says

Node ids, addresses and ports are written as the names of the nodes, so that a transcript holds for every run.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.resp import CLOSED, Connection, Frame, show
from tests.support.servers import Fleet, Server, form_cluster, wait_until
from tests.support.story import words

RULE = "----"
EVENTUALLY_S = 15.0
SETTLED_S = 3


@dataclass
class Block:
    """Commands and what they printed."""

    comments: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    transcript: list[str] = field(default_factory=list)

    def text(self) -> str:
        lines = self.comments + self.commands
        if self.commands:
            lines = [*lines, RULE, *self.transcript]
        return "\n".join(lines) + "\n"


def read_blocks(path: Path) -> list[Block]:
    """The blocks of a file."""
    blocks = []
    for chunk in re.split(r"\n\n+", path.read_text().strip("\n")):
        block = Block()
        target = block.commands
        for line in chunk.splitlines():
            if line == RULE and target is block.commands:
                target = block.transcript
            elif line.startswith("#") and target is block.commands and not block.commands:
                block.comments.append(line)
            else:
                target.append(line)
        blocks.append(block)
    return blocks


class Stage:
    """The nodes of one scenario, and the hand that types."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.nodes: dict[str, Server] = {}
        self.ids: dict[str, str] = {}
        self.connections: dict[str, Connection] = {}

    def play(self, block: Block, record: bool) -> list[str]:
        """The transcript of the block's commands. What was recorded guides only `eventually`."""
        printed: list[str] = []
        for command in block.commands:
            echo = [f"> {command}"] if len(block.commands) > 1 else []
            expected = None if record else _part(block, command)
            printed += echo + list(self._run(command, expected))
        return printed

    def _run(self, command: str, expected: list[str] | None) -> Iterator[str]:
        if command.startswith("eventually "):
            yield from self._eventually(command.removeprefix("eventually "), expected)
            return
        verb, *rest = command.split()
        match verb:
            case "start" | "cluster":
                directives = {"cluster-enabled": "yes", **dict(word.split("=", 1) for word in rest if "=" in word)}
                for name in (word for word in rest if "=" not in word):
                    self.nodes[name] = self.fleet.ours(name, **directives)
                    self.ids[name] = self.nodes[name].id
                if verb == "cluster":
                    form_cluster([self.nodes[name] for name in rest if "=" not in name])
                yield "ok"
            case "meet":
                self._meet(*(self.nodes[name] for name in rest))
                yield "ok"
            case "stop":
                self._drop_connections(rest[0])
                self.nodes[rest[0]].kill()
                yield "stopped"
            case "restart":
                self._drop_connections(rest[0])
                self.nodes[rest[0]].kill()
                self.nodes[rest[0]].start()
                yield "ok"
            case "view":
                yield from self._view(rest[0])
            case "info":
                info = self.nodes[rest[0]].cluster_info()
                yield from (f"{name}:{info[name]}" for name in rest[1:])
            case _:
                yield from self._ask(verb, command.split(None, 1)[1])

    def _eventually(self, command: str, expected: list[str] | None) -> list[str]:
        """Repeat; while recording, take the answer that stays the same for a while."""
        deadline = time.monotonic() + EVENTUALLY_S
        since, last = time.monotonic(), list(self._run(command, None))
        while time.monotonic() < deadline:
            if expected is not None and last == expected:
                break
            if expected is None and time.monotonic() - since > SETTLED_S:
                break
            time.sleep(0.02)
            now = list(self._run(command, None))
            if now != last:
                since, last = time.monotonic(), now
        return last

    def _meet(self, one: Server, other: Server) -> None:
        one.call("CLUSTER", "MEET", "127.0.0.1", other.port)

        def acquainted() -> bool:
            texts = [server.call("CLUSTER", "NODES").decode() for server in (one, other)]
            return all(one.id in text and other.id in text and "handshake" not in text for text in texts)

        wait_until(acquainted, f"{one.name} and {other.name} know each other")

    def _drop_connections(self, node: str) -> None:
        for name in [name for name in self.connections if name.split("/")[0] == node]:
            self.connections.pop(name).close()

    def _ask(self, where: str, text: str) -> Iterator[str]:
        node = where.split("/")[0]
        if where not in self.connections:
            self.connections[where] = self.nodes[node].connect(timeout_s=5)
        connection = self.connections[where]
        frame = connection.read() if text == "..." else connection.ask(*words(self._resolve(text)))
        if frame is CLOSED:
            self.connections.pop(where)
        yield from self._anonymous(_lines(frame))

    def _resolve(self, text: str) -> str:
        """`<id of a>` and `<port of a>` in a command stand for the real ones."""

        def real(match: re.Match[str]) -> str:
            node = self.nodes[match[2]]
            return self.ids[match[2]] if match[1] == "id" else str(node.port)

        return re.sub(r"<(id|port) of (\w+)>", real, text)

    def _anonymous(self, lines: list[str]) -> Iterator[str]:
        for line in lines:
            for name, server in self.nodes.items():
                line = line.replace(self.ids[name], f"<id of {name}>")
                line = re.sub(rf"(127\.0\.0\.1)?:{server.port}\b(@\d+)?", f"<{name}>", line)
                line = re.sub(rf"\b{server.port}\b", f"<port of {name}>", line)
            yield re.sub(r"\b[0-9a-f]{40}\b", "<some id>", line)

    def _view(self, name: str) -> Iterator[str]:
        rows = []
        for line in self.nodes[name].call("CLUSTER", "NODES").decode().splitlines():
            node_id, address, flags, _primary, _ping, _pong, epoch, link, *slots = line.split(" ")
            who = next((known for known, each in self.ids.items() if each == node_id), None)
            if who is None:
                port = int(address.split(":")[1].split("@")[0])
                who = next(known for known, server in self.nodes.items() if server.port == port) + " (by another id)"
            slots = list(self._anonymous(slots))
            rows.append(f"{who}  {flags}  epoch {epoch}  {link}  {' '.join(slots)}".rstrip())
        yield from sorted(rows)

    def close(self) -> None:
        for connection in self.connections.values():
            connection.close()


def _part(block: Block, command: str) -> list[str]:
    """What the transcript says for this command."""
    if len(block.commands) == 1:
        return block.transcript
    start = block.transcript.index(f"> {command}") + 1 if f"> {command}" in block.transcript else 0
    rest = block.transcript[start:]
    return rest[: next((i for i, line in enumerate(rest) if line.startswith("> ")), len(rest))]


def _lines(frame: Frame) -> list[str]:
    if frame.kind == b"$" and b"\n" in frame.body:
        return frame.body.decode("utf-8", "backslashreplace").splitlines()
    return show(frame).splitlines()
