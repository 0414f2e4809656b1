"""Every scenario in this folder, against real nodes that form their cluster over the wire."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.scenario import Stage, read_blocks
from tests.support.servers import Fleet

FILES = sorted(Path(__file__).parent.glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenario(path: Path, fleet: Fleet, request: pytest.FixtureRequest) -> None:
    record = request.config.getoption("--rerecord")
    blocks = read_blocks(path)
    stage = Stage(fleet)
    try:
        for block in blocks:
            printed = stage.play(block, record)
            if record:
                block.transcript = printed
            elif printed != block.transcript:
                pytest.fail(_difference(path.name, block.commands, block.transcript, printed), pytrace=False)
    finally:
        stage.close()
    if record:
        path.write_text("\n".join(block.text() for block in blocks))


def _difference(name: str, commands: list[str], expected: list[str], printed: list[str]) -> str:
    told = "\n".join(f"    {command}" for command in commands)
    was, now = ("\n".join(f"    {line}" for line in lines) for lines in (expected, printed))
    return f"{name}:\n{told}\n  should print\n{was}\n  but prints\n{now}"
