"""The notation for arguments, and the synopsis made from it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.commands.table.argspec import Argument, parse_arguments, synopsis

KEY = Argument("key", "key", key_spec=0)
NX, XX = Argument("nx", "pure-token", token="NX"), Argument("xx", "pure-token", token="XX")

PARSED = [
    ("", ()),
    ("key", (KEY,)),
    ("destination:key#1", (Argument("destination", "key", key_spec=1),)),
    ("key:key#-", (Argument("key", "key"),)),
    ("pattern:pattern#2", (Argument("pattern", "pattern", key_spec=2),)),
    ("key:str", (Argument("key", "string"),)),
    ("ID:str", (Argument("ID", "string"),)),
    ("n:int x:float t:time", (Argument("n", "integer"), Argument("x", "double"), Argument("t", "unix-time"))),
    ("NX", (NX,)),
    ("NX XX", (NX, XX)),
    ("change=CH", (Argument("change", "pure-token", token="CH"),)),
    ("change=CH value", (Argument("change", "pure-token", token="CH"), Argument("value", "string"))),
    ("exact='='", (Argument("exact", "pure-token", token="="),)),
    ("empty=''", (Argument("empty", "pure-token", token=""),)),
    ("EX seconds:int", (Argument("seconds", "integer", token="EX"),)),
    ("[key]", (replace(KEY, optional=True),)),
    ("key...", (replace(KEY, multiple=True),)),
    ("[GET* key...]", (replace(KEY, token="GET", optional=True, multiple=True, multiple_token=True),)),
    ("[NX @6.2.0]", (replace(NX, since="6.2.0", optional=True),)),
    ("NX !6.2.0", (replace(NX, deprecated_since="6.2.0"),)),
    ("(NX|XX)=condition", (Argument("condition", "oneof", arguments=(NX, XX)),)),
    ("(NX XX)=both...", (Argument("both", "block", multiple=True, arguments=(NX, XX)),)),
    ("LIMIT (NX XX)=limit", (Argument("limit", "block", token="LIMIT", arguments=(NX, XX)),)),
    (
        "[((NX key)=a|XX)=b]",
        (
            Argument(
                "b",
                "oneof",
                optional=True,
                arguments=(Argument("a", "block", arguments=(replace(KEY, token="NX"),)), XX),
            ),
        ),
    ),
]


@pytest.mark.parametrize(("text", "arguments"), PARSED, ids=[text or "none" for text, _ in PARSED])
def test_notation(text: str, arguments: tuple[Argument, ...]) -> None:
    assert parse_arguments(text) == arguments


@pytest.mark.parametrize(
    "text",
    ["key:keys", "(NX|XX)", "(NX XX|NX)=x", "[a b]", "[a|b]", "(a", "a)", "a]", "[a)", "a|b", "=x", "...", "a,b"],
)
def test_unreadable_notation_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"argument|group|parentheses|\[|choice|unexpected|balanced"):
        parse_arguments(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key value", "key value"),
        ("key [(NX|XX)=condition] [CH]", "key [NX|XX] [CH]"),
        ("(BEFORE|AFTER)=where", "<BEFORE|AFTER>"),
        ("[TYPE (A|B)=type]", "[TYPE <A|B>]"),
        ("(score:float member)=data...", "score member [score member ...]"),
        ("[LIMIT (offset:int count:int)=limit]", "[LIMIT offset count]"),
        ("[GET* pattern...]", "[GET pattern [GET pattern ...]]"),
        ("(key|empty='')=which", '<key|"">'),
    ],
)
def test_synopsis(text: str, shown: str) -> None:
    assert synopsis(parse_arguments(text)) == shown
