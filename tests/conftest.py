"""Fixtures of the whole suite.

`--server "COMMAND"` puts another server in the place of ours: `--server redis-server` compares the oracle with itself,
which is how the harness is tried. `--oracle KIND` lets all comparisons ask another oracle than they would.
`--valkey-server PROGRAM` and its like tell where the servers are that are not under their usual names on PATH.
`--rerecord` writes the transcripts of the scenarios anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support import peers
from tests.support.fresh_seeds import fresh_seeds
from tests.support.servers import OURS, Fleet, Pair, split_command

_relaxed = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}
settings.register_profile("ci", max_examples=100, **_relaxed)
settings.register_profile("fuzz", max_examples=5000, **_relaxed)
settings.load_profile("fuzz" if os.environ.get("SHARDIS_FUZZ") else "ci")

_fleets: list[Fleet] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("shardis")
    group.addoption("--server", help="the command that starts the server under test (default: python -m node)")
    group.addoption("--oracle", default="", choices=["", *peers.PEERS], help="the oracle of all comparisons")
    peers.add_options(group)
    group.addoption("--rerecord", action="store_true", help="write the transcripts of tests/scenarios anew")


def pytest_configure(config: pytest.Config) -> None:
    peers.take_options(config)


def pytest_report_header() -> str:
    """Which seeds this run takes: a failure of one of them can be replayed."""
    return str(fresh_seeds())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what could not be compared, for want of which server."""
    reasons = (report.longrepr[2] for report in terminalreporter.stats.get("skipped", ()))
    for line in peers.missing_in(reasons):
        terminalreporter.write_line(line, yellow=True, bold=True)


@pytest.fixture(scope="session")
def new_fleet(request: pytest.FixtureRequest) -> Iterator[Callable[[], Fleet]]:
    """A maker of fleets; all their servers are ended with the session."""
    command = request.config.getoption("--server")

    def make() -> Fleet:
        fleet = Fleet(split_command(command) if command else OURS)
        _fleets.append(fleet)
        return fleet

    yield make
    for fleet in _fleets:
        fleet.close()
    _fleets.clear()


@pytest.fixture(scope="session")
def session_fleet(new_fleet: Callable[[], Fleet]) -> Fleet:
    """The fleet of the servers that many tests share."""
    return new_fleet()


@pytest.fixture
def fleet(new_fleet: Callable[[], Fleet]) -> Iterator[Fleet]:
    """A fleet for one test."""
    fleet = new_fleet()
    yield fleet
    fleet.close()
    _fleets.remove(fleet)


@pytest.fixture(scope="session")
def pair(session_fleet: Fleet, request: pytest.FixtureRequest) -> Pair:
    return Pair(session_fleet, instead=request.config.getoption("--oracle"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """A failed test shows the end of the log of every server that was running or has died."""
    report = yield
    if report.failed:
        for fleet in _fleets:
            for server in fleet.running:
                if server.command[0] != "redis-server" and server.log.exists() and (tail := server.log_tail(20)):
                    state = "running" if server.alive() else "DEAD"
                    report.sections.append((f"log of {server.name} ({state})", tail))
    return report
