"""Types of values declare themselves: what keeps them apart."""

import pytest

from node.engine.durable.rdb import Writer
from node.engine.durable.rdbvalue import write_value
from node.engine.keyspace.table import Keyspace
from node.engine.types.hash import Hash
from node.engine.types.list import List
from node.engine.types.set import Set
from node.engine.types.stream import Stream
from node.engine.types.zset import ZSet

CLASSES = {"list": List, "set": Set, "zset": ZSet, "hash": Hash, "stream": Stream}


@pytest.mark.parametrize("name", CLASSES)
def test_the_keyspace_knows_a_value_by_its_class(name: str) -> None:
    db = Keyspace(1).dbs[0]
    db.set(b"k", CLASSES[name]())
    assert db.type_of(b"k") == name


def test_what_has_no_record_is_no_value() -> None:
    class Hash(dict):  # type: ignore[type-arg]  # called like one of ours
        encoding = "listpack"

    db = Keyspace(1).dbs[0]
    with pytest.raises(TypeError, match="no value of the keyspace: Hash"):
        db.set(b"k", Hash())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no value of the keyspace: Hash"):
        write_value(Writer(), Hash())  # type: ignore[arg-type]
