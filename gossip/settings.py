"""What an operator can set about the bus. The node changes these fields with the directives; cores read them live."""

from __future__ import annotations

from dataclasses import dataclass

BUS_PORT_OFFSET = 10000
"""A node's bus is so far above the port for its clients, where nobody has said otherwise."""


@dataclass(slots=True)
class GossipSettings:
    """Directives that the bus needs, under their redis.conf names (`cluster-` left out)."""

    node_timeout_ms: int = 5000
    port: int = 6379  # what clients should connect to; the TLS port where the cluster uses TLS
    plain_port: int = 0  # the port without TLS, where `port` is the TLS port
    bus_port: int = 6379 + BUS_PORT_OFFSET
    announce_ip: str = ""  # empty: others see where our connections come from
    announce_hostname: str = ""
    announce_human_nodename: str = ""
    seeds: tuple[str, ...] = ()  # `host[:port[@bus-port]]`
    link_sendbuf_limit: int = 0  # bytes; 0: no limit
    no_failover: bool = False
    drop_packet_kind: int = -1  # DEBUG only: packets of this type are ignored
