"""`python -m node.aio.tools.checkrdb FILE`: is it an RDB file that a node would load? (`shardis check-rdb`)"""

from __future__ import annotations

import sys

from node.aio.clock import unix_ms
from node.aio.disk import map_file
from node.persistence.rdb.check import Check


def main(argv: list[str]) -> int:
    """The exit code: 0, the file is sound; 1, it is not, or cannot be read."""
    if len(argv) != 1:
        print("Usage: shardis check-rdb <rdb-file-name>", file=sys.stderr)
        return 1
    try:
        data = map_file(argv[0])
    except OSError as error:
        print(f"Cannot open file {argv[0]}: {error.strerror}", file=sys.stderr)
        return 1
    check = Check(data, argv[0], unix_ms())
    for line in check.lines():
        print(line, flush=True)
    return 0 if check.sound else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
