"""Replies of commands as values of Lua, after Redis' table of conversions.

    integer -> number          bulk string -> string           null -> false (RESP2), nil (RESP3)
    status  -> {ok=...}        error       -> {err=...}        boolean -> boolean
    array   -> table           map -> {map={...}}              set -> {set={member=true}}
    double  -> {double=...}    big number -> {big_number=...}  verbatim -> {verbatim_string={format=, string=}}
"""

from __future__ import annotations

from typing import Any


def to_lua(reply: bytes) -> Any:
    """A whole reply; lists and dicts stand for tables."""
    return _read(reply, 0)[0]


def error_table(text: bytes) -> dict[bytes, Any]:
    """An error that a command has replied; it has been counted already."""
    return {b"err": with_code(text), b"ignore_error_stats_update": True}


def with_code(text: bytes) -> bytes:
    """`CODE message`: an error without a message is taken for one without a code."""
    return text if b" " in text else b"ERR " + text


def _read(data: bytes, at: int) -> tuple[Any, int]:
    """The value at a position, and where it ends."""
    end = data.index(b"\r\n", at)
    kind, line = data[at], data[at + 1 : end]
    after = end + 2
    match kind:
        case 36:  # $
            return _blob(data, after, int(line))
        case 58:  # :
            return int(line), after
        case 43:  # +
            return {b"ok": line}, after
        case 42:  # *
            return _array(data, after, int(line))
        case 45:  # -
            return error_table(line), after
        case 95:  # _
            return None, after
        case 35:  # #
            return line == b"t", after
        case 44:  # ,
            return {b"double": float(line)}, after
        case 40:  # (
            return {b"big_number": line}, after
        case 61:  # =
            text, after = _blob(data, after, int(line))
            return {b"verbatim_string": {b"format": text[:3], b"string": text[4:]}}, after
        case 37:  # %
            parts, after = _array(data, after, 2 * int(line))
            return {b"map": _table(parts[::2], parts[1::2])}, after
        case 126:  # ~
            parts, after = _array(data, after, int(line))
            return {b"set": _table(parts, [True] * len(parts))}, after
        case 124:  # | (attributes, which scripts are not shown)
            _, after = _array(data, after, 2 * int(line))
            return _read(data, after)
    raise ValueError(f"no reply begins with {chr(kind)!r}")


def _blob(data: bytes, at: int, length: int) -> tuple[Any, int]:
    if length < 0:
        return False, at
    return data[at : at + length], at + length + 2


def _array(data: bytes, at: int, count: int) -> tuple[Any, int]:
    if count < 0:
        return False, at
    items = []
    for _ in range(count):
        item, at = _read(data, at)
        items.append(item)
    return items, at


def _table(keys: list[Any], values: list[Any]) -> dict[Any, Any]:
    """Whatever cannot be a key of a table is left out: Lua has no key nil, and tables as keys are not found again."""
    return {key: value for key, value in zip(keys, values, strict=True) if isinstance(key, (bytes, int))}
