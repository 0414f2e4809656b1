"""How imports between rooms are found, and circles among them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.rooms import Import, circles, knowledge, layers


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Files of three rooms in `node` and one module at its top; `low` knows nothing."""
    files = {
        "node/__init__.py": "",
        "node/top.py": "from node.high import user\n",
        "node/low/__init__.py": "",
        "node/low/base.pxd": "cdef int one\n",
        "node/low/other.py": "import os\nfrom node.low import base\n",
        "node/high/__init__.py": "",
        "node/high/user.py": "import typing as t\nif t.TYPE_CHECKING:\n    from node.low.other import thing\n",
        "node/high/fast.pyx": "from libc.math cimport sqrt\n\nfrom node.low cimport (\n    base,\n)\n",
        "node/high/__main__.py": "import node.top\n",
    }
    for name, source in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source)
    return tmp_path


def test_imports_for_types_and_of_compiled_modules_count(house: Path) -> None:
    assert knowledge(house) == {
        "node.top": {"node.high": [Import("node/top.py", 1, "node.high.user")]},
        "node.low": {},
        "node.high": {
            "node.low": [
                Import("node/high/fast.pyx", 3, "node.low.base"),
                Import("node/high/user.py", 3, "node.low.other"),
            ]
        },
    }


def test_rooms_stand_above_what_they_know(house: Path) -> None:
    assert layers(knowledge(house)) == [["node.low"], ["node.high"], ["node.top"]]
    assert circles(knowledge(house)) == []


def test_a_circle_is_found_by_way_of_others(house: Path) -> None:
    (house / "node" / "low" / "late.py").write_text("def f() -> None:\n    import node.top\n")
    rooms = knowledge(house)
    assert rooms["node.low"] == {"node.top": [Import("node/low/late.py", 2, "node.top")]}
    assert circles(rooms) == [["node.high", "node.low", "node.top"]]
    assert layers(rooms) == [["node.high", "node.low", "node.top"]]
