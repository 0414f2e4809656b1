"""The interfaces of compiled modules (.pyi) say what is there, all that Python code uses, and nothing else.

mypy believes them. So they are compared with the sources, in both directions: names, parameters with their types and
defaults, attributes and whether they may be set.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections import defaultdict
from pathlib import Path
from types import ModuleType

import pytest

from node import flags
from tests.support.interfaces import Members, compiled, differences, imported, offered, promised

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("gossip", "cluster", "node")
COMPILED = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.pyx"))
}
FOR_LUA = {name for name in COMPILED if name.startswith("node.scripting.")}
"""Opened by the interpreter of Lua; Python has no use for them (node/scripting/libraries)."""


def python_files() -> list[Path]:
    found = [path for folder in (*PACKAGES, "tests") for path in sorted((ROOT / folder).rglob("*.py"))]
    scripts = [path for path in sorted((ROOT / "scripts").iterdir()) if path.is_file()]
    return found + [path for path in scripts if "python" in path.read_text().partition("\n")[0]]


class Uses(ast.NodeVisitor):
    """What one file takes from compiled modules: by name, or by an attribute of a module that it has imported."""

    def __init__(self) -> None:
        self.names: dict[str, set[str]] = defaultdict(set)
        self.modules: dict[str, str] = {}

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name in COMPILED:
                self.names[alias.name].update()
                self.modules[alias.asname or alias.name] = alias.name

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        assert not node.level, "imports are written out"
        for alias in node.names:
            if node.module in COMPILED:
                self.names[node.module].add(alias.name)
            elif f"{node.module}.{alias.name}" in COMPILED:
                self.names[f"{node.module}.{alias.name}"].update()
                self.modules[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def visit_Call(self, node: ast.Call) -> None:
        if ast.unparse(node.func).endswith("import_module") and node.args and isinstance(node.args[0], ast.Constant):
            if node.args[0].value in COMPILED:
                self.names[node.args[0].value].update()
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        module = self.modules.get(ast.unparse(node.value))
        if module is not None:
            self.names[module].add(node.attr)
        self.generic_visit(node)


def uses() -> dict[str, set[str]]:
    """The names that Python code takes from each compiled module that it imports."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in python_files():
        visitor = Uses()
        visitor.visit(ast.parse(path.read_text()))
        for module, names in visitor.names.items():
            found[module] |= names
    return found


USED = uses()
INTERFACES = {name: path.with_suffix(".pyi") for name, path in COMPILED.items() if path.with_suffix(".pyi").exists()}


def test_compiled_modules_that_python_imports_are_many() -> None:
    """Should the search for imports go blind, nothing below would be compared."""
    assert len(USED) > 30
    names = {module.rpartition(".")[2]: names for module, names in USED.items()}
    assert {"session", "wire", "sockets", "alloc"} <= names.keys()
    assert {"Command", "Engine", "Session"} <= names["session"]


@pytest.mark.parametrize("module", sorted(USED.keys() | INTERFACES.keys()))
def test_an_interface_says_what_is_there(module: str) -> None:
    assert module in INTERFACES, f"Python imports {module}, and mypy sees nothing of it: write {module}'s .pyi"
    interface = promised(INTERFACES[module].read_text())
    told = differences(interface, compiled(COMPILED[module]), USED[module] - interface.aliases.keys())
    assert not told, f"{module}: " + "; ".join(told)


@pytest.mark.parametrize("module", sorted(COMPILED.keys() - FOR_LUA))
def test_the_sources_are_read_as_they_are_compiled(module: str) -> None:
    """What the light reading of a source finds is what the module has."""
    loaded, found = importlib.import_module(module), compiled(COMPILED[module])
    from_elsewhere = imported(COMPILED[module].read_text())
    there = {
        name
        for name, value in vars(loaded).items()
        if not name.startswith("_") and name not in from_elsewhere and not isinstance(value, ModuleType)
    }
    assert {name for name in found.names if not name.startswith("_")} == there
    for name, members in found.classes.items():
        assert public(members) == {each for each in vars(getattr(loaded, name)) if not each.startswith("_")}


def public(members: Members) -> set[str]:
    return {each for each in members.names if not each.startswith("_")}


SOURCE = '''
from node.engine.keyspace.table import Keyspace

LIMIT = 3

def add(bytes key, int64_t n=1, *, bint slow=False) -> list:
    """A doc that says def nothing(self): here."""

cdef class Thing:
    cdef dict hidden
    cdef public int size
    def __init__(self, Keyspace space,
                 bytes name=None):
        self.size = 1

    @property
    def left(self) -> int:
        return 1

    cpdef void close(self) except *:
        pass

    @staticmethod
    def of(str text) -> Thing:
        pass

    def all(self, *words):
        pass
'''
DECLARED = """
cdef class Thing:
    cdef readonly bytes name
"""
INTERFACE = """
from typing import Literal
Name = Literal["a", "b"]
LIMIT: int
def add(key: bytes, n: int = 1, *, slow: bool = False) -> list[bytes]: ...
class Thing:
    size: int
    def __init__(self, space: Keyspace, name: bytes | None = None) -> None: ...
    @property
    def name(self) -> bytes: ...
    @property
    def left(self) -> int: ...
    def close(self) -> None: ...
    @staticmethod
    def of(text: Name) -> Thing: ...
    def all(self, *words: bytes) -> int: ...
"""


def test_a_true_interface_passes() -> None:
    assert differences(promised(INTERFACE), offered(SOURCE, DECLARED), {"add", "LIMIT", "Thing"}) == []


DRIFTS = [
    # What has changed in the source, and what is told of it.
    ("    def all(", "    def more(self):\n        pass\n\n    def all(", "Thing.more is not promised"),
    ("def add(", "def drop(bytes key):\n    pass\n\ndef add(", "drop is not promised, and Python uses it"),
    ("    def all(self, *words):\n        pass\n", "", "Thing.all is promised, and does not exist"),
    ("LIMIT = 3\n", "", "LIMIT is promised, and does not exist"),
    ("bytes key", "str key", "add: key is promised as bytes, and is str"),
    ("int64_t n=1", "int64_t n=2", "add: n is promised to be 1, and is 2"),
    ("int64_t n=1", "int64_t n", "add: n is promised to be 1, and is without a default"),
    ("int64_t n=1", "double n=1", "add: n is promised as int, and is float"),
    ("bint slow=False", "bint fast=False", "add is promised with ['key', 'n', 'slow'], and takes ['key', 'n', 'fast']"),
    (" *, bint", " bint", "add is promised with ['key', 'n', 'slow'], and takes ['key', 'n', 'slow']"),
    ("-> list", "-> tuple", "add is promised to return list[bytes], and returns tuple"),
    ("                 bytes name=None", "                 name", "is promised to be None, and is without a default"),
    ("cdef public int size", "cdef readonly int size", "Thing.size is promised as an attribute, and is a property"),
    ("cdef public int size", "cdef public bint size", "Thing.size is promised as int, and is bool"),
    ("cdef public int size", "cdef public int size, room", "Thing.room is not promised"),
    ("cdef public int size", "cdef int size", "Thing.size is promised, and does not exist"),
    ("cdef readonly bytes name", "cdef public bytes name", "Thing.name is promised as a property, and is an attribute"),
    ("    @property\n    def left", "    def left", "Thing.left is promised as something else than it is"),
    ("    @staticmethod\n    def of(", "    def of(self, ", "Thing.of is a static method in one place only"),
    ("str text", "list text", "Thing.of: text is promised as Name, and is list"),
    ("cpdef void close", "cpdef int close", "Thing.close is promised to return None, and returns int"),
]


@pytest.mark.parametrize(("old", "new", "told"), DRIFTS)
def test_a_difference_is_told(old: str, new: str, told: str) -> None:
    assert (SOURCE + DECLARED).count(old) == 1
    source = offered(SOURCE.replace(old, new), DECLARED.replace(old, new))
    found = differences(promised(INTERFACE), source, {"add", "LIMIT", "Thing", "drop"})
    assert len(found) == 1
    assert told in found[0]


def test_the_flags_are_those_of_the_engine() -> None:
    """node/flags.py has the names of session.pxd's bits for Python."""
    (declarations,) = (ROOT / "node" / "engine").rglob("session.pxd")
    text = declarations.read_text()
    bits = {name: int(value) for name, value in re.findall(r"^    ((?:F|HOOK)_\w+) = (\d+)(?: *#.*)?$", text, re.M)}
    assert len(bits) > 30
    ours = {name: value for name, value in vars(flags).items() if name.isupper() and isinstance(value, int)}
    of_engine = {name.removeprefix("F_"): value for name, value in bits.items()}
    singles = {name: value for name, value in ours.items() if name in of_engine or value.bit_count() == 1}
    assert {name: value for name, value in singles.items() if not name.startswith("STATE")} == of_engine


def test_the_states_of_a_node_are_those_of_the_engine() -> None:
    """The engine knows some of node/flags.py's by themselves."""
    (source,) = (ROOT / "node" / "engine").rglob("session.pyx")
    known = re.findall(r"^cdef uint64_t (STATE_\w+) = <uint64_t>1 << (\d+)", source.read_text(), re.M)
    assert {name: 1 << int(shift) for name, shift in known} == {name: getattr(flags, name) for name, _ in known}
    assert len(known) >= 3
