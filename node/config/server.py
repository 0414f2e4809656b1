"""Directives of the process: addresses, clients, security, logging, monitoring.

What Redis' process needs and this one does not is accepted, so that existing configuration files load, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from node.config.directive import choice, flag, memory, number, special, text
from node.config.kinds import INT64_MAX, UINT_MAX, BadValue, Bool, Enum, Memory, Octal, Signal, check_path
from node.config.special import Addresses, BufferLimit, BufferLimits, OomScores, Percentiles

# What is never empty stands as a dash: a title must not be, whatever else is set.
_TITLE_FIELDS = {"title": "", "unixsocket": "", "config-file": ""}
_TITLE_FIELDS |= dict.fromkeys(("listen-addr", "server-mode", "port", "tls-port"), "-")


def _title_template(template: str) -> None:
    rest = re.sub(r"\{([^{}]*)\}", lambda field: _TITLE_FIELDS.get(field[1], "{"), template)
    if not rest.strip() or "{" in rest or "}" in rest:
        raise BadValue("template format is invalid or contains unknown variables")


class _Defragmentation(Bool):
    """A switch that stays off: the engine's allocator does not move what it has placed."""

    def parse(self, words: Sequence[str], current: Any) -> bool:
        if super().parse(words, current):
            raise BadValue("Active defragmentation cannot be enabled: the allocator of this server does not support it")
        return False


NO_USERS = "there is no user but 'default'; protect it with requirepass"

NETWORK = (
    number("port", 6379, "TCP port for clients; 0 listens on none.", hi=65535),
    special("bind", Addresses(), ("*", "-::*"), "Addresses to listen on; a leading '-' allows one to be missing."),
    text("bind-source-addr", "", "Local address of outgoing connections, if the host has it."),
    text("unixsocket", "", "Path of a Unix socket to listen on.", check=check_path, fixed=True),
    special("unixsocketperm", Octal(0, 0o777), 0, "Permission bits of the Unix socket.", fixed=True),
    number("tcp-backlog", 511, "Length of the queue of connections that wait to be accepted.", fixed=True),
    number("tcp-keepalive", 300, "Seconds between TCP keep-alive probes to clients; 0 sends none."),
    number("timeout", 0, "Seconds after which an idle client is disconnected; 0 is never."),
    number(
        "socket-mark-id",
        0,
        "Mark for the packet filter on the sockets of clients; 0 sets none.",
        hi=UINT_MAX,
        fixed=True,
    ),
    flag("protected-mode", True, "Refuse clients from other hosts while no password is set."),
)

CLIENTS = (
    number("maxclients", 10000, "Most clients connected at once.", lo=1, hi=UINT_MAX),
    special(
        "maxmemory-clients",
        Memory(-100, percent=True),
        0,
        "Most memory of all clients' buffers: bytes, or % of maxmemory; 0 is no limit.",
    ),
    memory("client-query-buffer-limit", 1 << 30, "Most bytes of one client's unread requests.", lo=1 << 20),
    memory("proto-max-bulk-len", 512 << 20, "Longest argument of a request and longest string value.", lo=1 << 20),
    special(
        "client-output-buffer-limit",
        BufferLimits(),
        {
            "normal": BufferLimit(0, 0, 0),
            "replica": BufferLimit(256 << 20, 64 << 20, 60),
            "pubsub": BufferLimit(32 << 20, 8 << 20, 60),
        },
        "Unread replies at which a client is disconnected: class, hard limit, soft limit, seconds over the soft limit.",
    ),
    number("tracking-table-max-keys", 1_000_000, "there is no client-side caching.", hi=INT64_MAX, accepted=True),
)

SECURITY = (
    text("requirepass", "", "Password of the default user.", secret=True),
    text("aclfile", "", "File with the users of the access control list.", fixed=True, reserved=NO_USERS),
    number("acllog-max-len", 128, "there is no ACL LOG.", hi=INT64_MAX, accepted=True),
    choice(
        "acl-pubsub-default",
        "resetchannels",
        "allchannels resetchannels",
        "there are no users but the default one, which may use all channels.",
        accepted=True,
    ),
    choice("enable-protected-configs", "no", "no yes local", "Who may change the protected directives.", fixed=True),
    choice("enable-debug-command", "no", "no yes local", "Who may use DEBUG.", fixed=True),
    choice("enable-module-command", "no", "no yes local", "there are no modules.", fixed=True, accepted=True),
    choice("sanitize-dump-payload", "no", "no yes clients", "every RESTORE payload is checked in full.", accepted=True),
)

PROCESS = (
    flag("daemonize", False, "Run in the background.", fixed=True),
    choice(
        "supervised", "no", "upstart systemd auto no", "How a supervisor learns that the server is ready.", fixed=True
    ),
    text("pidfile", "", "File that holds the process id while the server runs.", check=check_path, fixed=True),
    special("shutdown-on-sigint", Signal(), (), "What an interrupt does: default; save, nosave, now, force, failover."),
    special(
        "shutdown-on-sigterm", Signal(), (), "What SIGTERM, SIGQUIT, SIGXCPU and SIGPWR do: as for shutdown-on-sigint."
    ),
    number("shutdown-timeout", 10, "Seconds that a shutdown waits for replicas to catch up."),
    number("hz", 10, "Background tasks a second.", clamp=(1, 500)),
    flag("dynamic-hz", True, "clients are looked at as often as hz says, however many there are.", accepted=True),
    flag("set-proc-title", True, "the process keeps the title it was started with.", fixed=True, accepted=True),
    text(
        "proc-title-template",
        "{title} {listen-addr} {server-mode}",
        "see set-proc-title.",
        check=_title_template,
        accepted=True,
    ),
    text("ignore-warnings", "", "there are no warnings to leave out.", accepted=True),
    text("locale-collate", "", "Locale in which SORT ALPHA compares; empty is the environment's."),
    flag("always-show-logo", False, "there is no logo.", fixed=True, accepted=True),
    special(
        "oom-score-adj",
        Enum("no", "yes", "relative", "absolute", same={"relative": "yes"}),
        "no",
        "the kernel's score is left alone.",
        accepted=True,
    ),
    special("oom-score-adj-values", OomScores(), (0, 200, 800), "see oom-score-adj.", accepted=True),
    flag("disable-thp", True, "huge pages are left to the system's setting.", fixed=True, accepted=True),
    number("io-threads", 1, "one thread serves all clients.", lo=1, hi=128, fixed=True, accepted=True),
    flag("io-threads-do-reads", False, "see io-threads.", fixed=True, accepted=True),
    text("server_cpulist", "", "start the server under taskset to pin it.", fixed=True, accepted=True),
    text("bio_cpulist", "", "see server_cpulist.", fixed=True, accepted=True),
    text("aof_rewrite_cpulist", "", "see server_cpulist.", fixed=True, accepted=True),
    text("bgsave_cpulist", "", "see server_cpulist.", fixed=True, accepted=True),
    number("watchdog-period", 0, "there is no watchdog.", hidden=True, accepted=True),
)

LOGGING = (
    choice("loglevel", "notice", "debug verbose notice warning", "The least important messages to log."),
    text("logfile", "", "File to log to; empty is standard output.", check=check_path, fixed=True),
    flag("syslog-enabled", False, "Log to the system's log as well.", fixed=True),
    text("syslog-ident", "redis", "Name of this server in the system's log.", fixed=True),
    choice(
        "syslog-facility",
        "local0",
        "user local0 local1 local2 local3 local4 local5 local6 local7",
        "Facility of the system's log.",
        fixed=True,
    ),
    flag("crash-log-enabled", True, "Write a report when the process crashes."),
    flag("crash-memcheck-enabled", True, "a crash report does not test the memory.", accepted=True),
    flag("use-exit-on-panic", False, "an internal error never aborts the process.", hidden=True, accepted=True),
)

MONITORING = (
    number(
        "slowlog-log-slower-than",
        10000,
        "Microseconds from which a command enters the slow log; -1 logs none.",
        lo=-1,
        hi=INT64_MAX,
    ),
    number("slowlog-max-len", 128, "Length of the slow log.", hi=INT64_MAX),
    number(
        "latency-monitor-threshold",
        0,
        "Milliseconds from which LATENCY records an event; 0 records none.",
        hi=INT64_MAX,
    ),
    flag("latency-tracking", True, "Keep a histogram of every command's latency."),
    special(
        "latency-tracking-info-percentiles",
        Percentiles(),
        (50.0, 99.0, 99.9),
        "Percentiles that INFO latencystats shows.",
    ),
)

SCRIPTS = (
    number(
        "busy-reply-threshold",
        5000,
        "Milliseconds after which a script no longer keeps others waiting silently.",
        "lua-time-limit",
        hi=INT64_MAX,
    ),
    flag(
        "lua-enable-deprecated-api",
        False,
        "Give scripts newproxy, setfenv and getfenv, with which they can get out of their sandbox.",
        fixed=True,
        hidden=True,
    ),
)

DEFRAGMENTATION = (
    special(
        "activedefrag",
        _Defragmentation(),
        False,
        "it cannot be enabled, since the allocator does not move what it has placed.",
        accepted=True,
    ),
    memory("active-defrag-ignore-bytes", 100 << 20, "see activedefrag.", lo=1, accepted=True),
    number("active-defrag-threshold-lower", 10, "see activedefrag.", hi=1000, accepted=True),
    number("active-defrag-threshold-upper", 100, "see activedefrag.", hi=1000, accepted=True),
    number("active-defrag-cycle-min", 1, "see activedefrag.", lo=1, hi=99, accepted=True),
    number("active-defrag-cycle-max", 25, "see activedefrag.", lo=1, hi=99, accepted=True),
    number("active-defrag-max-scan-fields", 1000, "see activedefrag.", lo=1, hi=INT64_MAX, accepted=True),
    flag("jemalloc-bg-thread", True, "the allocator has no background thread.", accepted=True),
)
