"""`shardis up` and `down` with real processes: of redis-server, which tries the launcher alone, and of ours."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.operator.aio import processes
from cluster.operator.aio.launcher import Interrupted, Launcher
from cluster.operator.aio.ports import who_has
from cluster.operator.aio.processes import is_running, start_time
from cluster.operator.aio.survey import survey
from cluster.operator.local import RECORD, LocalError, Record, Shape, Wish
from tests.support.peers import needs
from tests.support.resp import Connection
from tests.support.servers import ROOT, free_port, wait_until

OURS = [sys.executable, "-P", "-m", "node"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}

needs_oracle = needs("redis")
COMMANDS = [pytest.param(["redis-server"], id="redis-server", marks=needs_oracle), pytest.param(OURS, id="ours")]


@pytest.fixture(autouse=True)
def _find_our_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Launcher]]:
    """A maker of launchers in a folder of the test; whatever they have started is stopped."""
    made: list[Launcher] = []

    def make(command: list[str], folder: str = "cluster") -> Launcher:
        launcher = Launcher(str(tmp_path / folder), command, say=lambda text: None)
        made.append(launcher)
        return launcher

    yield make
    for launcher in made:
        if (launcher.folder.path / RECORD).exists():
            launcher.down()


def port_range(count: int) -> int:
    """A first port such that it and the next ones are free, with their bus ports."""
    while True:
        first = free_port()
        if all(_free(port) and _free(port + 10000) for port in range(first, first + count)):
            return first


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def ask(port: int, *words: str) -> object:
    with Connection(port) as connection:
        return connection.ask(*words).value


def ids(shape: Shape) -> list[object]:
    return [ask(port, "CLUSTER", "MYID") for port in shape.ports]


def running(launcher: Launcher) -> list[int]:
    record = launcher.folder.read_record()
    return [process.port for process in record.processes if is_running(process)] if record else []


@pytest.mark.parametrize("command", COMMANDS)
def test_up_down_and_up_again(command: list[str], launch: Callable[..., Launcher]) -> None:
    port = port_range(3)
    first = launch(command)
    shape = first.up(Wish(shards=3, replicas=0, port=port, settings=(("maxmemory", "7mb"),)))
    for each in shape.ports:
        info = ask(each, "CLUSTER", "INFO")
        assert b"cluster_state:ok" in info
        assert b"cluster_known_nodes:3" in info
        assert ask(each, "CONFIG", "GET", "maxmemory")[1] == b"7340032"
    before = ids(shape)

    with pytest.raises(LocalError, match="is running, and --set counts from the start"):
        launch(command).up(Wish(settings=(("maxmemory", "8mb"),)))
    second = launch(command)
    assert second.up(Wish()) == shape
    assert (sorted(second.found), second.processes) == (shape.ports, {})
    assert launch(command).down() == 3
    assert running(first) == []
    assert launch(command).down() == 0

    again = launch(command)
    with pytest.raises(LocalError, match="holds a cluster of 3 shards"):
        again.up(Wish(shards=2))
    assert again.up(Wish(settings=(("maxmemory", "8mb"),))) == shape
    assert ids(shape) == before
    assert ask(port, "CONFIG", "GET", "maxmemory")[1] == b"8388608"


@pytest.mark.parametrize("command", COMMANDS)
def test_replicas_are_in_sync_and_come_back_with_data_and_topology(
    command: list[str], launch: Callable[..., Launcher], tmp_path: Path
) -> None:
    first = launch(command)
    shape = first.up(Wish(shards=2, replicas=1, port=port_range(4)))
    keys = {0: "{a}x", 1: "{c}x"}  # of slots 15495 and 7365
    for at, key in keys.items():
        ask(shape.ports[1 - at], "SET", key, "kept")

    def told() -> list[list[tuple[str, str, int, bool | None]]]:
        found = survey([("127.0.0.1", shape.port)]).to_dict()
        assert found["healthy"]
        return [
            [(n["id"], n["role"], n["keys"], n["replication"] and n["replication"]["link_up"]) for n in shard["nodes"]]
            for shard in found["shards"]
        ]

    wait_until(lambda: all(node[2] == 1 for shard in told() for node in shard), "the replicas have the keys")
    before = told()
    roles = [(role, link_up) for shard in before for _, role, _, link_up in shard]
    assert roles == [("primary", None), ("replica", True)] * 2

    assert launch(command).down() == 4
    launch(command).up(Wish())
    assert told() == before
    assert ask(shape.ports[1], "GET", keys[0]) == b"kept"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_password_is_used_by_the_launcher_too(command: list[str], launch: Callable[..., Launcher]) -> None:
    shape = launch(command).up(Wish(shards=1, replicas=0, port=port_range(1), settings=(("requirepass", 'p "w'),)))
    assert b"NOAUTH" in ask_raw(shape.port, "GET", "x")


def ask_raw(port: int, *words: str) -> bytes:
    with Connection(port) as connection:
        return connection.ask(*words).raw


@pytest.mark.parametrize("offset", [0, 1, 10000, 10001])
def test_a_port_in_use_is_named_and_nothing_is_left(offset: int, launch: Callable[..., Launcher]) -> None:
    port = port_range(2)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port + offset))
        taken.listen()
        launcher = launch(OURS)
        with pytest.raises(LocalError, match=f"{port + offset} is in use"):
            launcher.up(Wish(shards=2, replicas=0, port=port))
    assert not launcher.folder.path.exists()


def test_a_folder_with_other_things_is_left_alone(launch: Callable[..., Launcher], tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("meow")
    (tmp_path / "file").write_text("")
    for folder in ("photos", "file"):
        with pytest.raises(LocalError, match=r"holds no cluster of ours|is not a folder"):
            launch(OURS, folder).up(Wish())
    with pytest.raises(LocalError, match="holds no cluster"):
        launch(OURS, "photos").down()
    with pytest.raises(LocalError, match="holds no cluster"):
        launch(OURS, "nowhere").down()
    assert (tmp_path / "photos" / "cat.jpg").read_text() == "meow"


DYING = """
import sys, time
if sys.argv[1].split("/")[-2].endswith(sys.argv[2]): sys.exit("the reason why it died")
time.sleep(60)
"""


def test_a_node_that_dies_while_starting_takes_all_down(launch: Callable[..., Launcher], tmp_path: Path) -> None:
    port = port_range(3)
    script = tmp_path / "dying.py"
    script.write_text(DYING.replace("sys.argv[2]", repr(str(port + 1)[-2:])))
    launcher = launch([sys.executable, str(script)])
    started: list[int] = []
    start = launcher._start

    def noting(shape: Shape, ports: Sequence[int], formed: bool) -> None:
        start(shape, ports, formed)
        started.extend(process.pid for process in launcher.processes.values())

    launcher._start = noting  # type: ignore[method-assign]
    with pytest.raises(LocalError, match="ended while starting, with status 1") as failure:
        launcher.up(Wish(shards=3, replicas=0, port=port))
    assert f"node {port + 1} " in str(failure.value)
    assert "the reason why it died" in str(failure.value)
    assert len(started) == 3
    assert [pid for pid in started if start_time(pid) is not None] == []
    assert not launcher.folder.path.exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_directive_that_nodes_refuse_is_told_with_their_words(
    command: list[str], launch: Callable[..., Launcher]
) -> None:
    launcher = launch(command)
    with pytest.raises(LocalError, match="maxmemry") as failure:
        launcher.up(Wish(shards=1, replicas=0, port=port_range(1), settings=(("maxmemry", "1"),)))
    assert "Bad directive" in str(failure.value)
    assert not launcher.folder.path.exists()


def test_an_interruption_leaves_nothing(launch: Callable[..., Launcher], tmp_path: Path) -> None:
    script = tmp_path / "silent.py"
    script.write_text("import time\ntime.sleep(60)\n")
    launcher = launch([sys.executable, str(script)])
    launcher.stop_requested = True
    with pytest.raises(Interrupted):
        launcher.up(Wish(shards=2, replicas=0, port=port_range(2)))
    assert not launcher.folder.path.exists()


def test_a_recorded_process_id_that_is_somebody_elses_now_is_left_alone(
    launch: Callable[..., Launcher], tmp_path: Path
) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        launcher = launch(OURS)
        launcher.folder.path.mkdir()
        record = Record(Shape(1, 0, 7000), True).to_json()
        data = {**json.loads(record), "processes": [{"port": 7000, "pid": bystander.pid, "started": 1}]}
        (launcher.folder.path / "cluster.json").write_text(json.dumps(data))
        assert launcher.down() == 0
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def crash(launcher: Launcher, port: int) -> None:
    record = launcher.folder.read_record()
    assert record is not None
    process = launcher.running(record)[port]
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not is_running(process), f"node {port} has ended")


def start_by_hand(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """As a person would: from the cluster's folder, with a relative path."""
    return subprocess.Popen(
        [*OURS, f"{port}/node.conf"],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )


def test_a_cluster_with_crashed_nodes_is_made_whole(launch: Callable[..., Launcher]) -> None:
    first = launch(OURS)
    shape = first.up(Wish(shards=3, replicas=1, port=port_range(6)))
    before = ids(shape)
    lost = [shape.ports[0], shape.ports[4]]
    for port in lost:
        crash(first, port)
    second = launch(OURS)
    assert second.up(Wish()) == shape
    assert sorted(second.processes) == lost
    assert ids(shape) == before
    assert survey([("127.0.0.1", shape.port)]).to_dict()["healthy"]
    assert running(second) == shape.ports
    assert launch(OURS).down() == 6


def test_nodes_that_were_started_by_hand_are_found(launch: Callable[..., Launcher]) -> None:
    """Six nodes: two run on, two crash and start by hand, two crash: `up` starts those, and `down` stops all six."""
    first = launch(OURS)
    shape = first.up(Wish(shards=3, replicas=1, port=port_range(6)))
    for port in shape.ports[2:]:
        crash(first, port)
    by_hand = [start_by_hand(first.folder.path, port) for port in shape.ports[2:4]]
    try:
        wait_until(lambda: len(first.running(Record(shape))) == 4, "the lock of each tells who has the folder")
        second = launch(OURS)
        second.up(Wish())
        assert sorted(second.processes) == shape.ports[4:]
        assert launch(OURS).down() == 6
        assert [process.wait(10) for process in by_hand] == [0, 0]
        by_hand.append(start_by_hand(first.folder.path, shape.ports[5]))
        wait_until(lambda: first.running(Record(shape)), "a node of a cluster that is stopped is found as well")
        assert launch(OURS).down() == 1
    finally:
        for process in by_hand:
            process.kill()
            process.wait()


def test_a_lock_alone_makes_nobody_a_node(launch: Callable[..., Launcher], tmp_path: Path) -> None:
    """Somebody else who has locked nodes.conf, or works in the folder, is left alone."""
    launcher = launch(OURS)
    folder = launcher.folder.of(7000)
    folder.mkdir(parents=True)
    (folder / "nodes.conf").touch()
    script = "import fcntl, sys, time; f = open(sys.argv[1]); fcntl.flock(f, 2); print(flush=True); time.sleep(60)"
    locking = subprocess.Popen(
        [sys.executable, "-c", script, str(folder / "nodes.conf")], cwd=tmp_path, stdout=subprocess.PIPE
    )
    visiting = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], cwd=folder)
    try:
        assert locking.stdout is not None
        locking.stdout.readline()
        assert launcher.running(Record(Shape(1, 0, 7000))) == {}
    finally:
        for process in (locking, visiting):
            process.kill()
            process.wait()


def test_a_node_is_looked_for_again_when_it_has_replaced_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new file may have the number of the old one, as if it had never been replaced."""
    locked = tmp_path / "nodes.conf"
    locked.write_text("")
    node = processes.ProcessRecord(7000, os.getpid(), 1)
    looks: list[processes.ProcessRecord | None] = [None, node]

    def look(*_: object) -> processes.ProcessRecord | None:
        found = looks.pop(0)
        if found is None:
            os.utime(locked)
        return found

    monkeypatch.setattr(processes, "_holder", look)
    assert processes.holder(7000, locked) == node


def test_a_failure_to_mend_leaves_what_ran_before(launch: Callable[..., Launcher]) -> None:
    first = launch(OURS)
    shape = first.up(Wish(shards=3, replicas=0, port=port_range(3)))
    crash(first, shape.ports[1])
    with open(first.folder.of(shape.ports[1]) / "node.conf", "a") as conf:
        conf.write("maxmemry 1\n")
    with pytest.raises(LocalError, match=f"node {shape.ports[1]} ended while starting"):
        launch(OURS).up(Wish())
    assert running(first) == [shape.ports[0], shape.ports[2]]


def test_only_one_launcher_works_in_a_folder(launch: Callable[..., Launcher], tmp_path: Path) -> None:
    script = tmp_path / "silent.py"
    script.write_text("import time\ntime.sleep(60)\n")
    busy = launch([sys.executable, str(script)])
    refused: list[str] = []

    def meanwhile(text: str) -> None:
        for attempt in (launch(OURS).up, lambda _wish: launch(OURS).down()):
            with pytest.raises(LocalError) as failure:
                attempt(Wish())
            refused.append(str(failure.value))
        busy.stop_requested = True

    busy.say = meanwhile
    busy._start = lambda *_arguments, **_more: busy.say("the folder is laid out")  # type: ignore[method-assign]
    busy._check = Launcher._check.__get__(busy)  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        busy.up(Wish(shards=1, replicas=0, port=port_range(1)))
    assert len(refused) == 2
    assert all("is at work in" in text for text in refused)


def test_what_a_killed_launcher_has_left_is_stopped_and_made_anew(launch: Callable[..., Launcher]) -> None:
    port, folder = port_range(2), "cluster"
    first = launch(OURS, folder)
    shape = first.up(Wish(shards=2, replicas=0, port=port))
    record = first.folder.read_record()
    assert record is not None
    first.folder.write_record(replace(record, formed=False))
    second = launch(OURS, folder)
    assert second.up(Wish(shards=2, replicas=0, port=port)) == shape
    assert sorted(second.processes) == shape.ports
    assert [is_running(process) for process in record.processes] == [False, False]


def test_a_connection_that_has_ended_is_waited_for_and_a_living_one_is_named(
    launch: Callable[..., Launcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bus port lies where outgoing connections get theirs from, and one has it."""
    port = port_range(1)
    told: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.socket()
        client.bind(("127.0.0.1", port + 10000))
        client.connect(server.getsockname())
        accepted, _ = server.accept()
        launcher = launch(OURS)
        with pytest.raises(LocalError, match=f"bus port {port + 10000} is in use by an outgoing connection: wait"):
            launcher.up(Wish(shards=1, replicas=0, port=port))
        client.close()
        accepted.close()
    launcher.say = told.append
    monkeypatch.setattr("cluster.operator.aio.launcher.LINGER_TIMEOUT_S", 0.3)
    with pytest.raises(LocalError, match=f"bus port {port + 10000} is in use"):
        launcher.up(Wish(shards=1, replicas=0, port=port))
    assert told == [f"Waiting for port {port + 10000}: it is free a minute after a connection has had it."]


def test_who_listens_on_a_port_is_named() -> None:
    port = port_range(1)
    with socket.create_server(("127.0.0.1", port)):
        taken = who_has(port)
    assert taken is not None
    assert f"(process {os.getpid()})" in taken.by
    assert who_has(port) is None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for next to nothing."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a file system cannot be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_is_told_in_a_sentence(small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(60_000))
    up = shardis("up", "--port", str(port_range(6)), "--dir", str(small_disk / "c"), "--detach")
    assert up.returncode == 1
    assert "No space left on device" in up.stderr
    assert "Traceback" not in up.stderr
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]


def test_a_folder_that_may_not_be_written_is_told_in_a_sentence(small_disk: Path) -> None:
    (small_disk / "empty").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for place in (small_disk / "empty", small_disk / "none" / "yet"):
        up = shardis("up", "--port", str(port_range(6)), "--dir", str(place))
        assert up.returncode == 1
        assert up.stderr.count("\n") == 1
        assert "Read-only file system" in up.stderr


def shardis(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cluster.operator.cli", *arguments],
        cwd=ROOT,
        env={**ENVIRONMENT, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        **options,  # type: ignore[call-overload]
    )


def test_the_commands_of_a_day(tmp_path: Path) -> None:
    """up --detach, status, a killed node, down: with the exit codes that scripts rely on."""
    folder, port = str(tmp_path / "c"), port_range(2)
    up = shardis("up", "--shards", "2", "--replicas", "0", "--port", str(port), "--dir", folder, "--detach")
    try:
        assert up.returncode == 0, up.stderr
        assert f"redis-cli -c -p {port}" in up.stdout
        ask(port, "SET", "{a}x", "1")

        good = shardis("status", "--dir", folder)
        assert good.returncode == 0, good.stderr
        assert "the cluster is healthy" in good.stdout
        told = json.loads(shardis("status", f"127.0.0.1:{port}", "--json").stdout)
        assert (told["healthy"], told["slots_served"], len(told["shards"])) == (True, 16384, 2)

        record = Launcher(folder).folder.read_record()
        assert record is not None
        os.kill(record.processes[1].pid, signal.SIGKILL)
        wait_until(lambda: not is_running(record.processes[1]), "the node has ended")
        bad = shardis("status", "--dir", folder)
        assert bad.returncode == 1
        assert "unreachable" in bad.stdout
    finally:
        down = shardis("down", "--dir", folder)
    assert (down.returncode, down.stdout) == (0, "Stopped 1 node.\n")
    assert "Nothing to stop" in shardis("down", "--dir", folder).stdout
    gone = shardis("status", "--dir", folder)
    assert gone.returncode == 1
    assert f"start it with `shardis up --dir {folder}`" in gone.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_foreground_stops_all_at_a_signal(number: signal.Signals, tmp_path: Path) -> None:
    folder, port = tmp_path / "c", port_range(1)
    arguments = ["up", "--shards", "1", "--replicas", "0", "--port", str(port), "--dir", str(folder)]
    with open(tmp_path / "out", "w") as out:
        up = subprocess.Popen(
            [sys.executable, "-m", "cluster.operator.cli", *arguments],
            cwd=ROOT,
            env=ENVIRONMENT,
            stdout=out,
            stderr=out,
        )
    try:
        wait_until(lambda: "The cluster is up" in (tmp_path / "out").read_text(), "the cluster is up", timeout_s=30)
        record = Launcher(str(folder)).folder.read_record()
        assert record is not None
        assert is_running(record.processes[0])
        up.send_signal(number)
        assert up.wait(30) == 0
        assert not is_running(record.processes[0])
    finally:
        up.kill()
        up.wait()
        Launcher(str(folder)).down()


MISTAKES = [
    (["up", "--shard", "2"], "--shards"),
    (["upp"], "Did you mean 'up'"),
    (["up", "--shards", "0"], "--shards"),
    (["up", "--replicas", "6"], "at most 5 replicas"),
    (["up", "--set", "maxmemory"], "DIRECTIVE=VALUE"),
    (["status", "localhost"], "not HOST:PORT"),
    (["status", "localhost:99999"], "not HOST:PORT"),
]


@pytest.mark.parametrize(("arguments", "hint"), MISTAKES)
def test_mistakes_are_told_with_a_hint(arguments: list[str], hint: str, tmp_path: Path) -> None:
    dir_option = ["--dir", str(tmp_path / "c")] if arguments[0] == "up" else []
    result = shardis(*arguments, *dir_option)
    assert result.returncode in (1, 2)
    assert hint in result.stderr
    assert not (tmp_path / "c").exists()


def test_shardis_node_is_python_m_node() -> None:
    result = shardis("node", "--maxmemry", "1")
    assert result.returncode == 1
    assert "did you mean 'maxmemory'?" in result.stderr + result.stdout


def test_the_scripts_are_valid_shell() -> None:
    names = ("scripts/up", "scripts/down", "scripts/test", "scripts/asan", "scripts/environment.sh", ".ci/run")
    assert shutil.which("bash")
    for name in names:
        assert subprocess.run(["bash", "-n", str(ROOT / name)]).returncode == 0
