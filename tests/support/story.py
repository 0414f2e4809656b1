"""Stories: commands as an operator would type them, run on two servers at once.

A story file holds any number of stories. One starts with `== title`; a line is a command, and each reply of ours must
be byte for byte what the oracle says, unless a weaker form stands in front:

    SET k v EX 10
    near 1000: PTTL k            numbers may differ by as much as 1000
    sorted: SMEMBERS s           the same parts in any order
    pairs: HGETALL h             the same pairs in any order
    shape: HELLO 3               the same types and lengths
    type: CLIENT ID              the same type of reply, or the same error code
    anyhow: COMMAND LIST         the same after sorting every list within
    run: CONFIG RESETSTAT        run it, compare nothing
    none: CLIENT REPLY OFF       no reply comes
    scan: SCAN 0 MATCH a*        follow the cursor to its end, compare what came, in any order

Words are quoted as in redis-cli (`"\\x00\\n"`, `'raw'`), `<ab*300>` is a long word, and `{a|b|c}` stands for several
lines, one for each alternative (which may be empty, or several words, or hold `{...}` again).

A story may hold several connections, named in front of the command, and commands that wait:

    & a> BLPOP q 0               send it and wait until the server counts it as blocked
    b> RPUSH q x
    a>                           read what has come for a

    hang up a                    close the connection and wait until the server has noticed

`sleep MS` passes a deadline. Directives: `@standalone` and `@cluster` (only in that mode), `@proto 3`,
`@config NAME VALUE` (for this story only). `@oracle valkey` asks Valkey 9, which keeps the contract of Redis 7.2, in
the place of redis-server 7.0: for what only 7.2 has, and where the two differ (`tests/support/peers.py` says where the
servers are looked for). Before the first story of a file, a directive holds for all of them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.support.compare import Check, difference, form
from tests.support.peers import PEERS
from tests.support.resp import CLOSED, Connection, Frame, pack, show
from tests.support.servers import Server, wait_until

_FORM = re.compile(r"(same|sorted|pairs|shape|type|anyhow|run|none|scan|near(?: [\d.]+)?):(?: |$)")
_CONNECTION = re.compile(r"([a-z]\w*)>(?: |$)")
_LONG = re.compile(r"<(.+)\*(\d+)>")
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|\'([^\']*)\'|(\S+)')
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}
BATCH = 64
REPLY_TIMEOUT_S = 5
SILENCE = Frame(b"?", b"(no reply came)", b"(no reply came)")


@dataclass(frozen=True)
class Step:
    """One line: a command, or (without words) the reading of one more frame, or a pause."""

    text: str
    words: tuple[bytes, ...] = ()
    form: str = "same"
    connection: str = ""
    waits: bool = False
    sleep_ms: int = 0
    hangs_up: bool = False

    def check(self, old_doubles: bool) -> Check:
        return form("same" if self.form in ("scan", "none") else self.form, old_doubles)

    @property
    def frames(self) -> int:
        """How many frames answer the command: a subscription gets one for each channel."""
        if self.form == "none" or self.waits:
            return 0
        name = self.words[0].upper()
        if name in (b"SUBSCRIBE", b"PSUBSCRIBE", b"SSUBSCRIBE", b"UNSUBSCRIBE", b"PUNSUBSCRIBE", b"SUNSUBSCRIBE"):
            return max(1, len(self.words) - 1)
        return 1


@dataclass
class Story:
    """A titled list of steps with its conditions."""

    group: str
    title: str
    mode: str | None = None
    proto: int | None = None
    config: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    oracle: str = "redis"

    def __str__(self) -> str:
        return f"{self.group}: {self.title}"


def alternatives(line: str) -> Iterator[str]:
    """The lines that `{a|b}` stands for; innermost braces first, braces without a bar (hash tags) untouched."""
    group = re.search(r"\{([^{}]*\|[^{}]*)\}", line)
    if group is None:
        yield line
        return
    for choice in group[1].split("|"):
        yield from alternatives(line[: group.start()] + choice + line[group.end() :])


def words(text: str) -> tuple[bytes, ...]:
    """The words of a command line."""
    found = []
    for match in _WORD.finditer(text):
        double, single, bare = match.groups()
        if double is not None:
            found.append(_ESCAPE.sub(_unescape, double.encode()))
        elif single is not None:
            found.append(single.encode())
        elif long := _LONG.fullmatch(bare):
            found.append(long[1].encode() * int(long[2]))
        else:
            found.append(bare.encode())
    return tuple(found)


def _unescape(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return bytes([int(match[1], 16)])
    return _ESCAPED.get(match[2], match[2])


def parse_line(line: str) -> Step:
    """One line, its braces already resolved."""
    rest = text = line.strip()
    if match := re.fullmatch(r"sleep (\d+)", text):
        return Step(text, sleep_ms=int(match[1]))
    if match := re.fullmatch(r"hang up (\w+)", text):
        return Step(text, connection=match[1], hangs_up=True)
    waits = rest.startswith("& ")
    rest = rest.removeprefix("& ")
    form = "same"
    if match := _FORM.match(rest):
        form, rest = match[1], rest[match.end() :]
    connection = ""
    if match := _CONNECTION.match(rest):
        connection, rest = match[1], rest[match.end() :]
    return Step(text, () if rest == "..." else words(rest), form, connection, waits)


def read_stories(path: Path) -> list[Story]:
    """All stories of a file; the file's name is their group."""
    for_all = Story(path.stem, "")
    stories: list[Story] = []
    for line in path.read_text().splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("== "):
            stories.append(replace(for_all, title=line[3:], config=dict(for_all.config), steps=[]))
            continue
        story = stories[-1] if stories else for_all
        match line.split(None, 2) if line.startswith("@") else []:
            case ["@standalone"] | ["@cluster"]:
                story.mode = line[1:]
            case ["@proto", proto]:
                story.proto = int(proto)
            case ["@config", name, value]:
                story.config[name] = value.strip('"')
            case ["@oracle", kind] if kind in PEERS:
                story.oracle = kind
            case [] if story is for_all:
                raise ValueError(f"{path.name}: {line!r} stands before the first story")
            case []:
                story.steps.extend(parse_line(each) for each in alternatives(line))
            case _:
                raise ValueError(f"{path.name}: unknown directive {line!r}")
    return stories


class Side:
    """One server with the connections that a story has opened on it."""

    def __init__(self, server: Server, proto: int) -> None:
        self.server = server
        self.proto = proto
        self.connections: dict[str, Connection] = {}
        self.waiting = 0

    def connection(self, name: str) -> Connection:
        if name not in self.connections:
            self.connections[name] = self.server.connect(self.proto, timeout_s=REPLY_TIMEOUT_S)
        return self.connections[name]

    def send(self, steps: list[Step]) -> None:
        self.connection(steps[0].connection).send_raw(b"".join(pack(step.words) for step in steps))

    def send_blocking(self, step: Step) -> None:
        """Send, and return only once the server has put the client to wait."""
        before = int(self.server.info("clients")["blocked_clients"])
        self.send([step])

        def blocked() -> bool:
            return int(self.server.info("clients")["blocked_clients"]) > before

        wait_until(blocked, f"{self.server.name} blocks on {step.text!r}", timeout_s=5)

    def hang_up(self, step: Step) -> None:
        before = int(self.server.info("clients")["connected_clients"])
        self.connections.pop(step.connection).close()

        def gone() -> bool:
            return int(self.server.info("clients")["connected_clients"]) < before

        wait_until(gone, f"{self.server.name} notices that a client has left", timeout_s=5)

    def read(self, step: Step, frames: int = 1) -> list[Frame]:
        """What answers the step: as many frames as it should get, fewer when the first is an error."""
        connection = self.connection(step.connection)
        found: list[Frame] = []
        try:
            while len(found) < frames and not (found and found[0].is_error):
                found.append(connection.read())
        except TimeoutError:
            found.append(SILENCE)
        return found

    def scan(self, step: Step) -> Frame:
        """Follow a scan's cursor to the end; the answer is one array of everything it gave."""
        argv = list(step.words)
        at = 1 if argv[0].upper() == b"SCAN" else 2
        pairs = argv[0].upper() in (b"HSCAN", b"ZSCAN") and not any(word.upper() == b"NOVALUES" for word in argv)
        seen: dict[bytes, None] = {}
        for _ in range(100_000):
            frame = self.connection(step.connection).ask(*argv)
            if frame.is_error or len(frame.items) != 2:
                return frame
            raws = [item.raw for item in frame.items[1].items]
            seen.update(dict.fromkeys(map(b"".join, zip(raws[::2], raws[1::2], strict=True)) if pairs else raws))
            argv[at] = frame.items[0].body
            if argv[at] == b"0":
                break
        return Frame(b"*", b"*%d\r\n" % len(seen) + b"".join(sorted(seen)))

    def configure(self, config: dict[str, str]) -> dict[str, str]:
        """Set directives and return what they were."""
        before = {}
        for name, value in config.items():
            before[name] = self.server.call("CONFIG", "GET", name)[1].decode()
            self.server.call("CONFIG", "SET", name, value)
        return before

    def close(self) -> None:
        for connection in self.connections.values():
            connection.close()


def _batches(steps: list[Step]) -> Iterator[list[Step]]:
    """Neighbouring plain commands of one connection go out together, as a pipelining client would send them."""
    batch: list[Step] = []
    for step in steps:
        alone = not step.words or step.waits or step.form in ("scan", "none")
        if batch and (alone or step.connection != batch[0].connection or len(batch) >= BATCH):
            yield batch
            batch = []
        batch.append(step)
        if alone:
            yield batch
            batch = []
    if batch:
        yield batch


def tell(story: Story, ours: Server, oracle: Server, proto: int) -> list[str]:
    """Run a story on both servers; return what differs, each with the command it differs at."""
    sides = [Side(ours, proto), Side(oracle, proto)]
    for side in sides:
        side.server.call("FLUSHALL")
    before = [side.configure(story.config) for side in sides]
    try:
        return list(_tell(story, sides))
    finally:
        for side, old in zip(sides, before, strict=True):
            side.close()
            if side.server.alive():
                side.configure(old)


def _tell(story: Story, sides: list[Side]) -> Iterator[str]:
    old_doubles = story.oracle == "redis"
    for batch in _batches([*story.steps, parse_line("PING the-end")]):
        step = batch[0]
        if step.sleep_ms:
            time.sleep(step.sleep_ms / 1000)
        elif step.hangs_up:
            for side in sides:
                side.hang_up(step)
        elif step.waits:
            for side in sides:
                side.send_blocking(step)
        elif step.form == "scan":
            yield from _compare(step, [[side.scan(step)] for side in sides], old_doubles)
        else:
            if step.words:
                for side in sides:
                    side.send(batch)
            for each in batch:
                answers = [side.read(each, each.frames if each.words else 1) for side in sides]
                yield from _compare(each, answers, old_doubles)


def _compare(step: Step, answers: list[list[Frame]], old_doubles: bool) -> Iterator[str]:
    for ours, theirs in zip(*answers, strict=False):
        if not step.check(old_doubles)(ours, theirs) or theirs is SILENCE:
            yield difference(step.text[:300], ours, theirs)
    if len(answers[0]) != len(answers[1]):
        longer = max(answers, key=len)
        counts = f"{len(answers[0])} frames from us, {len(answers[1])} from the oracle"
        yield f"{step.text}\n      {counts}: {show(longer[-1])}"


def report(story: Story, differences: list[str], shown: int = 12) -> str:
    """The text of a failed story."""
    more = f"\n   ... and {len(differences) - shown} more" if len(differences) > shown else ""
    return f"{story}: {len(differences)} replies differ\n   " + "\n   ".join(differences[:shown]) + more


__all__ = ["CLOSED", "Story", "read_stories", "report", "tell"]
