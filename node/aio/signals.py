"""Which signals end a node, and which say nothing about it.

The system would end a process at most of them, at once and with its data unsaved. Here only those do that mean it, and
they save. (Python ignores SIGPIPE and SIGXFSZ; aio/crash.pyx reports crashes.)
"""

from __future__ import annotations

import signal

from node.monitoring.log import Log

# The directive that says how the node ends. Whoever sends one of the last three wants it gone all the same.
ENDING: dict[int, str] = {signal.SIGTERM: "shutdown-on-sigterm", signal.SIGINT: "shutdown-on-sigint"}
ENDING |= dict.fromkeys((signal.SIGQUIT, signal.SIGXCPU, signal.SIGPWR), "shutdown-on-sigterm")

HARMLESS: set[int] = {signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO, signal.SIGSTKFLT}
HARMLESS |= {signal.SIGUSR1, signal.SIGUSR2, *range(signal.SIGRTMIN, signal.SIGRTMAX + 1)}


def name_of(number: int) -> str:
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"


def survive_harmless(log: Log) -> None:
    """Have them leave a line in the log, and nothing else."""

    def hung_up(number: int, frame: object) -> None:
        # Whoever has moved the log away gets a new file: every line opens it anew, so that one is enough.
        log.notice("Received SIGHUP, the log goes on here")

    def untouched(number: int, frame: object) -> None:
        log.notice(f"Received {name_of(number)}, which means nothing to this server")

    signal.signal(signal.SIGHUP, hung_up)
    for number in HARMLESS:
        signal.signal(number, untouched)
