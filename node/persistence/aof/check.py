"""Would a node load these append-only files? The report in redis-check-aof's words, and what mends them.

Only the last file may be cut: what follows a file was written in the belief that all of it is there.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Protocol

from node.persistence.aof.manifest import BadManifest, Part, parse
from node.persistence.aof.scan import Verdict, scan
from node.persistence.rdb import opcodes
from node.persistence.rdb.check import Check

if TYPE_CHECKING:
    from node.persistence.rdb.load import Data


class World(Protocol):
    """The files, and the person who asked."""

    now_ms: int

    def map(self, path: str) -> Data: ...

    def truncate(self, path: str, size: int) -> None: ...

    def say(self, text: str) -> None: ...

    def confirmed(self) -> bool:
        """The answer to a question that was just said."""


class Unsound(Exception):
    """A node would refuse the files, or they cannot be mended. The text has been said."""


class AofCheck:
    """One run. `fix` cuts off a damaged end, `until_s` what is later than a time."""

    def __init__(self, world: World, fix: bool = False, until_s: int | None = None) -> None:
        self.world = world
        self.fix = fix
        self.until_s = until_s

    def run(self, path: str) -> bool:
        """Check a manifest or a single file; False: it is not sound. OSError."""
        data = self.world.map(path)
        try:
            if is_manifest(data):
                self._all(path, bytes(data))
            else:
                self.world.say("Start checking Old-Style AOF")
                self._one(path, path, is_last=True, called="AOF")
        except Unsound:
            return False
        return True

    def _all(self, path: str, text: bytes) -> None:
        say, folder = self.world.say, posixpath.dirname(path)
        say("Start checking Multi Part AOF")
        try:
            manifest = parse(text)
        except BadManifest as error:
            say("*** FATAL AOF MANIFEST FILE ERROR ***")
            if error.line:
                say(f"Reading the manifest file, at line {error.number}")
                say(f">>> '{error.line}'")
            raise self._unsound(str(error)) from None
        parts = manifest.parts
        if manifest.base is not None:
            in_rdb = is_snapshot(self.world.map(posixpath.join(folder, manifest.base.name)))
            say(f"Start to check BASE AOF ({'RDB' if in_rdb else 'RESP'} format).")
            self._part(folder, manifest.base, manifest.base is parts[-1], "BASE AOF")
        if manifest.increments:
            say("Start to check INCR files.")
        for part in manifest.increments:
            self._part(folder, part, part is parts[-1], "INCR AOF")
        say("All AOF files and manifest are valid")

    def _part(self, folder: str, part: Part, is_last: bool, called: str) -> None:
        self._one(posixpath.join(folder, part.name), part.name, is_last, called)

    def _one(self, path: str, name: str, is_last: bool, called: str) -> None:
        say = self.world.say
        data = self.world.map(path)
        if not len(data):
            say(f"{called} {name} is empty")
            return
        verdict = scan(data, self._preamble(data, name), self.until_s)
        if verdict.cut_at is not None:
            self._cut_to_time(path, verdict.cut_at, is_last)
            say(f"Successfully truncated AOF {name} to timestamp {self.until_s}")
            return
        if verdict.problem:
            say(verdict.problem)
        if self.until_s is not None and verdict.whole:
            say(f"Truncate nothing in AOF {name} to timestamp {self.until_s}")
        else:
            say(
                f"AOF analyzed: filename={name}, size={verdict.size}, ok_up_to={verdict.good}, "
                f"ok_up_to_line={verdict.line}, diff={verdict.size - verdict.good}"
            )
        if verdict.whole:
            say(f"{called} {name} is valid")
            return
        self._mend(path, name, verdict, is_last)
        say(f"Successfully truncated AOF {name}")

    def _preamble(self, data: Data, name: str) -> int:
        """Where the commands begin, behind a snapshot if there is one."""
        if not is_snapshot(data):
            return 0
        check = Check(data, name, self.world.now_ms, preamble=True)
        for line in check.lines():
            self.world.say(line)
        if not check.sound:
            raise self._unsound("RDB preamble of AOF file is not sane, aborting.")
        self.world.say("RDB preamble is OK, proceeding with AOF tail...")
        return check.end

    def _cut_to_time(self, path: str, at: int, is_last: bool) -> None:
        if at == 0:
            raise self._unsound(f"AOF {path} has nothing before timestamp {self.until_s}, aborting...")
        if not is_last:
            self.world.say(
                f"Failed to truncate AOF {path} to timestamp {self.until_s} to offset {at} because it is not the last "
                "file."
            )
            raise self._unsound(
                "If you insist, please delete all files after this file according to the manifest file and delete the "
                "corresponding records in manifest file manually. Then run shardis check-aof again."
            )
        self.world.truncate(path, at)

    def _mend(self, path: str, name: str, verdict: Verdict, is_last: bool) -> None:
        if not self.fix:
            raise self._unsound(f"AOF {name} is not valid. Use the --fix option to try fixing it.")
        if not is_last:
            raise self._unsound(f"Failed to truncate AOF {name} because it is not the last file")
        lost = verdict.size - verdict.good
        self.world.say(
            f"This will shrink the AOF {name} from {verdict.size} bytes, with {lost} bytes, to {verdict.good} bytes"
        )
        self.world.say("Continue? [y/N]: ")
        if not self.world.confirmed():
            raise self._unsound("Aborting...")
        self.world.truncate(path, verdict.good)

    def _unsound(self, text: str) -> Unsound:
        self.world.say(text)
        return Unsound(text)


def is_snapshot(data: Data) -> bool:
    return bytes(data[: len(opcodes.MAGIC)]) == opcodes.MAGIC


def is_manifest(data: Data) -> bool:
    """The first line that is no remark names a file. Later ones may be anything: those of a log are clients' data."""
    head = bytes(data[:4096])
    return next((line for line in head.split(b"\n") if not line.startswith(b"#")), b"").startswith(b"file")
