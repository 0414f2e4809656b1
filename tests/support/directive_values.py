"""For every directive the values to try: the ends of its range, one beyond each, nonsense, and odd bytes."""

from __future__ import annotations

from node.config.directive import Directive
from node.config.kinds import INT64_MAX, UINT64_MAX, Bool, Enum, Int, Kind, Memory, Octal, Signal, Text
from node.config.special import (
    Addresses,
    BufferLimits,
    Events,
    OomScores,
    Percentiles,
    PrimaryAddress,
    SavePoints,
)

Value = str | bytes

# Wrong for nearly all directives; where it is right, it is an unusual value.
NONSENSE: tuple[Value, ...] = (
    "",
    " ",
    "x",
    "yes",
    "-1",
    "0x10",
    "1.5",
    "1 2 3",
    "1e3",
    "nan",
    "1_0",
    "\u0663",  # a digit, but not of ASCII
    str(INT64_MAX),
    str(INT64_MAX + 1),
    str(-INT64_MAX - 1),
    str(-INT64_MAX - 2),
    str(UINT64_MAX),
    str(UINT64_MAX + 1),
    "9" * 5000,
    "a\nb",
    b"\xff\xfe",
)

OF_SPECIAL: dict[type[Kind], tuple[str, ...]] = {
    SavePoints: ("1 0", "0 1", "1 -1", "60", "60 1 300 5", "60 x", "9223372036854775807 2147483647", "1  1"),
    BufferLimits: (
        "normal 0 0 0",
        "normal 1 1 0",
        "normal 1 2 3",
        "pubsub 1 1 1",
        "replica 1 1 1",
        "slave 1gb 1 9223372036854775807",
        "normal 1 1 -1",
        "normal 1 1 9223372036854775808",
        "normal 18446744073709551615 18446744073709551615 0",
        "nobody 1 1 1",
        "normal 1 1",
        "normal 0 0 0 pubsub 1 1",
    ),
    Events: ("KEA", "g$lshzxetdKEmn", "A", "n", "K", "KEAm", "Q"),
    OomScores: ("-2000 0 2000", "-2001 0 0", "0 0 2001", "0 0", "0 100 x"),
    Percentiles: ("0", "100", "100.1", "-0.1", "50 99 99.9", "50 x", "inf", "0.000001"),
    PrimaryAddress: ("no one", "127.0.0.1 65535", "127.0.0.1 65536", "127.0.0.1 -1", "127.0.0.1"),
    Addresses: (" ".join(["-192.0.2.1"] * 17),),
    Signal: ("default", "save", "nosave now force", "save nosave", "default nosave", "never"),
    Bool: ("yes", "no", "YES", "true", "1"),
    Octal: ("0", "777", "1000", "8", "-1"),
    Text: ("a", "a b", "x" * 300, "a/b", "..", "{title}", "{nothing}", 'q"uote'),
}


def values(directive: Directive) -> list[Value]:
    """What to set it to, without repetition; the default comes last."""
    kind = directive.kind
    found: list[Value] = [text for each, texts in OF_SPECIAL.items() if isinstance(kind, each) for text in texts]
    if isinstance(kind, Int) and not isinstance(kind, Octal):
        found += [str(number) for number in (kind.lo - 1, kind.lo, kind.lo + 1, kind.hi - 1, kind.hi, kind.hi + 1)]
    if isinstance(kind, Memory):
        found += ["1kb", "1GB", "1tb", "0%", "100%", "101%", "%", "kb"]
    if isinstance(kind, Enum):
        found += [word.upper() for word in kind.choices]
    return [*dict.fromkeys([*found, *NONSENSE]), kind.show(directive.default)]
