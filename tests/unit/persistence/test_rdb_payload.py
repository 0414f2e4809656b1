"""DUMP payloads: the bytes of redis-server 7.0.15 both ways, what older versions wrote, nothing hostile accepted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.engine.durable.crc64 import crc64
from node.engine.durable.rdb import Malformed, Reader, Writer
from node.engine.durable.rdbvalue import write_value
from node.engine.structures.listpack import pack
from node.engine.types.hash import Hash
from node.engine.types.limits import set_limit
from node.engine.types.list import List
from node.engine.types.set import Set
from node.engine.types.zset import ZSet
from node.persistence.rdb.payload import WrongFooter, dump_payload, load_payload
from node.persistence.rdb.values import read_value
from node.persistence.types import kinds
from node.persistence.types.reading import Empty

if TYPE_CHECKING:
    from node.engine.keyspace.table import Value


@pytest.fixture
def list_limit() -> Iterator[None]:
    yield
    set_limit("list-max-listpack-size", -2)


def list_of(*elements: bytes) -> List:
    value = List()
    for element in elements:
        value.push(element, False)
    return value


def set_of(*members: bytes) -> Set:
    value = Set()
    for member in members:
        value.add(member)
    return value


def hash_of(**fields: bytes) -> Hash:
    value = Hash()
    for field, content in fields.items():
        value.set(field.encode(), content)
    return value


def zset_of(**scores: float) -> ZSet:
    value = ZSet()
    for member, score in scores.items():
        value.set(member.encode(), score)
    return value


def plain(value: Value) -> Any:
    """The value as Python's own types, to compare."""
    if isinstance(value, List):
        return value.range(0, -1)
    if isinstance(value, Set):
        return set(value.members())
    if isinstance(value, Hash):
        return dict(value.items())
    if isinstance(value, ZSet):
        return dict(value.range(0, -1))
    return value


def sealed(body: bytes, version: int = kinds.VERSION) -> bytes:
    """A payload with this body and a right footer."""
    body += version.to_bytes(2, "little")
    return body + crc64(body).to_bytes(8, "little")


# What DUMP of redis-server says.
FROM_REDIS: list[tuple[Value, str]] = [
    (b"", "00000a005d9b5c400f7fa2da"),
    (b"a", "0001610a00bffeef9b8f367db4"),
    (b"0", "00c0000a009840a778f8500308"),
    (b"-128", "00c0800a009966326d2f0c5bd9"),
    (b"32767", "00c1ff7f0a00495a37da17f4d52b"),
    (b"-2147483648", "00c2000000800a00c74f873e33558187"),
    (b"2147483648", "000a323134373438333634380a00e7b129a34c1d76ee"),
    (b"12345678901234567890", "001431323334353637383930313233343536373839300a00bd37243ee83df2b1"),
    (b"007", "00033030370a007258e27b4c69bad9"),
    (b"x" * 20, "001478787878787878787878787878787878787878780a005b3c81eca58cc56b"),
    (b"x" * 21, "00c30615017878e00a000a00941a83676017192f"),
    (list_of(b"a", b"b", b"12", b""), "120102111100000004008161028162020c018001ff0a00ae70310951b5c5ac"),
    (set_of(b"1", b"2", b"70000"), "0b1404000000030000000100000002000000701101000a0085d5c1065b1dd055"),
    (set_of(b"a"), "020101610a006296e97e44d21a6d"),
    (hash_of(f=b"v", n=b"5"), "1012120000000400816602817602816e020501ff0a008490939f57b4f3c2"),
    (hash_of(f=b"v" * 65), "04010166c3094041017676e034000176760a003d71be523786cf45"),
    (
        zset_of(a=1, b=1.5, c=float("inf")),
        "111c1c0000000600816102010181620283312e350481630283696e6604ff0a002565dffdaadc1562",
    ),
    (
        zset_of(**{"a" * 65: 1, "b": -1.5}),
        "0502c3094041016161e03400016161000000000000f03f0162000000000000f8bf0a00e7b5f501b6765ab0",
    ),
]


@pytest.mark.parametrize(("value", "payload"), FROM_REDIS, ids=[payload[:16] for _, payload in FROM_REDIS])
def test_the_bytes_are_those_of_redis(value: Value, payload: str) -> None:
    assert dump_payload(value).hex() == payload
    loaded = load_payload(bytes.fromhex(payload))
    assert type(loaded) is type(value)
    assert plain(loaded) == plain(value)
    assert dump_payload(loaded).hex() == payload


def test_a_list_goes_out_in_the_nodes_that_redis_would_make(list_limit: None) -> None:
    payload = "1202020d0d0000000200816102816202ff020a0a0000000100816302ff0a00a60192a8f736b5c0"
    set_limit("list-max-listpack-size", 2)
    assert dump_payload(list_of(b"a", b"b", b"c")).hex() == payload
    assert plain(load_payload(bytes.fromhex(payload))) == [b"a", b"b", b"c"]


@pytest.mark.parametrize("limit", [-5, -2, -1, 1, 3, 1000])
def test_however_a_list_was_pushed_it_goes_out_alike(list_limit: None, limit: int) -> None:
    set_limit("list-max-listpack-size", limit)
    elements = [b"%d" % i * (i % 40) for i in range(3000)]
    left, right = List(), list_of(*elements)
    for element in reversed(elements):
        left.push(element, True)
    assert dump_payload(left) == dump_payload(right)
    assert plain(load_payload(dump_payload(left))) == elements


def test_strings_stay_plain_without_compression() -> None:
    assert dump_payload(b"x" * 100, compress=False) == sealed(b"\x00\x40\x64" + b"x" * 100)


# Ziplists and zipmaps, laid out by hand.


def ziplist(*entries: bytes) -> bytes:
    body, previous, last = b"", 0, 10
    for entry in entries:
        last = 10 + len(body)
        head = bytes([previous]) if previous < 254 else b"\xfe" + previous.to_bytes(4, "little")
        previous = len(head) + len(entry)
        body += head + entry
    header = (len(body) + 11).to_bytes(4, "little") + last.to_bytes(4, "little") + len(entries).to_bytes(2, "little")
    return header + body + b"\xff"


def short(text: bytes) -> bytes:
    return bytes([len(text)]) + text


def rdb_string(data: bytes) -> bytes:
    w = Writer(compress=False)
    w.string(data)
    return w.take()


EVERY_ENTRY = ziplist(
    short(b"text"),
    b"\x41\x00" + b"m" * 256,
    b"\x80\x00\x00\x01\x2c" + b"l" * 300,
    b"\xf1",
    b"\xfd",
    b"\xfe\x80",
    b"\xc0\xff\x7f",
    b"\xf0\x00\x00\x80",
    b"\xd0\xff\xff\xff\x7f",
    b"\xe0" + (-(2**63)).to_bytes(8, "little", signed=True),
)
EVERY_ELEMENT = [b"text", b"m" * 256, b"l" * 300]
EVERY_ELEMENT += [b"%d" % n for n in (0, 12, -128, 32767, -(2**23), 2**31 - 1, -(2**63))]

# kind, body, value
FROM_OLDER: list[tuple[str, int, bytes, Any]] = [
    ("list", kinds.LIST, b"\x02\x01a\xc0\x07", [b"a", b"7"]),
    ("list of one ziplist", kinds.LIST_ZIPLIST, rdb_string(EVERY_ENTRY), EVERY_ELEMENT),
    (
        "list of ziplists",
        kinds.LIST_ZIPLISTS,
        b"\x02" + rdb_string(ziplist(short(b"a"), b"\xf2")) + rdb_string(ziplist(short(b"c"))),
        [b"a", b"1", b"c"],
    ),
    ("list with a huge element", kinds.LIST_NODES, b"\x01\x01\x05hello", [b"hello"]),
    ("hash of a ziplist", kinds.HASH_ZIPLIST, rdb_string(ziplist(short(b"f"), short(b"v"))), {b"f": b"v"}),
    (
        "hash of a zipmap",
        kinds.HASH_ZIPMAP,
        rdb_string(b"\x02\x01f\x03\x02val..\xfe\xfe\x00\x00\x00" + b"g" * 254 + b"\x01\x00x\xff"),
        {b"f": b"val", b"g" * 254: b"x"},
    ),
    (
        "zset of a ziplist",
        kinds.ZSET_ZIPLIST,
        rdb_string(ziplist(short(b"a"), b"\xf2", short(b"b"), short(b"2.5"))),
        {b"a": 1.0, b"b": 2.5},
    ),
    (
        "zset with scores as text",
        kinds.ZSET_TEXT,
        b"\x03\x01a\x031.5\x01b\xfe\x01c\xff",
        {b"a": 1.5, b"b": float("inf"), b"c": float("-inf")},
    ),
    ("set of a listpack", kinds.SET_LISTPACK, rdb_string(pack([b"a", b"1"])), {b"a", b"1"}),
]


@pytest.mark.parametrize(("kind", "body", "value"), [case[1:] for case in FROM_OLDER], ids=[c[0] for c in FROM_OLDER])
def test_other_versions_are_read(kind: int, body: bytes, value: Any) -> None:
    payload = sealed(bytes([kind]) + body, version=6)
    assert plain(load_payload(payload)) == value


@pytest.mark.parametrize("version", [1, 6, 9, 10, 11, 12])
def test_versions_up_to_12_are_read(version: int) -> None:
    assert load_payload(sealed(b"\x00\x01a", version)) == b"a"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x0a\x00" + bytes(7),
        sealed(b"\x00\x01a", version=13),
        sealed(b"\x00\x01a")[:-1] + b"\x00",
        b"\x00\x01b" + sealed(b"\x00\x01a")[3:],
    ],
)
def test_a_wrong_footer_is_told_from_a_wrong_value(payload: bytes) -> None:
    with pytest.raises(WrongFooter):
        load_payload(payload)


def test_the_checksum_can_be_left_out() -> None:
    assert load_payload(sealed(b"\x00\x01a")[:-8] + bytes(8), check=False) == b"a"


NAN = b"\x00\x00\x00\x00\x00\x00\xf8\x7f"
TWICE = pack([b"a", b"1", b"a", b"2"])
MALFORMED: list[tuple[str, bytes]] = [
    ("nothing", b""),
    ("unknown kind", b"\x63\x01a"),
    ("stream", b"\x0f\x00"),
    ("cut string", b"\x00\x05abcd"),
    ("length cut", b"\x00\x40"),
    ("length of 2**63", b"\x00\x81\x80" + bytes(7) + b"abc"),
    ("unknown length", b"\x00\x82\x00\x00"),
    ("unknown form of string", b"\x00\xc4\x00"),
    ("cut integer", b"\x00\xc2\x00\x00"),
    ("compressed string cut", b"\x00\xc3\x06\x15\x01\x78"),
    ("compressed string with a wrong length", b"\x00\xc3\x06\x16\x01\x78\x78\xe0\x0a\x00"),
    ("compressed string that cannot be so long", b"\x00\xc3\x01\x81\x40" + bytes(8)),
    ("empty list", b"\x01\x00"),
    ("list without its elements", b"\x01\x81\x7f" + bytes(7) + b"\x01a"),
    ("empty set", b"\x02\x00"),
    ("member twice", b"\x02\x02\x01a\x01a"),
    ("empty hash", b"\x04\x00"),
    ("field twice", b"\x04\x02\x01a\x01x\x01a\x01y"),
    ("field without value", b"\x04\x01\x01a"),
    ("empty zset", b"\x05\x00"),
    ("zset member twice", b"\x05\x02\x01a" + bytes(8) + b"\x01a" + bytes(8)),
    ("score that is no number", b"\x05\x01\x01a" + NAN),
    ("score text that is no number", b"\x03\x01\x01a\x01x"),
    ("score text nan", b"\x03\x01\x01a\xfd"),
    ("empty zipmap", b"\x09" + rdb_string(b"\x00\xff")),
    ("zipmap cut", b"\x09" + rdb_string(b"\x01\x01f\x05\x00v\xff")),
    ("zipmap with a wrong count", b"\x09" + rdb_string(b"\x02\x01f\x01\x00v\xff")),
    ("zipmap field twice", b"\x09" + rdb_string(b"\x02\x01f\x01\x00v\x01f\x01\x00w\xff")),
    ("empty ziplist", b"\x0a" + rdb_string(ziplist())),
    ("ziplist with a wrong length", b"\x0a" + rdb_string(b"\x0f" + ziplist(short(b"a"))[1:])),
    ("ziplist with a wrong tail", b"\x0a" + rdb_string(ziplist(short(b"a"))[:4] + bytes(4) + ziplist(short(b"a"))[8:])),
    ("ziplist with a wrong count", b"\x0a" + rdb_string(ziplist(short(b"a"))[:8] + b"\x07\x00" + b"\x00\x01a\xff")),
    ("ziplist entry too long", b"\x0a" + rdb_string(ziplist(b"\x09a"))),
    ("ziplist with an unknown encoding", b"\x0a" + rdb_string(ziplist(b"\x90a"))),
    ("ziplist without a value", b"\x0d" + rdb_string(ziplist(short(b"a")))),
    ("ziplist field twice", b"\x0d" + rdb_string(ziplist(*[short(b"a")] * 4))),
    ("ziplist score that is no number", b"\x0c" + rdb_string(ziplist(short(b"a"), short(b"b")))),
    ("ziplist score nan", b"\x0c" + rdb_string(ziplist(short(b"a"), short(b"nan")))),
    ("ziplist score with an underscore", b"\x0c" + rdb_string(ziplist(short(b"a"), short(b"1_0")))),
    ("intset of a wrong width", b"\x0b" + rdb_string(b"\x03\x00\x00\x00\x01\x00\x00\x00abc")),
    ("intset cut", b"\x0b" + rdb_string(b"\x02\x00\x00\x00\x02\x00\x00\x00\x01\x00")),
    ("intset out of order", b"\x0b" + rdb_string(b"\x02\x00\x00\x00\x02\x00\x00\x00\x02\x00\x01\x00")),
    ("empty intset", b"\x0b" + rdb_string(b"\x02\x00\x00\x00\x00\x00\x00\x00")),
    ("hash listpack field twice", b"\x10" + rdb_string(TWICE)),
    ("hash listpack without a value", b"\x10" + rdb_string(pack([b"a"]))),
    ("empty hash listpack", b"\x10" + rdb_string(pack([]))),
    ("zset listpack member twice", b"\x11" + rdb_string(TWICE)),
    ("zset listpack with a text for a score", b"\x11" + rdb_string(pack([b"a", b"b"]))),
    ("empty zset listpack", b"\x11" + rdb_string(pack([]))),
    ("set listpack member twice", b"\x14" + rdb_string(pack([b"a", b"a"]))),
    ("empty list of nodes", b"\x12\x00"),
    ("unknown kind of node", b"\x12\x01\x03\x01a"),
    ("node that is no listpack", b"\x12\x01\x02\x01a"),
    ("empty node", b"\x12\x01\x02" + rdb_string(pack([]))),
    ("plain node of nothing", b"\x12\x01\x01\x00"),
]


@pytest.mark.parametrize("body", [body for _, body in MALFORMED], ids=[name for name, _ in MALFORMED])
def test_what_is_no_value_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        load_payload(sealed(body))


@pytest.mark.parametrize(
    "body",
    [
        b"\x01\x00",
        b"\x02\x00",
        b"\x04\x00",
        b"\x05\x00",
        b"\x0a" + rdb_string(ziplist()),
        b"\x0d" + rdb_string(ziplist()),
        b"\x0e\x01" + rdb_string(ziplist()),
        b"\x10" + rdb_string(pack([])),
        b"\x11" + rdb_string(pack([])),
    ],
)
def test_an_empty_collection_is_told_from_a_broken_one(body: bytes) -> None:
    with pytest.raises(Empty):
        load_payload(sealed(body))


@pytest.mark.parametrize("payload", [payload for _, payload in FROM_REDIS], ids=[p[:16] for _, p in FROM_REDIS])
def test_every_cut_is_noticed(payload: str) -> None:
    body = bytes.fromhex(payload)[:-10]
    for end in range(len(body)):
        with pytest.raises(Malformed):
            load_payload(sealed(body[:end]))


SEEDS = [bytes.fromhex(payload)[:-10] for _, payload in FROM_REDIS]
SEEDS += [bytes([kind]) + body for _, kind, body, _ in FROM_OLDER]
damages = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=6)


@given(st.sampled_from(SEEDS), damages, st.binary(max_size=8))
def test_damaged_bodies_give_a_value_or_malformed(body: bytes, damage: list[tuple[int, int]], tail: bytes) -> None:
    damaged = bytearray(body + tail)
    for at, byte in damage:
        damaged[at % len(damaged)] = byte
    try:
        value = load_payload(sealed(bytes(damaged)))
    except Malformed:
        return
    # What was accepted is a sound value: it can be walked and written again.
    plain(value)
    assert plain(load_payload(dump_payload(value))) == plain(value)


@given(st.binary(max_size=100))
def test_any_bytes_give_a_value_or_malformed(body: bytes) -> None:
    with contextlib.suppress(Malformed):
        plain(load_payload(sealed(body)))


texts = st.one_of(
    st.binary(max_size=80),
    st.integers(-(2**65), 2**65).map(lambda n: b"%d" % n),
    st.tuples(st.binary(min_size=1, max_size=3), st.integers(1, 200)).map(lambda t: t[0] * t[1]),
)
scores = st.floats(allow_nan=False)


@given(st.lists(texts, min_size=1, max_size=60), st.data())
def test_every_value_comes_back(elements: list[bytes], data: st.DataObject) -> None:
    hashed, scored = Hash(), ZSet()
    for element in elements:
        hashed.set(element, element * 2)
        scored.set(element, data.draw(scores))
    for value in (elements[0], list_of(*elements), set_of(*elements), hashed, scored):
        loaded = load_payload(dump_payload(value))
        assert plain(loaded) == plain(value)


def test_large_values_come_back() -> None:
    numbers = [b"%d" % i for i in range(5000)]
    for value in (list_of(*numbers), set_of(*numbers), set_of(*numbers, b"x")):
        assert plain(load_payload(dump_payload(value))) == plain(value)


def test_thresholds_decide_again_when_a_value_is_read() -> None:
    payload = dump_payload(zset_of(**{f"m{i}": i for i in range(10)}))
    set_limit("zset-max-listpack-entries", 5)
    try:
        loaded = load_payload(payload)
        assert isinstance(loaded, ZSet)
        assert loaded.encoding == "skiplist"
        assert len(loaded) == 10
    finally:
        set_limit("zset-max-listpack-entries", 128)


# The primitives.


@pytest.mark.parametrize(
    ("n", "data"),
    [
        (0, "00"),
        (63, "3f"),
        (64, "4040"),
        (16383, "7fff"),
        (16384, "8000004000"),
        (2**32 - 1, "80ffffffff"),
        (2**32, "810000000100000000"),
        (2**64 - 1, "81ffffffffffffffff"),
    ],
)
def test_lengths(n: int, data: str) -> None:
    w = Writer()
    w.length(n)
    assert w.take().hex() == data
    assert Reader(bytes.fromhex(data)).length() == n


def test_one_value_after_another() -> None:
    w = Writer()
    for value in (b"one", zset_of(a=1)):
        write_value(w, value)
    r = Reader(w.take())
    assert read_value(r, r.byte()) == b"one"
    assert plain(read_value(r, r.byte())) == {b"a": 1.0}
    assert r.left == 0


# Members of every length, plain, packed as integers, compressed: what comes next is looked at before its turn.
MIXED = [
    b"%d" % i if i % 3 else (b"m%d" % i) * (1 + i % 30) if i % 2 else b"a" * (i % 300) + b"%d" % i
    for i in range(70_000)
]


def test_large_sets_and_hashes_come_back() -> None:
    members = set(MIXED)
    assert set(load_payload(dump_payload(set_of(*MIXED))).members()) == members
    value = Hash()
    for member in MIXED:
        value.set(member, member[:40])
    assert dict(load_payload(dump_payload(value)).items()) == {member: member[:40] for member in MIXED}


@pytest.mark.parametrize("kind", [kinds.SET, kinds.HASH, kinds.ZSET, kinds.LIST, kinds.LIST_NODES])
@pytest.mark.parametrize("count", [b"\x80\xff\xff\xff\xff", b"\x81" + b"\x7f" * 8])
def test_a_count_that_lies_is_malformed(kind: int, count: bytes) -> None:
    """Room is made for no more than what may come."""
    elements = b"".join(b"\x04%04d" % i for i in range(9000))
    with pytest.raises(Malformed):
        read_value(Reader(count + elements), kind)
