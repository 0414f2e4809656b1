"""One file of commands, read without running any: how much of it is good, and what is wrong with the rest.

A file is good up to the end of its last whole command that is not inside of an open MULTI. Lines that begin with '#'
are remarks; `#TS:` says when what follows was written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.persistence.rdb.load import Data

LINE_MAX = 128


class _Wrong(Exception):
    """What is at this offset is not what should be there."""

    def __init__(self, at: int, why: str) -> None:
        super().__init__(f"0x{at:16x}: {why}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """`problem` is empty where nothing is wrong beyond an end that comes too early."""

    size: int
    good: int
    line: int
    """How many lines were understood, counted from 1."""
    problem: str = ""
    cut_at: int | None = None
    """The remark from which on everything is later than the time that was asked for."""

    @property
    def whole(self) -> bool:
        return self.good == self.size


def scan(data: Data, at: int = 0, until_s: int | None = None) -> Verdict:
    """Read from `at` to the end, or to the first remark with a later time than `until_s`."""
    return _Scan(data, at, until_s).verdict()


class _Scan:
    def __init__(self, data: Data, at: int, until_s: int | None) -> None:
        self.data = data
        self.at = self.good = at
        self.until_s = until_s
        self.line = 1
        self.in_transaction = False

    def verdict(self) -> Verdict:
        cut_at, problem = None, ""
        try:
            while cut_at is None and self.at < len(self.data):
                cut_at = self._record()
                if not self.in_transaction and cut_at is None:
                    self.good = self.at
            if cut_at is None and self.in_transaction:
                raise _Wrong(self.at, "Reached EOF before reading EXEC for MULTI")
        except _Wrong as error:
            problem = str(error)
        except EOFError:
            pass
        return Verdict(len(self.data), self.good, self.line, problem, cut_at)

    def _record(self) -> int | None:
        """Pass over a command or a remark; the offset of one that is too late."""
        match bytes(self.data[self.at : self.at + 1]):
            case b"#":
                begin = self.at
                return begin if self._too_late(self._take_line()) else None
            case b"*":
                self._command()
            case other:
                raise _Wrong(self.at, f"Expected prefix '*', got: '{other.decode('latin-1')}'")
        return None

    def _too_late(self, remark: bytes) -> bool:
        if self.until_s is None or not remark.startswith(b"#TS:"):
            return False
        seconds = remark[4:]
        if not seconds.isdigit():
            raise _Wrong(self.at, "Invalid timestamp annotation")
        return int(seconds) > self.until_s

    def _command(self) -> None:
        begin = self.at
        count = self._number(b"*")
        for index in range(count):
            word = self._word()
            if index == 0 and word.lower() == b"multi":
                if self.in_transaction:
                    raise _Wrong(begin, "Unexpected MULTI")
                self.in_transaction = True
            elif index == 0 and word.lower() == b"exec":
                if not self.in_transaction:
                    raise _Wrong(begin, "Unexpected EXEC")
                self.in_transaction = False

    def _take_line(self) -> bytes:
        """The next line, without its end."""
        data, begin = self.data, self.at
        line, end, _ = bytes(data[begin : begin + LINE_MAX]).partition(b"\n")
        if not end:
            if begin + LINE_MAX <= len(data):
                raise _Wrong(begin, "Expected a line, got something longer")
            raise EOFError
        if not line.endswith(b"\r"):
            raise _Wrong(begin, "Expected \\r\\n at the end of a line")
        self.at = begin + len(line) + 1
        return line[:-1]

    def _number(self, prefix: bytes) -> int:
        begin = self.at
        text = self._take_line()
        if text[:1] != prefix:
            raise _Wrong(begin, f"Expected prefix '{prefix.decode()}', got: '{text[:1].decode('latin-1')}'")
        if not text[1:].isdigit():
            raise _Wrong(begin, f"Expected a number behind '{prefix.decode()}'")
        self.line += 1
        return int(text[1:])

    def _word(self) -> bytes:
        length = self._number(b"$")
        begin, end = self.at, self.at + length
        got = len(self.data) - begin
        if got < length + 2:
            raise _Wrong(begin, f"Expected to read {length + 2} bytes, got {got} bytes")
        if self.data[end : end + 2] != b"\r\n":
            raise _Wrong(begin, f"Expected \\r\\n, got: {bytes(self.data[end : end + 2]).hex()}")
        self.at = end + 2
        self.line += 1
        return bytes(self.data[begin : min(end, begin + 8)]) if length < 8 else b""
