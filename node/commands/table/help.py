"""The HELP subcommand of every container, told from the command table itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.commands.table.argspec import synopsis
from node.commands.table.spec import CommandSpec, command, declared
from node.replies import Reply

if TYPE_CHECKING:
    from node.engine.session.session import Session


def help_for(container: str, *, group: str, since: str, acl: str = "") -> None:
    """Declare `<container> HELP`."""

    def show_help(s: Session, argv: list[bytes]) -> Reply:
        prefix = container.lower() + "|"
        return help_lines(argv[0], [spec for spec in declared() if spec.name.startswith(prefix)])

    declare_it = command(
        f"{container} HELP",
        arity=2,
        flags="loading stale",
        group=group,
        since=since,
        summary="Describe the subcommands.",
        complexity="O(1)",
        acl=acl,
    )
    declare_it(show_help)


def help_lines(name: bytes, subcommands: list[CommandSpec]) -> list[str]:
    """The reply of HELP; clients and test suites rely on its first and its last two lines."""
    title = name.decode("utf-8", "surrogateescape").upper()
    lines = [f"{title} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
    for spec in subcommands:
        subcommand = spec.name.partition("|")[2].upper()
        if subcommand != "HELP":
            lines.append(f"{subcommand} {synopsis(spec.args)}".rstrip())
            lines.append(f"    {spec.summary}")
    return [*lines, "HELP", "    Prints this help."]
