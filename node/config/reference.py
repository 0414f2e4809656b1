"""The reference page of all directives, told from the table (`make docs` writes it to docs/directives.md)."""

from __future__ import annotations

from node.config.directive import Directive
from node.config.table import THEMES

HEAD = """# Directives

Every directive can stand in a configuration file (`maxmemory 100mb`) and on the command line (`--maxmemory 100mb`);
those that are not marked *fixed* can be changed with `CONFIG SET`. Names and defaults are those of Redis 7.0 and 7.2,
with one exception: `cluster-node-timeout`. "Accepted, without effect" means: read so that existing files load.
What would promise safety that is not there yet refuses any value but its default.

This page is written by `make docs`.
"""


def markdown() -> str:
    """The page, theme by theme."""
    parts = [HEAD]
    for theme, directives in THEMES.items():
        parts.append(f"\n## {theme}\n\n| directive | default | |\n|---|---|---|\n")
        parts.extend(_row(directive) for directive in directives if not directive.hidden)
    return "".join(parts)


def _row(directive: Directive) -> str:
    default = directive.kind.show(directive.default)
    marks = [mark for mark in ("fixed", "protected") if getattr(directive, mark)]
    notes = [directive.text, *(f"*{mark}*" for mark in marks)]
    if directive.aliases:
        notes.append(f"Also called `{'`, `'.join(directive.aliases)}`.")
    return f"| `{directive.name}` | {f'`{default}`' if default else ''} | {' '.join(notes)} |\n"
