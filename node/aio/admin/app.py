"""What the admin port answers.

    /livez      200 while the process turns its event loop
    /readyz     200 when traffic may be sent here, else 503 with the reasons, a line each
    /metrics    the figures in Prometheus' text format
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from node.aio.admin.readiness import reasons_not_ready
from node.monitoring import metrics
from node.monitoring.log import Log

if TYPE_CHECKING:
    from node.core import NodeCore

INDEX = "Shardis admin: /livez /readyz /metrics\n"


class Application:
    """The pages of one node."""

    def __init__(self, node: NodeCore) -> None:
        self._node = node
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_NodeCollector(node))
        app = web.Application()
        app.add_routes(
            [
                web.get("/", self._index),
                web.get("/livez", self._livez),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
            ]
        )
        logger = logging.getLogger(f"{__name__}.{id(self)}")
        logger.propagate = False
        logger.addHandler(_NodeLog(node.log))
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, logger=logger)

    async def protocols(self) -> Callable[[], asyncio.Protocol]:
        """What makes the protocol of each connection."""
        await self._runner.setup()
        return cast("Callable[[], asyncio.Protocol]", self._runner.server)

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _index(self, request: web.Request) -> web.Response:
        return web.Response(text=INDEX)

    async def _livez(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        reasons = reasons_not_ready(self._node)
        if reasons:
            return web.Response(status=503, text="".join(f"{reason}\n" for reason in reasons))
        return web.Response(text="ok\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        body = encode(self._registry)
        return web.Response(body=body, headers={"Content-Type": content_type})


class _NodeLog(logging.Handler):
    """What aiohttp has to say, in the log of the node. A request that is none is its sender's fault, and one line."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            self._log.verbose(f"Admin HTTP: {record.getMessage()}: {' '.join(str(error).split())[:200]}")
        elif record.levelno >= logging.WARNING:
            self._log.warning(f"Admin HTTP: {self.format(record)}")


class _NodeCollector(Collector):
    """Turns the node's figures into Prometheus' values, each time that they are asked for."""

    def __init__(self, node: NodeCore) -> None:
        self._node = node

    def collect(self) -> Iterator[Metric]:
        for family in metrics.families(self._node.figures()):
            yield _metric(family)
        latency = HistogramMetricFamily(f"{metrics.PREFIX}command_seconds", "Duration of commands.", labels=["command"])
        for each in metrics.histograms(self._node.all_commands()):
            buckets = [(str(limit_s), calls) for limit_s, calls in each.buckets.items()]
            latency.add_metric([each.command], [*buckets, ("+Inf", each.calls)], sum_value=each.total_s)
        yield latency


def _metric(family: metrics.Family) -> Metric:
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    names = sorted({label for labels, _ in family.samples for label in labels})
    metric = kind(metrics.PREFIX + family.name, family.help, labels=names)
    for labels, value in family.samples:
        metric.add_metric([labels[name] for name in names], value)
    return metric
