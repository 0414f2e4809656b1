"""Every directive is read by something, or says that it is not: nothing in the table promises what nobody keeps."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from node.config import DIRECTIVES, THEMES
from tests.support.servers import ROOT

THEME_FILES = {"admin.py", "clustering.py", "data.py", "durability.py", "server.py", "tls.py"}
TELLS_OF_CHANGES = {"subscribe", "prepare"}  # to be told of a change is not to read it


def sources() -> Iterator[Path]:
    for package in ("node", "cluster", "gossip"):
        for path in (ROOT / package).rglob("*.py*"):
            if path.suffix in (".py", ".pyx") and not (path.parent.name == "config" and path.name in THEME_FILES):
                yield path


def texts(source: str) -> set[str]:
    """The string constants of Python code, but for those that only name what to be told of."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in TELLS_OF_CHANGES:
            node.args = node.args[1:]
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "DIRECTIVES":
            node.value = ast.Constant(None)
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def read_somewhere() -> set[str]:
    found: set[str] = set()
    for path in sources():
        source = path.read_text()
        found |= texts(source) if path.suffix == ".py" else set(re.findall(r'"([a-z0-9_-]+)"', source))
    return found & DIRECTIVES.keys()


def test_the_search_sees_what_is_read() -> None:
    source = 'DIRECTIVES = ("hz",)\nconfig.subscribe(["port"], lambda config: config["maxmemory"])\n'
    assert texts(source) & DIRECTIVES.keys() == {"maxmemory"}


def test_every_directive_is_read_or_says_that_it_is_not() -> None:
    read = read_somewhere()
    assert len(read) > 100
    for name, directive in DIRECTIVES.items():
        if directive.reserved:
            continue
        assert directive.accepted == (name not in read), (
            f"{name} is read by nothing: build it, or mark it as accepted"
            if name not in read
            else f"{name} is marked as accepted, but something reads it"
        )


def test_what_is_accepted_or_reserved_says_so_in_its_help() -> None:
    for directive in (each for theme in THEMES.values() for each in theme):
        assert directive.text.startswith("Accepted, without effect: ") == directive.accepted, directive.name
        assert ("Not there yet: " in directive.text) == bool(directive.reserved), directive.name
        assert not (directive.accepted and directive.reserved), directive.name


def test_nothing_promises_safety_that_is_not_there() -> None:
    assert {name for name in DIRECTIVES if name.startswith("tls-") or name == "aclfile"} == {
        name for name, directive in DIRECTIVES.items() if directive.reserved
    }
