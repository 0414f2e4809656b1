"""Error values that all commands share."""

from __future__ import annotations

from node.engine.keyspace.table import Keyspace
from node.engine.session.session import Engine, Session
from node.replies import SYNTAX, CommandError


def test_replying_with_a_shared_error_leaves_nothing_behind() -> None:
    """A raised exception keeps and lengthens its traceback: that must not grow with every bad request."""
    space = Keyspace(1)
    session = Session(Engine(space), space.dbs[0], 1)
    for _ in range(3):
        try:
            try:
                raise ValueError
            except ValueError:
                raise SYNTAX  # noqa: B904
        except CommandError as error:
            session.error(error)
    assert session.take_output() == b"-ERR syntax error\r\n" * 3
    assert SYNTAX.__traceback__ is None
    assert SYNTAX.__context__ is None
