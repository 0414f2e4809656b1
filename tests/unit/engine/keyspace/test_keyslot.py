"""Key to slot, against crcmod and the specification's examples."""

import random

import crcmod.predefined
import pytest

from node.engine.keyspace.keyslot import slot_of

xmodem = crcmod.predefined.mkCrcFun("xmodem")


@pytest.mark.parametrize("length", range(40))
def test_every_length_agrees_with_crcmod(length):
    chance = random.Random(length)
    for _ in range(50):
        key = chance.randbytes(length).replace(b"{", b"(")
        assert slot_of(key) == xmodem(key) % 16384


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        (b"123456789", b"123456789"),
        (b"{user1000}.following", b"user1000"),
        (b"foo{}{bar}", b"foo{}{bar}"),
        (b"foo{{bar}}zap", b"{bar"),
        (b"foo{bar}{zap}", b"bar"),
        (b"foo{bar", b"foo{bar"),
        (b"foo}bar{", b"foo}bar{"),
        (b"}{a}", b"a"),
        (b"", b""),
        (b"{", b"{"),
        (b"a\x00{b\x00c}", b"b\x00c"),
    ],
)
def test_hash_tags(key, hashed):
    assert slot_of(key) == xmodem(hashed) % 16384


def test_the_specifications_check_value():
    assert slot_of(b"123456789") == 0x31C3
