"""What is derived from a command's facts, which contradictions are refused, and the table made of all commands."""

from __future__ import annotations

from typing import Any

import pytest

from node.commands.table.registry import Registry, assemble
from node.commands.table.spec import CommandSpec, SpecError, declare

FACTS: dict[str, Any] = {"arity": 2, "group": "string", "since": "1.0.0", "summary": "Do it.", "native": True}


def spec(name: str = "DO", **facts: Any) -> CommandSpec:
    return declare(name, **{**FACTS, **facts})


@pytest.mark.parametrize(
    ("facts", "categories"),
    [
        ({"flags": "readonly fast", "keys": "1 RO"}, "string read fast"),
        ({"flags": "write", "keys": "1 OW"}, "string write slow"),
        ({"flags": "write blocking", "keys": "1 OW", "group": "list"}, "list write slow blocking"),
        ({"flags": "admin", "group": "server"}, "admin dangerous slow"),
        ({"flags": "pubsub", "group": "pubsub", "acl": "-slow fast"}, "pubsub fast"),
        ({"flags": "readonly", "keys": "1 RO", "group": "scripting"}, "scripting slow"),
        ({"flags": "", "group": "generic", "acl": "-keyspace connection"}, "connection slow"),
    ],
)
def test_acl_categories_follow_from_group_and_flags(facts: dict[str, Any], categories: str) -> None:
    assert spec(**facts).categories == set(categories.split())


@pytest.mark.parametrize(
    ("facts", "complaint"),
    [
        ({"flags": "wirte"}, "unknown flags"),
        ({"group": "strings"}, "unknown group"),
        ({"acl": "fats"}, "unknown ACL category"),
        ({"acl": "slow"}, "implied already"),
        ({"flags": "movablekeys"}, "derived"),
        ({"flags": "write readonly", "keys": "1 RW"}, "not both"),
        ({"flags": "readonly denyoom", "keys": "1 RO"}, "denyoom"),
        ({"flags": "write"}, "must say which keys"),
        ({"flags": "readonly", "keys": "1 OW update"}, "readonly command cannot"),
        ({"keys": "2 RO"}, "beyond arity"),
        ({"arity": -2, "keys": "2 RO"}, "does not guarantee"),
        ({"arity": 0}, "arity"),
        ({"summary": ""}, "summary"),
        ({"keys": "1 ro"}, "key"),
        ({"args": "(a|b)"}, "name"),
        ({"args": "key"}, "key specification 0 of 0"),
        ({"name": "BE DO", "arity": 1}, "arity"),
    ],
)
def test_contradictions_are_refused(facts: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SpecError, match=complaint):
        spec(**facts)


def test_names_and_arity() -> None:
    sub = spec("CONFIG GET", arity=-3)
    assert (sub.name, sub.container) == ("config|get", "config")
    assert [sub.accepts(n) for n in (2, 3, 4)] == [False, True, True]
    assert [spec().accepts(n) for n in (1, 2, 3)] == [False, True, False]


def test_movable_keys_become_a_flag() -> None:
    moving = spec(arity=-3, keys="#1 RO")
    assert "movablekeys" in moving.flags
    assert moving.movablekeys
    assert not spec(keys="1 RO").movablekeys


def table(*specs: CommandSpec) -> Registry:
    return Registry(assemble(specs))


def test_lookup_ignores_case_and_finds_subcommands() -> None:
    registry = table(spec("GET"), spec("CONFIG", native=False), spec("CONFIG GET"), spec("CONFIG SET"))

    def named(found: CommandSpec | None) -> str | None:
        return found.name if found else None

    assert named(registry.lookup(b"gEt")) == "get"
    assert named(registry.lookup(b"config|get")) is None
    assert named(registry.find(b"Config|Get")) == "config|get"
    assert named(registry.find(b"get|get")) is None
    assert named(registry.resolve([b"GET", b"set"])) == "get"
    assert named(registry.resolve([b"CONFIG"])) == "config"
    assert named(registry.resolve([b"CONFIG", b"SET"])) == "config|set"
    assert named(registry.resolve([b"CONFIG", b"nothing"])) is None
    assert named(registry.resolve([b"nothing"])) is None


def test_ids_are_dense_and_index_the_table() -> None:
    registry = table(spec("GET"), spec("CONFIG", native=False), spec("CONFIG SET"), spec("CONFIG GET"), spec("APPEND"))
    assert [each.name for each in registry.by_id] == ["append", "config", "config|get", "config|set", "get"]
    assert [each.id for each in registry.by_id] == list(range(5))


@pytest.mark.parametrize(
    ("specs", "complaint"),
    [
        ([spec("GET"), spec("get")], "declared in both"),
        ([spec("CONFIG GET")], "no container"),
        ([spec("GET", native=False)], "neither a handler"),
    ],
)
def test_contradictions_between_commands_are_refused(specs: list[CommandSpec], complaint: str) -> None:
    with pytest.raises(SpecError, match=complaint):
        assemble(specs)


def test_rename() -> None:
    registry = table(spec("GET"), spec("SET"))
    registry.derived["kept"] = 1
    registry.rename(b"GET", b"Fetch")
    assert registry.lookup(b"get") is None
    found = registry.lookup(b"FETCH")
    assert found is not None
    assert found.name == "get"
    assert not registry.derived, "what was derived from the old table is out of date"
    registry.rename(b"SET", b"")
    assert [each.name for each in registry] == ["get"]
    with pytest.raises(KeyError, match="no such command"):
        registry.rename(b"SET", b"put")
    registry = table(spec("GET"), spec("SET"))
    with pytest.raises(KeyError, match="exists already"):
        registry.rename(b"GET", b"set")


def test_renaming_leaves_other_tables_alone() -> None:
    specs = assemble([spec("GET")])
    one, other = Registry(specs), Registry(specs)
    one.rename(b"get", b"")
    assert other.lookup(b"get") is not None
