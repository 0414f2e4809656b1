"""The filters of CLIENT LIST and CLIENT KILL: which clients are meant.

All filters must let a client pass. `NOT-` in front of most of them reverses one; an option that is given again replaces
what it said before, but for ids, of which any number may be listed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from node import flags
from node.commands.table.cursor import require_int
from node.engine.structures.numbers import parse_int64 as parse_int
from node.replies import SYNTAX, CommandError

if TYPE_CHECKING:
    from node.engine.session.session import Session

Test = Callable[["Session"], bool]

BAD_ID = CommandError("ERR client-id should be greater than 0")
FLAGS = frozenset(b"OSMPxbtRBdcuAUreTIiEN")
"""The letters that CLIENT LIST may show in any server."""


class Filters:
    """What the words of a command select."""

    def __init__(self, caller: Session, words: list[bytes], skip_me: bool) -> None:
        self.caller = caller
        self.skip_me = skip_me
        self.tests: dict[bytes, Test] = {}
        at = 0
        while at < len(words):
            name = words[at].upper()
            if name in (b"ID", b"NOT-ID"):
                at = self._read_ids(name, words, at + 1)
            elif at + 1 < len(words):
                self._read(name, words[at + 1])
                at += 2
            else:
                raise SYNTAX

    def passes(self, client: Session) -> bool:
        return not (self.skip_me and client is self.caller) and all(test(client) for test in self.tests.values())

    def _read_ids(self, name: bytes, words: list[bytes], at: int) -> int:
        """Ids up to the first word that is no number; where that is."""
        ids: set[int] = set()
        while at < len(words) and (number := parse_int(words[at])) is not None:
            if number < 1:
                raise BAD_ID
            ids.add(number)
            at += 1
        if not ids:
            raise BAD_ID
        wanted = name == b"ID"
        self.tests[name] = lambda client: (client.id in ids) is wanted
        return at

    def _read(self, name: bytes, value: bytes) -> None:
        plain = name.removeprefix(b"NOT-")
        if name == b"SKIPME":
            if value.lower() not in (b"yes", b"no"):
                raise SYNTAX
            self.skip_me = value.lower() == b"yes"
        elif name in (b"MAXAGE", b"IDLE"):
            self.tests[name] = self._longer_than(name, value)
        elif (make := _MAKERS.get(plain)) is not None:
            test = make(self.caller, name, value)
            self.tests[name] = test if plain == name else lambda client: not test(client)
        else:
            raise SYNTAX

    def _longer_than(self, name: bytes, value: bytes) -> Test:
        what = name.decode().lower()
        limit_ms = require_int(value, CommandError(f"ERR {what} is not an integer or out of range")) * 1000
        if limit_ms <= 0:
            raise CommandError(f"ERR {what} should be greater than 0")
        now_ms = self.caller.node.space.now_ms
        if name == b"IDLE":
            return lambda client: now_ms - client.active_ms >= limit_ms
        return lambda client: now_ms - client.created_ms >= limit_ms


def client_type(word: bytes) -> str:
    """A type of clients by its name."""
    name = word.decode("utf-8", "replace").lower()
    name = {"slave": "replica"}.get(name, name)
    if name not in ("normal", "master", "replica", "pubsub"):
        raise CommandError(f"ERR Unknown client type '{word.decode('utf-8', 'replace')}'")
    return name


def _attribute(attribute: str) -> Callable[[Session, bytes, bytes], Test]:
    def make(caller: Session, name: bytes, value: bytes) -> Test:
        return lambda client: (getattr(client, attribute) or b"") == value

    return make


def _by_type(caller: Session, name: bytes, value: bytes) -> Test:
    kind, clients = client_type(value), caller.node.clients
    return lambda client: clients.type_of(client) == kind


def _by_user(caller: Session, name: bytes, value: bytes) -> Test:
    if value != b"default":
        raise CommandError(b"ERR No such user '%s'" % value)
    return lambda client: client.user == value


def _by_db(caller: Session, name: bytes, value: bytes) -> Test:
    what = "DB" if name == b"DB" else "NOT-DB"
    number = require_int(value, CommandError(f"ERR {what} is not an integer or out of range"))
    last = len(caller.node.space.dbs) - 1
    if not 0 <= number <= last:
        raise CommandError(f"ERR {what} number should be between 0 and {last}")
    return lambda client: client.db.index == number


def _by_ip(caller: Session, name: bytes, value: bytes) -> Test:
    return lambda client: (client.peer or b"").rpartition(b":")[0].strip(b"[]") == value


def _by_flags(caller: Session, name: bytes, value: bytes) -> Test:
    if not FLAGS.issuperset(value):
        where = "provided" if name == b"FLAGS" else "NOT-FLAGS"
        raise CommandError(f"ERR Unknown flags found in the {where} filter: ".encode() + value)
    return lambda client: set(value) <= set(letters(client).encode())


_MAKERS: dict[bytes, Callable[[Session, bytes, bytes], Test]] = {
    b"TYPE": _by_type,
    b"ADDR": _attribute("peer"),
    b"LADDR": _attribute("local"),
    b"IP": _by_ip,
    b"USER": _by_user,
    b"NAME": _attribute("name"),
    b"LIB-NAME": _attribute("lib_name"),
    b"LIB-VER": _attribute("lib_ver"),
    b"DB": _by_db,
    b"FLAGS": _by_flags,
}

LETTERS = (
    (flags.REPLICA, "S"),
    (flags.RELAYED, "M"),
    (flags.MONITOR, "O"),
    (flags.BLOCKED, "b"),
    (flags.MULTI, "x"),
    (flags.DIRTY_CAS, "d"),
    (flags.CLOSE, "c"),
    (flags.READONLY, "r"),
    (flags.UNIX, "U"),
    (flags.NO_EVICT, "e"),
    (flags.NO_TOUCH, "T"),
)


def letters(client: Session) -> str:
    """The client's state as CLIENT LIST abbreviates it."""
    found = "".join(letter for flag, letter in LETTERS if client.flags & flag)
    if client.subscriptions is not None and client.subscriptions.any:
        found += "P"
    return found or "N"
