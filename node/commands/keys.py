"""Commands for keys of any type."""

from __future__ import annotations

from node.commands.help import help_for
from node.commands.spec import container, native

native(
    "DEL",
    arity=-2,
    flags="write",
    keys="1..-1 RM delete",
    group="generic",
    since="1.0.0",
    summary="Delete keys.",
    complexity="O(N), N: keys; a collection adds its number of elements",
    args="key...",
    tips="request_policy:multi_shard response_policy:agg_sum",
)

native(
    "EXISTS",
    arity=-2,
    flags="readonly fast",
    keys="1..-1 RO",
    group="generic",
    since="1.0.0",
    summary="Count how many of the keys exist.",
    complexity="O(N), N: keys",
    args="key...",
    tips="request_policy:multi_shard response_policy:agg_sum",
    history={"3.0.3": "More than one `key`."},
)


container(
    "OBJECT",
    arity=-2,
    acl="-keyspace",
    group="generic",
    since="2.2.3",
    summary="Commands that look inside values.",
    complexity="that of the subcommand",
)


help_for("OBJECT", group="generic", since="6.2.0")
