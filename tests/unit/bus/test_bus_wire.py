"""One list of messages drives writer and reader; offsets are checked against the layout that Redis fixes."""

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip import wire
from gossip.framer import NEED_DATA, BadPacket, Framer, FramingError
from gossip.messages import (
    EXT_DATA,
    OURS,
    AuthAck,
    AuthRequest,
    Extensions,
    Fail,
    GossipEntry,
    Header,
    Heard,
    Kind,
    LightPublish,
    Meet,
    MfStart,
    Module,
    Ping,
    Pong,
    Publish,
    PublishShard,
    Unknown,
    Update,
)

A, B, C = "a" * 40, "b0" * 20, "0123456789" * 4
SLOTS = bytes(range(256)) * 8
BARE = Header(sender=A)
FULL = Header(
    sender=A,
    current_epoch=7,
    config_epoch=(1 << 64) - 1,
    offset=123456789012,
    slots=SLOTS,
    primary_id=B,
    ip="2001:db8::1",
    port=6379,
    plain_port=6380,
    bus_port=16379,
    flags=0x2A5,
    state_fail=True,
    mflags=(EXT_DATA, OURS, 9),
)
GOSSIP = (
    GossipEntry(B, 0, 1700000000, "10.0.0.2", 6379, 16379, 1),
    GossipEntry(C, 5, 6, "", 0, 0, 64, 6380),
)
EXTENSIONS = Extensions("node-1.example", "blue", C, ((B, 60),))
OPINIONS = Extensions(asked=(B, C), heard=(Heard(B, 0), Heard(C, (1 << 64) - 1)))

MESSAGES = [
    Ping(BARE),
    Ping(FULL, GOSSIP, EXTENSIONS),
    Pong(BARE, GOSSIP),
    Pong(FULL, GOSSIP, OPINIONS),
    Pong(FULL, (), Extensions(hostname="1234567")),  # with its zero, exactly eight bytes
    Meet(FULL, GOSSIP[:1]),
    Fail(FULL, B),
    Publish(BARE, b"news", b"hello\x00\xff"),
    Publish(BARE, b"", b""),
    PublishShard(FULL, b"{tag}", b"x" * 3000),
    Update(FULL, C, 12, SLOTS[::-1]),
    AuthRequest(FULL),
    AuthAck(BARE),
    MfStart(BARE),
    Module(BARE, 0x1122334455667788, 3, b"payload"),
]
LIGHT = [
    LightPublish(Kind.PUBLISH, b"news", b"hello\x00\xff"),
    LightPublish(Kind.PUBLISH, b"", b""),
    LightPublish(Kind.PUBLISHSHARD, b"{tag}", b"x" * 3000),
]
IDS = [f"{type(m).__name__}{i}" for i, m in enumerate(MESSAGES)]


@pytest.mark.parametrize("message", MESSAGES, ids=IDS)
def test_what_is_written_is_read(message):
    packet = wire.encode(message)
    assert int.from_bytes(packet[4:8], "big") == len(packet)
    assert wire.decode(packet) == message
    assert type(wire.decode(packet)) is type(message)


# As clusterMsgLight in Valkey lays it out: sixteen bytes, then the body of a PUBLISH.
LIGHT_BYTES = (
    b"RCmb" + b"\0\0\0\x23" + b"\0\1" + b"\0\0" + b"\x80\4" + b"\0\0" + b"\0\0\0\4" + b"\0\0\0\7" + b"newshello\0\xff"
)


def test_a_light_packet_byte_by_byte():
    assert wire.encode_light(LIGHT[0]) == LIGHT_BYTES
    assert wire.decode(LIGHT_BYTES) == LIGHT[0]
    assert wire.encode_light(LIGHT[2])[12:14] == b"\x80\x0a"


@pytest.mark.parametrize("message", LIGHT)
def test_what_is_written_light_is_read(message):
    assert wire.decode(wire.encode_light(message)) == message


@pytest.mark.parametrize("chunk", [1, 7, 2256, 1 << 20])
def test_light_packets_among_others_may_arrive_in_any_pieces(chunk):
    packets = [(each, wire.encode_light(each)) for each in LIGHT] + [(MESSAGES[1], wire.encode(MESSAGES[1]))]
    stream = b"".join(packet for _, packet in packets * 2)
    framer, found = Framer(), []
    for at in range(0, len(stream), chunk):
        framer.feed(stream[at : at + chunk])
        while (message := framer.next()) is not NEED_DATA:
            found.append(message)
    assert found == [message for message, _ in packets * 2]


@pytest.mark.parametrize("chunk", [1, 7, 2256, 1 << 20])
def test_a_stream_may_arrive_in_any_pieces(chunk):
    stream = b"".join(wire.encode(message) for message in MESSAGES)
    framer, found = Framer(), []
    for at in range(0, len(stream), chunk):
        framer.feed(stream[at : at + chunk])
        while (message := framer.next()) is not NEED_DATA:
            found.append(message)
    assert found == MESSAGES
    assert framer.buffered_bytes == 0


# (offset, struct format, what must be there), for FULL in a Ping; the offsets are those of clusterMsg in Redis.
HEADER_FIELDS = [
    (0, "4s", b"RCmb"),
    (8, "H", 1),
    (10, "H", 6379),
    (12, "H", 0),
    (14, "H", 2),
    (16, "Q", 7),
    (24, "Q", (1 << 64) - 1),
    (32, "Q", 123456789012),
    (40, "40s", A.encode()),
    (80, "2048s", SLOTS),
    (2128, "40s", B.encode()),
    (2168, "46s", b"2001:db8::1".ljust(46, b"\0")),
    (2214, "H", 4),
    (2216, "30s", bytes(30)),
    (2246, "H", 6380),
    (2248, "H", 16379),
    (2250, "H", 0x2A5),
    (2252, "B", 1),
    (2253, "3B", EXT_DATA),
    (2256, "40s", B.encode()),
    (2256 + 44, "I", 1700000000),
    (2256 + 48, "46s", b"10.0.0.2".ljust(46, b"\0")),
    (2256 + 94, "H", 6379),
    (2256 + 98, "H", 1),
    (2256 + 104, "40s", C.encode()),
    (2256 + 208, "I", 24),  # the hostname: 8 bytes of head, 15 with its zero, padded
    (2256 + 212, "H", 0),
    (2256 + 216, "15s", b"node-1.example\0"),
]


@pytest.mark.parametrize(("offset", "form", "value"), HEADER_FIELDS)
def test_fields_lie_where_redis_puts_them(offset, form, value):
    packet = wire.encode(Ping(FULL, GOSSIP, EXTENSIONS))
    assert struct.unpack_from(">" + form, packet, offset)[0] == value


def _patched(message, offset, data):
    packet = bytearray(wire.encode(message))
    packet[offset : offset + len(data)] = data
    return bytes(packet)


PING = Ping(FULL, GOSSIP, EXTENSIONS)
EXT_AT = 2256 + 208

BAD_PACKETS = [
    ("sender", _patched(PING, 40, b"\xff")),
    ("sender in capitals", _patched(PING, 40, b"A")),
    ("primary", _patched(PING, 2128, b"\n")),
    ("address", _patched(PING, 2168, b"a b")),
    ("more gossip than bytes", _patched(PING, 14, b"\xff\xff")),
    ("less gossip than bytes", _patched(PING, 14, b"\0\1")),
    ("more extensions than bytes", _patched(PING, 2214, b"\0\x09")),
    ("extension not padded", _patched(PING, EXT_AT, struct.pack(">I", 23))),
    ("extension of no length", _patched(PING, EXT_AT, struct.pack(">I", 0))),
    ("extension over the end", _patched(PING, EXT_AT, struct.pack(">I", 1 << 20))),
    ("hostname without its zero", _patched(PING, EXT_AT + 8, b"x" * 16)),
    ("short shard id", _patched(PING, EXT_AT + 4, b"\0\3")),
    ("short forgotten node", _patched(PING, EXT_AT + 4, b"\0\2")),
    ("channel over the end", _patched(Publish(BARE, b"c", b"m"), 2256, b"\xff\xff\xff\xff")),
    ("module over the end", _patched(Module(BARE, 1, 1, b"x"), 2264, b"\xff")),
    ("fail about nobody", _patched(Fail(BARE, B), 2256, b"\0")),
    ("light channel over the end", LIGHT_BYTES[:16] + b"\xff" + LIGHT_BYTES[17:]),
    ("light without its lengths", LIGHT_BYTES[:4] + b"\0\0\0\x14" + LIGHT_BYTES[8:20]),
    ("light and truncated", LIGHT_BYTES[:-1]),
    ("truncated", wire.encode(Fail(BARE, B))[:-1]),
    ("nothing", b""),
]


@pytest.mark.parametrize("packet", [p for _, p in BAD_PACKETS], ids=[name for name, _ in BAD_PACKETS])
def test_a_bad_packet_is_a_clear_error(packet):
    with pytest.raises(BadPacket) as error:
        wire.decode(packet)
    assert str(error.value)


def test_after_a_bad_packet_the_stream_goes_on():
    framer = Framer()
    framer.feed(BAD_PACKETS[0][1] + wire.encode(MESSAGES[0]))
    with pytest.raises(BadPacket):
        framer.next()
    assert framer.next() == MESSAGES[0]


@pytest.mark.parametrize(
    "stream",
    [
        b"GET / HTTP/1.1\r\n",
        b"R\0",
        b"RCmb" + struct.pack(">I", 15),
        b"RCmb" + struct.pack(">IHHHH", 2255, 1, 6379, 0, 0),  # shorter than the header, and not light
        b"RCmb" + struct.pack(">IHHHH", 1 << 29, 1, 0, 0x8000, 0),  # half a gigabyte of a light PING
        b"RCmb" + struct.pack(">I", (1 << 32) - 1),
        b"RCmb" + struct.pack(">IHHHH", 1 << 29, 1, 6379, 0, 0),  # half a gigabyte of PING
        b"RCmb" + struct.pack(">IHHHH", 1 << 20, 1, 6379, 3, 0),  # a megabyte of FAIL
    ],
)
def test_broken_framing_is_refused_before_its_length_is_believed(stream):
    framer = Framer()
    framer.feed(stream)
    with pytest.raises(FramingError):
        framer.next()


def test_unknown_types_and_versions_are_skipped():
    framer = Framer()
    framer.feed(_patched(MESSAGES[0], 12, b"\0\x63") + _patched(MESSAGES[0], 8, b"\0\2") + wire.encode(MESSAGES[0]))
    assert framer.next() == Unknown(1, 0x63)
    assert framer.next() == Unknown(2, 0)
    assert framer.next() == MESSAGES[0]


def test_unknown_extensions_are_skipped():
    packet = bytearray(wire.encode(Ping(FULL, (), Extensions(hostname="host", shard_id=C))))
    packet[2256 + 4 : 2256 + 6] = b"\x77\x77"
    assert wire.decode(bytes(packet)).extensions == Extensions(shard_id=C, unknown_types=(0x7777,))


def test_a_gossip_section_that_makes_no_sense_costs_only_itself():
    assert wire.decode(_patched(PING, 2256, b"\0\xff")) == Ping(FULL, GOSSIP[1:], EXTENSIONS)


def test_extensions_without_their_flag_do_not_count():
    packet = _patched(Ping(BARE), 2214, b"\0\5")
    assert wire.decode(packet) == Ping(BARE)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(MESSAGES) - 1), st.randoms(use_true_random=False))
def test_mutated_packets_never_crash(index, rng: random.Random):
    """Whatever happens to a packet, the framer answers with a message or one of its two errors."""
    packet = bytearray(wire.encode(MESSAGES[index]))
    for _ in range(rng.randrange(1, 6)):
        where = rng.choice([rng.randrange(16), rng.randrange(2128, 2256), rng.randrange(len(packet))])
        packet[where % len(packet)] = rng.randrange(256)
    _drain(bytes(packet) + wire.encode(MESSAGES[0]))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=600))
def test_noise_never_crashes(noise):
    _drain(noise)
    _drain(wire.encode(PING)[:2256] + noise)
    _drain(b"RCmb" + struct.pack(">I", 2256 + len(noise)) + wire.encode(PING)[8:2256] + noise)


def _drain(stream):
    framer = Framer()
    framer.feed(stream)
    for _ in range(100):
        try:
            if framer.next() is NEED_DATA:
                return
        except BadPacket:
            continue
        except FramingError:
            return
    raise AssertionError("the framer does not come to an end")
