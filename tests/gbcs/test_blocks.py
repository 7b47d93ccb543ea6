"""Messages in blocks: what a block is, how many there may be, and what they join to (Green Book 9.4.6.13)."""

import pytest

from smki.errors import InvalidInput
from smki.gbcs.block_transfer import Block, join, read_block, segment


def refused(make: object, *args: object) -> str:
    with pytest.raises(InvalidInput) as refusal:
        make(*args)  # type: ignore[operator]
    assert refusal.value.code == "gbcs.blocks"
    return refusal.value.message


@pytest.mark.parametrize(
    ("block", "octets"),
    [
        (Block(1, False, b"ab", streaming=True), "e0 41 0001 0000 02 6162"),
        (Block(2, True, b"c"), "e0 81 0002 0000 01 63"),
        (Block(0xFFFF, False, b"", window=0x3F, acknowledged=0xFFFF), "e0 3f ffff ffff 00"),
        (Block(3, True, bytes(128), streaming=True, window=0, acknowledged=2), "e0 c0 0003 0002 8180" + "00" * 128),
    ],
)
def test_a_block_is_its_octets(block: Block, octets: str) -> None:
    assert block.encode() == bytes.fromhex(octets)
    assert read_block(bytes.fromhex(octets)) == block


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        ("", "begins with"),
        ("e08100010000", "begins with"),
        ("e1810001000000", "begins with"),
        ("e0810000000000", "numbered from 1"),
        ("e081000100000161" + "62", "announces"),
        ("e0810001000002" + "61", "announces"),
    ],
)
def test_what_is_no_block_is_refused(octets: str, said: str) -> None:
    assert said in refused(read_block, bytes.fromhex(octets))


def test_all_but_the_last_block_say_that_more_come() -> None:
    found = list(segment(b"abcde", 2))
    assert found == [
        Block(1, False, b"ab", streaming=True),
        Block(2, False, b"cd", streaming=True),
        Block(3, True, b"e"),
    ]
    assert [len(block.data) for block in segment(bytes(4), 2)] == [2, 2]
    assert [block.number for block in segment(b"a", 65_535)] == [1]


def test_a_message_goes_in_blocks_of_some_size_and_not_in_more_than_can_be_numbered() -> None:
    def all_of(message: bytes, size: int) -> list[Block]:
        return list(segment(message, size))

    for message, size in ((b"", 1), (b"a", 0), (b"a", -1), (b"a", 65_536), (bytes(65_536), 1), (bytes(131_071), 2)):
        assert "do not go in blocks" in refused(all_of, message, size)
    assert next(segment(bytes(65_535), 1)).number == 1
    assert next(segment(bytes(131_070), 2)).number == 1


def test_blocks_join_in_order_to_no_more_than_a_message() -> None:
    first, last = Block(1, False, b"a"), Block(2, True, b"b")
    assert join([first, last]) == b"ab"
    assert join([Block(1, True, b"a")]) == b"a"
    for blocks, said in (
        ([], "last block is missing"),
        ([first], "last block is missing"),
        ([last], "block 2 where block 1 belongs"),
        ([first, first], "block 1 where block 2 belongs"),
        ([first, last, Block(3, True, b"c")], "blocks after the last"),
        ([Block(1, True, b"")], "blocks of nothing"),
    ):
        assert said in refused(join, blocks)
    whole = [Block(1, False, bytes(65_535)), Block(2, True, bytes(257))]
    assert len(join(whole)) == 65_792
    assert "more than a message" in refused(join, [whole[0], Block(2, True, bytes(258))])
