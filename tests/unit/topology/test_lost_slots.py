"""A primary that has lost slots to another deletes their keys, and whoever repeats its writes does, too."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from cluster.agreement.effects import DropKeys
from cluster.agreement.slots import key_slot
from tests.support.embedded import Embedded
from tests.support.resp import pack


def test_keys_of_lost_slots_are_deleted_for_all_who_read_the_stream() -> None:
    node = Embedded()
    core, client = node.core, node.client()
    bus = cast(Any, SimpleNamespace(attend=lambda: None, buffer_sizes=lambda link_id: (0, 0)))
    clustering = core.join_cluster("", lambda: 1, bus)
    read: list[bytes] = []
    core.stream.attach(read.append)
    for key in ("lost", "kept"):
        assert client("SET", key, "v") == b"OK"
    core.engine.before_replies()
    read.clear()
    clustering.carry_out(DropKeys((key_slot(b"lost"),)))
    core.engine.before_replies()
    assert client("EXISTS", "lost", "kept") == 1
    assert b"".join(read) == pack(["UNLINK", "lost"])
