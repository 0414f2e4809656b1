"""Rooms, that is folders with code, and what they know of each other, read from the import lines.

An import counts wherever it stands: in a function, under TYPE_CHECKING, in a .pyi, or as a cimport. A room knows
another if one of its files imports a file there; that a folder lies within another is no knowledge. The files that lie
in `node` itself are rooms of their own, from `replies`, which everybody knows, to `core`, which knows everybody.
`__main__.py` is no part of the room that it lies in: it is where a process begins, above everything.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("gossip", "cluster", "node")

EXCEPTIONS = {
    # A handler reaches the node by its session (`s.node`). The compiled session knows it as an object with hooks; only
    # the interface, by which mypy checks the handlers, says what it is.
    "node/engine/session/session.pyi",
}
"""Files of which the imports are no knowledge of their room."""

SUFFIXES = (".py", ".pyi", ".pyx", ".pxd")

# `from a.b cimport c, d`, `from a.b import (c, d)` and `import a.b`, with the names where there are any.
_LINE = re.compile(r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+c?import[ \t]+(\([^)]*\)|[^\n#]+)|c?import[ \t]+([\w.]+))", re.M)


@dataclass(frozen=True)
class Import:
    """One line that imports: where it stands, and the module that it names."""

    path: str
    line: int
    module: str


Knowledge = Mapping[str, Mapping[str, list[Import]]]
"""By room and room that it knows: the lines that say so."""


def modules(root: Path) -> dict[str, Path]:
    """A file of each module of our packages by dotted name; packages are there by their own names."""
    found: dict[str, Path] = {}
    for path in _files(root):
        parts = path.relative_to(root).with_suffix("").parts
        found.setdefault(".".join(parts[:-1] if parts[-1] == "__init__" else parts), path)
    return found


def knowledge(root: Path) -> dict[str, dict[str, list[Import]]]:
    """What each room of our packages knows of the others."""
    known = modules(root)
    rooms: dict[str, dict[str, list[Import]]] = {}
    for path in _files(root):
        shown = str(path.relative_to(root))
        if path.name == "__main__.py" or not path.stat().st_size or shown in EXCEPTIONS:
            continue
        here = _room(root, path)
        knows = rooms.setdefault(here, {})
        for line, module in _imports(path, known):
            there = _room(root, known[module])
            if there != here:
                knows.setdefault(there, []).append(Import(shown, line, module))
    return rooms


def _files(root: Path) -> list[Path]:
    found = [path for package in PACKAGES for path in sorted((root / package).rglob("*")) if path.suffix in SUFFIXES]
    return [path for path in found if "__pycache__" not in path.parts]


def _room(root: Path, path: Path) -> str:
    folder = path.parent.relative_to(root).parts
    return ".".join((*folder, path.stem) if folder == ("node",) and path.stem != "__init__" else folder)


def _imports(path: Path, known: Mapping[str, Path]) -> Iterator[tuple[int, str]]:
    """Line and module of all imports of modules of ours."""
    text = path.read_text(encoding="utf-8")
    for line, module, names in _python(text) if path.suffix in (".py", ".pyi") else _cython(text):
        # `from package import module` names a module; `from module import name` is an import of what stands before.
        submodules = [f"{module}.{name}" for name in names if f"{module}.{name}" in known]
        for each in submodules or [module]:
            if each in known:
                yield line, each


def _python(text: str) -> Iterator[tuple[int, str, list[str]]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or "", [alias.name for alias in node.names]


def _cython(text: str) -> Iterator[tuple[int, str, list[str]]]:
    for found in _LINE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        if found[3]:
            yield line, found[3], []
        else:
            names = [name.split(" as ")[0].strip() for name in found[2].strip("()").split(",")]
            yield line, found[1], [name for name in names if name]


def circles(rooms: Knowledge) -> list[list[str]]:
    """Rooms that know each other, by way of others perhaps: each list is one knot, with all who are in it."""
    return [sorted(knot) for knot in _knots(rooms) if len(knot) > 1]


def _knots(rooms: Knowledge) -> Iterator[list[str]]:
    """Tarjan's strongly connected components, those that know nothing of others first."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    knots: list[list[str]] = []

    def visit(room: str) -> None:
        order[room] = low[room] = len(order)
        stack.append(room)
        for other in sorted(rooms[room].keys() & rooms.keys()):
            if other not in order:
                visit(other)
                low[room] = min(low[room], low[other])
            elif other in stack:
                low[room] = min(low[room], order[other])
        if low[room] == order[room]:
            at = stack.index(room)
            knots.append(stack[at:])
            del stack[at:]

    for room in sorted(rooms):
        if room not in order:
            visit(room)
    yield from knots


def layers(rooms: Knowledge) -> list[list[str]]:
    """Rooms by height: each stands above all that it knows. Those of one knot stand at the same height."""
    height: dict[str, int] = {}
    for knot in _knots(rooms):
        below = [height[other] for room in knot for other in rooms[room].keys() & height.keys() if other not in knot]
        height.update(dict.fromkeys(knot, max(below, default=-1) + 1))
    by_height: dict[int, list[str]] = defaultdict(list)
    for room, at in sorted(height.items()):
        by_height[at].append(room)
    return [by_height[at] for at in sorted(by_height)]
