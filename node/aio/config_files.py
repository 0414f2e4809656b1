"""Configuration files on disk: what node/config's `Files` and `ConfigFile` ask for."""

from __future__ import annotations

import glob
import os
import sys

from cluster.aio.durable import replace_file
from node.config import Config, load
from node.config.words import to_bytes, to_text


class ConfigFilesOnDisk:
    """Files by their paths, relative to the working directory."""

    def read(self, path: str) -> str:
        with open(path, "rb") as file:
            return to_text(file.read())

    def matching(self, pattern: str) -> list[str]:
        return sorted(glob.glob(pattern))

    def absolute(self, path: str) -> str:
        return os.path.abspath(path)

    def standard_input(self) -> str:
        return to_text(sys.stdin.buffer.read())


class ConfigFileOnDisk:
    """The file that CONFIG REWRITE replaces: written beside it, flushed, then renamed over it."""

    def __init__(self, path: str) -> None:
        self.path = path

    def read(self) -> str:
        try:
            with open(self.path, "rb") as file:
                return to_text(file.read())
        except FileNotFoundError:
            return ""

    def write(self, text: str) -> None:
        replace_file(self.path, [to_bytes(text)])


def load_config(argv: list[str]) -> Config:
    """The configuration of a command line, ready for CONFIG REWRITE; raises ConfigFileError."""
    config = load(argv, ConfigFilesOnDisk())
    if config.path:
        config.file = ConfigFileOnDisk(config.path)
    return config
