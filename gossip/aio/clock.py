"""The time as cores want it: unix milliseconds that never go backwards."""

from __future__ import annotations

import time
from collections.abc import Callable


def steady_clock() -> Callable[[], int]:
    """A clock that starts at the wall's time and then follows the monotonic one.

    Failure detection compares times: were the wall clock set back or forward, every peer would look silent at once.
    """
    offset_s = time.time() - time.monotonic()
    return lambda: int((time.monotonic() + offset_s) * 1000)
