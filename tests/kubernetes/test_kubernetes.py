"""The manifests on a real Kubernetes: the cluster forms, and lives through what happens to pods and machines.

    make kubernetes KUBECTL="kubectl" INSIDE="ip netns exec node1" OVERLAY=k8s/overlays/mine

`INSIDE` runs a command where the pods' addresses and names are reachable, with this machine's files. `CUT` and `HEAL`
are shell commands that cut one of the machines off and heal it; without them that part is left out. The image that the
overlay names must be on the nodes. The manifests are applied to the current namespace and removed at the end.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import wait_until

KUBECTL = shlex.split(os.environ.get("SHARDIS_KUBECTL", ""))
INSIDE = shlex.split(os.environ.get("SHARDIS_INSIDE", ""))
OVERLAY = os.environ.get("SHARDIS_OVERLAY", "k8s/base")
CUT, HEAL = os.environ.get("SHARDIS_CUT", ""), os.environ.get("SHARDIS_HEAL", "")
ROOT = Path(__file__).resolve().parents[2]
PODS = 6
LABEL = "app.kubernetes.io/name=shardis"
STEADY_S = 2  # how long writes go on between two events
CUT_S = 15  # how long a machine is cut off
MOVE_S = 10  # within what time a cluster of pods with new addresses has found itself

pytestmark = pytest.mark.skipif(not KUBECTL, reason="needs a Kubernetes: make kubernetes KUBECTL=...")


def kubectl(*args: str, stdin: str = "") -> str:
    done = subprocess.run([*KUBECTL, *args], input=stdin, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, f"kubectl {' '.join(args)}: {done.stderr}"
    return done.stdout


def pods() -> dict[str, dict[str, Any]]:
    """The pods by name."""
    found = json.loads(kubectl("get", "pods", "-l", LABEL, "-o", "json"))["items"]
    return {pod["metadata"]["name"]: pod for pod in found}


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def all_ready(before: dict[str, str] | None = None) -> bool:
    """Whether all pods are ready; `before`: and none is one of those (uid by name)."""
    now = pods()
    fresh = all(pod["metadata"]["uid"] != (before or {}).get(name) for name, pod in now.items())
    return len(now) == PODS and fresh and all(map(is_ready, now.values()))


def uids() -> dict[str, str]:
    return {name: pod["metadata"]["uid"] for name, pod in pods().items()}


def redis_cli(pod: str, *args: str, timeout_s: float = 10) -> str:
    """What redis-cli prints when it asks a pod; nothing if the pod does not answer in time."""
    asked = [*INSIDE, "redis-cli", "-h", f"{pod}.shardis-nodes", *args]
    try:
        return subprocess.run(asked, capture_output=True, text=True, timeout=timeout_s).stdout
    except subprocess.TimeoutExpired:
        return ""


def rows(pod: str, timeout_s: float = 10) -> list[list[str]]:
    """CLUSTER NODES as the pod's node says it, by words: id, address, flags, id of the primary ..."""
    return [line.split() for line in redis_cli(pod, "cluster", "nodes", timeout_s=timeout_s).splitlines()]


def topology(pod: str = "shardis-0") -> dict[str, str]:
    """The role of each node by its id, as the pod's node says it; only who does not fail."""
    return {row[0]: "master" if "master" in row[2] else "slave" for row in rows(pod) if "fail" not in row[2]}


def is_primary(pod: str) -> bool:
    return redis_cli(pod, "role").startswith("master")


def spread_primaries() -> None:
    """No two primaries on one machine, so that the loss of any machine leaves a majority."""
    places = {pod["status"]["podIP"]: (name, pod["spec"]["nodeName"]) for name, pod in pods().items()}
    shards: dict[str, list[tuple[str, str]]] = {}
    for node, address, _, primary, *_ in rows("shardis-0"):
        shards.setdefault(node if primary == "-" else primary, []).append(places[address.rsplit(":", 1)[0]])
    apart = (each for each in product(*shards.values()) if len({machine for _, machine in each}) == len(each))
    chosen = [pod for pod, _ in next(apart)]
    for pod in chosen:
        if not is_primary(pod):
            redis_cli(pod, "cluster", "failover")
    wait_until(lambda: all(map(is_primary, chosen)), "no two primaries are on one machine", timeout_s=20, every_s=0.2)


def are_replaced(found: list[list[str]]) -> bool:
    """Whether a node knows of failed ones, and of three primaries that have not failed."""
    flags = [row[2].split(",") for row in found]
    living = [each for each in flags if not {"fail", "fail?"} & set(each)]
    return any("fail" in each for each in flags) and sum("master" in each for each in living) == PODS // 2


class Client:
    """The application, in a process where the pods are."""

    def __init__(self) -> None:
        command = [*INSIDE, sys.executable, "-m", "tests.kubernetes.client", "shardis-nodes", "6379"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )  # fmt: skip

    def ask(self, word: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


def tell(what: str, figures: object) -> None:
    print(f"{what}: {figures}", flush=True)


@pytest.fixture(scope="module")
def formed() -> Iterator[float]:
    """The manifests are applied; gives the seconds from then until all pods were ready."""
    manifests = subprocess.run(
        ["kubectl", "kustomize", str(ROOT / OVERLAY)], capture_output=True, text=True, check=True
    ).stdout
    began = time.monotonic()
    kubectl("apply", "-f", "-", stdin=manifests)
    try:
        wait_until(all_ready, "all pods are ready", timeout_s=120, every_s=0.2)
        yield time.monotonic() - began
    finally:
        kubectl("delete", "-f", "-", "--ignore-not-found", stdin=manifests)
        kubectl("delete", "pvc", "-l", LABEL, "--ignore-not-found")


@pytest.fixture
def client(formed: float) -> Iterator[Client]:
    """A client under whose writes a test does its harm. Afterwards every write must be there."""
    client = Client()
    time.sleep(STEADY_S)
    assert client.ask("mark")["acknowledged"]
    yield client
    client.close()


def test_the_cluster_forms(formed: float) -> None:
    tell("kubectl apply to all pods ready", f"{formed:.1f} s")
    assert sorted(topology().values()) == ["master"] * 3 + ["slave"] * 3
    assert formed < 60


def test_a_rolling_restart_loses_nothing(client: Client) -> None:
    before = uids()
    kubectl("rollout", "restart", "statefulset/shardis")
    kubectl("rollout", "status", "statefulset/shardis", "--timeout=150s")
    wait_until(lambda: all_ready(before), "all pods are new and ready", timeout_s=60, every_s=0.2)
    time.sleep(STEADY_S)
    tell("rolling restart", client.ask("mark"))
    result = client.ask("check")
    tell("rolling restart", result)
    assert result["lost"] == 0


def test_all_pods_at_once(client: Client) -> None:
    """All addresses change; volumes and names stay."""
    nodes, before = set(topology()), uids()
    addresses = {pod["status"]["podIP"] for pod in pods().values()}
    kubectl("delete", "pod", "-l", LABEL, "--wait=true")
    wait_until(lambda: _all_started(before), "the last pod has started", timeout_s=60, every_s=0.1)
    started = time.monotonic()
    wait_until(lambda: all_ready(before), "all pods are ready", timeout_s=60, every_s=0.1)
    healed = time.monotonic() - started
    assert set(topology()) == nodes
    assert {pod["status"]["podIP"] for pod in pods().values()} != addresses
    time.sleep(STEADY_S)
    tell("all pods deleted", {"ready_after_the_last_start_s": round(healed, 1), **client.ask("mark")})
    result = client.ask("check")
    tell("all pods deleted", result)
    assert result["lost"] == 0
    assert healed < MOVE_S


def _all_started(before: dict[str, str]) -> bool:
    now = pods()
    return len(now) == PODS and all(
        pod["status"]["phase"] == "Running" and pod["metadata"]["uid"] != before[name] for name, pod in now.items()
    )


def test_a_pod_is_killed(client: Client) -> None:
    """Without grace: a replica takes over, and the pod that comes back follows it. What the primary had acknowledged
    and not sent yet is lost, as `min-acks 0` allows."""
    victim, before = _a_primary(), uids()
    kubectl("delete", "pod", victim, "--grace-period=0", "--force")
    wait_until(lambda: uids().get(victim, before[victim]) != before[victim], "the pod is replaced", 60, every_s=0.2)
    wait_until(all_ready, "all pods are ready", timeout_s=60, every_s=0.2)
    time.sleep(STEADY_S)
    tell(f"pod {victim} killed", client.ask("mark"))
    tell(f"pod {victim} killed", client.ask("check"))
    assert sorted(topology().values()) == ["master"] * 3 + ["slave"] * 3


def _a_primary() -> str:
    for name in pods():
        if is_primary(name):
            return name
    raise AssertionError("no pod is a primary")


@pytest.mark.skipif(not CUT, reason="no command that cuts a machine off was given")
def test_a_machine_is_cut_off(client: Client) -> None:
    """Its primaries stop accepting writes and are replaced; healed, its nodes follow."""
    spread_primaries()
    names = list(pods())
    subprocess.run(CUT, shell=True, check=True)
    began_s = time.monotonic()
    try:
        wait_until(lambda: any(are_replaced(rows(name, 1)) for name in names), "it has been replaced", timeout_s=30)
        replaced_s = time.monotonic() - began_s
        time.sleep(max(0, CUT_S - replaced_s))
        tell("machine cut off", {"replaced_after_s": round(replaced_s, 1), **client.ask("mark")})
    finally:
        subprocess.run(HEAL, shell=True, check=True)
    wait_until(all_ready, "all pods are ready", timeout_s=120, every_s=0.5)
    time.sleep(STEADY_S)
    tell("machine healed", client.ask("mark"))
    result = client.ask("check")
    tell("machine healed", result)
    assert sorted(topology().values()) == ["master"] * 3 + ["slave"] * 3
