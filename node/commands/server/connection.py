"""Connection commands: authentication, protocol version, the small talk of clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node import flags
from node.commands.table.cursor import Cursor
from node.commands.table.spec import command, native
from node.replies import OK, SYNTAX, WRONGPASS, CommandError, Reply
from node.requests.clients import check_name, count_names
from node.requests.transactions import discard as leave_multi
from node.version import REDIS_VERSION

if TYPE_CHECKING:
    from node.engine.session.session import Session


@command(
    "AUTH",
    arity=-2,
    flags="noscript loading stale fast no_auth allow_busy",
    group="connection",
    since="1.0.0",
    summary="Prove who you are with a password, or a user name and a password.",
    complexity="O(N), N: passwords of the user",
    args="[username @6.0.0] password",
    history={"6.0.0": "A user name before the password."},
)
def auth(s: Session, argv: list[bytes]) -> Reply:
    if len(argv) > 3:
        raise SYNTAX
    if len(argv) == 2 and not s.node.config["requirepass"]:
        raise CommandError(
            "ERR AUTH <password> called without any password configured for the default user. "
            "Are you sure your configuration is correct?"
        )
    user = argv[1] if len(argv) == 3 else b"default"
    if not s.node.clients.authenticate(s, user, argv[-1]):
        raise WRONGPASS
    return OK


native(
    "ECHO",
    arity=2,
    flags="loading stale fast",
    group="connection",
    since="1.0.0",
    summary="Return the argument.",
    complexity="O(1)",
    args="message",
)


@command(
    "HELLO",
    arity=-1,
    flags="noscript loading stale fast no_auth allow_busy",
    group="connection",
    since="6.0.0",
    summary="Choose the protocol version, and optionally authenticate and name the connection.",
    complexity="O(1)",
    args="[(protover:int [AUTH (username password)=username_password] [SETNAME clientname])=arguments]",
    history={"6.2.0": "`protover` may be left out, to ask for the connection's state."},
)
def hello(s: Session, argv: list[bytes]) -> Reply:
    node = s.node
    proto = s.proto
    options = Cursor(argv, 1)
    if options.left:
        proto = options.take_int(error=CommandError("ERR Protocol version is not an integer or out of range"))
        if proto not in (2, 3):
            raise CommandError("NOPROTO unsupported protocol version")
    user = password = name = None
    while options.left:
        word = options.take()
        if word.upper() == b"AUTH" and options.left >= 2:
            user, password = options.take(), options.take()
        elif word.upper() == b"SETNAME" and options.left >= 1:
            name = options.take()
            check_name(name)
        else:
            raise CommandError(b"ERR Syntax error in HELLO option '%s'" % word)
    if user is not None and password is not None and not node.clients.authenticate(s, user, password):
        raise WRONGPASS
    if s.flags & flags.NOAUTH:
        raise CommandError(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH "
            "<user> <pass> option can be used to authenticate the client and select the RESP protocol version at "
            "the same time"
        )
    if name is not None:
        s.name = name
        count_names(s)
    s.proto = proto
    return {
        b"server": b"redis",
        b"version": REDIS_VERSION.encode(),
        b"proto": proto,
        b"id": s.id,
        b"mode": b"cluster" if node.engine.cluster else b"standalone",
        b"role": node.role.encode(),
        b"modules": [],
    }


native(
    "PING",
    arity=-1,
    flags="fast",
    group="connection",
    since="1.0.0",
    summary="Return PONG, or the argument.",
    complexity="O(1)",
    args="[message]",
    tips="request_policy:all_shards response_policy:all_succeeded",
)


@command(
    "QUIT",
    arity=-1,
    flags="noscript loading stale fast no_auth allow_busy",
    group="connection",
    since="1.0.0",
    summary="Close the connection after the reply.",
    complexity="O(1)",
    doc_flags="deprecated",
    deprecated_since="7.2.0",
    replaced_by="just closing the connection",
)
def quit(s: Session, argv: list[bytes]) -> Reply:
    s.flags |= flags.CLOSE
    return OK


@command(
    "RESET",
    arity=1,
    flags="noscript loading stale fast no_auth allow_busy",
    group="connection",
    since="6.2.0",
    summary="Bring the connection back to the state of a new one.",
    complexity="O(1)",
)
def reset(s: Session, argv: list[bytes]) -> Reply:
    node = s.node
    leave_multi(s, node.watches)
    node.clients.reset(s)
    return "RESET"


@command(
    "SELECT",
    arity=2,
    flags="loading stale fast",
    group="connection",
    since="1.0.0",
    summary="Choose the database of the connection.",
    complexity="O(1)",
    args="index:int",
)
def select(s: Session, argv: list[bytes]) -> Reply:
    index = Cursor(argv).take_int(-(2**31), 2**31 - 1)
    if s.node.engine.cluster and index != 0:
        raise CommandError("ERR SELECT is not allowed in cluster mode")
    if not 0 <= index < len(s.node.space.dbs):
        raise CommandError("ERR DB index is out of range")
    s.db = s.node.space.dbs[index]
    return OK
