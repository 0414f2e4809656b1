"""The reference page of all figures (`make docs` writes it to docs/figures.md)."""

from __future__ import annotations

from typing import Any

from node.monitoring.figure import Catalogue, Figure
from node.monitoring.info import ALL, title
from node.monitoring.metrics import PREFIX

HEAD = """# Figures

What a node tells about itself: with `INFO`, section by section, and on the admin port's `/metrics`. What is marked with
`R` begins again with `CONFIG RESETSTAT`. A field or metric that a node has no value for is left out.

This page is written by `make docs` from the lines beside what is counted: change those.
"""


def markdown(catalogue: Catalogue[Any]) -> str:
    """The page: INFO's sections, then the metrics that are no field of them."""
    parts = [HEAD]
    for section in ALL:
        if section in catalogue.sections:
            parts.append(f"\n## {title(section)}\n\n| field | what it is | metric | |\n|---|---|---|---|\n")
            parts += [_row(figure) for figure, _ in catalogue.sections[section]]
    parts.append("\n## Metrics alone\n\n| metric | what it is |\n|---|---|\n")
    alone = [figure for figure, _ in catalogue.metrics if not figure.field]
    parts += [f"| `{_metric(figure)}` | {figure.help} |\n" for figure in alone]
    parts.append(f"| `{PREFIX}command_seconds` | Duration of commands: a histogram for each. |\n")
    return "".join(parts)


def _row(figure: Figure[Any]) -> str:
    metric = f"`{_metric(figure)}`" if figure.metric else ""
    return f"| `{figure.field}` | {figure.help} | {metric} | {'R' if figure.reset else ''} |\n"


def _metric(figure: Figure[Any]) -> str:
    return PREFIX + figure.metric + ("_total" if figure.kind == "counter" else "")
