"""The directives against redis-server: the same names, the same defaults, the same answers to CONFIG SET."""

from __future__ import annotations

import pytest

from node.config import DIRECTIVES, NAMES, Config
from node.replies import CommandError
from tests.support.peers import needs
from tests.support.servers import Fleet, Pair

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


VALUES = """
0|1|-1|yes|no|YES|abc|5mb|3gb|10%|200%|1 2|60 1|0 0|default|nosave save|KEA|glx|9223372036854775807|
018|*|a/b|a b c d
normal 1 2 3|replica 1mb 2k 5|slave x y z|-5|allkeys-lru|0 100 200|50 99.9|101|
"""

# What the host grants, listening sockets, and files show through in the oracle's answers.
SKIPPED = {"port", "tls-port", "bind", "maxclients", "dir", "activedefrag", "appendonly", "oom-score-adj"}


def answer(config: Config, name: str, value: str) -> tuple[bytes, str]:
    """Our reply to CONFIG SET, and what CONFIG GET shows after it."""
    try:
        config.set([(name, value)])
    except CommandError as error:
        return b"-" + error.text + b"\r\n", config.show(name)
    return b"+OK\r\n", config.show(name)


@pytest.mark.parametrize("value", VALUES.strip("\n").replace("\n", "|").split("|"))
def test_config_set_answers_alike(value: str, pair: Pair) -> None:
    """Whatever is set, both accept it and show the same, or both refuse it in the same words."""
    oracle = pair.oracle("standalone")
    differences = {}
    for name, directive in DIRECTIVES.items():
        unlike = directive.fixed or directive.protected or directive.hidden or name.startswith("tls-")
        if unlike or name in SKIPPED | NOT_THERE:
            continue
        before = oracle.call("CONFIG", "GET", name)[1]
        reply = oracle.ask("CONFIG", "SET", name, value).raw
        theirs = (reply, oracle.call("CONFIG", "GET", name)[1].decode())
        oracle.call("CONFIG", "SET", name, before)
        config = Config()
        words = before.decode().split(" ") if directive.kind.multi and before else [before.decode()]
        config.put(name, directive.kind.parse(words, directive.default))
        ours = answer(config, name, value)
        if ours != theirs:
            differences[name] = (ours, theirs)
    assert not differences
