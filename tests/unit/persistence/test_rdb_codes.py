"""The engine and Python mean the same by the names of an RDB file's bytes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from node.persistence.rdb import opcodes
from node.persistence.types import kinds

(DECLARATIONS,) = (Path(__file__).resolve().parents[3] / "node" / "engine").rglob("rdb.pxd")
CODES = re.findall(r"^    (FORM|KIND|OPCODE)_(\w+) = (\d+)", DECLARATIONS.read_text(), re.MULTILINE)
IN_PYTHON = {"FORM": kinds.Form, "KIND": kinds, "OPCODE": opcodes}


@pytest.mark.parametrize(("group", "name", "number"), CODES)
def test_a_code_is_the_same_for_the_engine_and_for_python(group: str, name: str, number: str) -> None:
    # Python tells Valkey's kind of hashes from the one of Redis that has the same number.
    expected = kinds.HASH_VALKEY - 1000 if name == "HASH_VALKEY" else getattr(IN_PYTHON[group], name)
    assert int(number) == expected


def test_all_forms_are_there_and_codes_of_each_group() -> None:
    assert {name for group, name, _ in CODES if group == "FORM"} == set(kinds.Form.__members__)
    assert {group for group, _, _ in CODES} == set(IN_PYTHON)
    assert kinds.HASH_VALKEY - 1000 == kinds.HASH_EXPIRING_PRE_GA
