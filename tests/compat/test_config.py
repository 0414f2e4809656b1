"""The directives against redis-server: names and defaults. What CONFIG SET says is in test_directive_walk.py."""

from __future__ import annotations

from node.config import DIRECTIVES, NAMES, Config
from tests.support.peers import needs
from tests.support.servers import Fleet

pytestmark = needs("redis")

# Directives of Redis 7.2, which the oracle (7.0) does not know yet.
NEWER = {"cluster-announce-human-nodename", "locale-collate", "set-max-listpack-entries", "set-max-listpack-value"}
# Directives that are ours alone.
OWN = {"admin-port", "admin-bind", "cluster-seeds", "cluster-shards", "cluster-replicas", "cluster-coverage-grace-ms"}
OWN |= {"min-acks", "min-acks-timeout"}
NOT_THERE = NEWER | OWN

# Where our default is another one, and why.
OTHER_DEFAULT = {
    "cluster-node-timeout": "a shorter silence can be trusted where suspicion also rests on evidence",
    "dir": "where the test started the server",
    "port": "given on the command line",
    "bind": "given on the command line",
    "save": "given on the command line",
    "enable-debug-command": "given on the command line",
    "proc-title-template": "given on the command line by the system's packages",
}


def test_names_and_defaults_are_those_of_redis(fleet: Fleet) -> None:
    oracle = fleet.oracle()
    flat = [word.decode() for word in oracle.call("CONFIG", "GET", "*")]
    theirs = dict(zip(flat[::2], flat[1::2], strict=True))
    ours = Config().get(["*"])
    assert theirs.keys() - ours.keys() == set(), "directives that Redis has and we have not"
    assert ours.keys() - theirs.keys() == NOT_THERE, "directives that Redis has not"
    differences = {name: (ours[name], value) for name, value in theirs.items() if ours[name] != value}
    assert differences.keys() <= OTHER_DEFAULT.keys(), differences


def test_hidden_directives_are_known_by_name(fleet: Fleet) -> None:
    oracle = fleet.oracle()
    for name in (name for name, directive in NAMES.items() if directive.hidden):
        assert oracle.call("CONFIG", "GET", name) == [name.encode(), Config().show(name).encode()]


def test_the_same_directives_can_be_changed(fleet: Fleet) -> None:
    """A directive is fixed here exactly when it is fixed there."""
    oracle = fleet.oracle()
    for name, directive in DIRECTIVES.items():
        if name not in NOT_THERE and name != "dir":
            reply = oracle.ask("CONFIG", "SET", name, directive.kind.show(directive.default))
            assert directive.fixed == (b"immutable" in reply.raw), name
            assert directive.protected == (b"can't set protected" in reply.raw), name
