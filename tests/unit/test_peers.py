"""The servers to compare with: found by what they say of themselves, and missed aloud."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import peers


@pytest.fixture(autouse=True)
def looked_for_anew() -> Iterator[None]:
    peers.program.cache_clear()
    yield
    peers.program.cache_clear()


def server(folder: Path, name: str, says: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return str(path)


def test_a_server_is_the_one_that_it_says_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server(tmp_path, "valkey-server", "Valkey server v=8.1.1 sha=00000000:0 malloc=libc")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.delenv("SHARDIS_VALKEY_SERVER", raising=False)
    assert not peers.have("valkey")
    found = server(tmp_path, "valkey-server-9", "Valkey server v=9.1.2 sha=00000000:0 malloc=libc")
    peers.program.cache_clear()
    assert peers.program("valkey") == found


def test_a_variable_names_it_or_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHARDIS_REDIS_8_SERVER", server(tmp_path, "any", "Redis server v=8.0.6 sha=00000000:0"))
    assert peers.have("redis-8")
    monkeypatch.setenv("SHARDIS_REDIS_8_SERVER", server(tmp_path, "other", "Redis server v=7.0.15 sha=00000000:0"))
    peers.program.cache_clear()
    with pytest.raises(peers.WrongPeer, match="is not redis-server 8"):
        peers.program("redis-8")


def test_the_summary_counts_what_was_skipped_for_want_of_which_server() -> None:
    reasons = [f"Skipped: {peers.PEERS[kind].missing}" for kind in ("valkey", "redis", "valkey")]
    assert peers.missing_in([*reasons, "Skipped: long drills are asked for"]) == [
        "2 tests were skipped: valkey-server 9 is not installed",
        "1 tests were skipped: redis-server 7.0 is not installed",
    ]


def test_all_have_their_own_variable_and_option() -> None:
    assert [(peer.option, peer.variable) for peer in peers.PEERS.values()] == [
        ("--redis-server", "SHARDIS_REDIS_SERVER"),
        ("--valkey-server", "SHARDIS_VALKEY_SERVER"),
        ("--redis-8-server", "SHARDIS_REDIS_8_SERVER"),
    ]
