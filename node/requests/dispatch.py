"""A request that the engine could not run at once: what it asks for, what the gates say, and what follows from that.

    known? -> arity -> the gates (gates.py) -> run, or refuse, or keep for later

Most requests never come here: the engine (node/engine/session/session.pyx) has seen at one glance that no gate stops
them. Refusals are counted and mark a transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node import flags
from node.engine.session.session import words_bytes
from node.replies import CommandError, Redirection, unknown_subcommand, wrong_arity
from node.requests.gates import Verdict, source_of, verdict
from node.requests.request import Request
from node.requests.transactions import discard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from node.engine.session.session import Command, Engine, Session
    from node.requests.clients import Clients
    from node.requests.pause import Pause
    from node.requests.transactions import WatchTable

# Words that begin a line of HTTP. A browser can be made to send such requests, with commands in their body.
OF_HTTP = frozenset({b"post", b"host:"})

QUEUED_BYTES = 64
"""What a command in the queue of a transaction takes beside its words."""


class Dispatch:
    """Takes the engine's long way for one node."""

    def __init__(
        self,
        engine: Engine,
        commands: Mapping[bytes, Command],
        clients: Clients,
        pause: Pause,
        watches: WatchTable,
        look_for_room: Callable[[], None],
    ) -> None:
        """`look_for_room` is told that a request comes, which may find the data over maxmemory."""
        self._engine = engine
        self._commands = commands
        self._clients = clients
        self._pause = pause
        self._watches = watches
        self._look_for_room = look_for_room

    def execute(self, session: Session, argv: list[bytes]) -> None:
        """Run one request, queue it, park it, or refuse it."""
        command = find(self._commands, argv)
        if isinstance(command, CommandError):
            if argv[0].lower() in OF_HTTP:
                self._clients.spoke_http(session)
                return
            self._refuse(session, None, argv, command)
            return
        if not accepts(command, len(argv)):
            self._refuse(session, command, argv, wrong_arity(command.name.decode()))
            return
        self._look_for_room()
        said = verdict(Request(session, command, argv), self._engine.states | session.flags, source_of(session))
        match said:
            case None:
                session.perform(command, argv)
                if command.name not in (b"asking", b"multi"):  # it holds for a command, or the transaction that follows
                    session.flags &= ~flags.ASKING
            case Verdict.HOLD:
                self._pause.park(session, argv)
            case Verdict.QUEUE:
                queue(session, command, argv)
            case CommandError():
                self._refuse(session, command, argv, said)

    def _refuse(self, session: Session, command: Command | None, argv: list[bytes], error: CommandError) -> None:
        """Reply the error; a transaction that was being queued will not run."""
        if command is not None:
            command.rejected += 1
        if session.flags & flags.MULTI:
            session.flags |= flags.DIRTY_EXEC
        else:
            session.flags &= ~flags.ASKING
        if argv[0].lower() == b"exec":
            discard(session, self._watches)
            if not isinstance(error, Redirection):
                reason = error.text.removeprefix(b"ERR ")
                error = CommandError(b"EXECABORT Transaction discarded because of: " + reason)
        session.error(error)


def find(commands: Mapping[bytes, Command], argv: list[bytes]) -> Command | CommandError:
    """The command or subcommand that a request names."""
    command = commands.get(argv[0].lower())
    if command is None:
        return unknown_command(argv)
    if command.subcommands and len(argv) > 1:
        return command.subcommands.get(argv[1].lower()) or unknown_subcommand(argv[1], command.name.decode())
    return command


def accepts(command: Command, argc: int) -> bool:
    """True if a request of `argc` words, the name included, fits the arity."""
    arity = command.arity
    return argc == arity if arity > 0 else argc >= -arity


def unknown_command(argv: list[bytes]) -> CommandError:
    shown = b""
    for arg in argv[1:]:
        if len(shown) >= 128:
            break
        shown += b"'%s' " % arg[: 128 - len(shown)]
    return CommandError(b"ERR unknown command '%s', with args beginning with: %s" % (argv[0][:128], shown))


def queue(session: Session, command: Command, argv: list[bytes]) -> None:
    if not session.flags & (flags.DIRTY_CAS | flags.DIRTY_EXEC):
        # What is going to fail anyway is not worth its memory.
        assert session.multi is not None  # MULTI has begun it
        session.multi.append((command, argv))
        session.multi_bytes += QUEUED_BYTES + words_bytes(argv)
    session.reply("QUEUED")
