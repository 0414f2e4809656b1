"""Keyspace notifications: a message on a channel for each change of a key, as notify-keyspace-events asks."""

from __future__ import annotations

from collections.abc import Callable

Publish = Callable[[bytes, bytes], object]


class Notifications:
    """`publish(channel, message)` sends to the subscribers of this node; notifications never cross the bus."""

    def __init__(self, publish: Publish) -> None:
        self.publish = publish
        self.classes = ""

    def configure(self, classes: str) -> None:
        """`classes` is the value of notify-keyspace-events with `A` spelt out."""
        self.classes = classes

    @property
    def enabled(self) -> bool:
        """Something would be published: one of K and E is chosen."""
        return "K" in self.classes or "E" in self.classes

    @property
    def misses(self) -> bool:
        return self.enabled and "m" in self.classes

    @property
    def tells_of_new_keys(self) -> bool:
        return self.enabled and "n" in self.classes

    def notify(self, kind: str, event: str, key: bytes, db_index: int) -> None:
        """Publish one event of class `kind` (a letter of notify-keyspace-events)."""
        if kind not in self.classes:
            return
        name = event.encode()
        if "K" in self.classes:
            self.publish(b"__keyspace@%d__:%s" % (db_index, key), name)
        if "E" in self.classes:
            self.publish(b"__keyevent@%d__:%s" % (db_index, name), key)
