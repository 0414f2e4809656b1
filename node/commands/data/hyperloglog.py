"""HyperLogLog commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from node.commands.data.rawstrings import store_raw
from node.commands.table.spec import command
from node.engine.types.hll import (
    Corrupted,
    hll_add,
    hll_cached_count,
    hll_count,
    hll_is_dense,
    hll_merge,
    hll_new,
    hll_registers,
    hll_runs,
    hll_selftest,
    hll_to_dense,
    hll_valid,
    hll_with_cached_count,
)
from node.replies import OK, CommandError, Reply

if TYPE_CHECKING:
    from node.engine.session.session import Session

NOT_A_SKETCH = CommandError("WRONGTYPE Key is not a valid HyperLogLog string value.")
CORRUPTED = CommandError("INVALIDOBJ Corrupted HLL object detected")
NO_SUCH_KEY = CommandError("ERR The specified key does not exist")
NOT_SPARSE = CommandError("ERR HLL encoding is not sparse")


@contextmanager
def _corruption_reported() -> Iterator[None]:
    try:
        yield
    except Corrupted:
        raise CORRUPTED from None


def _checked(value: bytes | None) -> bytes | None:
    if value is not None and not hll_valid(value):
        raise NOT_A_SKETCH
    return value


@command(
    "PFADD",
    arity=-2,
    flags="write denyoom fast",
    keys="1 RW insert",
    group="hyperloglog",
    since="2.8.9",
    summary="Add elements to a HyperLogLog.",
    complexity="O(1) for each element",
    args="key [element...]",
)
def pfadd(s: Session, argv: list[bytes]) -> Reply:
    key = argv[1]
    old = _checked(s.write(key, bytes))
    with _corruption_reported():
        value, changes = hll_add(hll_new() if old is None else old, argv[2:])
    if old is None:
        changes += 1  # the key itself
    if changes:
        store_raw(s.db, key, value, keep_ttl=True)
        s.changed(key, "pfadd", "$", changes)
    return int(changes > 0)


@command(
    "PFCOUNT",
    arity=-2,
    flags="readonly may_replicate",
    keys="1..-1 RW access (it may store the estimate in the value)",
    group="hyperloglog",
    since="2.8.9",
    summary="Estimate the number of distinct elements in one or several HyperLogLogs.",
    complexity="O(1) for one key; O(N) with a large constant for several, N: keys",
    args="key...",
)
def pfcount(s: Session, argv: list[bytes]) -> Reply:
    if len(argv) > 2:
        values = [value for key in argv[1:] if (value := _checked(s.read(key, bytes))) is not None]
        with _corruption_reported():
            return hll_count(values)
    value = _checked(s.read(argv[1], bytes))
    if value is None:
        return 0
    count = hll_cached_count(value)
    if count is None:
        with _corruption_reported():
            count = hll_count([value])
        store_raw(s.db, argv[1], hll_with_cached_count(value, count), keep_ttl=True)
        s.changed(argv[1], "", "")  # the bytes differ, though the sketch says what it said
    return count


@command(
    "PFDEBUG",
    arity=3,
    flags="write denyoom admin",
    keys="2 RW access",
    group="hyperloglog",
    since="2.8.9",
    summary="Look inside a HyperLogLog; for tests.",
    complexity="N/A",
    args="subcommand key",
    doc_flags="syscmd",
)
def pfdebug(s: Session, argv: list[bytes]) -> Reply:
    key = argv[2]
    value = _checked(s.write(key, bytes))
    if value is None:
        raise NO_SUCH_KEY
    match argv[1].upper():
        case b"GETREG":
            return hll_registers(_made_dense(s, key, value))
        case b"DECODE":
            if hll_is_dense(value):
                raise NOT_SPARSE
            return b" ".join(_run_text(*run) for run in hll_runs(value))
        case b"ENCODING":
            return "dense" if hll_is_dense(value) else "sparse"
        case b"TODENSE":
            return int(_made_dense(s, key, value) is not value)
    name = argv[1].decode("utf-8", "surrogateescape")
    raise CommandError(f"ERR Unknown PFDEBUG subcommand '{name}'")


def _made_dense(s: Session, key: bytes, value: bytes) -> bytes:
    """The dense form, which also takes the place of a sparse value."""
    if hll_is_dense(value):
        return value
    with _corruption_reported():
        dense = hll_to_dense(value)
    store_raw(s.db, key, dense, keep_ttl=True)
    s.changed(key, "", "")
    return dense


def _run_text(value: int, registers: int, size: int) -> bytes:
    if value:
        return b"v:%d,%d" % (value, registers)
    return b"%s:%d" % (b"Z" if size == 2 else b"z", registers)


@command(
    "PFMERGE",
    arity=-2,
    flags="write denyoom",
    keys="1 RW access insert; 2..-1 RO access",
    group="hyperloglog",
    since="2.8.9",
    summary="Merge HyperLogLogs into one.",
    complexity="O(N) with a large constant, N: HyperLogLogs",
    args="destkey:key sourcekey:key#1...",
)
def pfmerge(s: Session, argv: list[bytes]) -> Reply:
    target = argv[1]
    values = [_checked(s.read(key, bytes)) for key in argv[1:]]
    with _corruption_reported():
        merged = hll_merge(values[0], values[1:])
    store_raw(s.db, target, merged, keep_ttl=True)
    s.changed(target, "pfadd", "$")
    return OK


@command(
    "PFSELFTEST",
    arity=1,
    flags="admin",
    group="hyperloglog",
    since="2.8.9",
    summary="Check the HyperLogLog implementation; for tests.",
    complexity="N/A",
    doc_flags="syscmd",
)
def pfselftest(s: Session, argv: list[bytes]) -> Reply:
    failure = hll_selftest(s.node.rng.getrandbits(64))
    if failure is not None:
        raise CommandError(f"ERR {failure}")
    return OK
