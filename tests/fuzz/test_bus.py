"""The bus parser and the core behind it, fed with damaged packets: dropped, or the link closed; never an exception.

Good packets come out as they went in, whole or in pieces. Damaged ones are judged by three standards: the framer
raises only its own two errors, it always makes progress, and a node that receives them goes on serving.
"""

from __future__ import annotations

import dataclasses
import random
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.agreement import nodesconf
from cluster.agreement.epochs import EPOCH_MAX
from cluster.agreement.slots import range_set
from cluster.agreement.state import ClusterSettings
from cluster.core import ClusterCore
from cluster.orders import ClusterOrders
from cluster.views import ClusterViews
from gossip import flags
from gossip.effects import LinkAccepted, Received
from gossip.extensions import ExtensionError
from gossip.framer import NEED_DATA, BadPacket, Framer, FramingError
from gossip.messages import (
    EXT_DATA,
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
    Message,
    MfStart,
    Module,
    Ping,
    Pong,
    Publish,
    PublishShard,
    Update,
)
from gossip.peer import Peer
from gossip.wire import encode, encode_light
from tests.fuzz.mutation import mutate, rounds
from tests.support.servers import Pair, wait_until

ids = st.text("0123456789abcdef", min_size=40, max_size=40)
addresses = st.sampled_from(["", "127.0.0.1", "10.1.2.3", "::1", "node-1.example.org"])
ports = st.integers(0, 65535)
epochs = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1])
bitmaps = st.sampled_from([bytes(2048), b"\xff" * 2048, b"\x01" + bytes(2047), bytes(2047) + b"\x80"])
headers = st.builds(
    Header,
    sender=ids,
    current_epoch=epochs,
    config_epoch=epochs,
    offset=epochs,
    slots=bitmaps,
    primary_id=st.none() | ids,
    ip=addresses,
    port=ports,
    plain_port=ports,
    bus_port=ports,
    flags=st.integers(0, 65535),
    state_fail=st.booleans(),
    mflags=st.tuples(st.integers(0, 3), st.integers(0, 255), st.integers(0, 255)),
)
entries = st.builds(
    GossipEntry,
    node_id=ids,
    ping_sent_s=st.integers(0, 2**32 - 1),
    pong_received_s=st.integers(0, 2**32 - 1),
    ip=addresses,
    port=ports,
    bus_port=ports,
    flags=st.integers(0, 65535),
    plain_port=ports,
)
payloads = st.binary(max_size=300)
bare = [AuthRequest, AuthAck, MfStart]
messages: st.SearchStrategy[Message | LightPublish] = st.one_of(
    *(st.builds(kind, headers, st.lists(entries, max_size=4).map(tuple)) for kind in (Ping, Pong, Meet)),
    *(st.builds(kind, headers, payloads, payloads) for kind in (Publish, PublishShard)),
    *(st.builds(kind, headers) for kind in bare),
    st.builds(LightPublish, st.sampled_from([Kind.PUBLISH, Kind.PUBLISHSHARD]), payloads, payloads),
    st.builds(Fail, headers, ids),
    st.builds(Update, headers, ids, epochs, bitmaps),
    st.builds(Module, headers, epochs, st.integers(0, 255), payloads),
)

NOW_MS = 1_700_000_000_000
ME, PEER = "a" * 40, "b" * 40
HEADER = Header(sender=PEER, current_epoch=5, config_epoch=3, ip="127.0.0.1", port=7001, bus_port=17001)
WITH_EXTENSIONS = dataclasses.replace(HEADER, mflags=(EXT_DATA, 0, 0))
SEEDS = [
    encode(message)
    for message in (
        Ping(HEADER, (GossipEntry("c" * 40, 1, 2, "127.0.0.1", 7002, 17002, 1),)),
        Ping(WITH_EXTENSIONS, (), Extensions(hostname="one.example.org", shard_id="d" * 40)),
        Meet(WITH_EXTENSIONS, (), Extensions(nodename="two", forgotten=(("e" * 40, 60),))),
        Pong(WITH_EXTENSIONS, (), Extensions(asked=("e" * 40,), heard=(Heard("e" * 40, 60),))),
        Pong(dataclasses.replace(HEADER, slots=b"\xff" * 2048)),
        Fail(HEADER, "c" * 40),
        Publish(HEADER, b"channel", b"message"),
        PublishShard(HEADER, b"", b"x" * 1000),
        AuthRequest(HEADER),
        AuthAck(HEADER),
        Update(HEADER, "c" * 40, 9, b"\x0f" * 2048),
        MfStart(HEADER),
        Module(HEADER, 7, 1, b"payload"),
    )
] + [encode_light(LightPublish(Kind.PUBLISH, b"channel", b"message"))]


def packet_of(message: Message | LightPublish) -> bytes:
    return encode_light(message) if isinstance(message, LightPublish) else encode(message)


def drain(framer: Framer) -> list[object]:
    """All that the framer can say now: messages, and the errors of packets that it dropped."""
    found: list[object] = []
    while True:
        before = framer.buffered_bytes
        try:
            message = framer.next()
        except BadPacket as error:
            assert framer.buffered_bytes < before, "a bad packet must be consumed"
            found.append(str(error))
            continue
        if message is NEED_DATA:
            return found
        found.append(message)


@given(sent=st.lists(messages, min_size=1, max_size=4), cut=st.integers(1, 3000))
def test_packets_come_out_as_they_went_in(sent: list[Message | LightPublish], cut: int) -> None:
    # A flag that announces extensions without any being there is what encode() never produces.
    sent = [_without_extension_flag(message) for message in sent]
    stream = b"".join(map(packet_of, sent))
    whole, pieces = Framer(), Framer()
    whole.feed(stream)
    received: list[object] = []
    for at in range(0, len(stream), cut):
        pieces.feed(stream[at : at + cut])
        received += drain(pieces)
    assert drain(whole) == received == sent


def _without_extension_flag(message: Message | LightPublish) -> Message | LightPublish:
    if isinstance(message, LightPublish):
        return message
    first, *rest = message.header.mflags
    header = dataclasses.replace(message.header, mflags=(first & ~EXT_DATA, *rest))
    return dataclasses.replace(message, header=header)


@given(st.lists(messages, max_size=6), st.sampled_from([0, 9]))
def test_the_largest_numbers_of_a_member_can_be_shown_kept_and_told(said: list[Message], own_epoch: int) -> None:
    """A node takes what a member says for what it is, up to the last number that a packet can hold."""
    core = ClusterCore(ClusterSettings(port=7000, bus_port=17000), random.Random(1), NOW_MS)
    core.myself.config_epoch = core.state.current_epoch = own_epoch
    peer = core.members.add(Peer(PEER, flags.PRIMARY, NOW_MS, ip="127.0.0.1", port=7001, bus_port=17001))
    core.slotmap.assign(range_set(0, 99), core.myself)
    core.slotmap.assign(range_set(100, 16383), peer)
    views, admin = ClusterViews(core), ClusterOrders(core)
    link_id = core.new_link_id()
    core.step(LinkAccepted(link_id, "127.0.0.1", "127.0.0.1"), NOW_MS)
    for number, message in enumerate(said):
        if not isinstance(message, LightPublish):
            named = dataclasses.replace(message.header, sender=PEER)
            core.step(Received(link_id, encode(dataclasses.replace(message, header=named))), NOW_MS + number)
        core.tick(NOW_MS + number)
        _tell_all(core, views)
    admin.bump_epoch(NOW_MS)
    if core.myself.is_replica:
        admin.failover([b"TAKEOVER"], NOW_MS)
    _tell_all(core, views)


def _tell_all(core: ClusterCore, views: ClusterViews) -> None:
    """All that is sent (packets are made by now), written and shown."""
    core.take_effects()
    assert nodesconf.load(core.nodes_conf(), NOW_MS).myself.config_epoch <= EPOCH_MAX
    encode(Pong(core.bus.header()))
    views.nodes(), views.info()
    for shown in (views.slots(), views.shards(), views.links(lambda link_id: (0, 0))):
        for number in _integers(shown):
            assert -(2**63) <= number < 2**63, f"no client can be told {number}"


def _integers(shown: object) -> Iterator[int]:
    if isinstance(shown, int):
        yield shown
    elif isinstance(shown, dict | list):
        for each in shown.values() if isinstance(shown, dict) else shown:
            yield from _integers(each)


@pytest.mark.parametrize("seed", range(6))
def test_damaged_packets_are_dropped_or_end_the_link(seed: int) -> None:
    rng = random.Random(seed)
    for number in range(rounds(500)):
        data = mutate(rng, SEEDS)
        framer = Framer()
        try:
            for at in range(0, len(data), size := rng.choice((1 << 20, 1000, 17))):
                framer.feed(data[at : at + size])
                drain(framer)
        except FramingError:
            pass
        except ExtensionError as error:
            raise AssertionError(f"seed {seed}, round {number}: {error} must not leave the parser") from error


def test_noise_is_no_bus() -> None:
    rng = random.Random(1)
    for _ in range(rounds(200)):
        framer = Framer()
        framer.feed(rng.choice((b"", b"RCmb", b"RC")) + rng.randbytes(rng.choice((1, 8, 100, 4000))))
        try:
            drain(framer)
        except FramingError:
            continue
        assert framer.buffered_bytes <= 1 << 16


def test_a_node_survives_damaged_packets_on_its_bus_port(pair: Pair) -> None:
    """Each round is one link. The node may close it; it must go on answering clients and keep all its slots."""
    server = pair.ours("cluster")
    rng = random.Random(11)
    for number in range(rounds(60)):
        data = b"".join(mutate(rng, SEEDS) for _ in range(rng.randint(1, 3)))
        with socket.create_connection(("127.0.0.1", server.port + 10000), timeout=5) as link:
            try:
                link.sendall(data)
                link.shutdown(socket.SHUT_WR)
                while link.recv(1 << 16):
                    pass
            except TimeoutError:
                raise AssertionError(f"round {number}: the link stays open after its end: {data[:300]!r}") from None
            except OSError:
                pass  # the node has hung up already
        assert server.alive(), f"round {number}: {server.log_tail()}"
    wait_until(lambda: server.cluster_info()["cluster_state"] == "ok", "the node serves after all that")
    assert server.cluster_info()["cluster_slots_assigned"] == "16384"
