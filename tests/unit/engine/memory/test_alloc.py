"""The allocator: blocks keep their bytes, never overlap, and every one is counted by what it occupies."""

import random

import pytest

from node.engine.memory import alloc
from tests.support import probe

EDGES = [0, 1, 8, 9, 48, 255, 256, 257, 288, 289, 512, 513, 1023, 1024, 1025, 4096, (1 << 20) - 1, 1 << 20, 3 << 20]


@pytest.mark.parametrize(
    ("asked", "occupied"),
    [(1, 8), (8, 8), (9, 16), (48, 48), (49, 56), (256, 256), (257, 288), (512, 512), (513, 576), (1024, 1024)],
)
def test_small_blocks_are_rounded_to_their_class(asked, occupied):
    assert probe.size_of(asked) == occupied


@pytest.mark.parametrize("size", EDGES)
def test_a_block_is_counted_while_it_lives(size):
    before = alloc.mem_used()
    block = probe.Block(size)
    assert alloc.mem_used() - before == probe.size_of(size) >= size
    del block
    assert alloc.mem_used() == before


@pytest.mark.parametrize("size", EDGES)
def test_zeroed_blocks_are_zero_even_when_used_before(size):
    block = probe.Block(size)
    block.fill(0xFF)
    del block
    assert probe.Block(size, zeroed=True).content == bytes(size)


@pytest.mark.parametrize("old", EDGES)
@pytest.mark.parametrize("new", EDGES)
def test_resizing_keeps_the_common_bytes_and_the_count(old, new):
    before = alloc.mem_used()
    block = probe.Block(old)
    block.fill(0x5A)
    block.resize(new)
    assert block.content[: min(old, new)] == b"\x5a" * min(old, new)
    assert alloc.mem_used() - before == probe.size_of(new)
    del block
    assert alloc.mem_used() == before


def test_live_blocks_never_overlap():
    chance = random.Random(7)
    blocks: list[tuple[probe.Block, int]] = []
    for step in range(20_000):
        if blocks and chance.random() < 0.45:
            block, byte = blocks.pop(chance.randrange(len(blocks)))
            assert block.content == bytes([byte]) * block.size
        else:
            block = probe.Block(chance.choice([8, 16, 24, 48, 200, 600, 1024, 2000]))
            block.fill(step & 0xFF)
            blocks.append((block, step & 0xFF))
    for block, byte in blocks:
        assert block.content == bytes([byte]) * block.size


def test_blocks_of_16_bytes_are_aligned_to_16():
    assert all(probe.Block(size).address % 16 == 0 for size in (16, 32, 48, 1024, 5000, 2 << 20))


def test_an_object_can_account_for_itself():
    before = alloc.mem_used()
    alloc.mem_account(120)
    assert alloc.mem_used() == before + 120
    alloc.mem_account(-120)
    assert alloc.mem_used() == before
