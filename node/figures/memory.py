"""What memory the node has taken, measured as a whole: the figures of INFO's section add up at one moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from node.config import Config
from node.engine.memory.alloc import mem_used
from node.monitoring.allocator import Allocator, measure
from node.monitoring.figure import Table, human, shown
from node.ports.host import Process
from node.version import ALLOCATOR


class HasLua(Protocol):
    """What keeps scripts or functions."""

    @property
    def used_bytes(self) -> int:
        """Memory of its interpreter."""

    cache_bytes: int
    """The texts, and what goes with them."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement."""

    memory: Memory
    used: int
    data: int
    rss: int
    heap: Allocator
    limit: int
    policy: str
    lua: int
    """Memory of both interpreters."""
    scripts: int
    """The texts of scripts and functions."""

    @property
    def peak(self) -> int:
        return self.memory.peak_bytes


class Memory:
    """Measures, and remembers the most that was used when somebody asked."""

    def __init__(
        self, config: Config, process: Process, used: Callable[[], int], interpreters: Sequence[HasLua]
    ) -> None:
        """`used` is what was allocated for users, in bytes."""
        self._config = config
        self._process = process
        self._used = used
        self._interpreters = interpreters
        self.peak_bytes = 0

    def measure(self) -> Measured:
        used, rss = self._used(), self._process.facts().rss_bytes
        self.peak_bytes = max(self.peak_bytes, used)
        return Measured(
            memory=self,
            used=used,
            data=mem_used(),
            rss=rss,
            heap=measure(rss),
            limit=self._config["maxmemory"],
            policy=self._config["maxmemory-policy"],
            lua=sum(each.used_bytes for each in self._interpreters),
            scripts=sum(each.cache_bytes for each in self._interpreters),
        )

    def forget_peak(self) -> None:
        self.peak_bytes = 0


def figures() -> Table[Measured]:
    return (
        shown("memory", "used_memory", lambda own: own.used, "Data and clients' buffers.", metric="memory_used_bytes"),
        shown("memory", "used_memory_human", lambda own: human(own.used), "The same with a unit."),
        shown(
            "memory",
            "used_memory_peak",
            lambda own: own.peak,
            "The most of it that was seen.",
            after="used_memory_rss_human",
            reset=lambda own: own.memory.forget_peak(),
        ),
        shown("memory", "used_memory_peak_human", lambda own: human(own.peak), "The same with a unit."),
        shown(
            "memory",
            "used_memory_peak_perc",
            lambda own: f"{100 * own.used / max(own.peak, 1):.2f}%",
            "What is used of that.",
        ),
        shown("memory", "used_memory_overhead", lambda own: own.used - own.data, "What is used beside data."),
        shown("memory", "used_memory_startup", lambda own: 0, "Always 0."),
        shown("memory", "used_memory_dataset", lambda own: own.data, "Data alone.", metric="memory_data_bytes"),
        shown(
            "memory",
            "used_memory_dataset_perc",
            lambda own: f"{100 * own.data / max(own.used, 1):.2f}%",
            "The data's part of what is used.",
        ),
        shown(
            "memory", "allocator_allocated", lambda own: own.heap.allocated, "Bytes that were asked of the allocators."
        ),
        shown("memory", "allocator_active", lambda own: own.heap.active, "Bytes of pages that hold something."),
        shown("memory", "allocator_resident", lambda own: own.heap.resident, "The same, and what is kept for reuse."),
        shown(
            "memory", "used_memory_vm_total", lambda own: own.lua, "Memory of Lua.", after="used_memory_vm_functions"
        ),
        shown("memory", "used_memory_vm_total_human", lambda own: human(own.lua), "The same with a unit."),
        shown(
            "memory",
            "used_memory_scripts",
            lambda own: own.scripts,
            "Texts of scripts and functions.",
            after="used_memory_functions",
        ),
        shown("memory", "used_memory_scripts_human", lambda own: human(own.scripts), "The same with a unit."),
        shown(
            "memory", "maxmemory", lambda own: own.limit, "The limit (maxmemory); 0 is none.", metric="memory_max_bytes"
        ),
        shown("memory", "maxmemory_human", lambda own: human(own.limit), "The same with a unit."),
        shown("memory", "maxmemory_policy", lambda own: own.policy, "What is evicted at the limit."),
        shown(
            "memory",
            "allocator_frag_ratio",
            lambda own: f"{own.heap.fragmentation[0]:.2f}",
            "Active in proportion to allocated.",
        ),
        shown("memory", "allocator_frag_bytes", lambda own: own.heap.fragmentation[1], "Active beyond allocated."),
        shown(
            "memory", "allocator_rss_ratio", lambda own: f"{own.heap.kept[0]:.2f}", "Resident in proportion to active."
        ),
        shown("memory", "allocator_rss_bytes", lambda own: own.heap.kept[1], "Resident beyond active."),
        shown(
            "memory",
            "rss_overhead_ratio",
            lambda own: f"{own.heap.overhead[0]:.2f}",
            "The process in proportion to what its allocators hold.",
        ),
        shown("memory", "rss_overhead_bytes", lambda own: own.heap.overhead[1], "The process beyond that."),
        shown(
            "memory",
            "mem_fragmentation_ratio",
            lambda own: f"{own.rss / max(own.used, 1):.2f}",
            "The process in proportion to what is used.",
        ),
        shown("memory", "mem_fragmentation_bytes", lambda own: own.rss - own.used, "The process beyond that."),
        shown("memory", "mem_allocator", lambda own: ALLOCATOR, "The allocators.", after="mem_aof_buffer"),
    )
