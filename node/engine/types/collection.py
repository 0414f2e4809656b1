"""What every class of values has for the keyspace, whatever its type: for mypy. record.pxd is the engine's side."""

from __future__ import annotations

from typing import Protocol, Self


class Collection(Protocol):
    """A value that is an object: its class has a record."""

    @property
    def encoding(self) -> str:
        """As OBJECT ENCODING calls it."""

    def __len__(self) -> int:
        """How many elements; a key whose value has none is deleted."""

    def memory(self) -> int:
        """The bytes that it occupies."""

    def copy(self) -> Self:
        """Another one with the same elements."""

    def free_some(self, budget: int) -> bool:
        """Free a slice of one that nobody needs any more, of about so many elements; True: there is more."""
