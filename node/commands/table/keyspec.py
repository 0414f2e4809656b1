"""Where a command's keys stand among its arguments.

A key specification says where the search begins, which arguments from there on are keys, and what the command does to
them. It is written as text beside the handler, one clause a specification, clauses parted by `;`:

    1 RW update                 the argument at 1 (the command's name is at 0)
    1..-1 RO access             from 1 to the last; a negative end counts from the end
    1..-1/2 OW update           every second one of these
    #2 RO access                a number at 2 says how many keys follow it
    #1/2 OW update              as many, every second argument one
    STORE@5 OW update           the argument after the word STORE, which is looked for from 5 on
    KEYS@-2..-1 RW delete       everything after KEYS, looked for backwards from the last but one
    STREAMS@1..-1%2 RO access   the first half of what follows STREAMS
    ? RO access                 somewhere: the command's own extractor knows, or nobody can
    1 RW access (a note)        the note is shown by COMMAND INFO

Everything that needs keys is derived from it: the slot of a request, ACL key patterns, COMMAND GETKEYS, and the older
first/last/step triple that clients still read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# What a command does with the value as a whole, then with the data inside, in COMMAND INFO's order.
KEY_FLAGS = ("RO", "RW", "OW", "RM", "access", "update", "insert", "delete", "not_key", "incomplete", "variable_flags")
VALUE_FLAGS = frozenset(KEY_FLAGS[:4])

KeyUse = tuple[int, frozenset[str]]
"""The position of a key among the arguments, and the flags that say how it is used."""

Extractor = Callable[[Sequence[bytes]], list[KeyUse]]

_CLAUSE = re.compile(
    r"""(?: (?P<unknown>\?)
          | \#(?P<count>\d+)(?:/(?P<stride>\d+))?
          | (?:(?P<word>[A-Z]+)@(?P<start>-?\d+) | (?P<index>\d+))
            (?:\.\.(?P<last>-?\d+))? (?:/(?P<step>\d+))? (?:%(?P<limit>\d+))?
        )
        (?P<flags>(?:\s+\w+)*)
        (?:\s*\((?P<notes>[^)]*)\))?""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class KeySpec:
    """One clause. `index` or `word` says where to begin; `count` marks the form with a number of keys."""

    flags: frozenset[str]
    index: int = 0
    word: bytes = b""
    start: int = 0
    last: int = 0
    """Relative to the first key when not negative, otherwise counted from the end."""
    step: int = 1
    limit: int = 0
    count: bool = False
    unknown: bool = False
    notes: str = ""

    @property
    def is_range(self) -> bool:
        """True if positions follow from the number of arguments alone."""
        return bool(self.index) and not self.count

    def positions(self, argv: Sequence[bytes]) -> range | None:
        """Where this clause's keys are. None if the arguments contradict it: the command itself will complain."""
        argc = len(argv)
        first = self.index or self._after_word(argv)
        if self.unknown or not first:
            return None if self.unknown else range(0)
        if self.count:
            number = _number(argv[first]) if first < argc else None
            if number is None:
                return None
            first += 1
            last = first + number * self.step - 1
        elif self.last >= 0:
            last = first + self.last
        elif self.limit:
            last = first + (argc - first) // self.limit + self.last
        else:
            last = argc + self.last
        if not first <= last < argc:
            return None
        return range(first, last + 1, self.step)

    def _after_word(self, argv: Sequence[bytes]) -> int:
        """The position after the keyword, 0 if the keyword is absent."""
        argc = len(argv)
        search = range(self.start, argc - 1) if self.start > 0 else range(argc + self.start, 1, -1)
        for i in search:
            if 0 < i < argc and argv[i].upper() == self.word:
                return i + 1
        return 0


def parse_keys(text: str) -> tuple[KeySpec, ...]:
    """Read the notation above."""
    return tuple(_parse_clause(clause.strip()) for clause in text.split(";")) if text.strip() else ()


def _parse_clause(clause: str) -> KeySpec:
    match = _CLAUSE.fullmatch(clause)
    if match is None:
        raise ValueError(f"cannot read the key specification {clause!r}")
    flags = frozenset(match["flags"].split())
    if unknown_flags := flags - set(KEY_FLAGS):
        raise ValueError(f"unknown key flags {sorted(unknown_flags)} in {clause!r}")
    if len(flags & VALUE_FLAGS) != 1 and "not_key" not in flags:
        raise ValueError(f"exactly one of RO, RW, OW, RM must stand in {clause!r}")
    notes = match["notes"] or ""
    if match["unknown"]:
        return KeySpec(flags, unknown=True, notes=notes)
    if match["count"]:
        return KeySpec(flags, index=int(match["count"]), count=True, step=int(match["stride"] or 1), notes=notes)
    index = int(match["index"] or 0)
    last = int(match["last"] or 0)
    if match["index"] and last > 0:
        last -= index
    return KeySpec(
        flags,
        index=index,
        word=(match["word"] or "").encode(),
        start=int(match["start"] or 0),
        last=last,
        step=int(match["step"] or 1),
        limit=int(match["limit"] or 0),
        notes=notes,
    )


@dataclass(frozen=True, slots=True)
class LegacyRange:
    """The first/last/step triple of COMMAND INFO, and whether it misses some keys (`movablekeys`)."""

    first: int = 0
    last: int = 0
    step: int = 0
    movable: bool = False


def legacy_range(specs: Sequence[KeySpec]) -> LegacyRange:
    """Fold the specifications into one triple as Redis does: the consecutive plain ranges, if there are any."""
    if not specs:
        return LegacyRange()
    if len(specs) == 1 and specs[0].is_range:
        only = specs[0]
        return LegacyRange(only.index, _absolute_last(only), only.step, "incomplete" in only.flags)
    first, last, movable = 0, 0, False
    for spec in specs:
        if not spec.is_range or spec.step != 1 or (last and last != spec.index - 1):
            movable = True
            continue
        movable = movable or "incomplete" in spec.flags
        first = first or spec.index
        last = _absolute_last(spec)
    if not first:
        return LegacyRange(movable=True)
    return LegacyRange(first, last, 1, movable)


def _absolute_last(spec: KeySpec) -> int:
    return spec.last if spec.last < 0 else spec.index + spec.last


def find_uses(specs: Sequence[KeySpec], argv: Sequence[bytes], extractor: Extractor | None) -> list[KeyUse]:
    """The keys and how each is used, sharded channels (`not_key`) left out.

    The specifications are asked first. When they are incomplete, contradicted by the arguments, or leave the flags
    open, the command's extractor decides, and without one there are no keys.
    """
    uses: list[KeyUse] = []
    for spec in specs:
        if "not_key" in spec.flags:
            continue
        found = None if "variable_flags" in spec.flags else spec.positions(argv)
        if found is None or ("incomplete" in spec.flags and found):
            return extractor(argv) if extractor else []
        uses.extend((i, spec.flags) for i in found)
    return uses


def routing(specs: Sequence[KeySpec], extractor: Extractor | None) -> Callable[[Sequence[bytes]], list[int]]:
    """A function from arguments to the positions that decide the slot, as quick as the specification allows.

    Unlike `find_uses` it includes the channels of sharded pub/sub: they are routed like keys.
    """
    if not specs:
        return lambda argv: []
    if len(specs) == 1 and specs[0].is_range and "incomplete" not in specs[0].flags:
        only = specs[0]
        first, step = only.index, only.step
        if only.last == 0:
            single = [first]
            return lambda argv: single if first < len(argv) else []
        end = only.last + 1
        if only.last < 0:
            return lambda argv: list(range(first, len(argv) + end, step))
        stop = first + end
        return lambda argv: list(range(first, stop, step)) if stop <= len(argv) else []
    if all("not_key" not in spec.flags for spec in specs):
        return lambda argv: [i for i, _ in find_uses(specs, argv, extractor)]
    raise ValueError("a command with several key specifications cannot have channels among them")


def _number(text: bytes) -> int | None:
    return int(text) if text.isdigit() and len(text) < 10 else None
