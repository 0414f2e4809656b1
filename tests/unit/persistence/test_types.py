"""The records of the types of values agree with the engine, and with each other."""

from __future__ import annotations

import pytest

from node.commands.server.digest import of_key
from node.engine.durable.rdbload import NATIVE
from node.engine.types.record import type_number
from node.persistence.types import kinds
from node.persistence.types.datatype import ZERO, DataType
from node.persistence.types.table import READERS, TYPES, type_of
from tests.support.embedded import Embedded

FOR_MODULES = {kinds.MODULE_OLD, kinds.MODULE}
NEVER_RELEASED = {kinds.HASH_EXPIRING_PRE_GA, kinds.HASH_LISTPACK_EXPIRING_PRE_GA}

MADE_BY = {
    "string": "SET k text",
    "list": "RPUSH k a b c",
    "set": "SADD k a b c",
    "zset": "ZADD k 1.5 a 2 b",
    "hash": "HSET k f v g w",
    "stream": "XADD k 1-1 f v",
}


def test_each_type_has_a_name_that_the_engine_knows() -> None:
    """By the numbers that Redis gives them, which DEBUG DIGEST mixes in."""
    assert [type_number(each.name) for each in TYPES] == [0, 1, 2, 3, 4, 6]
    with pytest.raises(ValueError, match="document"):
        type_number("document")


def test_each_form_in_rdb_belongs_to_one_type() -> None:
    assert set(READERS) >= NATIVE
    assert sum(len(each.readers) for each in TYPES) == len(READERS)
    forms = {each for each in READERS if each != kinds.HASH_VALKEY} | FOR_MODULES | NEVER_RELEASED
    assert forms == {form for form in range(26) if form != 8}  # 8 was never given


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_a_value_is_found_by_its_class_and_made_again_by_its_commands(kind: DataType) -> None:
    first, second = Embedded(), Embedded()
    client, other = first.client(), second.client()
    client(*MADE_BY[kind.name].split())
    assert client("TYPE", "k") == kind.name.encode()
    value = first.core.space.dbs[0].peek(b"k")
    assert type_of(value) is kind
    for argv in kind.commands(b"k", value):
        other(*argv)
    digest = of_key(first.core.space.dbs[0], b"k")
    assert digest == of_key(second.core.space.dbs[0], b"k") != ZERO


def test_a_new_type_needs_an_example_here() -> None:
    assert MADE_BY.keys() == {each.name for each in TYPES}
