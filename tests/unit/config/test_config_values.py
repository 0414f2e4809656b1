"""Words of configuration lines, and every kind of value: read, shown, written, refused."""

from __future__ import annotations

import pytest

from node.config import NAMES, BadValue
from node.config.words import Unbalanced, quote, split_words, to_text

WORDS = [
    ("", []),
    ("  port \t 6379 ", ["port", "6379"]),
    ('requirepass "two words"', ["requirepass", "two words"]),
    ("requirepass 'it\\'s'", ["requirepass", "it's"]),
    (r"requirepass 'back\slash'", ["requirepass", r"back\slash"]),
    (r'logfile "a\tb\x41\"\\"', ["logfile", 'a\tbA"\\']),
    (r'logfile "\xff"', ["logfile", to_text(b"\xff")]),
    ('save ""', ["save", ""]),
    ('pre"fix ed"', ["prefix ed"]),
]


@pytest.mark.parametrize(("line", "words"), WORDS)
def test_a_line_is_split_into_words(line: str, words: list[str]) -> None:
    assert split_words(line) == words


@pytest.mark.parametrize("line", ['a "b', "a 'b", '"a"b', "'a'b", "a 'b\\'", 'a "b\\"'])
def test_unbalanced_quotes_are_refused(line: str) -> None:
    with pytest.raises(Unbalanced):
        split_words(line)


@pytest.mark.parametrize(
    "word", ["", "plain", "two words", 'q"uote', "back\\slash", "tab\tnew\nline", "\x07\x08", "é", to_text(b"\xff\x00")]
)
def test_a_quoted_word_is_read_back(word: str) -> None:
    assert split_words(f"x {quote(word)}") == ["x", word]


# directive, words, value, as CONFIG GET shows it, lines of a file
VALUES = [
    ("appendonly", ["YES"], True, "yes", ["appendonly yes"]),
    ("port", ["7000"], 7000, "7000", ["port 7000"]),
    ("hz", ["100000"], 500, "500", ["hz 500"]),
    ("list-max-listpack-size", ["-5"], -5, "-5", ["list-max-listpack-size -5"]),
    ("maxmemory", ["100mb"], 104857600, "104857600", ["maxmemory 100mb"]),
    ("maxmemory", ["3K"], 3000, "3000", ["maxmemory 3000"]),
    ("maxmemory", ["5000b"], 5000, "5000", ["maxmemory 5000"]),
    ("maxmemory", ["1Gb"], 1 << 30, "1073741824", ["maxmemory 1gb"]),
    ("maxmemory-clients", ["7%"], -7, "7%", ["maxmemory-clients 7%"]),
    ("unixsocketperm", ["755"], 0o755, "755", ["unixsocketperm 755"]),
    ("loglevel", ["Verbose"], "verbose", "verbose", ["loglevel verbose"]),
    ("oom-score-adj", ["relative"], "yes", "yes", ["oom-score-adj yes"]),
    ("logfile", ["a b"], "a b", "a b", ['logfile "a b"']),
    ("requirepass", [""], "", "", []),
    (
        "shutdown-on-sigterm",
        ["force", "nosave"],
        ("nosave", "force"),
        "nosave force",
        ["shutdown-on-sigterm nosave force"],
    ),
    ("shutdown-on-sigterm", ["default"], (), "default", ["shutdown-on-sigterm default"]),
    ("save", ["900", "1", "60", "5"], ((900, 1), (60, 5)), "900 1 60 5", ["save 900 1", "save 60 5"]),
    ("save", [""], (), "", ['save ""']),
    ("notify-keyspace-events", ["AK"], "g$lshzxetdK", "AK", ['notify-keyspace-events "AK"']),
    ("notify-keyspace-events", ["Elg"], "glE", "glE", ['notify-keyspace-events "glE"']),
    ("bind", ["::1", "-127.0.0.1"], ("::1", "-127.0.0.1"), "::1 -127.0.0.1", ["bind ::1 -127.0.0.1"]),
    ("replicaof", ["host", "6380"], ("host", 6380), "host 6380", ["replicaof host 6380"]),
    ("replicaof", ["no", "ONE"], None, "", []),
    (
        "latency-tracking-info-percentiles",
        ["50", "99.90"],
        (50.0, 99.9),
        "50 99.9",
        ["latency-tracking-info-percentiles 50 99.9"],
    ),
    ("oom-score-adj-values", ["0", "1", "2"], (0, 1, 2), "0 1 2", ["oom-score-adj-values 0 1 2"]),
]


@pytest.mark.parametrize(("name", "words", "value", "shown", "lines"), VALUES)
def test_a_value_is_read_shown_and_written(
    name: str, words: list[str], value: object, shown: str, lines: list[str]
) -> None:
    directive = NAMES[name]
    assert directive.kind.parse(words, directive.default) == value
    assert directive.kind.show(value) == shown
    assert [line for line, _ in directive.kind.lines(name, value, directive.default)] == lines


REFUSED = [
    ("appendonly", ["maybe"], "argument must be 'yes' or 'no'"),
    ("port", ["65536"], "argument must be between 0 and 65535 inclusive"),
    ("port", ["01"], "argument couldn't be parsed into an integer"),
    ("port", ["٣"], "argument couldn't be parsed into an integer"),
    ("maxmemory", ["-1"], "argument must be a memory value"),
    ("maxmemory", ["1tb"], "argument must be a memory value"),
    ("maxmemory-clients", ["200%"], "percentage argument must be less or equal to 100"),
    ("maxmemory-clients", ["x%"], "argument must be a memory or percent value"),
    ("unixsocketperm", ["9"], "argument couldn't be parsed as an octal number"),
    ("unixsocketperm", ["1000"], "argument must be between 0 and 777 inclusive"),
    ("appendfsync", ["never"], "argument(s) must be one of the following: everysec, always, no"),
    ("oom-score-adj", ["?"], "argument(s) must be one of the following: no, yes, relative, absolute"),
    ("shutdown-on-sigint", ["save", "nosave"], "shutdown options SAVE and NOSAVE can't be used simultaneously"),
    ("save", ["60"], "Invalid save parameters"),
    ("save", ["0", "1"], "Invalid save parameters"),
    ("client-output-buffer-limit", ["normal", "1"], "Wrong number of arguments in buffer limit configuration."),
    (
        "client-output-buffer-limit",
        ["master", "0", "0", "0"],
        "Invalid client class specified in buffer limit configuration.",
    ),
    (
        "client-output-buffer-limit",
        ["normal", "0", "x", "0"],
        "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
    ),
    ("notify-keyspace-events", ["Q"], "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
    ("replicaof", ["host"], "wrong number of arguments"),
    ("replicaof", ["host", "70000"], "Invalid master port"),
    (
        "latency-tracking-info-percentiles",
        ["101"],
        "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]",
    ),
    ("oom-score-adj-values", ["1", "2"], "wrong number of arguments"),
    ("dbfilename", ["a/b"], "dbfilename can't be a path, just a filename"),
    ("cluster-announce-hostname", ["a b"], "Hostnames may only contain alphanumeric characters, hyphens or dots"),
    ("proc-title-template", ["{bogus}"], "template format is invalid or contains unknown variables"),
]


@pytest.mark.parametrize(("name", "words", "why"), REFUSED)
def test_a_bad_value_is_refused_in_redis_words(name: str, words: list[str], why: str) -> None:
    directive = NAMES[name]
    with pytest.raises(BadValue) as refusal:
        directive.kind.parse(words, directive.default)
    assert str(refusal.value) == why


def test_output_buffer_limits_keep_the_classes_that_are_not_named() -> None:
    directive = NAMES["client-output-buffer-limit"]
    value = directive.kind.parse(["slave", "64mb", "0", "0"], directive.default)
    assert directive.kind.show(value) == "normal 0 0 0 slave 67108864 0 0 pubsub 33554432 8388608 60"
    assert directive.kind.lines(directive.name, value, directive.default) == [
        ("client-output-buffer-limit normal 0 0 0", False),
        ("client-output-buffer-limit replica 64mb 0 0", True),
        ("client-output-buffer-limit pubsub 32mb 8mb 60", False),
    ]


@pytest.mark.parametrize("name", sorted({directive.name for directive in NAMES.values()}))
def test_every_default_survives_its_own_lines(name: str) -> None:
    """What a rewrite writes for a default is read back as the default."""
    directive = NAMES[name]
    value = directive.default
    for line, _ in directive.kind.lines(name, value, directive.default):
        words = split_words(line)[1:]
        if not directive.kind.accumulates:
            value = directive.kind.parse(words, value)
            assert value == directive.default
    assert directive.help.endswith((".", "no value"))
