"""Finds foreign packages in the place of ours.

`cluster`, `node` and `gossip` are common names: PyPI has packages called so, and a folder in the working directory may
be. A process that imported one of those would fail in strange ways much later, so the programs leave folders of the
user's out of their search path (`is_foreign`), and look before they start (`shadowed`).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import PurePath

OURS = ("cluster", "gossip", "node")


def is_foreign(place: str, home: str) -> bool:
    """Whether a folder of a search path has something called as one of our packages; `home` is where ours are."""
    return PurePath(place) != PurePath(home) and any(PathFinder.find_spec(name, [place]) for name in OURS)


def own_places(pythonpath: str, home: str, real: Callable[[str], str]) -> list[str]:
    """The folders of a PYTHONPATH that hide none of our packages; `real` resolves links."""
    return [place for place in pythonpath.split(":") if place and not is_foreign(real(place), home)]


def shadowed(find: Callable[[str], ModuleSpec | None] = find_spec, own_file: str = __file__) -> str | None:
    """A sentence on the first package that is not the one installed with this file, or None if all are."""
    home = PurePath(own_file).parent.parent
    for name in OURS:
        spec = find(name)
        origin = spec.origin if spec else None
        if origin is None:
            # A folder without __init__.py has no origin, only places.
            places = list(spec.submodule_search_locations or ()) if spec else []
            if not places:
                return f"the package '{name}' of shardis is missing: install shardis again"
            origin = places[0]
        if PurePath(origin).parent != home / name:
            return (
                f"another package called '{name}' hides the one of shardis: {origin} "
                f"(expected {home / name}); remove it, or start from another folder"
            )
    return None
