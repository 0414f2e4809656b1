"""`shardis-server` in redis-server's place: for programs that start a server of their own and read its version."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support import peers
from tests.support.resp import Connection
from tests.support.servers import free_port, wait_until

SERVER = Path(sys.executable).with_name("shardis-server")


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SERVER), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        **options,  # type: ignore[call-overload]
    )


# How programs read the version: pytest-redis, scripts with awk, deployment tools.
READERS = [r"\d+(?:\.\d+)+", r"v=([0-9.]+)", r"^\S+ \S+ v=(\S+) sha=\S+ malloc=\S+ bits=64 build=\S+\n$"]


@pytest.mark.parametrize("option", ["-v", "--version"])
def test_the_version_is_read_as_redis_servers_is(option: str) -> None:
    told = run(option)
    assert (told.returncode, told.stderr) == (0, "")
    for reader in READERS:
        found = re.search(reader, told.stdout)
        assert found is not None, reader
        assert found[found.lastindex or 0] == "7.2.4"


@peers.needs("redis")
def test_redis_servers_own_version_has_the_same_form() -> None:
    told = subprocess.run([*peers.command("redis"), "--version"], capture_output=True, text=True).stdout
    assert all(re.search(reader, told) for reader in READERS)


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_tells_the_forms_of_the_command_line(option: str) -> None:
    told = run(option)
    assert told.returncode == 0
    assert "[FILE] [--directive value ...]" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--sentinel"], "--sentinel: there is no Sentinel here"),
        (["sentinel.conf", "--sentinel"], "--sentinel: there is no Sentinel here"),
        (["--test-memory", "100"], "--test-memory: this program does not test memory"),
        (["--check-system"], "--check-system: this program does not check the system"),
    ],
)
def test_what_redis_server_does_besides_is_refused_with_a_sentence(arguments: list[str], sentence: str) -> None:
    told = run(*arguments)
    assert told.returncode == 1
    assert told.stderr.startswith(sentence)
    assert told.stderr.count("\n") == 1


def test_a_file_options_and_standard_input_make_one_configuration(tmp_path: Path) -> None:
    port = free_port()
    file = tmp_path / "redis.conf"
    file.write_text(f'maxmemory 7mb\nport 1\ndir "{tmp_path}"\nsave ""\n')
    with subprocess.Popen(
        [str(SERVER), str(file), "--port", str(port), "--loglevel", "warning", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as server:
        assert server.stdin is not None
        server.stdin.write(b"maxmemory-policy allkeys-lru\nport 2\n")
        server.stdin.close()
        try:
            wait_until(lambda: answers(port), "the server answers")
            with Connection(port) as connection:
                for name, value in [(b"maxmemory", b"7340032"), (b"maxmemory-policy", b"allkeys-lru")]:
                    assert connection.ask("CONFIG", "GET", name).value == [name, value]
        finally:
            server.terminate()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


USING_PYTEST_REDIS = """
from pytest_redis import factories

saving = factories.redis_proc(port=SECOND, save="3600 1 300 100")
protected = factories.redis_proc(port=THIRD, password="secret")
of_saving = factories.redisdb("saving")
of_protected = factories.redisdb("protected")

def test_write(redisdb):
    redisdb.set("a", 1)
    assert redisdb.get("a") == b"1"
    assert redisdb.info()["redis_version"] == "7.2.4"

def test_emptied_between_tests(redisdb):
    assert redisdb.get("a") is None

def test_directives(of_saving, saving):
    assert of_saving.config_get("save") == {"save": "3600 1 300 100"}
    assert str(saving.version) == "7.2.4"

def test_password(of_protected):
    assert of_protected.ping()
"""


def test_pytest_redis_starts_it(tmp_path: Path) -> None:
    """The real plugin, which starts servers by mirakuru, waits for their port and ends them."""
    ports = [free_port() for _ in range(3)]
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    test = USING_PYTEST_REDIS.replace("SECOND", str(ports[1])).replace("THIRD", str(ports[2]))
    (tmp_path / "test_it.py").write_text(test)
    arguments = ["-q", "-p", "no:cacheprovider", "--redis-exec", str(SERVER), "--redis-port", str(ports[0])]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    # The plugin's sockets lie in the folder of temporary files, and their paths must be short.
    with tempfile.TemporaryDirectory() as short:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-c", "pytest.ini", *arguments, f"--basetemp={short}/b", "test_it.py"],
            cwd=tmp_path,
            env=clean,
            capture_output=True,
            text=True,
            timeout=180,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout
    assert not any(answers(port) for port in ports)


def test_mirakuru_waits_for_the_banner_of_the_log() -> None:
    """Another way to wait: for a line of the output, as with redis-server."""
    from mirakuru import OutputExecutor

    port = free_port()
    command = [str(SERVER), "--port", str(port), "--save", ""]
    with OutputExecutor(command, "Ready to accept connections", timeout=60):
        assert answers(port)
    assert not answers(port)
