"""Running a load between turns of the loop (node/persistence/loading.py makes the steps)."""

from __future__ import annotations

import asyncio

from node.aio.clock import monotonic_ms, unix_ms
from node.config import Config
from node.persistence.loading import delay_us
from node.ports.primary import Progress
from node.ports.steps import Result, Steps

SLICE_MS = 5
LEAST_BYTES = 64 * 1024
"""So little is loaded in one go, whatever it takes on a busy machine: nobody need hear of it, as with Redis."""


async def run_in_slices(steps: Steps[Result], progress: Progress, config: Config) -> Result:
    """Take a load's steps until it ends, serving clients every few milliseconds; what it returns or raises."""
    began_ms, at = monotonic_ms(), 0
    try:
        while True:
            keys = next(steps)
            interval = config["loading-process-events-interval-bytes"]
            wait_us = delay_us(keys, config["key-load-delay"])
            taken = progress.loaded_bytes - at
            long = taken >= LEAST_BYTES and monotonic_ms() - began_ms >= SLICE_MS
            if wait_us or long or taken >= interval:
                await asyncio.sleep(wait_us / 1e6)
                began_ms, at = monotonic_ms(), progress.loaded_bytes
                progress.goes_on(unix_ms())
    except StopIteration as stop:
        result: Result = stop.value
        return result
    finally:
        steps.close()
