"""A walk over the whole table of directives: each with the ends of its range, one beyond, nonsense and odd bytes.

For every value: what CONFIG SET answers and what CONFIG GET shows after it, beside redis-server; whether the node still
runs commands and serves new clients; and whether a node starts with it, from a file and from the command line.
`SHARDIS_WALK=report` also starts a node for each value alone, which takes a while, and prints what came of all of them.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from node.config import DIRECTIVES, Config, ConfigFileError, load
from node.config.directive import Directive
from node.config.words import quote, to_text
from node.replies import CommandError
from tests.support.directive_values import NONSENSE, Value, values
from tests.support.resp import CLOSED, Connection, Frame
from tests.support.servers import OURS, Fleet, Server, StartFailed, free_port, have_oracle

# Directives that another test looks at, since they move the server itself.
MOVING = {"port", "bind"}

# Where our answer is meant to be another one: directive, value, why. Both may be patterns.
DIFFERENT = [
    ("tls-*", "*", "there is no TLS, so nothing may claim that there is"),
    ("activedefrag", "[yY]*", "the text names another allocator"),
    ("maxclients", "*", "a node keeps more files for itself than redis-server does"),
    ("oom-score-adj", "*", "redis-server really writes it, which the system may refuse"),
    ("maxmemory", "18446744073709551616", "redis-server takes it for 2^64 - 1"),
    ("cluster-link-sendbuf-limit", "18446744073709551616", "redis-server takes it for 2^64 - 1"),
    ("maxmemory-clients", "9223372036854775808", "redis-server takes it for a percentage"),
    ("maxmemory-clients", "1844674407370955161?", "redis-server takes it for 1%"),
    ("dbfilename", "?" * 201 + "*", "redis-server finds out when it saves"),
    ("dbfilename", "..", "redis-server finds out when it saves"),
    ("watchdog-period", "1", "there is no watchdog, so it has no shortest period"),
    ("latency-tracking-info-percentiles", "0x10", "redis-server reads C's hexadecimal numbers"),
    ("dir", "*", "the texts of the system, and where the servers are, are other ones"),
]
# Redis has no such directive, or another default, which shows in what CONFIG GET replies after a refusal.
OTHER_DEFAULT = {"cluster-node-timeout"}

SMOKE: list[tuple[str, ...]] = [
    ("DEL", "s", "l", "h", "set", "z", "x", "p"),
    ("SET", "s", "12", "EX", "100"),
    ("APPEND", "s", "x" * 100),
    ("GET", "s"),
    ("RPUSH", "l", "a", "b", "c" * 70),
    ("HSET", "h", "f", "v", "g", "w" * 70),
    ("SADD", "set", "1", "2", "m" * 70),
    ("ZADD", "z", "1", "a", "2", "b" * 70),
    ("XADD", "x", "*", "f", "v"),
    ("PFADD", "p", "a", "b"),
    ("OBJECT", "FREQ", "s"),
    ("EVAL", "return redis.call('get', KEYS[1])", "1", "s"),
    ("SORT", "l", "ALPHA"),
    ("INFO", "everything"),
    ("SLOWLOG", "GET"),
    ("LATENCY", "LATEST"),
    ("CLIENT", "LIST"),
    ("DBSIZE",),
]


def as_bytes(value: Value) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def shown(value: Value) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:50]}... ({len(value)})"


def current(client: Connection, name: str) -> bytes | None:
    """What CONFIG GET shows; None: there is no such directive."""
    frame = client.ask("CONFIG", "GET", name)
    return frame.items[1].body if frame.items else None


class Walker:
    """One server, and a connection that stays for as long as it lasts."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.client = server.connect()

    def set(self, name: str, value: Value) -> tuple[bytes, bytes | None]:
        """The answer to CONFIG SET, and what CONFIG GET shows after it."""
        reply = self.client.ask("CONFIG", "SET", name, as_bytes(value))
        if reply is CLOSED:
            self.client = self.server.connect()
        return reply.raw, current(self.client, name)

    def complaints(self) -> Iterator[str]:
        """What is wrong with the server now, if anything."""
        for argv, frame in zip(SMOKE, self.client.pipeline(SMOKE), strict=True):
            if frame is CLOSED or b"internal error" in frame.raw:
                yield f"{' '.join(argv)[:50]} answers {frame.raw!r}"
        try:
            with self.server.connect(timeout_s=5) as fresh:
                if not is_answer(fresh.ask("PING")):
                    yield "a new client is not served"
        except OSError as error:
            yield f"a new client is not served: {error}"


def is_answer(frame: Frame) -> bool:
    """To PING: also that a password is wanted, or that there are clients enough, is one."""
    return frame.raw.startswith((b"+PONG", b"-NOAUTH", b"-ERR max number of clients"))


def meant_to_differ(name: str, value: Value) -> bool:
    text = to_text(as_bytes(value))
    return any(fnmatch.fnmatch(name, names) and fnmatch.fnmatch(text, texts) for names, texts, _ in DIFFERENT)


@pytest.mark.parametrize("mode", ["standalone", "cluster"])
def test_config_set(fleet: Fleet, mode: str) -> None:
    """No value leaves anything half done, and where redis-server knows the directive it answers the same."""
    directives = {"enable-protected-configs": "yes"} | ({"cluster-enabled": "yes"} if mode == "cluster" else {})
    ours = Walker(fleet.ours(**directives))
    oracle = Walker(fleet.oracle(**directives)) if have_oracle() else None
    wrong: list[str] = []
    for name, directive in DIRECTIVES.items():
        if name in MOVING:
            continue
        before, theirs_before = current(ours.client, name), current(oracle.client, name) if oracle else None
        assert before is not None
        for value in values(directive):
            what = f"{name} {shown(value)}"
            answer, after = ours.set(name, value)
            if answer == b"+OK\r\n":
                wrong += [f"{what}: {complaint}" for complaint in ours.complaints()]
            elif after != before:
                wrong.append(f"{what}: is refused with {answer!r}, and CONFIG GET shows {after!r}")
            if b"internal error" in answer:
                wrong.append(f"{what}: {answer!r}")
            if oracle and theirs_before is not None:
                theirs, shown_there = oracle.set(name, value)
                same = answer == theirs and (after == shown_there or name in OTHER_DEFAULT)
                if not same and not meant_to_differ(name, value):
                    wrong.append(f"{what}:\n  ours {answer!r}, {after!r}\n  redis-server {theirs!r}, {shown_there!r}")
                oracle.set(name, theirs_before)
            assert ours.server.alive(), what
            if after != before:
                restored, _ = ours.set(name, before)
                assert restored == b"+OK\r\n", f"{what}: to set {before!r} again is refused: {restored!r}"
    assert not wrong, "\n".join(wrong)
    assert "Traceback" not in ours.server.log_tail(10_000)


def test_config_set_of_what_moves_the_server(fleet: Fleet) -> None:
    server = fleet.ours()
    walker = Walker(server)
    for name in sorted(MOVING):
        before = current(walker.client, name)
        assert before is not None
        for value in values(DIRECTIVES[name]):
            answer, after = walker.set(name, value)
            assert b"internal error" not in answer
            assert after == (as_bytes(value) if answer == b"+OK\r\n" else before)
            server.port = int(current(walker.client, "port") or 0)
            assert list(walker.complaints()) == [], f"{name} {shown(value)}"
            walker.set(name, before)
            server.port = int(current(walker.client, "port") or 0)


class OneFile:
    """The only configuration file."""

    def __init__(self, text: str) -> None:
        self.text = text

    def read(self, path: str) -> str:
        return self.text

    def matching(self, pattern: str) -> list[str]:
        return []

    def absolute(self, path: str) -> str:
        return path

    def standard_input(self) -> str:
        return ""


def line_of(directive: Directive, value: Value) -> str:
    """A line of a file as CONFIG SET would have it: several words in one pair of quotes where a kind has several."""
    return f"{directive.name} {quote(to_text(as_bytes(value)))}"


def loaded(directive: Directive, value: Value) -> list[Config | str]:
    """From a file and from the command line: the configuration, or why not."""
    found: list[Config | str] = []
    for argv in (["file"], [f"--{directive.name}", to_text(as_bytes(value))]):
        try:
            found.append(load(argv, OneFile(line_of(directive, value))))
        except ConfigFileError as error:
            found.append(str(error).splitlines()[-1])
    return found


def accepted_at_start(directive: Directive) -> list[Value]:
    """The values with which a start is worth trying: what refuses the others has been asked."""
    return [value for value in values(directive) if isinstance(loaded(directive, value)[0], Config)]


def test_files_and_command_lines_take_what_config_set_takes() -> None:
    """And refuse it in the same words, with the line where it stands."""
    for name, directive in DIRECTIVES.items():
        if directive.fixed or directive.protected:
            continue
        for value in values(directive):
            config = Config()
            text = to_text(as_bytes(value))
            several = directive.kind.multi and text.split() != text.split(" ")  # files know other blanks, too
            try:
                config.set([(name, text)])
                asked: Config | str = config
            except CommandError as error:
                asked = to_text(error.text).partition(" - ")[2]
            for got in loaded(directive, value):
                assert isinstance(got, Config) == isinstance(asked, Config) or several, f"{name} {shown(value)}: {got}"
                if isinstance(got, Config) and isinstance(asked, Config) and not several:
                    assert got.show(name) == asked.show(name)


# What a start depends on, or what would leave something behind; each of them is asked for alone.
ALONE = {"port", "bind", "dir", "daemonize", "supervised", "logfile", "unixsocket", "cluster-enabled", "replicaof"}
ALONE |= {"admin-port", "admin-bind", "cluster-port", "cluster-config-file", "locale-collate", "pidfile"}
ALONE |= {"cluster-seeds", "cluster-shards", "cluster-replicas", "maxclients", "databases", "appendonly"}
ALONE |= {"requirepass", "maxmemory", "tcp-backlog"}


def start(fleet: Fleet, directory: Path, chosen: Iterable[tuple[Directive, Value]], how: str) -> Server:
    """A node with these values, from a file or the command line. StartFailed."""
    settings = {"enable-debug-command": "yes", "save": "", "cluster-enabled": "yes" if how == "file" else "no"}
    lines = []
    for directive, value in chosen:
        settings.pop(directive.name, None)
        if how == "file":
            lines.append(line_of(directive, value))
        else:
            settings[directive.name] = to_text(as_bytes(value))
    config = directory / "node.conf"
    config.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape") + b"\n")
    command = [*OURS, *([str(config)] if how == "file" else [])]
    server = Server("ours", command, free_port(), directory, settings)
    server.port = int(settings.pop("port", server.port)) or server.port
    fleet.running.append(server)
    server.launch()
    return server.await_answer(b"")  # whatever it says: it may want a password


def smoke(server: Server) -> list[str]:
    """Complaints about a node that has just started."""
    found = list(Walker(server).complaints())
    if "Traceback" in server.log_tail(10_000):
        found.append(server.log_tail(40))
    return found


def rounds() -> list[list[tuple[Directive, Value]]]:
    """Every accepted value of every directive that does not have to be alone, one of each directive at a time."""
    columns = {
        directive.name: accepted_at_start(directive)
        for directive in DIRECTIVES.values()
        if directive.name not in ALONE and not directive.reserved
    }
    return [
        [(DIRECTIVES[name], column[at]) for name, column in columns.items() if at < len(column)]
        for at in range(max(map(len, columns.values())))
    ]


def guilty(fleet: Fleet, chosen: list[tuple[Directive, Value]], how: str) -> str:
    """Which of these values a node does not start with, found by halves."""
    while len(chosen) > 1:
        half = len(chosen) // 2
        for part in (chosen[:half], chosen[half:]):
            if complaint(fleet, part, how):
                chosen = part
                break
        else:
            break
    return " and ".join(f"{directive.name} {shown(value)}" for directive, value in chosen)


def complaint(fleet: Fleet, chosen: list[tuple[Directive, Value]], how: str) -> str:
    """What is wrong with a node that is started with these values; empty: nothing."""
    directory = Path(tempfile.mkdtemp(prefix="shardis-walk-"))
    try:
        server = start(fleet, directory, chosen, how)
        try:
            found = smoke(server)
        except OSError as error:
            found = [f"{error}\n{server.log_tail()}"]
        fleet.end(server)
    except StartFailed as failure:
        found = [str(failure)]
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return "\n".join(found)


@pytest.mark.parametrize("how", ["file", "command line"])
def test_a_node_starts_with_every_value_that_is_accepted(fleet: Fleet, how: str) -> None:
    """As a node of a cluster from a file, as one alone from the command line."""
    for chosen in rounds():
        problem = complaint(fleet, chosen, how)
        assert not problem, f"{guilty(fleet, chosen, how)}\n{problem}"


# Values of those that are asked for alone with which there can be no node, and what it says.
NO_NODE = {
    "port": "not listen anywhere",
    "bind": "isten",
    "dir": "Cannot use 'dir ",
    "logfile": "Can't open the log file",
    "unixsocket": "Unix socket",
    "locale-collate": "Invalid locale name",
    "cluster-config-file": "Cannot use ",
    "cluster-port": "cluster bus",
    "admin-port": "admin-port",
    "admin-bind": "admin-port",
    "replicaof": "replicaof directive not allowed in cluster mode",
}


def alone(every: bool) -> Iterator[tuple[Directive, Value]]:
    """All values of those, or two of each that a person might write."""
    for name in sorted(ALONE - {"daemonize"}):
        directive = DIRECTIVES[name]
        accepted = accepted_at_start(directive)
        likely = [value for value in accepted if value not in NONSENSE and len(value) < 100]
        for value in accepted if every else likely[:2]:
            yield directive, value


def outcome(fleet: Fleet, directive: Directive, value: Value, how: str) -> str:
    """`starts`, or `says why not`; anything else is a fault."""
    with_admin = [(DIRECTIVES["admin-port"], str(free_port()))] if directive.name == "admin-bind" else []
    problem = complaint(fleet, [(directive, value), *with_admin], how)
    if not problem:
        return "starts"
    expected = NO_NODE.get(directive.name)
    if expected is None or expected not in problem or "Traceback" in problem:
        return f"{directive.name} {shown(value)} ({how}): {problem}"
    return "says why not"


def test_a_node_starts_with_what_concerns_the_process_or_says_why_not(fleet: Fleet) -> None:
    outcomes = [outcome(fleet, directive, value, "file") for directive, value in alone(every=False)]
    assert set(outcomes) == {"starts", "says why not"}, "\n".join(outcomes)


@pytest.mark.skipif(os.environ.get("SHARDIS_WALK") != "report", reason="takes minutes: SHARDIS_WALK=report")
def test_report(fleet: Fleet) -> None:
    """The same for every value, both ways, and how many there are of what."""
    counts: Counter[str] = Counter()
    faults = []
    for directive in DIRECTIVES.values():
        for value in values(directive):
            for how, got in zip(("file", "command line"), loaded(directive, value), strict=True):
                counts[f"{how}: {'accepted' if isinstance(got, Config) else 'refused with its line'}"] += 1
    for how in ("file", "command line"):
        for directive, value in alone(every=True):
            came = outcome(fleet, directive, value, how)
            if came not in ("starts", "says why not"):
                faults.append(came)
                came = "FAULT"
            counts[f"{how}: alone, {came}"] += 1
    print("\n".join(f"{count:6} {what}" for what, count in sorted(counts.items())))
    assert not faults, "\n".join(faults)
