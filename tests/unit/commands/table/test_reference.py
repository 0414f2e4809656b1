"""docs/commands.md is written from the table."""

from __future__ import annotations

from node.commands.table.reference import markdown
from node.commands.table.registry import assemble
from node.commands.table.spec import declare


def test_a_row_for_each_command_and_subcommand_but_none_for_mere_containers() -> None:
    page = markdown(
        assemble(
            [
                declare("CONFIG", arity=-2, group="server", since="2.0.0", summary="Configure."),
                declare(
                    "CONFIG GET",
                    arity=-3,
                    group="server",
                    since="2.0.0",
                    summary="Return directives.",
                    complexity="O(N)",
                    args="(A|B)=which parameter...",
                    native=True,
                ),
            ]
        )
    )
    assert page.endswith(
        "## server\n\n"
        "| command | what it does | cost | since |\n"
        "|---|---|---|---|\n"
        "| `CONFIG GET <A\\|B> parameter [parameter ...]` | Return directives. | O(N) | 2.0.0 |\n"
    )
