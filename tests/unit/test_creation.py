"""What the operator's client takes for an obstacle on the way to a healthy cluster, and what for the end of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from cluster.aio.client import Connection, ReplyError
from cluster.aio.creation import NotHealthy, wait_healthy


class Node:
    """Answers every question with the same error."""

    def __init__(self, error: str) -> None:
        self.error = error

    async def pipeline(self, questions: Sequence[Sequence[str]]) -> list[Any]:
        return [ReplyError(self.error) for _ in questions]


def wait(error: str) -> None:
    connections = {("127.0.0.1", 7000): cast(Connection, Node(error))}
    asyncio.run(wait_healthy(connections, timeout_s=0.02))


def test_a_node_that_loads_is_waited_for() -> None:
    with pytest.raises(NotHealthy, match=r"after 0\.02 s a node still loads its data"):
        wait("LOADING Redis is loading the dataset in memory")


def test_any_other_error_ends_the_wait() -> None:
    with pytest.raises(ReplyError, match="NOAUTH"):
        wait("NOAUTH Authentication required.")
