"""The process of a node, as its port (node/ports/), and its figures."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

from node.aio.locales import collation
from node.monitoring.process import ProcessFacts

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TOTAL_BYTES = PAGE_BYTES * os.sysconf("SC_PHYS_PAGES")


class ThisProcess:
    """What becomes of the process is decided in NodeCore."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self.stop = stop

    def facts(self) -> ProcessFacts:
        return read_facts()

    def die(self) -> None:
        die()

    def crash(self) -> None:
        signal.raise_signal(signal.SIGSEGV)

    def collation(self, locale: str) -> Callable[[bytes], Any] | None:
        return collation(locale)


def die() -> None:
    """What clients are about to be told cannot be kept: not one byte more may leave this process."""
    os._exit(1)


def read_facts() -> ProcessFacts:
    """The figures as they are now."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    main = resource.getrusage(resource.RUSAGE_THREAD)  # commands run in the main thread, this one too
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    system = os.uname()
    return ProcessFacts(
        pid=os.getpid(),
        executable=sys.executable,
        python=".".join(map(str, sys.version_info[:3])),
        os=f"{system.sysname} {system.release} {system.machine}",
        arch_bits=64 if sys.maxsize > 2**32 else 32,
        rss_bytes=_resident_bytes(),
        swap_bytes=_swapped_bytes(),
        total_system_memory_bytes=TOTAL_BYTES,
        cpu_user_s=own.ru_utime,
        cpu_system_s=own.ru_stime,
        cpu_user_main_s=main.ru_utime,
        cpu_system_main_s=main.ru_stime,
        cpu_user_children_s=children.ru_utime,
        cpu_system_children_s=children.ru_stime,
    )


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * PAGE_BYTES
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _swapped_bytes() -> int:
    """What of this process has been moved to swap: 0 where the kernel does not say."""
    try:
        with open("/proc/self/status") as file:
            line = next((line for line in file if line.startswith("VmSwap:")), "VmSwap: 0 kB")
    except OSError:
        return 0
    return int(line.split()[1]) * 1024
