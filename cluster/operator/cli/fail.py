"""How commands end when they cannot do what was asked: a sentence on standard error and an exit code.

0 is success, 1 a request that cannot be carried out (or an unhealthy cluster), 2 a command line that makes no sense,
130 an interruption.
"""

from __future__ import annotations

from typing import NoReturn

import typer


def fail(why: str, code: int = 1) -> NoReturn:
    """End the command with an error."""
    typer.echo(f"shardis: {why}", err=True)
    raise typer.Exit(code)
