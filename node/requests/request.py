"""A request: who asks for which command, in which words, and what that comes to.

An EXEC means the commands of its queue, and a command that runs a script has the flags that the script declares. Both
are found out here, once, and whoever decides anything about a request asks for its `parts`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from node.engine.session.session import Command, Session


class Part(NamedTuple):
    """One command of a request. `flags` are those that it has this time."""

    command: Command
    words: list[bytes]
    flags: frozenset[str]


@dataclass
class Request:
    """`words` has the command's name first, and a subcommand's second."""

    session: Session
    command: Command
    words: list[bytes]

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The command itself, and if it is EXEC, those that it would run."""
        own = self._part(self.command, self.words)
        if self.command.name != b"exec":
            return (own,)
        return (own, *(self._part(command, words) for command, words in self.session.multi or ()))

    @property
    def writes(self) -> bool:
        return any("write" in part.flags for part in self.parts)

    @property
    def keys(self) -> list[bytes]:
        """What decides the slot: keys, and channels of sharded pub/sub."""
        return [part.words[at] for part in self.parts for at in part.command.spec.get_keys(part.words)]

    def _part(self, command: Command, words: list[bytes]) -> Part:
        usual: frozenset[str] = command.spec.flags
        return Part(command, words, self.session.node.scripts.declared(command, words) if "script" in usual else usual)
