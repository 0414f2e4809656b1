"""The rules on imports: packages and rooms point one way, and only aio/ folders and __main__.py touch the world."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.rooms import circles, knowledge

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("gossip", "cluster", "node")

MAY_IMPORT = {"gossip": {"gossip"}, "cluster": {"gossip", "cluster"}, "node": {"gossip", "cluster", "node"}}

# What a pure core has no use for: sockets, files, clocks, the environment, processes, threads, chance without a seed.
WORLD_NAMES = """
    aiohttp asyncio concurrent fcntl getpass glob hiredis io logging mmap multiprocessing os pathlib platform posix pwd
    queue redis resource sched secrets select selectors shutil signal socket socketserver ssl subprocess syslog
    tempfile threading time uuid uvloop
"""
WORLD = set(WORLD_NAMES.split())
WORLD_CALLS = {"open", "input", "print", "breakpoint"}
# Only paths as text: nothing in these touches a disk.
PURE_NAMES = {"pathlib": {"PurePath", "PurePosixPath"}, "time": {"struct_time"}}

# Each exception with its reason.
EXCEPTIONS = {
    # The seed of the hash function must be unknown to clients before the first key is stored.
    ("node/engine/structures/dict.pyx", "os"),
    # A command's duration is measured around it, in nanoseconds: no event could carry the time in.
    ("node/engine/session/session.pyx", "posix"),
}

MEND = (
    "Let the core take what it needs as an argument (now_ms, a Random, bytes) and give back an effect; "
    "put the code that touches the world into an aio/ folder of the same package, or into __main__.py."
)


def sources(suffixes: tuple[str, ...]) -> list[Path]:
    found = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.suffix in suffixes]
    return sorted(path for path in found if "__pycache__" not in path.parts)


def touches_world(path: Path) -> bool:
    return path.name == "__main__.py" or "aio" in path.relative_to(ROOT).parts


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


PYTHON = sources((".py",))
# One seed decides everything there, which clocks, threads or chance from elsewhere would break.
SIMULATOR = sorted((ROOT / "tests" / "simulator").rglob("*.py"))
CYTHON = sources((".pyx", ".pxd"))


def imported(tree: ast.AST) -> Iterator[tuple[int, str, set[str]]]:
    """Line, module, and the names taken from it, of every import at any depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, set()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or "", {alias.name for alias in node.names}


def typing_only(tree: ast.Module) -> set[int]:
    """Lines under `if TYPE_CHECKING:`, which never run."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


@pytest.mark.parametrize("path", PYTHON, ids=shown)
def test_imports_point_one_way(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    for line, module, _ in imported(ast.parse(path.read_text(encoding="utf-8"))):
        other = module.split(".")[0]
        assert other not in PACKAGES or other in MAY_IMPORT[package], (
            f"{shown(path)}:{line} imports {module}: gossip knows nothing of the others, cluster knows gossip, node "
            "knows both. Move what is shared down, or hand it in as an argument from above."
        )
        assert other != "tests", f"{shown(path)}:{line} imports the tests"


@pytest.mark.parametrize("path", [path for path in PYTHON + SIMULATOR if not touches_world(path)], ids=shown)
def test_cores_do_not_touch_the_world(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    harmless = typing_only(tree)
    for line, module, names in imported(tree):
        top = module.split(".")[0]
        if top in WORLD and line not in harmless and not (names and names <= PURE_NAMES.get(top, set())):
            pytest.fail(f"{shown(path)}:{line} imports {module}. {MEND}")
    for node in ast.walk(tree):
        if isinstance(node, (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)):
            pytest.fail(f"{shown(path)}:{node.lineno} is asynchronous. {MEND}")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in WORLD_CALLS:
            pytest.fail(f"{shown(path)}:{node.lineno} calls {node.func.id}(). {MEND}")


@pytest.mark.parametrize("path", [path for path in CYTHON if not touches_world(path)], ids=shown)
def test_the_engine_does_not_touch_the_world(path: Path) -> None:
    """The same for compiled modules, by their import lines (C's memory and math are no part of the world)."""
    line_of_import = re.compile(r"^\s*(?:c?import|from)\s+([\w.]+)")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        found = line_of_import.match(line)
        module = found[1] if found else ""
        top = module.split(".")[0]
        worldly = top in WORLD or module.startswith("libc.time")
        assert not worldly or (shown(path), top) in EXCEPTIONS, f"{shown(path)}:{number} imports {module}. {MEND}"


# What the rooms in which there is an order may know; `make rooms` draws all of them. Rooms not named here may know any.
_BELOW_TYPES = {"node.engine.memory", "node.engine.structures"}
_BELOW_SESSION = {*_BELOW_TYPES, "node.engine.types", "node.engine.keyspace"}
MAY_KNOW: dict[str, set[str]] = {
    "node.engine.memory": set(),
    "node.engine.structures": {"node.engine.memory"},
    "node.engine.types": _BELOW_TYPES,
    "node.engine.keyspace": {*_BELOW_TYPES, "node.engine.types"},
    "node.engine.session": {*_BELOW_SESSION, "node.replies"},
    "node.engine.native": {*_BELOW_SESSION, "node.engine.session", "node.replies"},
    "node.engine.durable": {*_BELOW_SESSION, "node.engine.session"},
    "node.replies": set(),
    "node.flags": set(),
    "node.version": set(),
    "node.scripting.libraries": set(),
    "node.config": {"gossip", "node.engine.structures", "node.replies"},
    "node.persistence.types": {*_BELOW_SESSION, "node.engine.durable"},
    "node.persistence.rdb": {*_BELOW_SESSION, "node.engine.durable", "node.persistence.types", "node.version"},
    "node.monitoring": {"node.engine.memory", "node.engine.keyspace", "node.engine.session"},
    "node.ports": {"node.engine.session", "node.monitoring", "node.persistence.rdb"},
    "node.basics": {"node.config", "node.engine.keyspace", "node.engine.session", "node.monitoring", "node.ports"},
    "node.replication": {
        *("gossip", "node.config", "node.engine.keyspace", "node.engine.session", "node.persistence.rdb"),
        *("node.persistence.types", "node.basics", "node.flags", "node.monitoring", "node.ports"),
        *("node.replies", "node.version"),
    },
    "node.requests": {
        *("node.engine.keyspace", "node.engine.session", "node.engine.structures", "node.basics", "node.flags"),
        *("node.monitoring", "node.ports", "node.replies"),
    },
    "node.transfer": {
        *("node.engine.keyspace", "node.engine.session", "node.persistence.rdb", "node.basics", "node.monitoring"),
        *("node.ports", "node.replication", "node.replies", "node.requests"),
    },
    "node.commands.table": {"node.engine.structures", "node.engine.session", "node.replies"},
    "node.commands.data": {
        *_BELOW_SESSION,
        "node.engine.session",
        "node.engine.durable",
        "node.persistence.rdb",
        "node.commands.table",
        "node.flags",
        "node.replies",
        "node.transfer",
    },
    "cluster.agreement": {"gossip"},
    "cluster": {"gossip", "cluster.agreement", "cluster.failover"},
    "cluster.failover": {"gossip", "cluster.agreement"},
    "cluster.aio": {"cluster"},
    "cluster.operator": {"gossip", "cluster", "cluster.agreement"},
    "cluster.operator.aio": {"gossip", "cluster", "cluster.agreement", "cluster.aio", "cluster.operator"},
    "cluster.operator.cli": {"cluster", "cluster.agreement", "cluster.operator", "cluster.operator.aio"},
}

# Rooms that know each other in a circle. No other may, and one that is broken goes from here.
CIRCLES: list[set[str]] = [
    # The catalogue of figures finds every part of a node at the node, which reads it for INFO.
    {"node.core", "node.figures"},
]

ROOMS = knowledge(ROOT)


@pytest.mark.parametrize("room", sorted(MAY_KNOW))
def test_rooms_point_one_way(room: str) -> None:
    for other, lines in ROOMS.get(room, {}).items():
        assert other in MAY_KNOW[room], (
            f"{lines[0].path}:{lines[0].line} imports {lines[0].module}, of which {room} is to know nothing. "
            "Move what is shared down into a room that both know, or hand it in as an argument from above."
        )


def test_the_rooms_in_order_are_there() -> None:
    gone = (set(MAY_KNOW) | set().union(*CIRCLES)) - ROOMS.keys()
    assert not gone, f"these rooms have moved, so that nothing is said of them any more: {gone}"


def test_there_is_no_circle_but_those_that_are_named() -> None:
    found = [set(knot) for knot in circles(ROOMS)]
    for knot in found:
        assert knot in CIRCLES, (
            f"these know each other in a circle: {', '.join(sorted(knot))}. `scripts/rooms --why ROOM OTHER` shows the "
            "lines. Let a part take what it uses by its constructor, or move what both use below them."
        )
    gone = [knot for knot in CIRCLES if knot not in found]
    assert not gone, f"these circles are broken, so that nothing need be said of them any more: {gone}"


# What the simulator hosts, by the name of the module. It runs on PyPy, where nothing is compiled.
_PURE = ("acks", "applier", "carrier", "history", "lineage", "link", "partial", "replica")
HOSTED = [f"node.replication.{name}" for name in _PURE]


def file_of(module: str) -> Path | None:
    """Where a module of ours is written; None: there is no such module, or it is another's."""
    path = ROOT / module.replace(".", "/")
    files = (path / "__init__.py", path.with_suffix(".py"), path.with_suffix(".pyx"))
    return next((each for each in files if each.exists()), None) if module.split(".")[0] in PACKAGES else None


def imported_to_run(module: str) -> dict[str, Path]:
    """The modules of ours that come with this one when it is imported, itself among them."""
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        module = waiting.pop()
        path = file_of(module)
        if path is None or module in found:
            continue
        found[module] = path
        waiting.append(module.rpartition(".")[0])
        if path.suffix == ".py":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            harmless = typing_only(tree)
            for line, other, names in imported(tree):
                if line not in harmless:
                    waiting += [other, *(f"{other}.{name}" for name in names)]
    return found


@pytest.mark.parametrize("module", HOSTED)
def test_what_the_simulator_hosts_needs_nothing_compiled(module: str) -> None:
    assert [other for other, path in imported_to_run(module).items() if path.suffix == ".pyx"] == []


def test_compiled_modules_are_found_however_far_they_are() -> None:
    assert "node.engine.keyspace.table" in imported_to_run("node.basics")
    assert "node.engine.keyspace.table" in imported_to_run("node.core")


def test_every_package_folder_is_installed() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts) for path in PYTHON + CYTHON if path.parent.name != "__pycache__"
    }
    assert listed == folders, "pyproject.toml's [tool.setuptools] packages and the folders with code differ"
    for package in listed:
        assert (ROOT / package.replace(".", "/") / "__init__.py").exists(), f"{package} has no __init__.py"


def test_no_test_folder_hides_a_package() -> None:
    hidden = [path for path in (ROOT / "tests").rglob("*") if path.is_dir() and path.name in PACKAGES]
    assert not hidden, f"these folders would be imported in the place of ours: {hidden}"
