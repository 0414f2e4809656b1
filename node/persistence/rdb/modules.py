"""Data of modules, which we do not have: it is skipped where nothing is lost by that, else refused by name.

A module is named by nine characters of six bits each in the upper bits of a number, whose lower ten are the version of
its data. What it has written are primitives, each behind a byte that says what it is, so that anybody can skip them.
"""

from __future__ import annotations

from typing import Any, NoReturn

from node.engine.durable.rdb import Malformed, Reader

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
VERSION_BITS = 10
END, SIGNED, UNSIGNED, FLOAT, DOUBLE, STRING = range(6)
SIZES = {FLOAT: 4, DOUBLE: 8}


def module_name(number: int) -> str:
    return "".join(LETTERS[number >> shift & 63] for shift in range(VERSION_BITS + 48, VERSION_BITS - 1, -6))


def skip_aux(r: Reader) -> str:
    """Data of a module about the whole file, not of any key; its name."""
    name = module_name(r.length())
    if r.length() != UNSIGNED:
        raise Malformed(f"data of the module {name!r} that does not say when it belongs")
    r.length()  # before the keys, or after them
    while (code := r.length()) != END:
        if code in (SIGNED, UNSIGNED):
            r.length()
        elif code in SIZES:
            r.raw(SIZES[code])
        elif code == STRING:
            r.string()
        else:
            raise Malformed(f"data of the module {name!r} of an unknown kind: {code}")
    return name


def refuse_value(r: Reader) -> NoReturn:
    """A key whose value is a module's own."""
    raise Malformed(f"a value of the module {module_name(r.length())!r}, and there are no modules here")


def refuse_old_value(r: Reader) -> Any:
    raise Malformed("a value of a module, in the form of a release candidate of Redis 4.0")
