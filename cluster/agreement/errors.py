"""The one exception of this package that is meant for users."""

from __future__ import annotations


class ClusterError(Exception):
    """An operation that the cluster refuses. `text` is the error reply, word for word as Redis says it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
