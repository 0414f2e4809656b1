"""The manifest of the append-only files: which files there are, in which order they are loaded.

    file appendonly.aof.2.base.rdb seq 2 type b
    file appendonly.aof.1.incr.aof seq 1 type h
    file appendonly.aof.2.incr.aof seq 2 type i

The *base* holds the data of the moment when a rewrite began, the *increments* what has been written since; *history*
is what a later base made superfluous and waits to be deleted. The text and the names are those of Redis 7, so that
either server can go on with the files of the other. A manifest is a value: what changes gives a new one, which counts
once it is on disk.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from node.config.words import Unbalanced, quote, split_words, to_bytes, to_text

LINE_BYTES_MAX = 1024

BASE = "b"
HISTORY = "h"
INCREMENT = "i"

MALFORMED = "Invalid AOF manifest file format"


class BadManifest(Exception):
    """The text is no manifest. `line` is the line that is wrong, if it is one, and `number` counts lines from 1."""

    def __init__(self, why: str, number: int = 0, line: str = "") -> None:
        super().__init__(why)
        self.number = number
        self.line = line


@dataclass(frozen=True, slots=True)
class Part:
    """One file."""

    name: str
    seq: int
    kind: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of one node. A sequence number, once given, is not given again while its file may be there."""

    base: Part | None = None
    history: tuple[Part, ...] = ()
    increments: tuple[Part, ...] = ()
    base_seq: int = 0
    increment_seq: int = 0

    @property
    def parts(self) -> tuple[Part, ...]:
        """What is loaded, in this order."""
        return (*((self.base,) if self.base else ()), *self.increments)

    def text(self) -> bytes:
        """As it stands in the file."""
        parts = (*((self.base,) if self.base else ()), *self.history, *self.increments)
        return b"".join(_line(part) for part in parts)

    # -- changes

    def with_base(self, name: str, seq: int) -> Manifest:
        """Another base; the one before becomes history."""
        history = self.history
        if self.base is not None:
            history = (replace(self.base, kind=HISTORY), *history)
        return replace(self, base=Part(name, seq, BASE), base_seq=seq, history=history)

    def with_new_base(self, prefix: str, suffix: str) -> Manifest:
        """A base with the next number. `suffix` says what is in it: rdb or aof."""
        seq = self.base_seq + 1
        return self.with_base(f"{prefix}.{seq}.base.{suffix}", seq)

    def with_new_increment(self, prefix: str) -> Manifest:
        """One more file for what is written from now on."""
        seq = self.increment_seq + 1
        part = Part(f"{prefix}.{seq}.incr.aof", seq, INCREMENT)
        return replace(self, increments=(*self.increments, part), increment_seq=seq)

    def rewritten(self, keep_last: bool) -> Manifest:
        """A new base holds what the increments held. `keep_last`: but for the last one, which is being written."""
        end = len(self.increments) - 1 if keep_last else len(self.increments)
        past = (replace(part, kind=HISTORY) for part in self.increments[:end])
        return replace(self, increments=self.increments[end:], history=(*past, *self.history))

    def without_history(self) -> Manifest:
        return replace(self, history=())


def _line(part: Part) -> bytes:
    return to_bytes(f"file {_quoted_if_needed(part.name)} seq {part.seq} type {part.kind}\n")


def _quoted_if_needed(name: str) -> str:
    plain = all(0x21 <= byte < 0x7F and byte not in b"\\\"'" for byte in to_bytes(name))
    return name if plain else quote(name)


def parse(data: bytes) -> Manifest:
    """The manifest that a text describes; raises BadManifest, with Redis' words for what is wrong."""
    if not data:
        raise BadManifest("Found an empty AOF manifest")
    manifest = Manifest()
    lines = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        if line.startswith(b"#") or (number == len(lines) and not line):
            continue
        if number == len(lines) or len(line) >= LINE_BYTES_MAX:
            raise BadManifest("The AOF manifest file contains too long line")
        manifest = _add(manifest, to_text(line.strip(b" \t\r\n")), number)
    return manifest


def _add(manifest: Manifest, line: str, number: int) -> Manifest:
    part = _part(line, number)
    match part.kind:
        case "b":
            if manifest.base is not None:
                raise BadManifest("Found duplicate base file information", number, line)
            return replace(manifest, base=part, base_seq=part.seq)
        case "h":
            return replace(manifest, history=(*manifest.history, part))
        case "i":
            if part.seq <= manifest.increment_seq:
                raise BadManifest("Found a non-monotonic sequence number", number, line)
            return replace(manifest, increments=(*manifest.increments, part), increment_seq=part.seq)
    raise BadManifest("Unknown AOF file type", number, line)


def _part(line: str, number: int) -> Part:
    """Pairs of a word and its value; words of later versions are passed over."""
    try:
        words = split_words(line)
    except Unbalanced:
        words = []
    if len(words) < 6 or len(words) % 2:
        raise BadManifest(MALFORMED, number, line)
    facts = {word.lower(): value for word, value in zip(words[::2], words[1::2], strict=True)}
    name, seq, kind = facts.get("file"), _number(facts.get("seq", "")), facts.get("type", "")
    if name is not None and "/" in name:
        raise BadManifest("File can't be a path, just a filename", number, line)
    if not name or seq == 0 or not kind:
        raise BadManifest(MALFORMED, number, line)
    return Part(name, seq, kind[0])


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and text.isascii() else 0
