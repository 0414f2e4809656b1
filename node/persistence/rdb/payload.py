"""What DUMP returns and RESTORE takes: one value in RDB form, two bytes of version, eight of checksum (CRC-64)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from node.engine.durable.crc64 import crc64
from node.engine.durable.rdb import Malformed, Reader, Writer
from node.engine.durable.rdbvalue import write_value
from node.engine.types.hash import Hash
from node.persistence.rdb import opcodes
from node.persistence.rdb.values import read_value
from node.persistence.types import kinds

if TYPE_CHECKING:
    from node.engine.keyspace.table import Value

FOOTER = 10


class WrongFooter(ValueError):
    """The payload is of a later version than we read, or was damaged on its way."""


def dump_payload(value: Value, compress: bool = True) -> bytes:
    """The payload of a value. `compress` is rdbcompression."""
    w = Writer(compress)
    write_value(w, value)
    expiring = isinstance(value, Hash) and value.first_death() is not None
    w.raw((kinds.VERSION_EXPIRING if expiring else kinds.VERSION).to_bytes(2, "little"))
    w.raw(w.checksum().to_bytes(8, "little"))
    return w.take()


def dump_functions(codes: Iterable[bytes], compress: bool = True) -> bytes:
    """The payload of libraries, for FUNCTION RESTORE."""
    w = Writer(compress)
    for code in codes:
        w.byte(opcodes.FUNCTION)
        w.string(code)
    w.raw(kinds.VERSION.to_bytes(2, "little"))
    w.raw(w.checksum().to_bytes(8, "little"))
    return w.take()


def load_functions(payload: bytes, check: bool = True) -> list[bytes]:
    """The libraries of a payload. WrongFooter, or Malformed when what is inside is not libraries."""
    body = _body(payload, check)
    r = Reader(payload, end=body)
    codes = []
    while r.at < body:
        kind = r.byte()
        if kind == opcodes.FUNCTION_PRE_GA:
            raise Malformed("Pre-GA function format not supported")
        if kind != opcodes.FUNCTION:
            raise Malformed("given type is not a function")
        codes.append(r.string())
    return codes


def _is_known(version: int) -> bool:
    return version <= kinds.VERSION_MAX or version == kinds.VERSION_VALKEY


def _body(payload: bytes, check: bool) -> int:
    """How long it is without its footer. WrongFooter."""
    body = len(payload) - FOOTER
    if body < 0 or not _is_known(int.from_bytes(payload[body : body + 2], "little")):
        raise WrongFooter
    if check and crc64(memoryview(payload)[: body + 2]) != int.from_bytes(payload[body + 2 :], "little"):
        raise WrongFooter
    return body


def load_payload(payload: bytes, check: bool = True) -> Value:
    """The value of a payload. WrongFooter, or Malformed when what is inside is not a value.

    `check` is False only where a test has switched checksums off.
    """
    body = _body(payload, check)
    if body == 0:
        raise Malformed("nothing but a footer")
    r = Reader(payload, end=body)
    kind = r.byte()
    if kind == kinds.HASH_EXPIRING_PRE_GA and payload[body] == kinds.VERSION_VALKEY:
        kind = kinds.HASH_VALKEY
    return read_value(r, kind)
