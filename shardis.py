"""Where the installed commands begin: a module that is called as nothing else is.

`cluster` and `node` are common names, and a folder of the user's in PYTHONPATH may have them too. So this module, which
imports neither, first takes such folders out of the search path, and ends with a sentence where that does not help.
`python -m shardis` is the command `shardis`.
"""

from __future__ import annotations

import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

HOME = os.path.dirname(os.path.realpath(__file__))


def main() -> None:
    """`shardis`: the commands of cluster/operator/cli."""
    _find_ours()
    from cluster.operator.cli.__main__ import main

    main()


def server() -> None:
    """`shardis-server`: one node, with the arguments of redis-server."""
    _find_ours()
    from node.__main__ import main

    sys.exit(main(sys.argv[1:]))


def _find_ours() -> None:
    packages = _packages()
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    foreign = {place for place in map(os.path.realpath, [*given, ""]) if packages.is_foreign(place, HOME)}
    if foreign:
        sys.path[:] = [place for place in sys.path if os.path.realpath(place) not in foreign]
    if "PYTHONPATH" in os.environ:
        os.environ["PYTHONPATH"] = os.pathsep.join(packages.own_places(":".join(given), HOME, os.path.realpath))
    problem = packages.shadowed()
    if problem:
        sys.exit(f"shardis: {problem}")


def _packages() -> ModuleType:
    """Our own cluster/packages.py, by its path: by its name another one might be found."""
    spec = spec_from_file_location("shardis_packages", os.path.join(HOME, "cluster", "packages.py"))
    if spec is None or spec.loader is None or not os.path.exists(spec.origin or ""):
        sys.exit(f"shardis: the package 'cluster' of shardis is missing in {HOME}: install shardis again")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
