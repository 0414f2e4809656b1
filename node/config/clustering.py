"""Directives of the cluster."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from gossip.settings import BUS_PORT_OFFSET
from node.config.directive import choice, flag, memory, number, special, text
from node.config.kinds import INT64_MAX, UINT64_MAX, BadValue, Kind, Line, check_path

HOSTNAME_MAX = 256


def _hostname(value: str) -> None:
    if len(value) >= HOSTNAME_MAX:
        raise BadValue(f"Hostnames must be less than {HOSTNAME_MAX} characters")
    if not re.fullmatch(r"[A-Za-z0-9.-]*", value):
        raise BadValue("Hostnames may only contain alphanumeric characters, hyphens or dots")


def _node_name(value: str) -> None:
    if len(value) >= HOSTNAME_MAX:
        raise BadValue(f"Node names must be less than {HOSTNAME_MAX} characters")
    if not re.fullmatch(r"[A-Za-z0-9_.-]*", value):
        raise BadValue("Announced human node name contained invalid character")


class Seeds(Kind):
    """`cluster-seeds <host>[:<port>[@<bus-port>]] ...`: a tuple of texts."""

    multi = True

    def parse(self, words: Sequence[str], current: Any) -> tuple[str, ...]:
        from gossip.seeds import check_seeds

        seeds = tuple(seed for word in words for seed in word.replace(",", " ").split())
        try:
            check_seeds(seeds)
        except ValueError as error:
            raise BadValue(f"A seed is a host[:port[@bus-port]]: {error}") from None
        return seeds

    def show(self, value: Any) -> str:
        return " ".join(value)

    def lines(self, name: str, value: Any, default: Any) -> list[Line]:
        return [(f"{name} {self.show(value)}", True)] if value else []


CLUSTER = (
    flag("cluster-enabled", False, "Run as a node of a cluster.", fixed=True),
    text(
        "cluster-config-file",
        "nodes.conf",
        "File in which the node keeps what it knows of the cluster.",
        check=check_path,
        fixed=True,
    ),
    # Redis waits 15000 ms; suspicion here also rests on evidence, so that a shorter silence can be trusted.
    number("cluster-node-timeout", 5000, "Milliseconds of silence that make a failure; at least 200.", hi=INT64_MAX),
    number(
        "cluster-port", 0, f"Port of the cluster bus; 0 is the client port + {BUS_PORT_OFFSET}.", hi=65535, fixed=True
    ),
    text("cluster-announce-ip", "", "Address of this node that others use."),
    number("cluster-announce-port", 0, "Client port of this node that others use.", hi=65535),
    number("cluster-announce-tls-port", 0, "TLS client port of this node that others use.", hi=65535),
    number("cluster-announce-bus-port", 0, "Bus port of this node that others use.", hi=65535),
    text("cluster-announce-hostname", "", "Host name of this node that clients see.", check=_hostname),
    text("cluster-announce-human-nodename", "", "Name of this node in logs.", check=_node_name),
    special("cluster-seeds", Seeds(), (), "Names under which members can be found: host[:port[@bus-port]] ..."),
    number("cluster-shards", 0, "Shards of the cluster that empty nodes form by themselves; 0: they wait.", hi=1000),
    number("cluster-replicas", 0, "Replicas of each shard of such a cluster.", hi=5),
    choice(
        "cluster-preferred-endpoint-type", "ip", "ip hostname unknown-endpoint", "What clients are told to connect to."
    ),
    flag("cluster-require-full-coverage", True, "Refuse all requests while a slot has no owner."),
    number(
        "cluster-coverage-grace-ms",
        2000,
        "Milliseconds for which the slots of a failed primary count as covered if a replica can take over; 0: none.",
    ),
    flag("cluster-allow-reads-when-down", False, "Answer reads while the cluster is down."),
    flag("cluster-allow-pubsubshard-when-down", True, "Serve sharded pub/sub while the cluster is down."),
    flag("cluster-allow-replica-migration", True, "Let replicas move to shards that have lost theirs."),
    number("cluster-migration-barrier", 1, "Replicas that stay with a primary when one of them moves."),
    number(
        "cluster-replica-validity-factor",
        10,
        "How many node timeouts a replica may have been cut off and still be promoted.",
        "cluster-slave-validity-factor",
    ),
    flag("cluster-replica-no-failover", False, "Never promote this node by itself.", "cluster-slave-no-failover"),
    memory(
        "cluster-link-sendbuf-limit",
        0,
        "Most unsent bytes of a bus link before it is closed; 0 is no limit.",
        hi=UINT64_MAX,
    ),
)
