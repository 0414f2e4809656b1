"""The ways in which two replies may be required to agree, from strict to weak.

`same` is the rule. The weaker forms are for what Redis itself leaves open: the order of a set, the draw of a random
member, the milliseconds that passed.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.support.resp import Frame, show

Check = Callable[[Frame, Frame], bool]


def same(ours: Frame, theirs: Frame) -> bool:
    """The same bytes."""
    return ours.raw == theirs.raw


def same_but_for_doubles(ours: Frame, theirs: Frame) -> bool:
    """The same, but where Redis 7.0 writes a double with 17 digits, ours may have a shorter text of the same double."""
    if ours.raw == theirs.raw:
        return True
    if ours.kind != theirs.kind or ours.null != theirs.null or len(ours.items) != len(theirs.items):
        return False
    if ours.items:
        return all(map(same_but_for_doubles, ours.items, theirs.items))
    try:
        return theirs.kind in (b"$", b",") and theirs.body == b"%.17g" % float(ours.body)
    except ValueError:
        return False


def same_sorted(ours: Frame, theirs: Frame) -> bool:
    """The same parts in any order."""
    return ours.head == theirs.head and _sorted_raw(ours) == _sorted_raw(theirs)


def same_pairs(ours: Frame, theirs: Frame) -> bool:
    """The same pairs in any order: a flat array of field, value, field, value, or a map."""
    return ours.head == theirs.head and _pairs(ours) == _pairs(theirs)


def same_shape(ours: Frame, theirs: Frame) -> bool:
    """The same types and lengths all the way down; the scalars may differ."""
    return (
        ours.kind == theirs.kind
        and ours.null == theirs.null
        and len(ours.items) == len(theirs.items)
        and all(map(same_shape, ours.items, theirs.items))
    )


def same_type(ours: Frame, theirs: Frame) -> bool:
    """The same type of reply; errors with the same code."""
    if ours.is_error and theirs.is_error:
        return ours.body.split(b" ")[0] == theirs.body.split(b" ")[0]
    return ours.kind == theirs.kind and ours.null == theirs.null


def same_anyhow(ours: Frame, theirs: Frame) -> bool:
    """The same after every list within has been sorted."""
    return canonical(ours) == canonical(theirs)


def same_anyhow_but_for_doubles(ours: Frame, theirs: Frame) -> bool:
    """Both at once: the lists within sorted, and ours may have shorter texts of the same doubles."""
    return canonical(ours, with_17_digits) == canonical(theirs, with_17_digits)


def with_17_digits(frame: Frame) -> bytes:
    """A double as Redis 7.0 writes it; anything else as it is."""
    if frame.kind in (b"$", b",") and (b"." in frame.body or b"e" in frame.body):
        try:
            return b"%.17g" % float(frame.body)
        except ValueError:
            return frame.raw
    return frame.raw


def near(tolerance: float) -> Check:
    """The same, but numbers may differ by as much as `tolerance`."""

    def check(ours: Frame, theirs: Frame) -> bool:
        if ours.raw == theirs.raw:
            return True
        if ours.kind != theirs.kind or len(ours.items) != len(theirs.items) or ours.null != theirs.null:
            return False
        if ours.items:
            return all(map(check, ours.items, theirs.items))
        try:
            return abs(float(ours.body) - float(theirs.body)) <= tolerance
        except ValueError:
            return False

    return check


def canonical(frame: Frame, scalar: Callable[[Frame], object] = lambda frame: frame.raw) -> object:
    """A value that does not depend on the order of any list within. `scalar`: what stands for one without parts."""
    if not frame.items:
        return scalar(frame)
    parts = [canonical(item, scalar) for item in frame.items]
    if frame.kind == b"%":
        return (frame.kind, sorted(zip(parts[::2], parts[1::2], strict=True), key=repr))
    return (frame.kind, sorted(parts, key=repr))


def _sorted_raw(frame: Frame) -> list[bytes]:
    return sorted(item.raw for item in frame.items) or [frame.raw]


def _pairs(frame: Frame) -> list[tuple[bytes, bytes]]:
    raws = [item.raw for item in frame.items]
    return sorted(zip(raws[::2], raws[1::2], strict=True)) if len(raws) % 2 == 0 else [(raw, b"") for raw in raws]


def form(name: str, old_doubles: bool) -> Check:
    """The check that a name stands for, against an oracle that may write doubles as Redis 7.0 does."""
    if name.startswith("near"):
        return near(float(name[5:] or 1000))
    if old_doubles and name in ("", "same", "anyhow"):
        return same_anyhow_but_for_doubles if name == "anyhow" else same_but_for_doubles
    return FORMS[name or "same"]


FORMS: dict[str, Check] = {
    "same": same,
    "sorted": same_sorted,
    "pairs": same_pairs,
    "shape": same_shape,
    "type": same_type,
    "anyhow": same_anyhow,
    "run": lambda ours, theirs: True,
}


# Redis 7.0 has no compact form of lists, nor of sets of text: what 7.2 and we call a listpack, it calls so.
_BEFORE_7_2 = {(b"list", b"listpack"): b"quicklist", (b"set", b"listpack"): b"hashtable"}


def encoding_in_7_0(kind: bytes, encoding: bytes) -> bytes:
    """What redis-server 7.0 answers to OBJECT ENCODING where a value of that TYPE is so to us."""
    return _BEFORE_7_2.get((kind, encoding), encoding)


def difference(command: str, ours: Frame, theirs: Frame) -> str:
    """One disagreement, for the reader of a failed test."""
    if show(ours) == show(theirs):
        return f"{command}\n      ours   {ours.raw[:600]!r}\n      oracle {theirs.raw[:600]!r}"
    return f"{command}\n      ours   {_excerpt(ours)}\n      oracle {_excerpt(theirs)}"


def _excerpt(frame: Frame, lines: int = 24) -> str:
    text = show(frame)[:4000].splitlines()
    shown = text if len(text) <= lines else [*text[:lines], f"... ({len(text)} lines)"]
    return "\n             ".join(shown)
