"""A service in the cluster: writes through redis-py with its default settings, and accounts for what it was told.

Reads a word a line and answers each with a line of JSON: `mark` tells what has happened since the last one, `check`
stops writing and tells which acknowledged writes cannot be read any more. Ends with its input.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter

from redis.cluster import RedisCluster
from redis.exceptions import RedisClusterException, RedisError

ERRORS = (RedisError, RedisClusterException, OSError)
WRITE_EVERY_S = 0.005
CHECK_WITHIN_S = 60
SHOWN = 5


class Application:
    """Writes keys that nobody has written before, one after the other, until it is stopped."""

    def __init__(self, host: str, port: int) -> None:
        self.client = RedisCluster(host=host, port=port, socket_timeout=2)
        self.acknowledged: list[str] = []
        self.errors: Counter[str] = Counter()
        self._marked = 0
        self._mark_s = self._last_s = time.monotonic()
        self._longest_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def _write(self) -> None:
        number = 0
        while not self._stop.wait(WRITE_EVERY_S):
            number += 1
            key = f"key:{number}"
            try:
                self.client.set(key, number)
            except ERRORS as error:
                self.errors[type(error).__name__] += 1
                continue
            now_s = time.monotonic()
            self._longest_s = max(self._longest_s, now_s - self._last_s)
            self._last_s = now_s
            self.acknowledged.append(key)

    def mark(self) -> dict[str, object]:
        """What has happened since the last mark; a pause that goes on counts with what there is of it."""
        now_s = time.monotonic()
        acknowledged, self._marked = len(self.acknowledged) - self._marked, len(self.acknowledged)
        errors, self.errors = self.errors, Counter()
        longest_s, self._longest_s = max(self._longest_s, now_s - self._last_s), 0.0
        lasted_s, self._mark_s = now_s - self._mark_s, now_s
        return {
            "lasted_s": round(lasted_s, 1),
            "acknowledged": acknowledged,
            "errors": dict(errors),
            "longest_pause_s": round(longest_s, 3),
        }

    def check(self) -> dict[str, object]:
        """Stop writing, and read everything that was acknowledged."""
        self._stop.set()
        self._thread.join()
        deadline_s = time.monotonic() + CHECK_WITHIN_S
        lost = []
        for key in self.acknowledged:
            while True:
                try:
                    value = self.client.get(key)
                    break
                except ERRORS:
                    if time.monotonic() > deadline_s:
                        raise
                    time.sleep(0.1)
            if value != key.split(":")[1].encode():
                lost.append(key)
        return {"acknowledged": len(self.acknowledged), "lost": len(lost), "first_lost": lost[:SHOWN]}


def main() -> None:
    application = Application(sys.argv[1], int(sys.argv[2]))
    for line in sys.stdin:
        answer = application.mark() if line.strip() == "mark" else application.check()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
