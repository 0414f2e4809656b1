"""`python -m node [FILE] [--directive value ...]`: one server process, started as redis-server is."""

from __future__ import annotations

import os
import sys


def main(argv: list[str]) -> int:
    """Read the configuration and serve; the exit code."""
    if argv and argv[0] in ("-v", "--version"):
        from node.version import server_line

        print(server_line())
        return 0
    if argv and argv[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    for option in argv:
        if option in ABSENT:
            print(f"{option}: {ABSENT[option]}", file=sys.stderr)
            return 1
    problem = _foreign_package()
    if problem:
        print(f"shardis node: {problem}", file=sys.stderr)
        return 1
    from node.aio import lean_imports

    lean_imports.run()
    from node.aio.config_files import load_config
    from node.aio.logfile import why_not_writable
    from node.aio.supervision import Supervisor, go_into_background
    from node.config import ConfigFileError

    try:
        config = load_config(argv)
    except ConfigFileError as error:
        print(f"*** FATAL CONFIG FILE ERROR ***\n{error}", file=sys.stderr)
        return 1
    try:
        os.chdir(config["dir"])
    except OSError as error:
        print(f"Cannot use 'dir {config['dir']}': {error.strerror}", file=sys.stderr)
        return 1
    config.put("dir", os.getcwd())
    if config["logfile"] and (why := why_not_writable(config["logfile"])):
        print(f"Can't open the log file 'logfile {config['logfile']}': {why}", file=sys.stderr)
        return 1
    supervisor = Supervisor(config["supervised"])
    if config["daemonize"] and config["supervised"] == "no":
        go_into_background()
    from node.aio.server import run

    return run(config, supervisor)


def _foreign_package() -> str | None:
    """What is wrong if another package stands in the place of one of ours."""
    try:
        from cluster.packages import shadowed
    except ImportError as error:
        return f"another package called 'cluster' hides the one of shardis: {error}"
    return shadowed()


USAGE = """Usage: shardis-server [FILE] [--directive value ...] [-]       (or: shardis node ...)
       shardis-server                       (a server with the defaults, on port 6379)
       shardis-server FILE --port 7000      (FILE is a redis.conf; options count more)
       shardis-server -                     (reads the configuration from standard input)
       shardis-server --cluster-enabled yes --dir /var/lib/shardis
       shardis-server -v | --version
       shardis-server -h | --help

Every directive of redis.conf can be given as an option; `CONFIG GET *` on a running node lists them."""

# What redis-server does besides being a server.
ABSENT = {
    "--sentinel": "there is no Sentinel here: the nodes of a cluster (cluster-enabled yes) fail over by themselves",
    "--test-memory": "this program does not test memory; memtester does",
    "--check-system": "this program does not check the system",
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
