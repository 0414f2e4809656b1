"""The notation for key positions, the triple derived from it, and the extraction of keys."""

from __future__ import annotations

import pytest

from node.commands.table.keyspec import KeySpec, find_uses, legacy_range, parse_keys, routing

RO_ACCESS = frozenset({"RO", "access"})
OW_UPDATE = frozenset({"OW", "update"})

PARSED = [
    ("", ()),
    ("1 RO access", (KeySpec(RO_ACCESS, index=1),)),
    ("1..2 RO access", (KeySpec(RO_ACCESS, index=1, last=1),)),
    ("1..-1 RO access", (KeySpec(RO_ACCESS, index=1, last=-1),)),
    ("1..-1/2 OW update", (KeySpec(OW_UPDATE, index=1, last=-1, step=2),)),
    ("#2 RO access", (KeySpec(RO_ACCESS, index=2, count=True),)),
    ("#2/2 RO access", (KeySpec(RO_ACCESS, index=2, count=True, step=2),)),
    ("STORE@5 OW update", (KeySpec(OW_UPDATE, word=b"STORE", start=5),)),
    ("KEYS@-2..-1 RO access", (KeySpec(RO_ACCESS, word=b"KEYS", start=-2, last=-1),)),
    ("STREAMS@1..-1%2 RO access", (KeySpec(RO_ACCESS, word=b"STREAMS", start=1, last=-1, limit=2),)),
    ("? RO access", (KeySpec(RO_ACCESS, unknown=True),)),
    ("1 RO access (why, so)", (KeySpec(RO_ACCESS, index=1, notes="why, so"),)),
    ("1..-1 not_key", (KeySpec(frozenset({"not_key"}), index=1, last=-1),)),
    ("1 OW update; 2 RO access", (KeySpec(OW_UPDATE, index=1), KeySpec(RO_ACCESS, index=2))),
]


@pytest.mark.parametrize(("text", "specs"), PARSED, ids=[text or "none" for text, _ in PARSED])
def test_notation(text: str, specs: tuple[KeySpec, ...]) -> None:
    assert parse_keys(text) == specs


@pytest.mark.parametrize(
    "text", ["x", "1", "1 access", "1 RO RW", "1 RO acess", "#a RO", "store@5 OW", "1..RO", "1 RO access;", "-1 RO"]
)
def test_unreadable_notation_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"key|exactly one"):
        parse_keys(text)


@pytest.mark.parametrize(
    ("text", "first", "last", "step", "movable"),
    [
        ("", 0, 0, 0, False),
        ("1 RO", 1, 1, 1, False),
        ("1..-1 RO", 1, -1, 1, False),
        ("1..-1/2 OW", 1, -1, 2, False),
        ("2..4 RO", 2, 4, 1, False),
        ("1 RW; 2 OW", 1, 2, 1, False),
        ("2 OW; 3..-1 RO", 2, -1, 1, False),
        ("1 RO; 3 RO", 1, 1, 1, True),
        ("1 OW; #2 RO", 1, 1, 1, True),
        ("#1 RO", 0, 0, 0, True),
        ("STREAMS@1..-1%2 RO", 0, 0, 0, True),
        ("1 RO; ? OW", 1, 1, 1, True),
        ("3 RW; KEYS@-2..-1 RW incomplete", 3, 3, 1, True),
    ],
)
def test_first_last_step_are_derived(text: str, first: int, last: int, step: int, movable: bool) -> None:
    legacy = legacy_range(parse_keys(text))
    assert (legacy.first, legacy.last, legacy.step, legacy.movable) == (first, last, step, movable)


@pytest.mark.parametrize(
    ("text", "request_text", "positions"),
    [
        ("", "ping", []),
        ("1 RO", "get k", [1]),
        ("1 RO", "get", []),
        ("1..-1 RO", "mget a b c", [1, 2, 3]),
        ("1..-2 RW", "blpop a b 0", [1, 2]),
        ("1..-1/2 OW", "mset a 1 b 2", [1, 3]),
        ("1..2 RO", "lcs a b", [1, 2]),
        ("1..2 RO", "lcs a", []),
        ("1 RW; 2 OW", "rename a b", [1, 2]),
        ("#1 RO", "zunion 2 a b weights 1 2", [2, 3]),
        ("#1 RO", "zunion 3 a b", []),
        ("#1 RO", "zunion 0 a", []),
        ("#1 RO", "zunion -1 a", []),
        ("#1 RO", "zunion x a", []),
        ("#1 RO", "zunion 99999999999999999999 a", []),
        ("#1 RO", "zunion", []),
        ("1 OW; #2 RO", "zunionstore d 2 a b", [1, 3, 4]),
        ("1 OW; #2 RO", "zunionstore d 0 a b", []),
        ("#1/2 OW", "msetex 2 a 1 b 2 nx", [2, 4]),
        ("#1/2 OW", "msetex 2 a 1 b", []),
        ("STREAMS@1..-1%2 RO", "xread count 2 streams a b 0 0", [4, 5]),
        ("STREAMS@1..-1%2 RO", "xread count 2", []),
        ("STREAMS@4..-1%2 RO", "xreadgroup group streams c streams a >", [5]),
        ("1 RO; STORE@6 OW", "georadius k 0 0 1 m Store d", [1, 7]),
        ("1 RO; STORE@6 OW", "georadius k 0 0 1 m", [1]),
        ("1 RO; STORE@6 OW", "georadius k 0 0 1 m store", [1]),
        ("1..-1 not_key", "ssubscribe a b", [1, 2]),
    ],
)
def test_positions_that_decide_the_slot(text: str, request_text: str, positions: list[int]) -> None:
    assert routing(parse_keys(text), None)(request_text.encode().split()) == positions


def test_channels_are_no_keys() -> None:
    assert find_uses(parse_keys("1..-1 not_key"), [b"ssubscribe", b"a"], None) == []


def test_uses_carry_the_flags_of_their_clause() -> None:
    uses = find_uses(parse_keys("1 OW update; #2 RO access"), b"zunionstore d 1 a".split(), None)
    assert uses == [(1, OW_UPDATE), (3, RO_ACCESS)]


@pytest.mark.parametrize("text", ["1 RW variable_flags", "1 RO; ? OW", "#1 RO"])
def test_the_extractor_decides_what_the_specification_leaves_open(text: str) -> None:
    argv = [b"c", b"0", b"b"]
    assert find_uses(parse_keys(text), argv, lambda argv: [(2, RO_ACCESS)]) == [(2, RO_ACCESS)]
    assert find_uses(parse_keys(text), argv, None) == []


def test_an_incomplete_clause_matters_only_when_it_applies() -> None:
    specs = parse_keys("3 RW; KEYS@-2..-1 RW incomplete")
    extractor = lambda argv: [(0, RO_ACCESS)]  # noqa: E731
    assert [at for at, _ in find_uses(specs, b"migrate h 1 k 0 9".split(), extractor)] == [3]
    assert [at for at, _ in find_uses(specs, b"migrate h 1 k 0 9 keys a".split(), extractor)] == [0]
