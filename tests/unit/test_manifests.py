"""The Kubernetes manifests: valid by the schemas of several versions, and true to what the node really takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from node.aio.config_files import load_config
from tests.support.servers import ROOT

BASE = ROOT / "k8s" / "base"
VERSIONS = ("1.25", "1.29", "1.33")
"""The oldest has the stable PodDisruptionBudget; the newest is what the validator has schemas for."""


def resources() -> list[dict[str, Any]]:
    """Every object of the base, as it stands in its file."""
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    return [each for name in listed for each in yaml.safe_load_all((BASE / name).read_text())]


def stateful_set() -> dict[str, Any]:
    return next(each for each in resources() if each["kind"] == "StatefulSet")


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid(version: str) -> None:
    for each in resources():
        kubernetes_validate.validate(each, version, strict=True)


def test_what_the_pods_are_given_is_a_configuration_that_the_node_accepts(tmp_path: Path) -> None:
    conf = (BASE / "node.conf").read_text()
    secret = tmp_path / "secret.conf"
    secret.write_text((BASE / "secret.conf").read_text())
    file = tmp_path / "node.conf"
    file.write_text(conf.replace("/etc/shardis-secret/secret.conf", str(secret)))
    container = stateful_set()["spec"]["template"]["spec"]["containers"][0]
    pod = {"POD_IP": "10.0.0.7", "POD_NAME": "shardis-0", "POD_NAMESPACE": "default"}
    args = container["args"][1:]
    for name, value in pod.items():
        args = [arg.replace(f"$({name})", value) for arg in args]
    config = load_config([str(file), *args])
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"client": config["port"], "bus": config["port"] + 10000, "admin": config["admin-port"]}
    assert config["dir"] == next(m["mountPath"] for m in container["volumeMounts"] if m["name"] == "data")
    shards, copies = config["cluster-shards"], 1 + config["cluster-replicas"]
    assert stateful_set()["spec"]["replicas"] == shards * copies
    assert config["cluster-announce-hostname"] == "shardis-0.shardis-nodes.default.svc"


def test_names_that_must_agree_do() -> None:
    by_name = {(each["kind"], each["metadata"]["name"]): each for each in resources()}
    sets = stateful_set()["spec"]
    labels = sets["template"]["metadata"]["labels"]
    headless = by_name["Service", sets["serviceName"]]["spec"]
    assert headless["clusterIP"] == "None"
    assert headless["publishNotReadyAddresses"] is True
    for each in resources():
        selector = each["spec"]["selector"]
        chosen = selector.get("matchLabels", selector)
        assert chosen.items() <= labels.items(), each["metadata"]["name"]
    seeds = next(line for line in (BASE / "node.conf").read_text().splitlines() if line.startswith("cluster-seeds"))
    assert seeds.split()[1] == sets["serviceName"]


def test_pods_have_no_more_rights_than_they_need() -> None:
    pod = stateful_set()["spec"]["template"]["spec"]
    container = pod["containers"][0]["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["readOnlyRootFilesystem"] is True
    assert container["allowPrivilegeEscalation"] is False
    assert container["capabilities"] == {"drop": ["ALL"]}
