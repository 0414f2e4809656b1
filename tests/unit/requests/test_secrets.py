"""Neither MONITOR nor the slow log shows the passwords that commands bring along."""

from __future__ import annotations

import pytest

from node.requests.secrets import without_secrets
from tests.support.embedded import Embedded


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("SET AUTH secret", "SET AUTH secret"),
        ("MIGRATE host 1 AUTH 0 10 AUTH secret COPY", "MIGRATE host 1 AUTH 0 10 AUTH (redacted) COPY"),
        ("migrate host 1 k 0 10 copy auth2 me secret", "migrate host 1 k 0 10 copy auth2 (redacted) (redacted)"),
        ("MIGRATE host 1 k 0 10 AUTH", "MIGRATE host 1 k 0 10 AUTH"),
        ("MIGRATE host 1 k 0 10 AUTH2 me", "MIGRATE host 1 k 0 10 AUTH2 (redacted)"),
        ("MIGRATE host 1 - 0 10 AUTH KEYS KEYS AUTH k", "MIGRATE host 1 - 0 10 AUTH (redacted) KEYS AUTH k"),
    ],
)
def test_what_is_hidden(words: str, shown: str) -> None:
    assert without_secrets(words.encode().split()) == shown.encode().split()


def test_who_looks_does_not_see_it() -> None:
    node = Embedded()
    client, monitor = node.client(), node.client()
    client("CONFIG", "SET", "slowlog-log-slower-than", "0")
    monitor("MONITOR")
    client("MIGRATE", "127.0.0.1", "1", "nothing", "0", "10", "AUTH", "a-secret")
    seen = monitor.session.take_output()
    assert b'"AUTH" "(redacted)"' in seen
    assert b"a-secret" not in seen
    assert "a-secret" not in str(client("SLOWLOG", "GET"))
    assert "(redacted)" in str(client("SLOWLOG", "GET"))
