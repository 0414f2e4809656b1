"""COMMAND and its subcommands on a small table: shapes, filters, errors and the cache."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from node.commands.server import introspect
from node.commands.table.registry import Registry, assemble
from node.commands.table.spec import CommandSpec, declare, declared
from node.replies import CommandError, Raw, ReplySet

FACTS: dict[str, Any] = {"group": "string", "since": "1.0.0", "summary": "Do it.", "native": True}


def spec(name: str, **facts: Any) -> CommandSpec:
    return declare(name, **{**FACTS, **facts})


SPECS = assemble(
    [
        spec("GET", arity=2, flags="readonly fast", keys="1 RO access", args="key", complexity="O(1)"),
        spec("MSET", arity=-3, flags="write denyoom", keys="1..-1/2 OW update", tips="request_policy:multi_shard"),
        spec("EVAL", arity=-3, flags="no_mandatory_keys", keys="#2 RW access", group="scripting"),
        spec("ZUNION", arity=-3, flags="readonly", keys="#1 RO access", group="sorted-set"),
        spec("PING", arity=-1, flags="fast", group="connection", doc_flags="syscmd", history={"2.0.0": "More."}),
        spec("CONFIG", arity=-2, group="server", native=False),
        spec("CONFIG GET", arity=-3, flags="admin", group="server", args="[NX @2.0.0]"),
    ]
)


def session(proto: int = 2) -> Any:
    return SimpleNamespace(node=SimpleNamespace(registry=Registry(SPECS)), proto=proto)


def ask(text: str) -> Any:
    """The reply to `COMMAND ...`, or the text of the error."""
    argv = [b"COMMAND", *text.encode().split()]
    handler = getattr(introspect, "command_" + text.split()[0].lower())
    try:
        return handler(session(), argv)
    except CommandError as error:
        return error.text.decode()


def test_a_row_has_ten_items() -> None:
    assert ask("info get") == [
        [
            b"get",
            2,
            ReplySet(["readonly", "fast"]),
            1,
            1,
            1,
            ReplySet(["@read", "@string", "@fast"]),
            ReplySet(),
            ReplySet(
                [
                    {
                        b"flags": ReplySet(["RO", "access"]),
                        b"begin_search": {b"type": b"index", b"spec": {b"index": 1}},
                        b"find_keys": {b"type": b"range", b"spec": {b"lastkey": 0, b"keystep": 1, b"limit": 0}},
                    }
                ]
            ),
            ReplySet(),
        ]
    ]


def test_rows_of_unknown_commands_are_null_and_subcommands_have_rows() -> None:
    rows = ask("info nothing CONFIG|GET config config|nothing")
    assert [row and row[0] for row in rows] == [None, b"config|get", b"config", None]
    assert [sub[0] for sub in rows[2][9]] == [b"config|get"]


def test_docs() -> None:
    docs = ask("docs ping nothing get config")
    assert list(docs) == [b"ping", b"get", b"config"]
    assert docs[b"get"] == {
        b"summary": b"Do it.",
        b"since": b"1.0.0",
        b"group": b"string",
        b"complexity": b"O(1)",
        b"arguments": [{b"name": b"key", b"type": b"key", b"key_spec_index": 0}],
    }
    assert docs[b"ping"][b"doc_flags"] == ["syscmd"]
    assert docs[b"ping"][b"history"] == [[b"2.0.0", b"More."]]
    assert docs[b"config"][b"subcommands"][b"config|get"][b"arguments"] == [
        {b"name": b"nx", b"type": b"pure-token", b"token": b"NX", b"since": b"2.0.0", b"flags": ["optional"]}
    ]


@pytest.mark.parametrize(
    ("request_text", "reply"),
    [
        ("count", 6),
        ("list", [b"config", b"config|get", b"eval", b"get", b"mset", b"ping", b"zunion"]),
        ("list filterby pattern *E*", [b"config|get", b"eval", b"get", b"mset"]),
        ("list filterby aclcat Fast", [b"get", b"ping"]),
        ("list filterby aclcat nothing", []),
        ("list filterby module any", []),
        ("list filterby", "ERR syntax error"),
        ("list filterby pattern", "ERR syntax error"),
        ("list filterby pattern a b", "ERR syntax error"),
        ("list filterby other a", "ERR syntax error"),
        ("list pattern a", "ERR syntax error"),
        ("getkeys mset a 1 b 2", [b"a", b"b"]),
        ("getkeys zunion 2 a b", [b"a", b"b"]),
        ("getkeys eval script 0", []),
        ("getkeysandflags get a", [[b"a", ["RO", "access"]]]),
        ("getkeys nothing a", "ERR Invalid command specified"),
        ("getkeys config nothing", "ERR Invalid command specified"),
        ("getkeys ping", "ERR The command has no key arguments"),
        ("getkeys get", "ERR Invalid number of arguments specified for command"),
        ("getkeys get a b", "ERR Invalid number of arguments specified for command"),
        ("getkeys zunion 3 a b", "ERR Invalid arguments specified for command"),
    ],
)
def test_replies(request_text: str, reply: object) -> None:
    assert ask(request_text) == reply


def test_the_whole_table_is_rendered_once_for_each_protocol() -> None:
    s = session()
    first = introspect.command_(s, [b"COMMAND"])
    assert isinstance(first, Raw)
    assert first.data.startswith(b"*6\r\n*10\r\n$6\r\nconfig\r\n")
    assert introspect.command_info(s, [b"COMMAND", b"INFO"]) is first
    s.proto = 3
    assert introspect.command_(s, [b"COMMAND"]) is not first
    s.proto = 2
    s.node.registry.rename(b"ping", b"")
    assert introspect.command_(s, [b"COMMAND"]).data.startswith(b"*5\r\n")


def test_help_is_made_from_the_table() -> None:
    found = next(each for each in declared() if each.name == "command|help")
    assert found.handler is not None
    lines = found.handler(session(), [b"command", b"HELP"])
    assert lines[0] == "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    assert lines[-2:] == ["HELP", "    Prints this help."]
    at = lines.index("COUNT")
    assert lines[at + 1] == "    Return the number of commands."
