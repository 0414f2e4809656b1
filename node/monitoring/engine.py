"""The figures of the compiled engine, which counts them and knows nothing of those who ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.monitoring.figure import Samples, Table, by, counted, measured, shown

if TYPE_CHECKING:
    from node.engine.keyspace.table import Keyspace
    from node.engine.session.session import Engine


def _errors(own: Engine) -> list[tuple[str, int]]:
    return [(code.decode("utf-8", "replace"), count) for code, count in sorted(own.error_stats.items())]


def _error_lines(own: Engine) -> dict[str, str]:
    return {f"errorstat_{code}": f"count={count}" for code, count in _errors(own)}


def _forget_errors(own: Engine) -> None:
    own.errors = own.errors_told = 0
    own.error_stats = {}


def _restart_loop_time(own: Engine) -> None:
    own.loop_ns = 0


def of_engine() -> Table[Engine]:
    return (
        counted(
            "stats",
            "total_commands_processed",
            "processed",
            "Commands run.",
            after="total_connections_received",
            metric="commands_processed",
            metric_after="connections_rejected",
        ),
        counted(
            "stats",
            "total_net_input_bytes",
            "bytes_in",
            "Bytes received from clients.",
            after="instantaneous_ops_per_sec",
            metric="received_bytes",
        ),
        counted("stats", "total_net_output_bytes", "bytes_out", "Bytes sent to clients.", metric="sent_bytes"),
        counted(
            "stats",
            "total_net_repl_output_bytes",
            "stream_bytes_out",
            "Bytes of the stream sent to replicas.",
            after="total_net_repl_input_bytes",
        ),
        shown(
            "stats",
            "total_error_replies",
            lambda own: own.errors,
            "Error replies.",
            after="unexpected_error_replies",
            reset=_forget_errors,
        ),
        counted(
            "stats",
            "total_reads_processed",
            "reads",
            "Reads from clients' sockets.",
            after="dump_payload_sanitizations",
        ),
        counted("stats", "total_writes_processed", "writes", "Writes to them."),
        counted(
            "stats",
            "eventloop_cycles",
            "loop_turns",
            "Turns of the event loop in which clients were served.",
            after="reply_buffer_expands",
        ),
        shown(
            "stats",
            "eventloop_duration_sum",
            lambda own: own.loop_ns // 1000,
            "Their time, in microseconds.",
            reset=_restart_loop_time,
        ),
        shown("errorstats", "errorstat_<code>", _error_lines, "Error replies that begin with this word."),
        measured("error_replies", lambda own: by("code", _errors(own)), "Error replies, by code.", kind="counter"),
    )


def _databases(own: Keyspace) -> dict[str, str]:
    return {
        f"db{db.index}": f"keys={len(db)},expires={db.volatile_keys},avg_ttl={db.avg_ttl}" for db in own.dbs if len(db)
    }


def _keys(own: Keyspace) -> Samples:
    return by("db", [(str(db.index), len(db)) for db in own.dbs if len(db) or db.index == 0])


def _volatile_keys(own: Keyspace) -> Samples:
    return by("db", [(str(db.index), db.volatile_keys) for db in own.dbs if len(db) or db.index == 0])


def of_keyspace() -> Table[Keyspace]:
    return (
        shown(
            "persistence",
            "rdb_changes_since_last_save",
            lambda own: own.dirty,
            "Changes that the last snapshot does not have.",
            after="current_save_keys_total",
            metric="changes_since_save",
            metric_after="keys_with_expiry",
        ),
        counted(
            "stats",
            "expired_keys",
            "expired",
            "Keys that have expired.",
            after="sync_partial_err",
            metric="expired_keys",
            metric_after="evicted_keys",
        ),
        counted("stats", "expired_subkeys", "expired_fields", "Fields of hashes that have expired."),
        shown(
            "stats",
            "expired_stale_perc",
            lambda own: f"{own.expired_stale_perc:.2f}",
            "Keys with an expiry that have expired and are still there, in percent, about.",
        ),
        shown(
            "stats",
            "expired_time_cap_reached_count",
            lambda own: own.expire_capped,
            "How often looking for expired keys ended before all were found.",
        ),
        counted(
            "stats",
            "evicted_keys",
            "evicted",
            "Keys evicted because of maxmemory.",
            after="expire_cycle_cpu_milliseconds",
            metric="evicted_keys",
            metric_after="memory_max_bytes",
        ),
        counted(
            "stats",
            "keyspace_hits",
            "hits",
            "Lookups by reading commands that found the key.",
            after="current_eviction_exceeded_time",
        ),
        counted("stats", "keyspace_misses", "misses", "Lookups that found none."),
        shown(
            "memory",
            "lazyfree_pending_objects",
            lambda own: own.lazyfree_pending,
            "Values that are still to be freed.",
            after="active_defrag_running",
        ),
        counted("memory", "lazyfreed_objects", "lazyfreed", "Values that were freed little by little."),
        measured(
            "keyspace_lookups",
            lambda own: by("outcome", [("hit", own.hits), ("miss", own.misses)]),
            "Lookups of keys by reading commands.",
            after="error_replies",
            kind="counter",
        ),
        measured("keys", _keys, "Keys, by database."),
        measured("keys_with_expiry", _volatile_keys, "Keys that will expire, by database."),
        shown(
            "keyspace",
            "db<N>",
            _databases,
            "A database: its keys, those with an expiry, the time they have on average.",
        ),
    )
