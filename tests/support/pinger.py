"""The longest time that a server leaves a client without an answer.

A thread sends PING after PING on one connection and notes the gaps between the answers, while another connection asks
for something big. What a gap contains is what every other client of the server would have felt.
"""

from __future__ import annotations

import threading
import time

from tests.support.resp import Connection


class Pinger:
    """`with Pinger(port) as pinger: ...`; then `pinger.longest_ms`."""

    def __init__(self, port: int, pause_s: float = 0.0002) -> None:
        self._port = port
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.longest_ms = 0.0
        self.answers = 0

    def _run(self) -> None:
        with Connection(self._port, timeout_s=60) as connection:
            connection.ask("PING")
            last = time.perf_counter()
            self._started.set()
            while not self._stop.is_set():
                connection.ask("PING")
                now = time.perf_counter()
                self.longest_ms = max(self.longest_ms, (now - last) * 1000)
                self.answers += 1
                last = now
                time.sleep(self._pause_s)

    def __enter__(self) -> Pinger:
        self._thread.start()
        self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
