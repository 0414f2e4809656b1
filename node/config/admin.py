"""Directives of the HTTP server for probes and metrics."""

from __future__ import annotations

from node.config.directive import number, special
from node.config.special import Addresses

ADMIN = (
    number("admin-port", 0, "TCP port of /livez, /readyz and /metrics (HTTP); 0 serves none.", hi=65535, fixed=True),
    special(
        "admin-bind",
        Addresses(),
        ("127.0.0.1",),
        "Addresses on which HTTP is served; it asks for no password, so open it to trusted networks only.",
        fixed=True,
    ),
)
