"""Messages: one encoding each, protections that notice every bit, one documented error for everything else."""

from contextlib import suppress
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from smki.entity import EntityId
from smki.errors import InvalidInput, Refused
from smki.gbcs.agreement import Agreement, agree
from smki.gbcs.block_transfer import Block, join, read_block, segment
from smki.gbcs.header import MAX_COUNTER, Cra, Header, MessageCode, Supplementary, encode_length, read_length
from smki.gbcs.message import MAX_MESSAGE_OCTETS, Message, Protection, read_message
from smki.gbcs.protection import (
    ORDER,
    add_mac,
    decrypt,
    encrypt,
    mac_holds,
    plain_signature_holds,
    sign,
    signature_holds,
)

SUPPLIER, METER = EntityId.parse("90-B3-D5-1F-30-01-00-00"), EntityId.parse("00-DB-12-34-56-78-90-A0")
SIGNER, BROKER, DEVICE = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
CERTIFICATE = bytes.fromhex("30820100") + bytes(256)  # its outer shape: what it says is nobody's business here

entities = st.binary(min_size=8, max_size=8).map(EntityId)
counters = st.integers(0, MAX_COUNTER)


@st.composite
def headers(draw: st.DrawFn) -> Header:
    cra = draw(st.sampled_from(Cra))
    forms = [st.none(), st.builds(Supplementary, entities, counters)]
    if cra is Cra.ALERT:
        forms.append(st.builds(Supplementary, entities))
    elif cra is Cra.RESPONSE:
        forms.append(st.builds(Supplementary, entities, counters, counters))
    else:
        forms.append(st.builds(Supplementary, entities, counters, certificate=st.just(CERTIFICATE)))
    dated = st.sampled_from([b"", bytes(12)]) if cra is Cra.RESPONSE else st.just(b"")
    codes = st.integers(0, 0xFFFF).map(MessageCode)
    return Header(
        cra, draw(counters), draw(entities), draw(entities), draw(codes), draw(st.one_of(forms)), draw(dated)
    )


@st.composite
def messages(draw: st.DrawFn) -> Message:
    header = draw(headers())
    signature = draw(st.sampled_from([None, b"", b"\x11" * 64]))
    mac = draw(st.sampled_from([None, b"\x22" * 12])) if signature is not None else None
    if header.cra is not Cra.COMMAND and mac is None:
        signature = b"\x11" * 64
    return Message(header, draw(st.binary(max_size=600)), signature, mac)


def command(counter: int = 1000, payload: bytes = b"\xd9\x20\x00\x03\xe8\x00\x00\x00") -> Message:
    return Message(Header(Cra.COMMAND, counter, SUPPLIER, METER, MessageCode(0x0050)), payload)


def read_or_none(octets: bytes) -> Message | None:
    try:
        return read_message(octets)
    except InvalidInput:
        return None


@pytest.mark.requirement("R-VER-2")
@given(messages())
def test_reading_is_the_inverse_of_writing(message: Message) -> None:
    octets = message.encode()
    again = read_message(octets)
    assert again == message
    assert replace(again).encode() == octets


@given(messages(), st.data())
def test_a_message_cut_or_continued_is_no_message_of_the_same_protection(
    message: Message, data: st.DataObject
) -> None:
    octets = message.encode()
    cut = data.draw(st.integers(0, len(octets) - 1))
    for other in (octets[:cut], octets + b"\x00", octets + b"\x40"):
        found = read_or_none(other)
        # The one thing that can be cut off, or come behind: the null signature, or the whole signature.
        assert found is None or (found.grouped == message.grouped and found.mac is None)


@pytest.mark.requirement("R-LAY-3")
@given(st.binary(max_size=300))
def test_random_octets_raise_nothing_but_the_documented_error(octets: bytes) -> None:
    for start in (b"", b"\xdd", b"\xdf", bytes.fromhex("dd000000000000"), bytes.fromhex("df0901")):
        read_or_none(start + octets)


@pytest.mark.requirement("R-E2E-2")
def test_every_bit_of_a_protected_message_counts() -> None:
    with agree(BROKER, DEVICE.public_key()) as secret:
        whole = add_mac(sign(command(), SIGNER), secret).encode()
        for bit in range(8 * len(whole)):
            octets = bytearray(whole)
            octets[bit // 8] ^= 1 << bit % 8
            try:
                found = read_message(bytes(octets))
            except InvalidInput:
                continue
            assert not (signature_holds(found, SIGNER.public_key()) and mac_holds(found, secret)), bit


@pytest.mark.requirement("R-NTK-3")
def test_every_bit_of_an_encrypted_part_counts() -> None:
    header = Header(Cra.RESPONSE, 7, METER, SUPPLIER, MessageCode(0x0027))
    with agree(DEVICE, SIGNER.public_key()) as secret:
        block = encrypt(b"a reading", header, secret)
        assert decrypt(block, header, secret) == b"a reading"
        for bit in range(8 * len(block)):
            octets = bytearray(block)
            octets[bit // 8] ^= 1 << bit % 8
            with pytest.raises(Refused):
                decrypt(bytes(octets), header, secret)
        with pytest.raises(Refused):
            decrypt(block, replace(header, counter=8), secret)


def test_either_end_makes_and_checks_the_mac() -> None:
    message = sign(command(), SIGNER)
    with agree(BROKER, DEVICE.public_key()) as made, agree(DEVICE, BROKER.public_key()) as checked:
        assert mac_holds(add_mac(message, made), checked)
        assert not mac_holds(message, checked)
    with agree(SIGNER, DEVICE.public_key()) as another:
        assert not mac_holds(add_mac(message, another), agree(DEVICE, BROKER.public_key()))


def test_a_message_without_signature_carries_the_null_signature_under_its_mac() -> None:
    with agree(BROKER, DEVICE.public_key()) as secret:
        message = add_mac(command(), secret)
    assert (message.signature, message.protection) == (b"", Protection.MAC)
    assert read_message(message.encode()) == message


def test_signatures_out_of_range_never_hold() -> None:
    digest = bytes(32)
    for r, s in ((0, 1), (1, 0), (ORDER, 1), (1, ORDER), (0, 0), (ORDER + 1, 1)):
        plain = r.to_bytes(32) + s.to_bytes(32)
        assert not plain_signature_holds(SIGNER.public_key(), plain, digest)
    assert not plain_signature_holds(SIGNER.public_key(), bytes(63), digest)


def test_only_a_pre_command_is_signed_and_only_once() -> None:
    signed = sign(command(), SIGNER)
    with pytest.raises(InvalidInput):
        sign(signed, SIGNER)
    assert sign(replace(command(), signature=b""), SIGNER).protection is Protection.SIGNATURE
    with pytest.raises(InvalidInput):
        signed.with_mac(bytes(11))


@pytest.mark.requirement("R-LAY-2")
def test_what_is_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(InvalidInput, match="most there can be"):
        read_message(b"\xdf" + bytes(MAX_MESSAGE_OCTETS))
    with pytest.raises(InvalidInput):
        command(payload=bytes(0x10000)).encode()
    large = command(payload=bytes(0xFFFF))
    assert read_message(large.encode()) == large


@pytest.mark.requirement("R-VER-2")
@given(st.integers(0, 0xFFFF))
def test_lengths_have_one_form(length: int) -> None:
    octets = encode_length(length)
    assert read_length(octets, 0) == (length, len(octets))
    for longer in (bytes((0x81,)) + length.to_bytes(2)[1:], bytes((0x82,)) + length.to_bytes(2)):
        if longer != octets and int.from_bytes(longer[1:]) == length:
            with pytest.raises(InvalidInput):
                read_length(longer, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"counter": MAX_COUNTER + 1},
        {"date_time": bytes(12)},
        {"supplementary": Supplementary(SUPPLIER)},
        {"supplementary": Supplementary(SUPPLIER, 1, 2)},
        {"supplementary": Supplementary(SUPPLIER, 1, certificate=b"no certificate")},
        {"supplementary": Supplementary(SUPPLIER, -1)},
    ],
)
def test_headers_that_no_command_has_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        replace(command().header, **change)  # type: ignore[arg-type]


@given(st.binary(min_size=1, max_size=3000), st.integers(1, 500))
def test_blocks_join_to_what_was_cut(message: bytes, size: int) -> None:
    blocks = [read_block(block.encode()) for block in segment(message, size)]
    assert join(blocks) == message
    assert all(len(block.data) <= size for block in blocks)
    for wrong in (blocks[:-1], blocks + blocks[-1:], blocks[1:], blocks[::-1] if len(blocks) > 1 else []):
        with pytest.raises(InvalidInput):
            join(wrong)


@given(st.binary(max_size=80))
def test_random_blocks_raise_nothing_but_the_documented_error(octets: bytes) -> None:
    for start in (b"", b"\xe0", bytes.fromhex("e0c000010000")):
        with suppress(InvalidInput):
            join([read_block(start + octets)])


def test_blocks_never_join_to_more_than_a_message() -> None:
    endless = (Block(number, False, bytes(0xFFFF)) for number in range(1, 1000))
    with pytest.raises(InvalidInput):
        join(endless)


def test_secrets_are_kept_only_when_asked_and_never_more_than_said() -> None:
    peers = [ec.generate_private_key(ec.SECP256R1()).public_key() for _ in range(3)]
    with Agreement(BROKER) as forgetful, Agreement(BROKER, keep=2) as keeper:
        for number, peer in enumerate(peers):
            name = bytes((number,))
            with forgetful.with_peer(peer, name) as one, keeper.with_peer(peer, name) as two:
                assert bytes(one._octets) == bytes(two._octets)
        assert not forgetful._kept
        assert list(keeper._kept) == [b"\x01", b"\x02"]
        with keeper.with_peer(peers[1], b"\x01") as again:
            assert again is keeper._kept[b"\x01"].enter_result
        kept = [one.enter_result for one in keeper._kept.values()]
    assert not any(secret._octets for secret in kept)
