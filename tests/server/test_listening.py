"""Where a node listens: CONFIG SET bind and port all or nothing, and addresses that may be missing."""

from __future__ import annotations

import errno
import socket
import urllib.request
from pathlib import Path

import pytest

from node.aio.listening import CannotListen, Listeners, listen_tcp
from tests.support.resp import Connection
from tests.support.servers import Fleet, Server, StartFailed, free_port, own_all_slots, wait_until

NOT_OURS = "192.0.2.1"  # of a network that exists in documents only


def reachable(port: int, host: str = "127.0.0.1") -> bool:
    try:
        with Connection(port, host=host, timeout_s=2) as client:
            return client.ask("PING").body == b"PONG"
    except OSError:
        return False


def refusal(server: Server, *pairs: str) -> str:
    frame = server.ask("CONFIG", "SET", *pairs)
    assert frame.is_error, f"{pairs} was accepted"
    return frame.body.decode()


def get(server: Server, name: str) -> str:
    return server.call("CONFIG", "GET", name)[1].decode()


@pytest.fixture
def taken() -> int:
    """A port on which somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_a_bind_that_cannot_be_leaves_what_was(fleet: Fleet) -> None:
    server = fleet.ours()
    for value in (
        NOT_OURS,
        f"127.0.0.1 {NOT_OURS}",
        f"127.0.0.2 {NOT_OURS}",
        f"-{NOT_OURS}",
        "no.such.host.invalid",
        "..",
        "127.0.0.1 *",
    ):
        why = refusal(server, "bind", value)
        assert "(possibly related to argument 'bind') - Failed to bind to specified addresses." in why, value
        assert reachable(server.port), value
        assert not reachable(server.port, "127.0.0.2"), value
        assert get(server, "bind") == "127.0.0.1"
    assert server.call("CONFIG", "SET", "bind", f"127.0.0.1 -{NOT_OURS}") == b"OK"
    assert reachable(server.port)


@pytest.mark.parametrize("bind", ["*", "0.0.0.0", "127.0.0.1 127.0.0.2", "127.0.0.2 127.0.0.1", "* -::*", "localhost"])
def test_addresses_that_overlap_with_those_of_before(fleet: Fleet, bind: str) -> None:
    server = fleet.ours()
    for addresses in (bind, "127.0.0.1", bind):
        server.call("CONFIG", "SET", "bind", addresses)
        assert get(server, "bind") == addresses
        assert reachable(server.port)
    with pytest.raises(CannotListen):
        listen_tcp(["127.0.0.1"], server.port, 1)[0].close()


def test_a_port_that_is_taken_leaves_what_was(fleet: Fleet, taken: int) -> None:
    server = fleet.ours()
    why = refusal(server, "port", str(taken))
    assert "(possibly related to argument 'port') - Unable to listen on this port." in why
    assert reachable(server.port)
    assert get(server, "port") == str(server.port)


def test_several_directives_change_together_or_not_at_all(fleet: Fleet, taken: int, tmp_path: Path) -> None:
    server = fleet.ours(**{"enable-protected-configs": "yes"})
    before = {name: get(server, name) for name in ("maxmemory", "dir", "bind", "port", "appendonly", "slowlog-max-len")}
    for bad in (("port", str(taken)), ("bind", NOT_OURS), ("dir", "/no such folder")):
        others = {
            "maxmemory": "1gb",
            "bind": "127.0.0.1 127.0.0.2",
            "port": str(free_port()),
            "appendonly": "yes",
            "dir": str(tmp_path),
        }
        others.pop(bad[0])
        for words in ((*bad, *sum(others.items(), ())), (*sum(others.items(), ()), *bad)):
            assert "CONFIG SET failed" in refusal(server, *words)
            assert {name: get(server, name) for name in before} == before
            assert reachable(server.port)
            assert not reachable(server.port, "127.0.0.2")
            assert list(tmp_path.iterdir()) == []
    server.call("CONFIG", "SET", "appendonly", "yes", "dir", str(tmp_path))
    wait_until(lambda: server.info("persistence")["aof_rewrite_in_progress"] == "0", "the first rewrite has ended")
    assert (tmp_path / "appendonlydir").is_dir()
    assert server.info("persistence")["aof_last_bgrewrite_status"] == "ok"
    assert "appendonly no comes first" in refusal(server, "dir", "/")


def test_without_tcp_there_must_be_another_way(fleet: Fleet, tmp_path: Path) -> None:
    server = fleet.ours()
    for pair in (("bind", ""), ("port", "0")):
        assert "unixsocket" in refusal(server, *pair)
        assert reachable(server.port)
    with_socket = fleet.ours(unixsocket=str(tmp_path / "s"))
    client = with_socket.connect()
    assert client.ask("CONFIG", "SET", "bind", "").body == b"OK"
    assert not reachable(with_socket.port)
    assert client.ask("CONFIG", "SET", "bind", "127.0.0.1").body == b"OK"
    assert reachable(with_socket.port)


def test_the_bus_goes_where_the_clients_are(fleet: Fleet) -> None:
    one, other = (own_all_slots(fleet.ours(cluster_enabled="yes")), fleet.ours(cluster_enabled="yes"))
    other.call("CLUSTER", "MEET", one.host, one.port)
    wait_until(lambda: one.cluster_info()["cluster_known_nodes"] == "2", "they know each other")
    port = free_port()
    one.call("CONFIG", "SET", "port", port)
    one.port, one._admin = port, None

    def known() -> bool:
        rows = [line.split() for line in other.call("CLUSTER", "NODES").decode().splitlines()]
        return any(row[1].startswith(f"127.0.0.1:{port}@{port + 10000}") and row[7] == "connected" for row in rows)

    wait_until(known, "the other node has found it again", 15)
    assert "cluster bus" in refusal(one, "port", "60000")
    with socket.create_server(("127.0.0.1", 0)) as bus:
        # The client port would be free, that of the bus is not.
        taken = bus.getsockname()[1]
        assert "cluster bus" in refusal(one, "port", str(taken - 10000))
    assert reachable(port)
    assert not reachable(taken - 10000)
    assert "for its bus" in refusal(one, "bind", "")


def test_addresses_that_may_be_missing(fleet: Fleet) -> None:
    """As the bus' and the admin server's as well: `-::1` on a host without IPv6 ends no node."""
    admin = free_port()
    bind = f"127.0.0.1 -{NOT_OURS}"
    server = fleet.ours(cluster_enabled="yes", bind=bind, **{"admin-port": str(admin), "admin-bind": bind})
    assert reachable(server.port)
    socket.create_connection(("127.0.0.1", server.port + 10000)).close()
    assert urllib.request.urlopen(f"http://127.0.0.1:{admin}/livez", timeout=10).status == 200


def test_wildcards_of_both_families(fleet: Fleet) -> None:
    admin = free_port()
    bind = "* -::*"
    server = fleet.ours(cluster_enabled="yes", bind=bind, **{"admin-port": str(admin), "admin-bind": bind})
    hosts = ["127.0.0.1"]
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        hosts.append("::1")
    except OSError:
        pass
    for host in hosts:
        assert reachable(server.port, host)
        for port in (server.port + 10000, admin):
            socket.create_connection((host, port)).close()


@pytest.mark.parametrize("error", [errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT])
def test_a_host_without_ipv6(monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    make = socket.socket

    def without_ipv6(family: int = socket.AF_INET, *args: int, **more: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(error, "no such family")
        return make(family, *args, **more)

    monkeypatch.setattr(socket, "socket", without_ipv6)
    with listen_tcp(["127.0.0.1", "::1", "-::*"], free_port(), 1)[0] as listener:
        assert listener.family == socket.AF_INET
    with pytest.raises(CannotListen, match="no such family"):
        listen_tcp(["-::1"], free_port(), 1)


def test_those_who_wait_to_be_accepted_are_told_of_a_failure_by_nobody() -> None:
    """A move that is cancelled closes what it opened, and only that."""
    begun: list[socket.socket] = []
    listeners = Listeners(begun.append, lambda each: None)
    port = free_port()
    listeners.move(["127.0.0.1"], port, 5).commit()
    move = listeners.move(["127.0.0.1", "127.0.0.2"], port, 5)
    assert move.sockets[0] is begun[0]
    assert len(move.sockets) == 2
    move.cancel()
    assert [each.fileno() >= 0 for each in move.sockets] == [True, False]
    socket.create_connection(("127.0.0.1", port)).close()
    listeners.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


BAD_STARTS = [
    ({"unixsocket": "/no such folder/s"}, "Unix socket /no such folder/s: bind: No such file"),
    ({"unixsocket": "/"}, "Unix socket /: bind: "),
    ({"unixsocket": "/tmp/" + "x" * 200}, "AF_UNIX path too long"),
    ({"bind": NOT_OURS}, f"listening socket {NOT_OURS}"),
    ({"bind": ""}, "not listen anywhere"),
    ({"bind": "", "unixsocket": "s", "cluster-enabled": "yes"}, "needs an address for its bus"),
    ({"bind": "no.such.host.invalid"}, "no.such.host.invalid"),
    ({"admin-port": "1", "admin-bind": NOT_OURS}, "admin-port 1: "),
]  # fmt: skip


@pytest.mark.parametrize(("directives", "why"), BAD_STARTS)
def test_a_node_that_cannot_listen_says_why(fleet: Fleet, directives: dict[str, str], why: str) -> None:
    with pytest.raises(StartFailed) as failure:
        fleet.ours(**directives)
    assert why in str(failure.value)
    assert "Traceback" not in str(failure.value)
