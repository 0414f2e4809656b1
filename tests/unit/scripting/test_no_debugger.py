"""SCRIPT DEBUG: nobody's script runs that was to be debugged."""

from __future__ import annotations

import pytest

from tests.support.embedded import Embedded

REFUSAL = "ERR There is no debugger of scripts here"


@pytest.mark.parametrize("mode", [["YES"], ["SYNC"], ["yes"], ["YES", "lua"]])
def test_scripts_that_were_to_be_debugged_do_not_run(mode: list[str]) -> None:
    node = Embedded()
    client, other = node.client(), node.client()
    digest = client("SCRIPT", "LOAD", "return redis.call('INCR', 'ran')")
    assert str(client("SCRIPT", "DEBUG", *mode)).startswith(REFUSAL)
    assert str(client("EVAL", "return redis.call('INCR', 'ran')", "0")).startswith(REFUSAL)
    assert str(client("EVALSHA", digest, "0")).startswith(REFUSAL)
    assert client("EXISTS", "ran") == 0
    assert other("EVALSHA", digest, "0") == 1
    assert client("SCRIPT", "DEBUG", "NO") == b"OK"
    assert client("EVALSHA", digest, "0") == 2


def test_reset_ends_it() -> None:
    client = Embedded().client()
    client("SCRIPT", "DEBUG", "YES")
    client("RESET")
    assert client("EVAL", "return 1", "0") == 1


@pytest.mark.parametrize("words", [["MAYBE"], ["YES", "lua", "more"]])
def test_other_words(words: list[str]) -> None:
    client = Embedded().client()
    assert str(client("SCRIPT", "DEBUG", *words)).startswith("ERR ")
    assert client("EVAL", "return 1", "0") == 1
