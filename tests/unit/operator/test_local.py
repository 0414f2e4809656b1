"""Decisions about a cluster on this machine: shape, settings, record; and foreign packages in the place of ours."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from cluster.operator.aio.processes import isolated
from cluster.operator.local import (
    DEFAULT_REPLICAS,
    LocalError,
    ProcessRecord,
    Record,
    Shape,
    Taken,
    Wish,
    busy_text,
    log_tail,
    node_conf,
    outgoing_note,
    parse_setting,
    setting_of,
    with_settings,
)
from cluster.packages import own_places, shadowed


def test_a_new_cluster_has_the_defaults_for_what_is_not_asked() -> None:
    assert Wish().shape(None, "d") == Shape(3, DEFAULT_REPLICAS, 7000)
    assert Wish(shards=2, replicas=1, port=8000).shape(None, "d").ports == [8000, 8001, 8002, 8003]
    assert str(Shape(1, 0, 7000)) == "1 shard on port 7000"
    assert str(Shape(3, 1, 7000)) == "3 shards with 1 replica each on ports 7000-7005"


def test_a_stopped_cluster_keeps_its_shape() -> None:
    before = Shape(4, 0, 7100)
    assert Wish().shape(before, "d") == before
    assert Wish(shards=4).shape(before, "d") == before
    with pytest.raises(LocalError, match="d holds a cluster of 4 shards on ports 7100-7103, not of 3 shards"):
        Wish(shards=3).shape(before, "d")


def test_bus_ports_must_exist() -> None:
    with pytest.raises(LocalError, match="bus would need port 65540"):
        Wish(port=55535).shape(None, "d")


def test_a_sixth_replica_is_refused() -> None:
    assert len(Wish(shards=15, replicas=5).shape(None, "d").ports) == 90
    with pytest.raises(LocalError, match="a primary has at most 5 replicas, not 6"):
        Wish(replicas=6).shape(None, "d")


def test_the_record_is_read_back() -> None:
    record = Record(Shape(2, 1, 7000), True, (ProcessRecord(7000, 12, 345),))
    assert Record.from_json(record.to_json(), "x") == record


@pytest.mark.parametrize(
    "text", ["", "{}", '{"shape": 1, "formed": true, "processes": []}', "[]", '{"shape": {"a": 1}}']
)
def test_a_foreign_record_is_refused(text: str) -> None:
    with pytest.raises(LocalError, match="not a record"):
        Record.from_json(text, "x")


def test_settings() -> None:
    assert parse_setting("MaxMemory=100mb") == ("maxmemory", "100mb")
    assert parse_setting("save=") == ("save", "")
    assert parse_setting("requirepass=a=b") == ("requirepass", "a=b")
    for bad in ("maxmemory", "=1", "a b=1"):
        with pytest.raises(LocalError, match="DIRECTIVE=VALUE"):
            parse_setting(bad)


def test_a_setting_replaces_what_set_the_directive_before() -> None:
    conf = node_conf(7000, "/d/7000")
    once = with_settings(conf, [("save", "60 1"), ("hz", "20")])
    twice = with_settings(once, [("save", ""), ("port", "1")])
    assert 'save "60 1"\nhz "20"\n' in once
    assert twice.endswith('hz "20"\nsave ""\nport "1"\n')
    assert "port 7000" not in twice
    assert twice.startswith(conf.splitlines()[0])


@pytest.mark.parametrize("password", ["simple", 'with "quotes" and \\', "two words"])
def test_the_launcher_finds_the_password_that_it_wrote(password: str) -> None:
    conf = with_settings(node_conf(7000, "/d"), [("requirepass", password)])
    assert setting_of(conf, "requirepass") == password
    assert setting_of(node_conf(7000, "/d"), "requirepass") == ""
    assert setting_of("requirepass bare\n", "requirepass") == "bare"
    assert setting_of(conf, "cluster-config-file") == "nodes.conf"


LISTENER = Taken(7001, "redis-server (process 12)")
PASSING = Taken(17002, "an outgoing connection", outgoing=True)


@pytest.mark.parametrize(
    ("taken", "formed", "text"),
    [
        ([Taken(7001)], False, "port 7001 is in use: stop what listens there, or choose another --port"),
        ([Taken(7001)], True, "port 7001 is in use: stop what listens there"),
        (
            [LISTENER, PASSING],
            True,
            "port 7001 is in use by redis-server (process 12), bus port 17002 is in use by an outgoing connection: "
            "stop what listens there",
        ),
        (
            [PASSING],
            False,
            "bus port 17002 is in use by an outgoing connection: wait until that has ended, or choose another --port",
        ),
    ],
)
def test_ports_that_are_taken(taken: list[Taken], formed: bool, text: str) -> None:
    assert busy_text(taken, Shape(3, 0, 7000), formed) == text


@pytest.mark.parametrize(
    ("port", "told"),
    [
        (7000, ""),
        (22762, ""),
        (22763, "Note: bus ports 32763-32768 may be"),
        (32768, "Note: ports 32768-32773 and bus ports 42768-42773 may be"),
        (50995, "Note: ports 50995-51000 and bus ports 60995-61000 may be"),
    ],
)
def test_ports_that_the_kernel_gives_to_others_are_noted(port: int, told: str) -> None:
    note = outgoing_note(Shape(3, 1, port), 32768, 60999)
    assert note.startswith(told)
    assert bool(note) == bool(told)
    assert ("--port 22762 or lower" in note) == bool(told)
    assert outgoing_note(Shape(3, 1, port), 0, 0) == ""


def test_the_tail_of_a_log() -> None:
    assert log_tail("a\nb\nc\n", 2) == "    b\n    c"
    assert "empty" in log_tail("")


def found_at(places: dict[str, str | None]):
    def find(name: str) -> ModuleSpec | None:
        if name not in places:
            return None
        spec = ModuleSpec(name, None, origin=places[name], is_package=True)
        if places[name] is None:
            spec.submodule_search_locations = [f"/elsewhere/{name}"]
        return spec

    return find


OURS = {name: f"/site/{name}/__init__.py" for name in ("cluster", "gossip", "node")}


def test_our_own_packages_are_recognised() -> None:
    assert shadowed(found_at(OURS), "/site/cluster/packages.py") is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"node": "/elsewhere/node/__init__.py"}, "'node' hides the one of shardis: /elsewhere/node/__init__.py"),
        ({"gossip": "/elsewhere/gossip.py"}, "'gossip' hides the one of shardis: /elsewhere/gossip.py"),
        ({"node": None}, "'node' hides the one of shardis: /elsewhere/node "),
    ],
)
def test_a_foreign_package_is_named_with_its_path(change: dict[str, str | None], told: str) -> None:
    problem = shadowed(found_at({**OURS, **change}), "/site/cluster/packages.py")
    assert told in (problem or "")


def test_places_with_a_package_called_as_ours_are_left_out_of_a_path(tmp_path: Path) -> None:
    for name in ("module/node.py", "folder/gossip/notes.txt", "other/things.py", "home/cluster/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    home, other = str(tmp_path / "home"), str(tmp_path / "other")
    path = f"{tmp_path}/module:{other}::{home}:/nowhere:{tmp_path}/folder"
    assert own_places(path, home, str) == [other, home, "/nowhere"]
    assert isolated({"A": "b", "PYTHONPATH": path}, home) == {"A": "b", "PYTHONPATH": f"{other}:{home}:/nowhere"}
    assert isolated({"A": "b", "PYTHONPATH": f"{tmp_path}/module"}, home) == {"A": "b"}


def test_a_missing_package_is_told() -> None:
    places = {name: place for name, place in OURS.items() if name != "node"}
    assert "missing" in (shadowed(found_at(places), "/site/cluster/packages.py") or "")
