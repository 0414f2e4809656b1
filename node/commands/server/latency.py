"""LATENCY."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.commands.table.help import help_for
from node.commands.table.spec import command, container
from node.monitoring.latency import Event, LatencyMonitor
from node.monitoring.percentiles import cumulative
from node.replies import CommandError, Reply, Verbatim

if TYPE_CHECKING:
    from node.engine.session.session import Session


container(
    "LATENCY",
    arity=-2,
    group="server",
    since="2.8.13",
    summary="Commands about measured delays.",
    complexity="that of the subcommand",
)


@command(
    "LATENCY DOCTOR",
    arity=2,
    flags="admin noscript loading stale",
    group="server",
    since="2.8.13",
    summary="Explain the measured delays to a human.",
    complexity="O(1)",
    tips="nondeterministic_output request_policy:all_nodes response_policy:special",
)
def latency_doctor(s: Session, argv: list[bytes]) -> Reply:
    return Verbatim(doctor(s.node.latency).encode())


@command(
    "LATENCY GRAPH",
    arity=3,
    flags="admin noscript loading stale",
    group="server",
    since="2.8.13",
    summary="Draw the delays of an event.",
    complexity="O(1)",
    args="event",
    tips="nondeterministic_output request_policy:all_nodes response_policy:special",
)
def latency_graph(s: Session, argv: list[bytes]) -> Reply:
    event = s.node.latency.events.get(argv[2].decode("utf-8", "replace"))
    if event is None:
        raise CommandError(b"ERR No samples available for event '%s'" % argv[2])
    return Verbatim(graph(argv[2].decode("utf-8", "replace"), event, s.node.space.now_ms // 1000).encode())


help_for("LATENCY", group="server", since="2.8.13")


@command(
    "LATENCY HISTOGRAM",
    arity=-2,
    flags="admin noscript loading stale",
    group="server",
    since="7.0.0",
    summary="Return how the durations of commands are distributed.",
    complexity="O(N), N: commands with measurements",
    args="[command...]",
    tips="nondeterministic_output request_policy:all_nodes response_policy:special",
)
def latency_histogram(s: Session, argv: list[bytes]) -> Reply:
    node = s.node
    if len(argv) == 2:
        chosen = list(node.all_commands())
    else:
        chosen = []
        for name in argv[2:]:
            top, bar, sub = name.lower().partition(b"|")
            found = node.commands.get(top)
            if found is not None and bar:
                found = (found.subcommands or {}).get(sub)
            if found is not None:
                chosen += [found, *(found.subcommands or {}).values()]
    return {
        each.name: {b"calls": each.calls, b"histogram_usec": cumulative(each.latencies())}
        for each in chosen
        if each.latencies()
    }


@command(
    "LATENCY HISTORY",
    arity=3,
    flags="admin noscript loading stale",
    group="server",
    since="2.8.13",
    summary="Return times and delays of an event.",
    complexity="O(1)",
    args="event",
    tips="nondeterministic_output request_policy:all_nodes response_policy:special",
)
def latency_history(s: Session, argv: list[bytes]) -> Reply:
    event = s.node.latency.events.get(argv[2].decode("utf-8", "replace"))
    return [list(sample) for sample in event.samples] if event is not None else []


@command(
    "LATENCY LATEST",
    arity=2,
    flags="admin noscript loading stale",
    group="server",
    since="2.8.13",
    summary="Return the latest delay of every event.",
    complexity="O(1)",
    tips="nondeterministic_output request_policy:all_nodes response_policy:special",
)
def latency_latest(s: Session, argv: list[bytes]) -> Reply:
    return [[name.encode(), *event.samples[-1], event.max_ms] for name, event in s.node.latency.events.items()]


@command(
    "LATENCY RESET",
    arity=-2,
    flags="admin noscript loading stale",
    group="server",
    since="2.8.13",
    summary="Forget the delays of events.",
    complexity="O(1)",
    args="[event...]",
    tips="request_policy:all_nodes response_policy:agg_sum",
)
def latency_reset(s: Session, argv: list[bytes]) -> Reply:
    return s.node.latency.reset([name.decode("utf-8", "replace") for name in argv[2:]])


def doctor(latency: LatencyMonitor) -> str:
    """What the recorded events say, in words."""
    if not latency.threshold_ms:
        return (
            "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Shardis instance. "
            "Turn it on with CONFIG SET latency-monitor-threshold <milliseconds>.\n"
        )
    if not latency.events:
        return "Dave, no latency spike was observed during the lifetime of this Shardis instance.\n"
    lines = ["Dave, I have observed latency spikes in this Shardis instance:", ""]
    for number, (name, event) in enumerate(latency.events.items(), 1):
        worst = [duration_ms for _, duration_ms in event.samples]
        average_ms = sum(worst) / len(worst)
        lines.append(f"{number}. {name}: {len(worst)} spikes, {average_ms:.0f} ms on average, worst {event.max_ms} ms.")
    return "\n".join(lines) + "\n"


def graph(name: str, event: Event, now_s: int) -> str:
    """A bar of text a sample: its height for the duration, below it how long ago it was."""
    samples = list(event.samples)
    values = [duration_ms for _, duration_ms in samples]
    low, high = min(values), max(values)
    lines = [f"{name} - high {high} ms, low {low} ms (all time high {event.max_ms} ms)", "-" * 80]
    span = max(high - low, 1)
    for row in range(3, -1, -1):
        lines.append("".join("#" if (value - low) * 4 >= row * span and (row or value) else "_" for value in values))
    lines.append("")
    ages = [age_text(now_s - at_s) for at_s, _ in samples]
    for row in range(max(map(len, ages))):
        lines.append("".join(age[row] if row < len(age) else " " for age in ages))
    return "\n".join(lines) + "\n"


def age_text(seconds: int) -> str:
    for unit, factor in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= factor:
            return f"{seconds // factor}{unit}"
    return f"{seconds}s"
