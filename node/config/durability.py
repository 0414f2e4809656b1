"""Directives of snapshots, the append-only file and replication."""

from __future__ import annotations

from node.config.directive import choice, flag, memory, number, special, text
from node.config.kinds import INT64_MAX, INT_MAX, BadValue, Directory, Memory, check_path
from node.config.special import PrimaryAddress, SavePoints
from node.config.words import to_bytes

LONGEST_NAME = 200
"""Bytes of a file's name. A directory takes 255, and what is written beside a file is called after it."""


def _file_name(value: str, directive: str, what: str = "filename") -> None:
    check_path(value)
    if len(to_bytes(value)) > LONGEST_NAME:
        raise BadValue(f"{directive} must have at most {LONGEST_NAME} bytes")
    if "/" in value or "\\" in value or value in (".", ".."):
        raise BadValue(f"{directive} can't be a path, just a {what}")


def _snapshot_name(value: str) -> None:
    _file_name(value, "dbfilename")


def _aof_name(value: str) -> None:
    if not value:
        raise BadValue("appendfilename can't be empty")
    _file_name(value, "appendfilename")


def _aof_folder(value: str) -> None:
    if not value:
        raise BadValue("appenddirname can't be empty")
    _file_name(value, "appenddirname", "dirname")


SNAPSHOTS = (
    special(
        "dir",
        Directory(),
        ".",
        "Working directory: snapshots, the append-only files and nodes.conf are in it.",
        protected=True,
        not_while_loading=True,
    ),
    special(
        "save",
        SavePoints(),
        ((3600, 1), (300, 100), (60, 10000)),
        'When to save a snapshot: pairs of seconds and changes; "" is never.',
    ),
    text("dbfilename", "dump.rdb", "Name of the snapshot.", check=_snapshot_name, protected=True),
    flag("rdbcompression", True, "Compress long strings in snapshots."),
    flag("rdbchecksum", True, "Write and check the checksum of snapshots.", fixed=True),
    flag("rdb-del-sync-files", False, "Delete snapshots that only replication needed."),
    flag("rdb-save-incremental-fsync", True, "Flush a snapshot to disk while it is written."),
    flag("stop-writes-on-bgsave-error", True, "Refuse writes while snapshots cannot be saved."),
    number(
        "rdb-key-save-delay",
        0,
        "Microseconds to wait after each key of a snapshot, for tests.",
        lo=-INT_MAX - 1,
        hidden=True,
    ),
    number("key-load-delay", 0, "Microseconds to wait after each loaded key, for tests.", lo=-INT_MAX - 1, hidden=True),
    number(
        "loading-process-events-interval-bytes",
        2 << 20,
        "Bytes to load between two looks at clients.",
        lo=1024,
        hidden=True,
    ),
)

APPEND_ONLY = (
    flag("appendonly", False, "Log every write to the append-only file.", not_while_loading=True),
    text(
        "appendfilename",
        "appendonly.aof",
        "Beginning of the names of the append-only files.",
        check=_aof_name,
        fixed=True,
    ),
    text("appenddirname", "appendonlydir", "Folder of the append-only files.", check=_aof_folder, fixed=True),
    choice("appendfsync", "everysec", "everysec always no", "When to flush the append-only file to disk."),
    flag("no-appendfsync-on-rewrite", False, "Do not flush while a snapshot or a rewrite is written."),
    number("auto-aof-rewrite-percentage", 100, "Growth since the last rewrite that starts one; 0 is never."),
    memory("auto-aof-rewrite-min-size", 64 << 20, "Smallest file that is rewritten by itself."),
    flag("aof-load-truncated", True, "Load a file whose end is missing."),
    flag("aof-use-rdb-preamble", True, "Begin a rewritten file with a snapshot."),
    flag("aof-timestamp-enabled", False, "Write times into the append-only file."),
    flag("aof-rewrite-incremental-fsync", True, "Flush a rewritten file to disk while it is written."),
    flag("aof-disable-auto-gc", False, "Keep append-only files that are no longer needed."),
)

REPLICATION = (
    special(
        "replicaof", PrimaryAddress(), None, "Address of the primary that this node copies.", "slaveof", fixed=True
    ),
    text("masteruser", "", "User to authenticate as with the primary.", secret=True),
    text("masterauth", "", "Password for the primary.", secret=True),
    flag("replica-serve-stale-data", True, "Answer reads while the primary is out of reach.", "slave-serve-stale-data"),
    flag("replica-read-only", True, "Refuse writes of clients on a replica.", "slave-read-only"),
    flag(
        "replica-lazy-flush",
        False,
        "Free the old data in the background before a full synchronisation.",
        "slave-lazy-flush",
    ),
    flag("replica-ignore-maxmemory", True, "Leave eviction to the primary.", "slave-ignore-maxmemory"),
    flag(
        "replica-ignore-disk-write-errors",
        False,
        "a replica goes on whatever its disk does, and logs it.",
        accepted=True,
    ),
    flag("replica-announced", True, "Show this replica to monitoring tools."),
    number("replica-priority", 100, "Order in which replicas are promoted; 0 is never.", "slave-priority"),
    text("replica-announce-ip", "", "Address of this replica that the primary shows.", "slave-announce-ip"),
    number("replica-announce-port", 0, "Port of this replica that the primary shows.", "slave-announce-port", hi=65535),
    number("repl-timeout", 60, "Seconds of silence after which a replication link counts as broken.", lo=1),
    number(
        "repl-ping-replica-period",
        10,
        "Seconds between the pings of a primary to its replicas.",
        "repl-ping-slave-period",
        lo=1,
    ),
    special(
        "repl-backlog-size",
        Memory(1, clamp=(16 << 10, INT64_MAX)),
        1 << 20,
        "Bytes of past writes kept for replicas that return.",
    ),
    number(
        "repl-backlog-ttl", 3600, "Seconds without replicas after which the backlog is freed; 0 is never.", hi=INT64_MAX
    ),
    flag("repl-disable-tcp-nodelay", False, "Send to replicas in fewer, larger packets."),
    flag("repl-diskless-sync", True, "Send snapshots to replicas without writing a file."),
    number(
        "repl-diskless-sync-delay",
        5,
        "Seconds to wait for more replicas before a diskless synchronisation; "
        "none in a cluster once all that live are here.",
    ),
    number(
        "repl-diskless-sync-max-replicas", 0, "Replicas at which a diskless synchronisation starts at once; 0 is any."
    ),
    choice(
        "repl-diskless-load",
        "disabled",
        "disabled on-empty-db swapdb",
        "Load a snapshot from the link itself.",
        not_while_loading=True,
    ),
    number("min-replicas-to-write", 0, "Replicas in reach below which writes are refused.", "min-slaves-to-write"),
    number(
        "min-replicas-max-lag", 10, "Seconds of silence after which a replica is out of reach.", "min-slaves-max-lag"
    ),
    number(
        "min-acks",
        0,
        "Replicas that must acknowledge a write before its reply is sent; with fewer in reach writes are refused. A "
        "cluster's primary that comes back without its data then waits for its replicas, however long they are cut off "
        "(CLUSTER FAILOVER TAKEOVER ends that).",
        hi=5,
    ),
    number(
        "min-acks-timeout",
        5000,
        "Milliseconds after which a client whose write lacks acknowledgements (min-acks) is disconnected; 0 is never.",
    ),
    choice(
        "propagation-error-behavior",
        "ignore",
        "ignore panic panic-on-replicas",
        "What to do when a replicated command fails.",
    ),
)
