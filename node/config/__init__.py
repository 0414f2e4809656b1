"""The configuration of a node: the directive table, files and command lines, CONFIG GET/SET/REWRITE.

    kinds, special   what a value can be           directive   one directive
    server, data, durability, clustering, tls      the directives by theme; table: all of them by name
    words            words and quotes of a line    load        file and command line -> Config
    store            Config: values, get, set      rewrite     old file text -> new file text

Everything here is pure; node/aio/config_files.py reads and writes the files.
"""

from node.config.kinds import BadValue
from node.config.load import ConfigFileError, Files, load
from node.config.store import Config, ConfigFile
from node.config.table import DIRECTIVES, NAMES, THEMES, nearest

__all__ = [
    "DIRECTIVES",
    "NAMES",
    "THEMES",
    "BadValue",
    "Config",
    "ConfigFile",
    "ConfigFileError",
    "Files",
    "load",
    "nearest",
]
