"""How the memory of the process divides: what was asked for, what the allocators hold, what is in RAM."""

from __future__ import annotations

from dataclasses import dataclass

from node.engine.memory.alloc import slabs_and_mappings
from node.engine.memory.heap import heap


@dataclass(frozen=True, slots=True)
class Allocator:
    """Redis' figures, of the engine's slabs and of malloc together.

    `active` is in pages that hold something, `resident` also what is kept for reuse. What else is in RAM (the program,
    its stacks, Python's small objects) is `overhead`. Pages that were never touched count as resident, too, so
    that differences may be negative, as in Redis.
    """

    allocated: int
    active: int
    resident: int
    rss: int

    @property
    def fragmentation(self) -> tuple[float, int]:
        """As a ratio and in bytes, as the others."""
        return _compared(self.active, self.allocated)

    @property
    def kept(self) -> tuple[float, int]:
        return _compared(self.resident, self.active)

    @property
    def overhead(self) -> tuple[float, int]:
        return _compared(self.rss, self.resident)


def measure(rss: int) -> Allocator:
    """The figures of this moment; `rss` is the process' resident size."""
    allocated, active, resident = (ours + theirs for ours, theirs in zip(slabs_and_mappings(), heap(), strict=True))
    return Allocator(allocated, active, resident, rss)


def _compared(more: int, less: int) -> tuple[float, int]:
    return (more / less if less else 0.0), more - less
