"""What the operating system knows of this process; the host fills it in (node/aio/process.py)."""

from __future__ import annotations

from dataclasses import dataclass

from node.monitoring.figure import Table, by, human, measured, shown


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """Figures of INFO that only the host can read. Times are CPU seconds."""

    pid: int = 0
    executable: str = ""
    python: str = ""
    os: str = ""
    arch_bits: int = 64
    rss_bytes: int = 0
    swap_bytes: int = 0
    total_system_memory_bytes: int = 0
    cpu_user_s: float = 0.0
    cpu_system_s: float = 0.0
    cpu_user_main_s: float = 0.0
    cpu_system_main_s: float = 0.0
    cpu_user_children_s: float = 0.0
    cpu_system_children_s: float = 0.0
    descriptors_left: int = 0


def figures() -> Table[ProcessFacts]:
    return (
        shown("server", "os", lambda own: own.os, "The operating system.", after="redis_mode"),
        shown("server", "arch_bits", lambda own: own.arch_bits, "Bits of a pointer."),
        shown("server", "python_version", lambda own: own.python, "The version of Python.", after="gcc_version"),
        shown("server", "process_id", lambda own: own.pid, "The id of the process."),
        shown("server", "executable", lambda own: own.executable, "The program that runs.", after="lru_clock"),
        measured(
            "cpu_seconds",
            lambda own: by("mode", [("user", own.cpu_user_s), ("system", own.cpu_system_s)]),
            "CPU time used, by mode.",
            kind="counter",
        ),
        measured("resident_memory_bytes", lambda own: own.rss_bytes, "Memory of the process that is in RAM."),
        measured("swap_bytes", lambda own: own.swap_bytes, "Memory of the process that is in swap."),
        shown("memory", "used_memory_rss", lambda own: own.rss_bytes, "Memory in RAM.", after="used_memory_human"),
        shown("memory", "used_memory_rss_human", lambda own: human(own.rss_bytes), "The same with a unit."),
        shown(
            "memory",
            "total_system_memory",
            lambda own: own.total_system_memory_bytes,
            "Memory of the machine.",
            after="allocator_resident",
        ),
        shown(
            "memory",
            "total_system_memory_human",
            lambda own: human(own.total_system_memory_bytes),
            "The same with a unit.",
        ),
        shown("cpu", "used_cpu_sys", lambda own: f"{own.cpu_system_s:.6f}", "CPU seconds in the kernel."),
        shown("cpu", "used_cpu_user", lambda own: f"{own.cpu_user_s:.6f}", "CPU seconds in the process itself."),
        shown("cpu", "used_cpu_sys_children", lambda own: f"{own.cpu_system_children_s:.6f}", "The same, of children."),
        shown("cpu", "used_cpu_user_children", lambda own: f"{own.cpu_user_children_s:.6f}", "The same, of children."),
        shown("cpu", "used_cpu_sys_main_thread", lambda own: f"{own.cpu_system_main_s:.6f}", "Of the main thread."),
        shown("cpu", "used_cpu_user_main_thread", lambda own: f"{own.cpu_user_main_s:.6f}", "Of the main thread."),
    )
