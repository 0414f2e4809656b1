"""DEBUG: what test suites and developers look at, and the faults they cause on purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from node.commands.server import digest
from node.commands.table.cursor import require_float, require_int
from node.commands.table.spec import command
from node.engine.durable.quicklist import quicklist_nodes
from node.engine.types.list import List
from node.persistence.rdb.payload import dump_payload
from node.ports.steps import CannotLoad, at_once
from node.replies import (
    NO_SUCH_KEY,
    OK,
    Attributed,
    BigNumber,
    CommandError,
    Push,
    Reply,
    ReplySet,
    Verbatim,
    wrong_syntax,
)

if TYPE_CHECKING:
    from node.engine.session.session import Session

Action = Callable[["Session", list[bytes]], Reply]

ACTIONS: dict[bytes, tuple[int, Action]] = {}
"""By upper-case name: the fewest arguments after the name, and the function, which gets those arguments."""


def action(name: str, least: int = 0) -> Callable[[Action], Action]:
    """Declare a subcommand. DEBUG's have no place in the command table, as in Redis."""

    def register(function: Action) -> Action:
        ACTIONS[name.encode()] = (least, function)
        return function

    return register


@command(
    "DEBUG",
    arity=-2,
    flags="admin noscript loading stale protected",
    group="server",
    since="1.0.0",
    summary="Commands for debugging and tests.",
    complexity="that of the subcommand",
    doc_flags="syscmd",
)
def debug(s: Session, argv: list[bytes]) -> Reply:
    least, function = ACTIONS.get(argv[1].upper(), (0, None))
    if function is None or len(argv) - 2 < least:
        raise wrong_syntax(argv[1], "DEBUG")
    return function(s, argv[2:])


@action("HELP")
def show_help(s: Session, args: list[bytes]) -> Reply:
    return ["DEBUG <subcommand> [<arg> [value] ...]. Subcommands are:", *(name.decode() for name in sorted(ACTIONS))]


@action("SLEEP", 1)
def sleep(s: Session, args: list[bytes]) -> Reply:
    """Stop the whole server for a while, as a stalled process would."""
    s.node.sleep(require_float(args[0]))
    return OK


@action("LOG", 1)
def log(s: Session, args: list[bytes]) -> Reply:
    s.node.log.warning(f"DEBUG LOG: {args[0].decode('utf-8', 'replace')}")
    return OK


@action("CONFIG-REWRITE-FORCE-ALL")
def config_rewrite_force_all(s: Session, args: list[bytes]) -> Reply:
    """CONFIG REWRITE, but with a line for every directive, so that reading every line back can be tested."""
    s.node.config.rewrite(everything=True)
    return OK


@action("ERROR", 1)
def error(s: Session, args: list[bytes]) -> Reply:
    raise CommandError(args[0])


@action("DIGEST")
def whole_digest(s: Session, args: list[bytes]) -> Reply:
    return digest.of_databases(s.node.space.dbs).hex()


@action("DIGEST-VALUE", 1)
def value_digest(s: Session, args: list[bytes]) -> Reply:
    return [digest.of_key(s.db, key).hex() for key in args]


@action("OBJECT", 1)
def describe(s: Session, args: list[bytes]) -> Reply:
    """What is there, even if its time is up: a replica keeps such keys, and hides them."""
    space = s.node.space
    shown, space.show_dead = space.show_dead, True
    try:
        return _describe(s, args[0])
    finally:
        space.show_dead = shown


def _describe(s: Session, key: bytes) -> Reply:
    db = s.db
    value = db.peek(key)
    if value is None:
        raise NO_SUCH_KEY
    size = len(dump_payload(value)) - 11
    idle_s = db.idle_s(key) or 0
    return (
        f"Value at:0x0 refcount:1 encoding:{db.encoding(key)} serializedlength:{size} "
        f"lru:{s.node.space.now_ms // 1000 - idle_s & 0xFFFFFF} lru_seconds_idle:{idle_s}"
        f"{_nodes_of(s, value) if isinstance(value, List) and value.encoding == 'quicklist' else ''}"
    )


def _nodes_of(s: Session, value: List) -> str:
    """The fields of a quicklist, by the nodes in which it would be dumped."""
    nodes = quicklist_nodes(value)
    return (
        f" ql_nodes:{len(nodes)} ql_avg_node:{len(value) / len(nodes):.2f} "
        f"ql_listpack_max:{s.node.config['list-max-listpack-size']} ql_compressed:0 "
        f"ql_uncompressed_size:{sum(len(data) for _, data in nodes)}"
    )


@action("RELOAD")
def reload(s: Session, args: list[bytes]) -> Reply:
    """Write the data as a snapshot and load it, as a restart would. NOSAVE loads the file that is there."""
    node = s.node
    options = {word.upper() for word in args}
    if not options <= {b"NOSAVE", b"NOFLUSH", b"MERGE"}:
        raise CommandError("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
    merge = b"MERGE" in options
    in_place = b"NOFLUSH" in options
    try:
        if b"NOSAVE" in options:
            data = node.saving.disk.map(node.config["dbfilename"])
        else:
            data = b"".join(node.saving.pieces())
        if data is None:
            raise CannotLoad("there is no snapshot")
        at_once(node.loader.rdb(data, in_place=in_place, merge=merge))
    except (CannotLoad, OSError) as error:
        node.log.warning(f"DEBUG RELOAD: {error}")
        raise CommandError("ERR Error trying to load the RDB dump, check server logs.") from None
    return OK


@action("LOADAOF")
def load_append_only(s: Session, args: list[bytes]) -> Reply:
    """Forget the data and load the append-only files, as a restart would."""
    node = s.node
    node.aof.log.flush(force=True)
    node.data_replaced()
    node.space.flush()
    try:
        at_once(node.aof_loading.steps())
    except CannotLoad as error:
        node.log.warning(str(error))
        raise CommandError("ERR Error trying to load the AOF files, check server logs.") from None
    node.aof.parts.delete_history()
    node.space.dirty = 0
    return OK


@action("AOF-FLUSH-SLEEP", 1)
def aof_flush_sleep(s: Session, args: list[bytes]) -> Reply:
    """Microseconds to sleep before each write to the append-only file, so that tests can look what comes first."""
    s.node.aof.log.flush_sleep_us = require_int(args[0])
    return OK


@action("POPULATE", 1)
def populate(s: Session, args: list[bytes]) -> Reply:
    """`count [prefix [size]]`: keys `prefix:0` and so on with values `value:0` and so on; what exists is kept."""
    prefix = args[1] if len(args) > 1 else b"key"
    size = require_int(args[2]) if len(args) > 2 else 0
    for i in range(require_int(args[0])):
        key = b"%s:%d" % (prefix, i)
        if not s.db.exists(key):
            value = b"value:%d" % i
            s.db.set(key, value[:size].ljust(size, b"\0") if size else value)
    return OK


@action("REPLICATE", 1)
def replicate(s: Session, args: list[bytes]) -> Reply:
    """Send replicas something that has not happened here, and may make no sense."""
    s.effect(*args)
    return OK


@action("CHANGE-REPL-ID")
def change_repl_id(s: Session, args: list[bytes]) -> Reply:
    """Give the history of the data new names: replicas that return have to take everything."""
    s.node.log.notice("Changing replication IDs after receiving change-repl-id")
    s.node.history.renew()
    return OK


@action("SET-ACTIVE-EXPIRE", 1)
def set_active_expire(s: Session, args: list[bytes]) -> Reply:
    s.node.space.active_expire = require_int(args[0]) != 0
    return OK


@action("SEGFAULT")
def segfault(s: Session, args: list[bytes]) -> Reply:
    """Crash, so that tests can look at the report."""
    s.node.process.crash()
    return OK


@action("PAUSE-CRON", 1)
def pause_cron(s: Session, args: list[bytes]) -> Reply:
    """Leave the regular work undone, so that tests can look at what it would change."""
    s.node.cron_paused = require_int(args[0]) != 0
    return OK


@action("SET-DISABLE-DENY-SCRIPTS", 1)
def set_disable_deny_scripts(s: Session, args: list[bytes]) -> Reply:
    """Let scripts run commands that are not meant for them: how tests see what those do there."""
    s.node.scripts.allows_noscript = require_int(args[0]) != 0
    return OK


@action("SET-SKIP-CHECKSUM-VALIDATION", 1)
def set_skip_checksum_validation(s: Session, args: list[bytes]) -> Reply:
    """Let RESTORE take payloads with wrong checksums: how tests get damaged values past the first check."""
    s.node.checks_payloads = require_int(args[0]) == 0
    return OK


@action("STRINGMATCH-LEN", 2)
def stringmatch_len(s: Session, args: list[bytes]) -> Reply:
    from node.engine.structures.glob import matches

    return int(matches(args[1], b"x" * require_int(args[0])))


@action("HTSTATS", 1)
def htstats(s: Session, args: list[bytes]) -> Reply:
    db = s.node.space.dbs[require_int(args[0])]
    text = f"[Dictionary HT]\nkeys: {len(db)}\n[Expires HT]\nkeys: {db.volatile_keys}\n"
    return Verbatim(text.encode())


@action("CLUSTERLINK", 3)
def clusterlink(s: Session, args: list[bytes]) -> Reply:
    """`KILL to|from|all <node id>`: cut links of the bus."""
    clustering = s.node.clustering
    if clustering is None:
        raise CommandError("ERR Debug option only available for cluster mode enabled setup!")
    direction = args[1].lower()
    if args[0].upper() != b"KILL" or direction not in (b"to", b"from", b"all"):
        raise CommandError(b"ERR Unknown direction " + args[1])
    clustering.kill_links(args[2].decode("utf-8", "replace"), to=direction != b"from", inbound=direction != b"to")
    return OK


@action("DROP-CLUSTER-PACKET-FILTER", 1)
def drop_packets(s: Session, args: list[bytes]) -> Reply:
    """Ignore bus packets of one type; -1 ignores none."""
    if s.node.clustering is not None:
        s.node.clustering.settings.drop_packet_kind = require_int(args[0])
    return OK


@action("PROTOCOL", 1)
def protocol(s: Session, args: list[bytes]) -> Reply:
    """A reply of each kind, for the tests of clients."""
    name = args[0].lower()
    if name == b"attrib" and s.proto == 2:
        return b"Some real reply following the attribute"
    if name == b"push" and s.proto == 2:
        raise CommandError("ERR RESP2 is not supported by this command")
    samples: dict[bytes, Reply] = {
        b"string": b"Hello World",
        b"integer": 12345,
        b"double": 3.141,
        b"null": None,
        b"array": [0, 1, 2],
        b"set": ReplySet([0, 1, 2]),
        b"map": {0: False, 1: True, 2: False},
        b"attrib": Attributed({b"key-popularity": [b"key:123", 90]}, b"Some real reply following the attribute"),
        b"push": Push([b"server-cpu-usage", 42]),
        b"verbatim": Verbatim(b"This is a verbatim\nstring"),
        b"bignum": BigNumber(1234567999999999999999999999999999999),
        b"true": True,
        b"false": False,
    }
    if name not in samples:
        raise CommandError(
            "ERR Wrong protocol type name. Please use one of the following: "
            "string|integer|double|null|array|set|map|attrib|push|verbatim|true|false"
        )
    if name == b"push":
        # The push is out of band: a client that waits for its reply needs one besides.
        s.push_reply(samples[name])
        return b"Some real reply following the push reply"
    return samples[name]


def _accepted(s: Session, args: list[bytes]) -> Reply:
    """Settings of parts that this server does not have, or that work the same whatever is chosen."""
    return OK


for _name in ("JMAP", "QUICKLIST-PACKED-THRESHOLD", "REPLYBUFFER"):
    ACTIONS[_name.encode()] = (0, _accepted)
