"""Reading files a little at a time: the same outcome wherever it stops, and nothing kept of a file that is broken."""

from __future__ import annotations

import mmap
import random
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.commands.server.digest import of_databases
from node.engine.durable.rdb import Malformed, Writer
from node.engine.types.hash import Hash
from node.persistence.rdb import opcodes
from node.persistence.rdb.load import RdbLoad, load
from node.persistence.rdb.modules import LETTERS
from node.persistence.types import kinds
from tests.support.embedded import Embedded
from tests.unit.persistence.test_rdb_file import END, HEADER, file_of, filled, keyspace

LIBRARY = b"#!lua name=mylib\nredis.register_function('f', function() return 1 end)"


def body(*parts: bytes) -> bytes:
    """A file without a checksum that holds these bytes."""
    return HEADER + b"".join(parts) + END


def key(kind: int, *values: bytes | int | float, name: bytes = b"k") -> bytes:
    """A key with a value of this kind: strings, lengths and doubles, one after the other."""
    w = Writer()
    w.byte(kind)
    w.string(name)
    for value in values:
        if isinstance(value, bytes):
            w.string(value)
        elif isinstance(value, int):
            w.length(value)
        else:
            w.double(value)
    return w.take()


@pytest.mark.parametrize("step", [1, 7, 100, 1 << 20])
def test_it_may_stop_anywhere(step: int) -> None:
    space, again = filled(keys=60), keyspace()
    reading = RdbLoad(again, file_of(space))
    while reading.some(step):
        assert not any(map(len, again.dbs)), "nothing counts before the end"
    reading.install()
    assert of_databases(again.dbs) == of_databases(space.dbs)


def test_not_more_keys_than_asked_for() -> None:
    reading = RdbLoad(keyspace(), file_of(filled(keys=60)))
    seen = 0
    while reading.some(1 << 20, keys=1):
        assert reading.loaded - seen <= 1
        seen = reading.loaded
    assert reading.loaded == 60


def test_a_large_collection_is_read_in_steps() -> None:
    members = [b"member:%d" % number for number in range(5000)]
    data = body(key(2, len(members), *members))
    reading = RdbLoad(keyspace(), data)
    steps = 1
    while reading.some(1000):
        steps += 1
        assert reading.done or reading.current_key() in (b"k", None)
    assert steps > 30
    reading.install()
    assert len(reading.space.dbs[0].get(b"k")) == 5000


def test_from_a_mapped_file() -> None:
    space, again = filled(), keyspace()
    with tempfile.TemporaryFile() as file:
        file.write(file_of(space))
        file.flush()
        load(again, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    assert of_databases(again.dbs) == of_databases(space.dbs)


def test_a_preamble_says_where_it_ended() -> None:
    data = file_of(filled(keys=5))
    reading = RdbLoad(keyspace(), b"xx" + data + b"*1\r\n", at=2, preamble=True)
    while reading.some(50):
        pass
    assert reading.at == 2 + len(data)


def test_facts_and_functions_are_told() -> None:
    w = Writer()
    for name, value in ((b"repl-id", b"a" * 40), (b"repl-offset", b"12345"), (b"repl-stream-db", b"0")):
        w.byte(250)
        w.string(name)
        w.string(value)
    w.byte(245)
    w.string(LIBRARY)
    reading = load(keyspace(), body(w.take(), b"\xf4\x05\x01\x00", key(0, b"v")))  # with a hint about a slot
    assert reading.facts == {b"repl-id": b"a" * 40, b"repl-offset": b"12345", b"repl-stream-db": b"0"}
    assert reading.functions == [LIBRARY]
    assert reading.loaded == 1


@pytest.mark.parametrize("form", kinds.Form)
@pytest.mark.parametrize("step", [50, 1 << 20])
def test_fields_that_die_in_every_form(form: kinds.Form, step: int) -> None:
    """Also of a hash so large that it is written and read in steps."""
    space, again = keyspace(), keyspace()
    for name, fields in ((b"few", 3), (b"many", 5000)):
        value = Hash()
        for n in range(fields):
            value.set(b"field:%d" % n, b"%d" % n)
            if n % 3:
                value.expire(b"field:%d" % n, space.now_ms + n)
        space.dbs[1].set(name, value)
        space.dbs[1].deaths_changed(name)
    data = file_of(space, form=form)
    assert data.startswith(b"VALKEY080" if form is kinds.Form.VALKEY_9 else b"REDIS0012")
    reading = RdbLoad(again, data)
    steps = 1
    while reading.some(step):
        steps += 1
    assert steps > 50 or step > 50
    reading.install()
    for name in (b"few", b"many"):
        one, other = space.dbs[1].get(name), again.dbs[1].get(name)
        assert dict(one.items()) == dict(other.items())
        assert dict(one.deaths()) == dict(other.deaths())


def test_data_of_modules_about_the_whole_file_is_skipped() -> None:
    w = Writer()
    w.byte(opcodes.MODULE_AUX)
    w.length(LETTERS.index("v") << 58 | LETTERS.index("e") << 52 | 1)
    for number in (2, 1, 1, 2**40, 2, 7):
        w.length(number)
    w.byte(3)
    w.raw(bytes(4))
    w.byte(4)
    w.double(1.5)
    w.byte(5)
    w.string(b"text")
    w.byte(0)
    reading = RdbLoad(keyspace(), body(w.take(), key(0, b"v")))
    while reading.some(1 << 20):
        pass
    assert reading.modules_skipped == ["veAAAAAAA"]
    assert reading.loaded == 1


def test_empty_collections_are_left_out() -> None:
    reading = load(keyspace(), body(key(2, 0), key(4, 0, name=b"h"), key(16, b"\x07\0\0\0\0\0\xff", name=b"p")))
    assert (reading.loaded, reading.empty) == (0, 3)
    assert reading.empty_keys == [b"k", b"h", b"p"]


def test_what_is_there_stays_when_keys_are_merged() -> None:
    space = keyspace()
    space.dbs[0].set(b"k", b"old")
    space.dbs[0].set(b"other", b"o")
    for merge, text in ((True, b"new"), (False, b"again")):
        reading = RdbLoad(space, body(key(0, text)), into=space.dbs, merge=merge)
        if merge:
            reading.some(1 << 20)
        else:
            with pytest.raises(Malformed, match="is there twice"):
                reading.some(1 << 20)
    assert {each: space.dbs[0].get(each) for each in space.dbs[0].keys()} == {b"k": b"again", b"other": b"o"}


def test_the_old_data_goes_only_when_the_new_is_whole() -> None:
    space = keyspace()
    space.dbs[1].set(b"old", b"1")
    with pytest.raises(Malformed):
        load(space, body(key(0, b"v"))[:-9])
    assert space.dbs[1].get(b"old") == b"1"
    load(space, body(key(0, b"v")))
    assert [len(db) for db in space.dbs] == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (key(2, 2, b"a", b"a"), "an element is there twice"),
        (key(4, 2, b"a", b"1", b"a", b"2"), "an element is there twice"),
        (key(5, 1, b"a", float("nan")), "a score that is not a number"),
        (key(16, b"not one"), "Hash listpack integrity check failed"),
        (key(9, b"\x01\xfe\x01\x00\x00\x00f\x01\x00v\xff"), "takes more bytes than it needs"),
        (key(11, b"not one"), "Intset integrity check failed"),
        (key(18, 1, 3, b"x"), "Quicklist integrity check failed"),
        (key(18, 1, 1, b""), "an empty list node"),
        (key(2, 2**40, b"a"), "the file ends too early|length cannot start with|unknown form"),
        (b"\x00\xc3\x05\x80\x00\x0f\x00\x0012345" + b"\x01v", "cannot be as long as it says"),
        (key(22, 1, b"f"), "unknown kind of value: 22"),
    ],
)
def test_why_a_value_is_refused(broken: bytes, reason: str) -> None:
    space = keyspace()
    with pytest.raises(Malformed, match=f"{reason}.*at byte"):
        load(space, body(broken))
    assert not any(map(len, space.dbs))


@given(st.integers(0, 2**32), st.integers(1, 12))
def test_no_damage_does_more_than_to_be_refused(seed: int, flips: int) -> None:
    """Without a checksum damage may go unnoticed, and what comes out is then some data; it is never more than that."""
    rng = random.Random(seed)
    data = bytearray(file_of(filled(seed=seed % 5, keys=40), checksum=False))
    for _ in range(flips):
        data[rng.randrange(9, len(data))] = rng.randrange(256)
    space = keyspace()
    space.dbs[2].set(b"old", b"1")
    try:
        load(space, bytes(data), check=False)
    except Malformed:
        assert space.dbs[2].get(b"old") == b"1"
    else:
        of_databases(space.dbs)


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_to_be_refused(noise: bytes) -> None:
    space = keyspace()
    try:
        load(space, HEADER + noise, check=False)
    except Malformed:
        assert not any(map(len, space.dbs))
    else:
        of_databases(space.dbs)


def test_dead_databases_do_not_count_as_memory_for_long() -> None:
    space = keyspace()
    load(space, file_of(filled()))
    load(space, body())
    while space.free_some(1000):
        pass
    assert space.lazyfree_pending == 0


@pytest.mark.parametrize(("asynchronous", "shown"), [(False, ("1", "0")), (True, ("0", "1"))])
def test_who_serves_the_old_data_meanwhile_is_not_shown_as_loading(asynchronous: bool, shown: tuple[str, str]) -> None:
    node = Embedded()
    client = node.client()
    node.core.loading.begin(1000, asynchronous=asynchronous)
    text = client("INFO", "persistence").decode()
    figures = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    assert (figures["loading"], figures["async_loading"]) == shown
