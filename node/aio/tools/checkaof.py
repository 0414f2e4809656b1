"""`python -m node.aio.tools.checkaof [--fix | --truncate-to-timestamp T] FILE` (`shardis check-aof`)."""

from __future__ import annotations

import os
import sys
from mmap import mmap

from node.aio.clock import unix_ms
from node.aio.disk import map_file
from node.persistence.aof.check import AofCheck

USAGE = "Usage: shardis check-aof [--fix|--truncate-to-timestamp $timestamp] <file.manifest|file.aof>"


class Terminal:
    """Files on the disk and a person at the terminal: node.persistence.aof.check.World."""

    def __init__(self) -> None:
        self.now_ms = unix_ms()

    def map(self, path: str) -> mmap | bytes:
        return map_file(path)

    def truncate(self, path: str, size: int) -> None:
        os.truncate(path, size)

    def say(self, text: str) -> None:
        print(text, end="" if text.endswith("? [y/N]: ") else "\n", flush=True)

    def confirmed(self) -> bool:
        return sys.stdin.readline()[:1].lower() == "y"


def main(argv: list[str]) -> int:
    """The exit code: 0, a node would load the files (now); 1, it would not, or they cannot be read."""
    fix, until_s = False, None
    match argv:
        case [path] if not path.startswith("--"):
            pass
        case ["--fix", path]:
            fix = True
        case ["--truncate-to-timestamp", text, path]:
            if not text.isdigit():
                print("Invalid timestamp, aborting...")
                return 1
            until_s = int(text)
        case _:
            print(USAGE)
            return 1
    try:
        return 0 if AofCheck(Terminal(), fix, until_s).run(path) else 1
    except OSError as error:
        print(f"Cannot open file {error.filename or path}: {error.strerror}, aborting...")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
