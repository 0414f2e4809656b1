"""What the end of one primary means to the clients of the other shards: nothing."""

from __future__ import annotations

import re
import signal

import pytest

from cluster.operator.aio.survey import survey
from tests.support.drill import RECOVERY_S, Drill
from tests.support.servers import Fleet, Server, wait_until

GRACE_MS = 500
CLOCK_STEP_S = 0.05  # a line is logged at the end of the step whose time counts: on a busy machine that is later


def logged_s(server: Server, pattern: str) -> float:
    """The second of the day in which a line that has this was logged first."""
    found = re.search(rf"(\d\d):(\d\d):(\d\d\.\d\d\d) \S .*(?:{pattern})", server.log.read_text())
    assert found is not None
    hours, minutes, seconds = found.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


@pytest.mark.parametrize("dying", [0, 2])
def test_clients_of_other_shards_see_no_error_when_a_primary_is_killed(fleet: Fleet, dying: int) -> None:
    drill = Drill(fleet)
    others = [shard for shard in range(len(drill.shards)) if shard != dying]
    old, heir = drill.shards[dying]
    # Names of shards come with the second PING or so.
    wait_until(lambda: len({node.call("CLUSTER", "MYSHARDID") for node in (old, heir)}) == 1, "they name their shard")
    with drill.load() as history:
        since = drill.kill(old)
        history.await_write(dying, since, RECOVERY_S, not_at=old.name)
        drill.await_health(old)
    assert {shard: dict(history.errors[shard]) for shard in others} == {shard: {} for shard in others}
    print(f"errors of the shard's own clients: {dict(history.errors[dying])}")
    found = survey([("127.0.0.1", heir.port)])
    roles = [[node.role for node in shard.nodes] for shard in found.shards]
    expected = [["primary", "replica"] for _ in drill.shards]
    expected[dying] = ["primary", "former primary"]
    assert roles == expected


def test_all_shards_stop_when_nobody_has_taken_over_within_the_grace(fleet: Fleet) -> None:
    """The replica is frozen: it could stand, as far as the others know, but it does not."""
    drill = Drill(fleet, cluster_coverage_grace_ms=str(GRACE_MS))
    old, replica = drill.shards[0]
    asked = drill.primary(1)
    drill.signal(signal.SIGSTOP, replica)
    drill.kill(old)
    wait_until(lambda: asked.cluster_info()["cluster_state"] == "fail", "the end of the grace", RECOVERY_S)
    waited_s = logged_s(asked, "Cluster state changed: fail") - logged_s(asked, "FAIL message|as failing")
    assert waited_s >= GRACE_MS / 1000 - CLOCK_STEP_S
    drill.signal(signal.SIGCONT, replica)
    drill.await_health(old)
