"""Messages and their protections at the edge of what is allowed, on both sides of it."""

import hashlib
from itertools import count

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

from smki.entity import EntityId
from smki.errors import InvalidInput, Refused
from smki.gbcs.agreement import agree
from smki.gbcs.gcm import seal, unseal
from smki.gbcs.header import MAX_COUNTER, Cra, Header, MessageCode, Supplementary, read_header, read_length
from smki.gbcs.message import MAC_OCTETS, SIGNATURE_OCTETS, Message, read_message
from smki.gbcs.protection import decrypt, encrypt, encryption_info, plain_signature_holds, sign, signature_holds

SUPPLIER, METER = EntityId.parse("90-B3-D5-1F-30-01-00-00"), EntityId.parse("00-DB-12-34-56-78-90-A0")
KEY, OTHER = ec.derive_private_key(4711, ec.SECP256R1()), ec.derive_private_key(4712, ec.SECP256R1())
RESPONSE = Header(Cra.RESPONSE, 7, METER, SUPPLIER, MessageCode(0x0062))


def _signature_with_a_short_s() -> tuple[bytes, bytes]:
    """Digest and signature, of whose s the first octet is zero."""
    for number in count():
        digest = hashlib.sha256(number.to_bytes(4)).digest()
        r, s = decode_dss_signature(KEY.sign(digest, ec.ECDSA(Prehashed(SHA256()))))
        if s < 1 << 248:
            return digest, r.to_bytes(32) + s.to_bytes(32)
    raise AssertionError


def test_a_signature_has_64_octets_however_its_numbers_would_be_written() -> None:
    digest, signature = _signature_with_a_short_s()
    assert plain_signature_holds(KEY.public_key(), signature, digest)
    for other in (signature[:32] + signature[33:], signature[:32] + b"\x00" + signature[32:]):
        assert int.from_bytes(other[32:]) == int.from_bytes(signature[32:])
        assert not plain_signature_holds(KEY.public_key(), other, digest)


def test_a_message_of_the_largest_size_is_not_too_large() -> None:
    """65,792 octets: what two octets of length announce, and what can stand around it."""
    extra = Supplementary(METER, 1, certificate=_certificate(300))
    header = Header(Cra.COMMAND, 1, SUPPLIER, METER, MessageCode(0x62), extra)
    largest = Message(header, bytes(65_438))
    assert len(largest.encode()) == 65_792
    assert read_message(largest.encode()) == largest
    with pytest.raises(InvalidInput, match="most there can be"):
        read_message(Message(header, bytes(65_439)).encode())


def test_nothing_can_be_encrypted_and_comes_back() -> None:
    with agree(KEY, OTHER.public_key()) as secret:
        block = encrypt(b"", RESPONSE, secret)
        assert decrypt(block, RESPONSE, secret) == b""
        with pytest.raises(Refused) as refusal:
            decrypt(block[:-1], RESPONSE, secret)
    assert (refusal.value.code, "no encrypted part" in refusal.value.message) == ("gbcs.decrypt", True)


def test_an_encrypted_part_is_its_header_what_gcm_makes_and_12_octets_of_tag() -> None:
    """GBCS 8.4: authenticated over the security control alone."""
    with agree(KEY, OTHER.public_key()) as secret:
        info = encryption_info(RESPONSE)
        sealed = AESGCM(secret.message_key(info)).encrypt(info.iv, b"text", b"\x31")
        assert encrypt(b"text", RESPONSE, secret) == bytes.fromhex("3100000000") + sealed[:-4]
        with pytest.raises(Refused) as refusal:
            decrypt(bytes.fromhex("3100000000") + sealed[:-5] + b"\0", RESPONSE, secret)
    assert refusal.value.code == "gbcs.decrypt"


class _Token:
    """A key that signs digests, and says nothing else of itself."""

    def sign_digest(self, digest: bytes) -> bytes:
        r, s = decode_dss_signature(KEY.sign(digest, ec.ECDSA(Prehashed(SHA256()))))
        return r.to_bytes(32) + s.to_bytes(32)


def test_a_token_signs_as_a_key_in_memory_does() -> None:
    command = Message(Header(Cra.COMMAND, 1, SUPPLIER, METER, MessageCode(0x62)), b"payload")
    for key in (KEY, _Token()):
        assert signature_holds(sign(command, key), KEY.public_key())
    assert not signature_holds(command, KEY.public_key())


def test_tags_are_taken_from_12_octets_on() -> None:
    key, iv = bytes(16), bytes(12)
    ciphertext, tag = seal(key, iv, b"text", b"header")
    assert unseal(key, iv, ciphertext, tag[:12], b"header") == b"text"
    with pytest.raises(ValueError, match="tag"):
        unseal(key, iv, ciphertext, tag[:11], b"header")


@pytest.mark.parametrize(
    ("signature", "mac"),
    [
        (None, bytes(MAC_OCTETS)),
        (bytes(SIGNATURE_OCTETS - 1), None),
        (bytes(SIGNATURE_OCTETS + 1), bytes(MAC_OCTETS)),
        (b"", bytes(MAC_OCTETS - 1)),
        (b"", b""),
        (bytes(SIGNATURE_OCTETS), bytes(MAC_OCTETS + 1)),
    ],
)
def test_what_has_no_form_of_protection_is_not_made(signature: bytes | None, mac: bytes | None) -> None:
    with pytest.raises(InvalidInput) as refusal:
        Message(RESPONSE, b"", signature, mac)
    assert refusal.value.code == "gbcs.form"


def test_a_pre_command_takes_a_whole_signature_or_none_and_no_mac_before_it() -> None:
    """Whatever a token, or another's library, hands back."""
    plain = Message(Header(Cra.COMMAND, 1, SUPPLIER, METER, MessageCode(0x62)), b"payload")
    for octets in (b"", bytes(SIGNATURE_OCTETS - 1), bytes(SIGNATURE_OCTETS + 1)):
        with pytest.raises(InvalidInput):
            plain.signed(octets)
    with pytest.raises(InvalidInput):
        plain.with_mac(bytes(MAC_OCTETS))
    assert plain.signed(bytes(SIGNATURE_OCTETS)).with_mac(bytes(MAC_OCTETS)).mac == bytes(MAC_OCTETS)


def test_what_a_message_says_is_in_no_text_that_is_made_of_it() -> None:
    """One command of the contingency carries a secret (GBCS 13.3)."""
    assert "hush" not in repr(Message(RESPONSE, b"hush"))


# Headers


def _certificate(octets: int) -> bytes:
    return b"\x30\x82" + (octets - 4).to_bytes(2) + bytes(octets - 4)


def _supplementaries(cra: Cra) -> list[Supplementary | None]:
    found: list[Supplementary | None] = [None, Supplementary(METER, 0), Supplementary(METER, MAX_COUNTER)]
    if cra is Cra.ALERT:
        found.append(Supplementary(METER))
    if cra is Cra.RESPONSE:
        found += [Supplementary(METER, 0, MAX_COUNTER), Supplementary(METER, MAX_COUNTER, 0)]
    if cra is Cra.COMMAND:
        found += [Supplementary(METER, 1, certificate=_certificate(260 + more)) for more in (0, 1)]
    return found


@pytest.mark.parametrize("cra", Cra)
def test_every_form_of_header_is_read_as_written(cra: Cra) -> None:
    dates = (b"", bytes(range(12))) if cra is Cra.RESPONSE else (b"",)
    for extra in _supplementaries(cra):
        for date in dates:
            for content in (0, 0x7F, 0x80, 0xFF, 0x100):
                header = Header(cra, MAX_COUNTER, METER, SUPPLIER, MessageCode(0xFFFF), extra, date)
                octets = header.encode(content)
                assert read_header(b"junk" + octets, 4, 4 + len(octets)) == (header, 4 + len(octets), content)


@pytest.mark.parametrize(
    ("cra", "extra"),
    [
        (Cra.ALERT, Supplementary(METER, originator_counter=1)),
        (Cra.ALERT, Supplementary(METER, certificate=_certificate(300))),
        (Cra.RESPONSE, Supplementary(METER, 1, certificate=_certificate(300))),
        (Cra.RESPONSE, Supplementary(METER, 1, 2, certificate=_certificate(300))),
        (Cra.COMMAND, Supplementary(METER)),
        (Cra.COMMAND, Supplementary(METER, 1, 2)),
        (Cra.RESPONSE, Supplementary(METER, 1, MAX_COUNTER + 1)),
        (Cra.COMMAND, Supplementary(METER, 1, certificate=_certificate(260)[:-1])),
        (Cra.COMMAND, Supplementary(METER, 1, certificate=_certificate(300)[:-1])),
        (Cra.COMMAND, Supplementary(METER, 1, certificate=_certificate(300) + b"\0")),
        (Cra.COMMAND, Supplementary(METER, 1, certificate=_certificate(259))),
        (Cra.COMMAND, Supplementary(METER, 1, certificate=b"\x31" + _certificate(300)[1:])),
        (Cra.COMMAND, Supplementary(METER, 1, certificate=b"\x30\x81" + _certificate(300)[2:])),
    ],
)
def test_other_information_that_no_message_has_is_refused(cra: Cra, extra: Supplementary) -> None:
    with pytest.raises(InvalidInput) as refusal:
        Header(cra, 1, METER, SUPPLIER, MessageCode(0x62), extra)
    assert refusal.value.code == "gbcs.form"


def _form(octets: bytes) -> str:
    with pytest.raises(InvalidInput) as refusal:
        read_header(octets, 0, len(octets))
    assert refusal.value.code == "gbcs.form"
    return refusal.value.message


def test_each_octet_that_is_the_same_in_every_header_is_looked_at() -> None:
    octets = Header(Cra.COMMAND, 1, SUPPLIER, METER, MessageCode(0x62)).encode(0)
    assert read_header(octets, 0, len(octets))
    for place, said in ((0, "begin"), (1, "begin"), (2, "CRA"), (11, "begin"), (20, "begin"), (29, "date-time")):
        changed = octets[:place] + bytes((octets[place] ^ 0x40,)) + octets[place + 1 :]
        assert said in _form(changed), place


def test_a_header_that_ends_too_early_is_none_whatever_stands_behind_it() -> None:
    for extra in (None, Supplementary(SUPPLIER, 1), Supplementary(SUPPLIER, 1, 2)):
        for date in (b"", bytes(range(12))):
            octets = Header(Cra.RESPONSE, 1, METER, SUPPLIER, MessageCode(0x62), extra, date).encode(0)
            for end in range(len(octets)):
                _form(octets[:end])
                with pytest.raises(InvalidInput):
                    read_header(octets, 0, end)
                with pytest.raises(InvalidInput):
                    read_header(bytes(40) + octets[:end], 40, 40 + end)
            assert read_header(octets + b"more", 0, len(octets))[1] == len(octets)


def test_a_payload_has_its_length_in_one_form() -> None:
    octets = Header(Cra.COMMAND, 1, SUPPLIER, METER, MessageCode(0x62)).encode(128)
    assert octets.endswith(b"\x81\x80")
    assert "no length" in _form(octets[:-2] + b"\x80" + bytes(128))


@pytest.mark.parametrize("size", [1, 3, 9, 11, 17, 19, 25])
def test_other_information_has_the_sizes_it_has(size: int) -> None:
    octets = Header(Cra.RESPONSE, 1, METER, SUPPLIER, MessageCode(0x62)).encode(0)
    _form(octets[:30] + bytes((size,)) + bytes(size) + b"\0")


def test_lengths_have_their_shortest_form() -> None:
    for octets, length in (("7f", 0x7F), ("8180", 0x80), ("81ff", 0xFF), ("820100", 0x100), ("82ffff", 0xFFFF)):
        encoded = bytes.fromhex(octets)
        assert read_length(b"junk" + encoded, 4) == (length, 4 + len(encoded))
    for octets in ("", "80", "81", "817f", "8100", "82", "8201", "8200ff", "820080", "83000100", "83010000"):
        with pytest.raises(InvalidInput) as refusal:
            read_length(bytes.fromhex(octets), 0)
        assert refusal.value.code == "gbcs.form"


# What stands around them


def _refused(octets: bytes) -> str:
    with pytest.raises(InvalidInput) as refusal:
        read_message(octets)
    assert refusal.value.code == "gbcs.form"
    return refusal.value.message


def test_signature_and_mac_stand_where_they_belong() -> None:
    plain = Message(Header(Cra.COMMAND, 1, SUPPLIER, METER, MessageCode(0x62)), b"payload")
    assert read_message(plain.encode()) == plain
    for wrong in (b"\x40" + bytes(63), b"\x40" + bytes(65), b"\x3f" + bytes(64), b"\x3f" + bytes(63), b"\0\0"):
        assert "no signature" in _refused(plain.encode() + wrong)
    response = Message(RESPONSE, b"payload")
    assert "pre-command" in _refused(response.encode())
    assert read_message(Message(RESPONSE, b"payload", bytes(SIGNATURE_OCTETS)).encode()).mac is None
    whole = Message(RESPONSE, b"payload", b"", bytes(MAC_OCTETS)).encode()
    assert read_message(whole).signature == b""
    bare = whole[: -MAC_OCTETS - 1] + whole[-MAC_OCTETS:]  # without the null signature
    length = whole[7]
    assert whole[:8] == b"\xdd" + bytes(6) + bytes((length,))
    assert "a MAC follows" in _refused(bare[:7] + bytes((length - 1,)) + bare[8:])


def test_a_mac_header_announces_what_follows_it() -> None:
    start, security = b"\xdd" + bytes(6), bytes.fromhex("1100000000")
    whole = Message(RESPONSE, b"payload", b"", bytes(MAC_OCTETS)).encode()
    assert "announced" in _refused(whole + b"\0")
    assert "announced" in _refused(whole[:-1])
    least = len(security) + MAC_OCTETS
    assert "announced" in _refused(start + bytes((least - 1,)) + security + bytes(MAC_OCTETS - 1))
    assert "announced" not in _refused(start + bytes((least,)) + security + bytes(MAC_OCTETS))
    assert "fragment" in _refused(b"\xdd\x01" + whole[2:])
    assert "security header" in _refused(whole[:8] + b"\x12" + whole[9:])
