"""redis-cli and redis-benchmark of Redis 7.0, as processes, against our nodes."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.support.servers import Fleet, Server, wait_until

pytestmark = pytest.mark.skipif(shutil.which("redis-cli") is None, reason="redis-cli is not installed")


def run(*command: object, stdin: str = "", timeout_s: float = 60) -> str:
    """The output of a command that must succeed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def cli(node: Server, *words: object, stdin: str = "") -> str:
    return run("redis-cli", "-p", node.port, *words, stdin=stdin)


@pytest.mark.parametrize("proto", ["-2", "-3"])
def test_redis_cli_follows_redirections(trio: list[Server], proto: str) -> None:
    keys = [f"k{i}" for i in range(30)]
    script = "".join(f"SET {key} v-{key}\n" for key in keys) + "".join(f"GET {key}\n" for key in keys)
    output = cli(trio[0], "-c", proto, stdin=script).split()
    assert output.count("OK") == len(keys)
    assert [word for word in output if word.startswith("v-")] == [f"v-{key}" for key in keys]


def test_redis_cli_without_c_shows_the_redirection(trio: list[Server]) -> None:
    assert f"MOVED 12182 {trio[2].address}" in cli(trio[0], "GET", "foo")


def test_redis_cli_prints_every_type(trio: list[Server]) -> None:
    script = "HSET {h} a 1\nHGETALL {h}\nZADD {h}z 1.5 m\nZRANGE {h}z 0 -1 WITHSCORES\nOBJECT ENCODING {h}\nLPOP {h}l\n"
    assert cli(trio[0], "-c", "-3", "--no-raw", stdin=script).count("\n") >= 6


def test_cluster_check_and_info(trio: list[Server]) -> None:
    output = run("redis-cli", "--cluster", "check", trio[1].address)
    assert "[OK] All nodes agree about slots configuration." in output
    assert "[OK] All 16384 slots covered." in output
    assert "[OK] 0 keys in 3 masters." in run("redis-cli", "--cluster", "info", trio[0].address)


def test_cluster_call_reaches_every_node(trio: list[Server]) -> None:
    output = run("redis-cli", "--cluster", "call", trio[0].address, "PING")
    assert output.count("PONG") == 3


def test_cluster_create(fleet: Fleet) -> None:
    """redis-cli forms a cluster out of three fresh nodes."""
    nodes = [fleet.ours(f"fresh-{i}", cluster_enabled="yes") for i in range(3)]
    output = run("redis-cli", "--cluster", "create", *(node.address for node in nodes), "--cluster-yes")
    assert "[OK] All 16384 slots covered." in output
    wait_until(lambda: all(n.cluster_info()["cluster_state"] == "ok" for n in nodes), "all three serve")
    run("redis-cli", "--cluster", "check", nodes[2].address)
    cli(nodes[0], "-c", "SET", "foo", "bar")
    assert cli(nodes[1], "-c", "GET", "foo").strip() == "bar"


def test_cluster_fix_covers_what_nobody_owns(fleet: Fleet) -> None:
    nodes = [fleet.ours(f"holes-{i}", cluster_enabled="yes") for i in range(3)]
    run("redis-cli", "--cluster", "create", *(node.address for node in nodes), "--cluster-yes")
    for node in nodes:
        node.call("CLUSTER", "DELSLOTS", 1, 2, 3)
    run("redis-cli", "--cluster", "fix", nodes[0].address, stdin="yes\n")
    wait_until(lambda: all(n.cluster_info()["cluster_slots_ok"] == "16384" for n in nodes), "all slots are covered")
    wait_until(lambda: "[ERR]" not in _check(nodes[0]), "all nodes agree about it")


def _check(node: Server) -> str:
    words = ["redis-cli", "--cluster", "check", node.address]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False).stdout


@pytest.mark.skipif(shutil.which("redis-benchmark") is None, reason="redis-benchmark is not installed")
@pytest.mark.parametrize("options", [(), ("-P", "16"), ("-3",)], ids=["plain", "pipelined", "resp3"])
def test_redis_benchmark_in_cluster_mode(trio: list[Server], options: tuple[str, ...]) -> None:
    command = ["redis-benchmark", "--cluster", "-p", trio[0].port, "-n", 2000, "-c", 20, "-r", 1000, "-q", *options]
    output = run(*command, timeout_s=120)
    tests = set(re.findall(r"([A-Z_]+[^:\r\n]*): [\d.]+ requests per second", output))
    assert {"SET", "GET", "INCR", "LPUSH", "SADD", "HSET", "ZADD"} <= {name.split(" ")[0] for name in tests}, output
    assert "error" not in output.lower()
