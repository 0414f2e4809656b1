"""A node that loads its data: it answers from the start, says how far it is, and can be stopped."""

from __future__ import annotations

import signal

import pytest

from tests.support.servers import Fleet, Server, StartFailed, wait_until

KEYS = 400
LOADING = b"LOADING Redis is loading the dataset in memory"


@pytest.fixture
def slow(fleet: Fleet) -> Server:
    """A node that takes its time over a file of some hundred keys."""
    server = fleet.ours()
    for number in range(KEYS):
        server.call("SET", f"key:{number}", "x" * 100)
    server.call("SET", "dead", "1", "PX", "1")
    server.call("SAVE")
    server.kill()
    slowly = {"key-load-delay": "20000", "loading-process-events-interval-bytes": "1024"}
    server.directives = {**server.directives, **slowly}
    return server.start(answering=b"LOADING")


def test_what_is_answered_while_loading(slow: Server) -> None:
    for refused in (("GET", "key:0"), ("SET", "a", "b"), ("DBSIZE",), ("SAVE",)):
        assert slow.ask(*refused).body == LOADING
    for allowed in (("CONFIG", "GET", "port"), ("COMMAND", "COUNT"), ("CLIENT", "ID"), ("LASTSAVE",)):
        assert not slow.ask(*allowed).is_error
    figures = slow.info("persistence")
    assert (figures["loading"], figures["async_loading"]) == ("1", "0")
    total = int(figures["loading_total_bytes"])
    assert total == (slow.directory / "dump.rdb").stat().st_size
    assert 0 <= int(figures["loading_loaded_bytes"]) < total
    assert 0 <= float(figures["loading_loaded_perc"]) < 100
    for name in ("loading_start_time", "loading_eta_seconds"):
        assert int(figures[name]) > 0
    wait_until(lambda: int(slow.info("persistence")["loading_loaded_bytes"]) > total // 20, "it goes on meanwhile")
    assert slow.ask("GET", "key:0").body == LOADING
    slow.call("CONFIG", "SET", "key-load-delay", "0")
    wait_until(lambda: slow.info("persistence")["loading"] == "0", "all is loaded", timeout_s=30)
    assert slow.call("DBSIZE") == KEYS
    figures = slow.info("persistence")
    assert (figures["rdb_last_load_keys_loaded"], figures["rdb_last_load_keys_expired"]) == (str(KEYS), "1")
    assert "loading_total_bytes" not in figures
    log = slow.log.read_text()
    assert f"Done loading RDB, keys loaded: {KEYS}, keys expired: 1." in log
    assert "Loading RDB produced by version 7" in log
    last = log.rindex("Ready to accept connections")
    assert log.index("DB loaded from disk: ") < last


@pytest.mark.parametrize("way", ["SIGTERM", "SHUTDOWN"])
def test_it_can_be_stopped_and_the_file_stays(slow: Server, way: str) -> None:
    before = (slow.directory / "dump.rdb").read_bytes()
    assert slow.process is not None
    if way == "SIGTERM":
        slow.process.send_signal(signal.SIGTERM)
    else:
        with slow.connect() as connection:
            connection.ask("SHUTDOWN")
    assert slow.process.wait(10) == 0
    assert (slow.directory / "dump.rdb").read_bytes() == before


def test_without_its_data_it_does_not_go_on(fleet: Fleet) -> None:
    server = fleet.ours()
    server.call("SET", "k", "x" * 1000)
    server.call("CONFIG", "SET", "rdbcompression", "no")
    server.call("SAVE")
    server.kill()
    path = server.directory / "dump.rdb"
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    with pytest.raises(StartFailed, match=r"Wrong RDB checksum expected(.|\n)*Fatal error loading the DB"):
        server.start()
    assert server.process is not None
    assert server.process.returncode == 1
    path.write_bytes(b"")
    with pytest.raises(StartFailed, match="not an RDB file"):
        server.start()


def test_a_reload_that_fails_leaves_the_data(fleet: Fleet) -> None:
    server = fleet.ours()
    server.call("SET", "k", "v")
    (server.directory / "dump.rdb").write_bytes(b"REDIS0010\x00\x01a\x01b")
    assert server.ask("DEBUG", "RELOAD", "NOSAVE").is_error
    assert server.call("KEYS", "*") == [b"k"]
    server.call("SAVE")
    server.call("SET", "k", "other")
    assert server.ask("DEBUG", "RELOAD", "NOSAVE", "NOFLUSH").is_error
    server.call("DEBUG", "RELOAD", "NOSAVE", "NOFLUSH", "MERGE")
    assert server.call("GET", "k") == b"v"
