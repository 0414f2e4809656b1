"""CONFIG: the directives of node/config over the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.commands.table.help import help_for
from node.commands.table.spec import command, container
from node.config.words import to_bytes, to_text
from node.replies import OK, SYNTAX, Reply
from node.requests.clients import is_local

if TYPE_CHECKING:
    from node.engine.session.session import Session

container(
    "CONFIG",
    arity=-2,
    group="server",
    since="2.0.0",
    summary="Commands about the configuration.",
    complexity="that of the subcommand",
)


@command(
    "CONFIG GET",
    arity=-3,
    flags="admin noscript loading stale",
    group="server",
    since="2.0.0",
    summary="Return the values of directives that match patterns.",
    complexity="O(N), N: directives given",
    args="(parameter)=parameter...",
    history={"7.0.0": "Several patterns in one call."},
)
def config_get(s: Session, argv: list[bytes]) -> Reply:
    found = s.node.config.get(map(to_text, argv[2:]))
    return {to_bytes(name): to_bytes(value) for name, value in found.items()}


help_for("CONFIG", group="server", since="5.0.0")


@command(
    "CONFIG RESETSTAT",
    arity=2,
    flags="admin noscript loading stale",
    group="server",
    since="2.0.0",
    summary="Set the statistics of INFO to zero.",
    complexity="O(1)",
    tips="request_policy:all_nodes response_policy:all_succeeded",
)
def config_resetstat(s: Session, argv: list[bytes]) -> Reply:
    s.node.reset_stats()
    return OK


@command(
    "CONFIG REWRITE",
    arity=2,
    flags="admin noscript loading stale",
    group="server",
    since="2.8.0",
    summary="Write the present configuration to the configuration file.",
    complexity="O(1)",
    tips="request_policy:all_nodes response_policy:all_succeeded",
)
def config_rewrite(s: Session, argv: list[bytes]) -> Reply:
    s.node.config.rewrite()
    return OK


@command(
    "CONFIG SET",
    arity=-4,
    flags="admin noscript loading stale",
    group="server",
    since="2.0.0",
    summary="Change directives.",
    complexity="O(N), N: directives given",
    args="(parameter value)=parameter_value...",
    tips="request_policy:all_nodes response_policy:all_succeeded",
    history={"7.0.0": "Several directives in one call."},
)
def config_set(s: Session, argv: list[bytes]) -> Reply:
    if len(argv) % 2:
        raise SYNTAX
    words = [to_text(word) for word in argv[2:]]
    s.node.config.set(
        list(zip(words[::2], words[1::2], strict=True)),
        loading=s.node.loading.active,
        local=is_local(s),
    )
    return OK
