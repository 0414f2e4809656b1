"""Every gate of the list: what closes it, whom it stops, whom it lets pass, and what it says. No node is needed."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from node import flags
from node.commands import groups
from node.replies import LOADING, MASTERDOWN, NOAUTH, NOREPLICAS, OOM, READONLY, CommandError
from node.requests.gates import (
    AT_BEGIN,
    BY_NAME,
    GATES,
    IN_SCRIPT,
    ROUTES_IN_SCRIPT,
    UNTIL_IT_WRITES,
    Source,
    Verdict,
    begin_refusal,
    script_refusal,
    stops,
    verdict,
)
from node.requests.request import Request

TABLE = groups.load()
ASKED = CommandError("ASKED the part of the node that knows")
"""What every part of the node says here when a gate asks it."""


class FakeCommand:
    def __init__(self, name: str) -> None:
        spec = TABLE.find(name.encode())
        assert spec is not None, name
        self.name, self.spec = name.encode(), spec


def request(name: str, queue: tuple[str, ...] = (), **session: Any) -> Request:
    """A request for a command, by a client whose transaction holds the commands of `queue`."""
    said = lambda *_: ASKED  # noqa: E731
    node = SimpleNamespace(
        replicas=SimpleNamespace(understands=lambda client, command: command.name == b"replconf"),
        clients=SimpleNamespace(protected=said),
        clustering=SimpleNamespace(gate=said, gate_of_scripts=said),
        saving=SimpleNamespace(refusal=said),
        aof=SimpleNamespace(refusal=said),
        held_keys=SimpleNamespace(concern=said),
        scripts=SimpleNamespace(
            busy_error=ASKED, declared=lambda command, words: command.spec.flags, run=SimpleNamespace(other_slot=said)
        ),
    )
    multi = [(FakeCommand(each), [each.encode()]) for each in queue]
    client: Any = SimpleNamespace(**({"flags": 0, "proto": 2, "node": node, "multi": multi} | session))
    command: Any = FakeCommand(name)
    return Request(client, command, [word.encode() for word in name.split("|")])


@dataclass
class Case:
    """`stopped` and `passing` are commands of clients; in_script and at_begin what scripts are told."""

    closed_by: int
    stopped: str = ""
    passing: str = ""
    said: Any = None
    in_script: Any = None
    at_begin: Any = None
    called: str = "set"
    declared: str = "write denyoom"
    stream: bool = False
    """The stream of our primary is stopped as clients are."""


OLD = "undeclared"
CASES = {
    "script": Case(flags.STATE_SCRIPT, "get set exec ping script|kill", "", Verdict.HOLD),
    "replica": Case(flags.REPLICA, "get ping", "replconf", Verdict.DROP, stream=True),
    "authentication": Case(flags.NOAUTH, "get exec", "auth hello quit reset", NOAUTH, stream=True),
    "not in scripts": Case(
        flags.SCRIPT,
        in_script=b"ERR This Redis command is not allowed from script",
        called="multi",
        passing="multi get",
    ),
    "not in transactions": Case(flags.MULTI, "sync", "", b"ERR Command not allowed inside a transaction", stream=True),
    "protected": Case(flags.STATE_PROTECTED, "debug", "get config|get", ASKED, stream=True),
    "not in a cluster": Case(
        flags.STATE_CLUSTER,
        at_begin=b"ERR Can not run script on cluster, 'no-cluster' flag is set.",
        declared="write no-cluster",
    ),
    "slots": Case(flags.STATE_CLUSTER, "get eval exec", "", ASKED, in_script=ASKED),
    "slot of the script": Case(flags.STATE_CLUSTER | flags.STATE_ONE_SLOT, in_script=ASKED),
    "memory": Case(
        flags.STATE_MEMORY,
        "set lpush",
        "get del exec",
        OOM,
        OOM,
        b"OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'",
        stream=True,
    ),
    "memory of a transaction": Case(
        flags.STATE_MEMORY | flags.MULTI, "get set del watch", "exec discard quit reset", OOM, stream=True
    ),
    "snapshots fail": Case(flags.STATE_SAVING, "set del ping", "get echo exec", ASKED, ASKED, ASKED),
    "the log of writes fails": Case(flags.STATE_AOF, "set del ping", "get echo exec", ASKED, ASKED, ASKED),
    "too few replicas": Case(flags.STATE_FEW_REPLICAS, "set del", "get ping exec", NOREPLICAS, NOREPLICAS, NOREPLICAS),
    "read-only replica": Case(
        flags.STATE_READONLY,
        "set del",
        "get ping publish exec",
        READONLY,
        READONLY,
        b"READONLY Can not run script with write flag on readonly replica",
    ),
    "read-only script": Case(
        flags.STATE_READING_SCRIPT,
        passing="set",
        in_script=b"ERR Write commands are not allowed from read-only scripts.",
        called="publish",
    ),
    "read-only call": Case(
        flags.STATE_READING_CALL, at_begin=b"ERR Can not execute a script with write flag using *_ro command."
    ),
    "loading": Case(flags.STATE_LOADING, "get set ping", "info auth select exec", LOADING),
    "loading aside": Case(flags.STATE_LOADING_ASIDE, "save bgsave", "get set ping exec", LOADING),
    "busy": Case(flags.STATE_BUSY, "get set exec ping", "script|kill auth discard", ASKED),
    "subscribed": Case(
        flags.SUBSCRIBED,
        "get",
        "ping subscribe unsubscribe psubscribe ssubscribe quit reset",
        b"ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this "
        b"context",
    ),
    "stale": Case(
        flags.STATE_STALE,
        "get set ping",
        "info auth exec",
        MASTERDOWN,
        b"ERR Can not execute the command on a stale replica",
        b"MASTERDOWN Link with MASTER is down, replica-serve-stale-data is set to 'no' and 'allow-stale' flag is not "
        b"set on the script.",
    ),
    "stale for old scripts": Case(flags.STATE_STALE, at_begin=MASTERDOWN, declared=OLD),
    "transaction": Case(flags.MULTI, "get set eval", "exec discard multi watch quit reset", Verdict.QUEUE, stream=True),
    "pause": Case(flags.STATE_PAUSED, "get set exec ping", "client|unpause", Verdict.HOLD),
    "pause of writes": Case(
        flags.STATE_PAUSED_WRITES, "set publish eval", "get ping exec client|unpause", Verdict.HOLD
    ),
    "keys on their way": Case(flags.STATE_KEYS_HELD, "set del eval migrate", "get ping exec eval_ro", Verdict.HOLD),
    "keys of open slots on their way": Case(
        flags.STATE_OPEN_KEYS_HELD, "set del eval migrate", "get ping exec eval_ro", Verdict.HOLD
    ),
}


def text(said: Any) -> Any:
    return said.text if isinstance(said, CommandError) else said


def test_every_gate_has_a_case() -> None:
    assert list(CASES) == [gate.name for gate in GATES]


@pytest.mark.parametrize("name", CASES)
def test_the_case_is_about_what_closes_the_gate(name: str) -> None:
    assert BY_NAME[name].closed_by == CASES[name].closed_by


@pytest.mark.parametrize("name", CASES)
def test_clients(name: str) -> None:
    case = CASES[name]
    for command in case.stopped.split():
        asked = request(command)
        assert text(verdict(asked, case.closed_by)) == text(case.said), command
        assert verdict(asked, 0) is None, command
        stream = verdict(asked, case.closed_by, Source.STREAM)
        assert (stream is not None) is case.stream, command
    for command in case.passing.split():
        assert verdict(request(command), case.closed_by) is None, command


@pytest.mark.parametrize("name", CASES)
def test_scripts(name: str) -> None:
    case, gates = CASES[name], (*IN_SCRIPT, *ROUTES_IN_SCRIPT)
    expected = case.in_script.text if isinstance(case.in_script, CommandError) else case.in_script
    if BY_NAME[name].in_script is None:
        assert expected is None
        return
    said = script_refusal(request(case.called), case.closed_by, [gate for gate in gates if gate.name == name])
    assert text(said) == expected
    assert script_refusal(request(case.called), 0, gates) is None


@pytest.mark.parametrize("name", CASES)
def test_scripts_that_begin(name: str) -> None:
    case = CASES[name]
    if BY_NAME[name].at_begin is None:
        assert case.at_begin is None
        return
    said = begin_refusal(request("eval"), case.closed_by, frozenset(case.declared.split()))
    assert text(said) == text(case.at_begin)
    assert begin_refusal(request("eval"), 0, frozenset(case.declared.split())) is None


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.name)
def test_the_engine_knows_all_that_may_stop_a_command(gate: Any) -> None:
    """What it lets pass at once, the list lets pass too, whatever the states."""
    for spec in TABLE.by_id:
        name, compiled = spec.name.encode(), stops(spec.name.encode(), spec.flags)
        for source in (Source.CLIENT, Source.STREAM, Source.LOG):
            if gate.refusal is None or source not in gate.sources or gate.routes:
                continue
            if gate.concerns(name, spec.flags):
                assert compiled[source.value] & gate.closed_by, (spec.name, source)
        if gate.in_script is not None and not gate.routes and gate.concerns(name, spec.flags):
            assert compiled[Source.SCRIPT.value] & gate.closed_by, spec.name


def test_what_no_gate_concerns_has_no_stops() -> None:
    """A read of one key runs in spite of all that stops writes."""
    compiled = stops(b"get", frozenset({"readonly", "fast"}))[Source.CLIENT.value]
    for state in (flags.STATE_FEW_REPLICAS, flags.STATE_READONLY, flags.STATE_SAVING, flags.STATE_PAUSED_WRITES):
        assert not compiled & state
    assert compiled & flags.STATE_PAUSED


@pytest.mark.parametrize(
    ("state", "queue", "said"),
    [
        (flags.STATE_READONLY, ("get", "set"), READONLY),
        (flags.STATE_READONLY, ("get", "get"), None),
        (flags.STATE_FEW_REPLICAS, ("del",), NOREPLICAS),
        (flags.STATE_MEMORY, ("set",), OOM),
        (flags.STATE_MEMORY, ("del",), None),
        (flags.STATE_STALE, ("get",), MASTERDOWN),
        (flags.STATE_STALE, ("info",), None),
        (flags.STATE_LOADING, ("get",), LOADING),
        (flags.STATE_SAVING, ("set",), ASKED),
        (flags.STATE_PAUSED_WRITES, ("publish",), Verdict.HOLD),
        (flags.STATE_PAUSED_WRITES, ("get",), None),
    ],
)
def test_an_exec_is_what_it_would_run(state: int, queue: tuple[str, ...], said: Any) -> None:
    exec_ = request("exec", queue)
    assert text(verdict(exec_, state | flags.MULTI)) == text(said)
    own = stops(b"exec", exec_.command.spec.flags)[Source.CLIENT.value]
    assert own & state, "the engine must not run an EXEC at once while its commands may be stopped"
    assert not own & flags.MULTI


def test_the_log_of_writes_heeds_nothing_but_transactions() -> None:
    everything = flags.STATES_OF_NODE | flags.NOAUTH | flags.SUBSCRIBED
    assert verdict(request("set"), everything, Source.LOG) is None
    assert verdict(request("set"), everything | flags.MULTI, Source.LOG) is Verdict.QUEUE


def test_the_first_closed_gate_decides() -> None:
    states = flags.STATE_CLUSTER | flags.STATE_MEMORY | flags.STATE_READONLY
    assert verdict(request("set"), states | flags.NOAUTH) is NOAUTH
    assert verdict(request("set"), states) is ASKED
    assert verdict(request("set"), states & ~flags.STATE_CLUSTER) is OOM


def test_a_client_with_the_newer_protocol_may_send_anything_while_it_listens() -> None:
    assert verdict(request("get", proto=3), flags.SUBSCRIBED) is None


def test_replicas_acknowledge_during_a_pause() -> None:
    assert verdict(request("replconf", flags=flags.REPLICA), flags.STATE_PAUSED | flags.REPLICA) is None


def test_what_a_script_does_not_heed_once_it_has_written_closes_gates() -> None:
    assert all(any(gate.closed_by & 1 << bit for gate in IN_SCRIPT) for bit in range(64) if UNTIL_IT_WRITES >> bit & 1)


def test_lists_for_scripts_hold_all_gates_for_scripts() -> None:
    assert {*IN_SCRIPT, *ROUTES_IN_SCRIPT} == {gate for gate in GATES if gate.in_script is not None}
    assert set(AT_BEGIN) == {gate for gate in GATES if gate.at_begin is not None}


def test_no_two_states_share_a_bit() -> None:
    names = [name for name in vars(flags) if name.startswith("STATE_")]
    values = [vars(flags)[name] for name in names]
    assert all(value & flags.STATES_OF_NODE and value & (value - 1) == 0 for value in values)
    assert len(set(values)) == len(values)
