"""Configuration files and command lines, CONFIG GET and SET, CONFIG REWRITE."""

from __future__ import annotations

import fnmatch
import posixpath
from pathlib import Path

import pytest

from node.config import BadValue, Config, ConfigFileError, load
from node.config.reference import markdown
from node.replies import CommandError


class MemoryFiles:
    """Files in a dict."""

    def __init__(self, files: dict[str, str] | None = None, standard_input: str = "") -> None:
        self.files = files or {}
        self.input = standard_input

    def read(self, path: str) -> str:
        if path not in self.files:
            raise FileNotFoundError(2, "No such file or directory", path)
        return self.files[path]

    def matching(self, pattern: str) -> list[str]:
        return sorted(fnmatch.filter(self.files, pattern))

    def absolute(self, path: str) -> str:
        return posixpath.join("/etc", path)

    def standard_input(self) -> str:
        return self.input


def test_a_file_is_read_with_comments_quotes_and_aliases() -> None:
    text = '# a comment\n\n  PORT 7001 \nslave-priority 10\nrequirepass "two words"\nmaxmemory 1mb\r\n'
    config = load(["n.conf"], MemoryFiles({"/etc/n.conf": text}))
    assert (config["port"], config["replica-priority"], config["requirepass"]) == (7001, 10, "two words")
    assert config["maxmemory"] == 1 << 20
    assert config.path == "/etc/n.conf"


def test_save_lines_replace_the_built_in_ones_and_add_up() -> None:
    def saves(text: str, *options: str) -> object:
        return load(["f", *options], MemoryFiles({"/etc/f": text}))["save"]

    assert saves("") == ((3600, 1), (300, 100), (60, 10000))
    assert saves("save 900 1\nsave 60 5") == ((900, 1), (60, 5))
    assert saves("save 900 1 60 5") == ((900, 1), (60, 5))
    assert saves('save ""') == ()
    assert saves("save 900 1", "--save", "60", "5") == ((900, 1), (60, 5))
    assert saves("save 900 1", "--save", "") == ()


def test_include_is_read_in_place_and_cycles_are_refused() -> None:
    files = {
        "/etc/a": "port 1\ninclude b\nhz 20",
        "/etc/b": "port 2\nhz 10",
        "/etc/c": "include d",
        "/etc/d": "include c",
    }
    config = load(["a"], MemoryFiles(files))
    assert (config["port"], config["hz"]) == (2, 20)
    with pytest.raises(ConfigFileError, match="'/etc/c' includes itself: /etc/c -> /etc/d -> /etc/c"):
        load(["c"], MemoryFiles(files))
    wild = {"/etc/a": "include /etc/conf.d/*.conf", "/etc/conf.d/1.conf": "port 1", "/etc/conf.d/2.conf": "port 2"}
    assert load(["a"], MemoryFiles(wild))["port"] == 2
    assert load(["a"], MemoryFiles({"/etc/a": "include /none/*"}))["port"] == 6379
    with pytest.raises(ConfigFileError, match="Can't open config file '/etc/missing': No such file"):
        load(["missing"], MemoryFiles())


def test_command_line_comes_after_file_and_standard_input() -> None:
    config = load(["a", "-", "--port", "3"], MemoryFiles({"/etc/a": "port 1\nhz 11"}, "port 2\ntimeout 5"))
    assert (config["port"], config["hz"], config["timeout"]) == (3, 11, 5)


OPTIONS = [
    (["--port", "6380", "--loglevel", "verbose"], {"port": "6380", "loglevel": "verbose"}),
    (["--port 6380", "--loglevel", "verbose"], {"port": "6380", "loglevel": "verbose"}),
    (["--save", "--port", "6380"], {"save": "", "port": "6380"}),
    (["--port", "6380", "--save"], {"save": "", "port": "6380"}),
    (["--save", "", "--port", "6380"], {"save": "", "port": "6380"}),
    (["--save", "60", "1", "--save", "30", "2"], {"save": "60 1 30 2"}),
    (["--proc-title-template", "--my--title", "--port", "1"], {"proc-title-template": "--my--title", "port": "1"}),
    (["--shutdown-on-sigint", "nosave force now"], {"shutdown-on-sigint": "nosave now force"}),
    (["--shutdown-on-sigint", "nosave", "force"], {"shutdown-on-sigint": "nosave force"}),
    (["--bind", "127.0.0.1", "-::1"], {"bind": "127.0.0.1 -::1"}),
]  # fmt: skip


@pytest.mark.parametrize(("argv", "shown"), OPTIONS)
def test_options(argv: list[str], shown: dict[str, str]) -> None:
    assert load(argv, MemoryFiles()).get(shown) == shown


REFUSED = [
    (["--port"], ">>> 'port'\nwrong number of arguments"),
    (["--port", "1", "--loglevel"], ">>> 'loglevel'\nwrong number of arguments"),
    (["--port", "1", "2"], ">>> 'port \"1\" \"2\"'\nwrong number of arguments"),
    (["--port", "--loglevel", "verbose"], ">>> 'port \"--loglevel\" \"verbose\"'\nwrong number of arguments"),
    (["--port", "x"], "couldn't be parsed into an integer"),
    (["--maxmemry", "1"], "there is no directive 'maxmemry'; did you mean 'maxmemory'?"),
    (["--slave-priorty", "1"], "did you mean 'slave-priority'?"),
    (["--loadmodule", "x.so"], "Modules cannot be loaded"),
    (["--user", "alice", "on"], "no user but 'default'"),
    (["--aclfile", "users.acl"], "must stay at its default: there is no user"),
    (["--tls-cluster", "yes"], "must stay at its default: there is no TLS"),
    (["--tls-port", "6379"], "behind a TLS proxy"),
    (["--tls-session-caching", "no"], "behind a TLS proxy"),
    (["--logfile", "a\0b"], "a path cannot hold a zero byte"),
    (["--replicaof", "h", "1", "--cluster-enabled", "yes"], "replicaof directive not allowed in cluster mode"),
    (["--requirepass", 'a', "--dir 'x"], "Unbalanced quotes in configuration line"),
]  # fmt: skip


@pytest.mark.parametrize(("argv", "why"), REFUSED)
def test_a_bad_configuration_is_refused_with_its_line(argv: list[str], why: str) -> None:
    with pytest.raises(ConfigFileError) as refusal:
        load(argv, MemoryFiles())
    assert why in str(refusal.value)


def test_config_get_takes_names_aliases_and_patterns() -> None:
    config = Config()
    assert config.get(["maxmemory"]) == {"maxmemory": "0"}
    assert config.get(["MaxMemory"]) == {"MaxMemory": "0"}
    assert config.get(["nothing", "x*"]) == {}
    assert config.get(["slave-prio*", "?z"]) == {"slave-priority": "100", "hz": "10"}
    assert config.get(["*-max-[lz]i[^p]*-value", "hz"]) == {
        "hash-max-listpack-value": "64",
        "set-max-listpack-value": "64",
        "zset-max-listpack-value": "64",
        "hz": "10",
    }
    assert "key-load-delay" not in config.get(["*"])
    assert config.get(["key-load-delay"]) == {"key-load-delay": "0"}


SET_REFUSED = [
    ([("daemonize", "yes")], "daemonize", "can't set immutable config"),
    ([("dir", "/")], "dir", "can't set protected config"),
    ([("maxmemory", "1"), ("MAXMEMORY", "2")], "MAXMEMORY", "duplicate parameter"),
    ([("hz", "20"), ("timeout", "x")], "timeout", "argument couldn't be parsed into an integer"),
    ([("hz", "20"), ("save", "1")], "save", "Invalid save parameters"),
    (
        [("hz", "20"), ("tls-replication", "yes")],
        "tls-replication",
        "tls-replication has no effect in this version, so it must stay at its default: "
        "there is no TLS; keep the node in a trusted network, or behind a TLS proxy",
    ),
]


@pytest.mark.parametrize(("pairs", "argument", "why"), SET_REFUSED)
def test_config_set_sets_all_or_nothing(pairs: list[tuple[str, str]], argument: str, why: str) -> None:
    config = Config()
    before = config.get(["*"])
    with pytest.raises(CommandError) as refusal:
        config.set(pairs)
    text = f"ERR CONFIG SET failed (possibly related to argument '{argument}') - {why}"
    assert refusal.value.text.decode() == text
    assert config.get(["*"]) == before


def test_config_set_names_an_unknown_directive_before_anything_else() -> None:
    with pytest.raises(CommandError) as refusal:
        Config().set([("daemonize", "yes"), ("nope", "1")])
    assert refusal.value.text == b"ERR Unknown option or number of arguments for CONFIG SET - 'nope'"


def test_protected_directives_can_be_opened_to_local_clients() -> None:
    config = load(["--enable-protected-configs", "local"], MemoryFiles())
    with pytest.raises(CommandError, match="protected"):
        config.set([("dbfilename", "x")])
    config.set([("dbfilename", "x")], local=True)
    assert config["dbfilename"] == "x"


def test_some_directives_wait_for_the_end_of_loading() -> None:
    with pytest.raises(CommandError, match="LOADING"):
        Config().set([("appendonly", "yes")], loading=True)


def test_subscribers_hear_once_and_only_of_changes() -> None:
    config = Config()
    heard: list[tuple[int, int]] = []
    config.subscribe(["hz", "timeout"], lambda c: heard.append((c["hz"], c["timeout"])))
    config.set([("hz", "20"), ("timeout", "5")])
    config.set([("hz", "20"), ("maxmemory", "1")])
    assert heard == [(20, 5)]


def test_a_subscriber_that_refuses_undoes_the_whole_command() -> None:
    config = Config()
    heard: list[int] = []
    config.subscribe(["hz"], lambda c: heard.append(c["hz"]))

    def refuse(changed: Config) -> None:
        if changed["port"] == 1:
            raise BadValue("Unable to listen on this port. Check server logs.")

    config.subscribe(["port"], refuse)
    with pytest.raises(CommandError) as refusal:
        config.set([("hz", "20"), ("port", "1")])
    assert refusal.value.text.decode().endswith(
        "(possibly related to argument 'port') - Unable to listen on this port. Check server logs."
    )
    assert (config["hz"], config["port"]) == (10, 6379)
    assert heard == [20, 10]


class Ready:
    def __init__(self, told: list[str], name: str) -> None:
        self.told = told
        self.name = name

    def commit(self) -> None:
        self.told.append(f"commit {self.name}")

    def cancel(self) -> None:
        self.told.append(f"cancel {self.name}")


@pytest.mark.parametrize("error", [BadValue("no"), OSError(2, "no"), OverflowError("a bug")])
def test_whatever_goes_wrong_nothing_has_changed(error: Exception) -> None:
    config = Config()
    told: list[str] = []

    def refuse(config: Config) -> None:
        if config["hz"] == 20:
            raise error

    config.prepare(["port"], lambda config: Ready(told, f"port {config['port']}"))
    config.subscribe(["timeout"], lambda config: told.append(f"timeout {config['timeout']}"))
    config.subscribe(["hz"], refuse)
    before = config.get(["*"])
    with pytest.raises(type(error) if isinstance(error, OverflowError) else CommandError):
        config.set([("hz", "20"), ("timeout", "5"), ("port", "1")])
    assert config.get(["*"]) == before
    assert told == ["timeout 5", "cancel port 1", "timeout 0"]
    told.clear()
    config.set([("hz", "21"), ("timeout", "5"), ("port", "1")])
    assert told == ["timeout 5", "commit port 1"]


class OneFile:
    def __init__(self, text: str) -> None:
        self.text = text

    def read(self) -> str:
        return self.text

    def write(self, text: str) -> None:
        self.text = text


def rewritten(text: str, *pairs: tuple[str, str]) -> str:
    config = load(["f"], MemoryFiles({"/etc/f": text}))
    config.put("dir", "/data")
    config.set(list(pairs))
    file = OneFile(text)
    config.file = file
    config.rewrite()
    return file.text


# The lines that every rewrite adds when the old file lacks them.
TAIL = (
    "latency-tracking-info-percentiles 50 99 99.9\n"
    'dir "/data"\n'
    "save 3600 1\nsave 300 100\nsave 60 10000\n"
)  # fmt: skip
QUIET = '# x\nlatency-tracking-info-percentiles 50 99 99.9\ndir "/data"\nsave ""\n'

REWRITES = [
    ("", [], "# Generated by CONFIG REWRITE\n" + TAIL),
    (QUIET, [], QUIET),
    (QUIET + "\n\n\n# y\n", [], QUIET + "\n# y\n"),
    (QUIET + "port 1\n# y\n", [("port", "2")], QUIET + "port 2\n# y\n"),
    (QUIET + "hash-max-ziplist-value 3\n", [], QUIET + "hash-max-listpack-value 3\n"),
    (QUIET + "hz 5\nhz 6\n# y\n", [], QUIET + "hz 6\n\n# y\n"),
    (QUIET + "rename-command a b\nhz 10\n", [], QUIET + "rename-command a b\nhz 10\n"),
    (QUIET, [("requirepass", 'a "b')], QUIET + '# Generated by CONFIG REWRITE\nrequirepass "a \\"b"\n'),
    (QUIET + "requirepass x\n# y\n", [("requirepass", "")], QUIET + "\n# y\n"),
    (QUIET, [("save", "5 6")], QUIET.replace('save ""', "save 5 6")),
]  # fmt: skip


@pytest.mark.parametrize(("old", "pairs", "new"), REWRITES)
def test_rewrite_keeps_comments_and_order(old: str, pairs: list[tuple[str, str]], new: str) -> None:
    assert rewritten(old, *pairs) == new


def test_rewrite_comments_out_what_it_does_not_know() -> None:
    config = Config()
    config.file = file = OneFile("bogus 1\nhz 'x\n")
    config.rewrite()
    assert file.text.startswith("# ??? bogus 1\n# ??? hz 'x\n")


@pytest.mark.parametrize("everything", [False, True])
def test_a_rewritten_file_gives_the_same_configuration(everything: bool) -> None:
    config = Config()
    config.put("dir", "/data")
    pairs = [("maxmemory", "7mb"), ("save", ""), ("client-output-buffer-limit", "pubsub 1 2 3"), ("bind", "")]
    config.set(
        [*pairs, ("notify-keyspace-events", "KA"), ("shutdown-on-sigterm", "nosave now"), ("requirepass", "ü\n\"'")]
    )
    config.file = file = OneFile("")
    config.rewrite(everything)
    again = load(["f"], MemoryFiles({"/etc/f": file.text}))
    assert again.get(["*"]) == config.get(["*"])


def test_rewrite_without_a_file_and_with_a_failing_disk() -> None:
    config = Config()
    with pytest.raises(CommandError, match="The server is running without a config file"):
        config.rewrite()

    class FullDisk(OneFile):
        def write(self, text: str) -> None:
            raise OSError(28, "No space left on device")

    config.file = FullDisk("")
    with pytest.raises(CommandError) as refusal:
        config.rewrite()
    assert refusal.value.text == b"ERR Rewriting config file: No space left on device"


def test_the_reference_page_is_up_to_date() -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "directives.md"
    assert page.read_text(encoding="utf-8") == markdown(), "run `make docs`"
