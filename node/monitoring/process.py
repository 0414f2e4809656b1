"""What the operating system knows of this process; the host fills it in (node/aio/process.py)."""

from __future__ import annotations

from dataclasses import dataclass


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
