"""Every story in RESP2 and RESP3, on a plain server and on a cluster of one node: ours answers like the oracle."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.servers import Pair
from tests.support.story import Story, read_stories, report, tell

STORIES = [story for path in sorted(Path(__file__).parent.glob("stories/*.txt")) for story in read_stories(path)]
CASES = [
    pytest.param(story, mode, proto, id=f"{story}-{mode}-resp{proto}")
    for story in STORIES
    for mode in ("standalone", "cluster")
    for proto in (2, 3)
    if story.mode in (None, mode) and story.proto in (None, proto)
]


@pytest.mark.parametrize(("story", "mode", "proto"), CASES)
def test_story(story: Story, mode: str, proto: int, pair: Pair) -> None:
    differences = tell(story, pair.ours(mode), pair.oracle(mode, story.oracle), proto)
    if differences:
        pytest.fail(report(story, differences), pytrace=False)
