"""Secrets that two keys agree on: on one curve, of one size, shown nowhere, and gone when they are given up."""

import hashlib
import hmac
import pickle
from contextlib import AbstractContextManager

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from smki.entity import EntityId
from smki.errors import Refused
from smki.gbcs.agreement import Agreement, KeyInfo, Purpose, SharedSecret, agree
from smki.gbcs.header import Cra, Header, MessageCode

SUPPLIER, METER = EntityId.parse("90-B3-D5-1F-30-01-00-00"), EntityId.parse("00-DB-12-34-56-78-90-A0")
KEY, PEER = ec.derive_private_key(4711, ec.SECP256R1()), ec.derive_private_key(4712, ec.SECP256R1())
LARGER = ec.derive_private_key(4711, ec.SECP384R1())
INFO = KeyInfo(SUPPLIER, Purpose.COMMAND, 0x0102030405060708, METER)
OTHER_INFO = bytes.fromhex("60857406080300 90b3d51f30010000 09 01 0102030405060708 00db1234567890a0")


def refused(make: object, *args: object) -> str:
    with pytest.raises(Refused) as refusal:
        make(*args)  # type: ignore[operator]
    return refusal.value.code


def test_what_tells_one_key_from_another_is_said_in_octets() -> None:
    """GBCS 4.3.3: algorithm, originator, transaction, recipient; and the IV of a key that is used once."""
    assert INFO.octets == OTHER_INFO
    assert INFO.iv == SUPPLIER.octets + bytes(4)
    for purpose, octet in ((Purpose.RESPONSE, 2), (Purpose.ALERT, 3), (Purpose.ENCRYPTION, 4)):
        assert KeyInfo(SUPPLIER, purpose, 1, METER).octets[16] == octet


@pytest.mark.parametrize("cra", Cra)
def test_the_key_of_a_mac_is_for_the_kind_of_its_message(cra: Cra) -> None:
    found = KeyInfo.of_mac(Header(cra, 5, SUPPLIER, METER, MessageCode(0x62)))
    assert found == KeyInfo(SUPPLIER, Purpose[cra.name], 5, METER)


def test_a_message_key_is_half_a_digest_of_the_secret_and_what_it_is_for() -> None:
    octets = bytes(range(32))
    secret = SharedSecret(octets)
    assert secret.message_key(INFO) == hashlib.sha256(bytes.fromhex("00000001") + octets + OTHER_INFO).digest()[:16]


def test_keys_for_what_is_no_message_are_derived_by_hkdf() -> None:
    """RFC 5869, written out."""
    octets = bytes(range(32))
    pseudo = hmac.digest(b"transcript", octets, "sha256")
    first = hmac.digest(pseudo, b"label\x01", "sha256")
    expected = first + hmac.digest(pseudo, first + b"label\x02", "sha256")
    assert SharedSecret(octets).derive(b"label", b"transcript", 48) == expected[:48]


def test_secrets_have_32_octets_and_keys_are_on_p256() -> None:
    for size in (0, 31, 33, 48):
        assert refused(SharedSecret, bytes(size)) == "gbcs.secret"
    assert refused(agree, KEY, LARGER.public_key()) == "gbcs.curve"
    assert refused(agree, LARGER, KEY.public_key()) == "gbcs.curve"
    assert refused(agree, LARGER, LARGER.public_key()) == "gbcs.curve"


def test_a_secret_that_was_given_up_gives_no_key() -> None:
    with agree(KEY, PEER.public_key()) as secret:
        assert secret.message_key(INFO)
    assert refused(secret.message_key, INFO) == "gbcs.secret"
    assert refused(secret.derive, b"", b"", 16) == "gbcs.secret"


def test_a_secret_is_written_nowhere() -> None:
    secret = SharedSecret(b"hush" * 8)
    assert "hush" not in repr(secret) + str(Agreement(KEY, 3))
    with pytest.raises(TypeError):
        pickle.dumps(secret)


# Kept for a while


def _given_up(entered: AbstractContextManager[SharedSecret]) -> bool:
    with entered as secret:
        kept = secret
    try:
        kept.message_key(INFO)
    except Refused:
        return True
    return False


def test_nothing_is_kept_unless_it_is_asked_for() -> None:
    assert _given_up(Agreement(KEY).with_peer(PEER.public_key(), b"peer"))
    assert not _given_up(Agreement(KEY, 1).with_peer(PEER.public_key(), b"peer"))


def test_the_secret_that_was_not_used_for_longest_goes_first() -> None:
    peers = [ec.derive_private_key(100 + number, ec.SECP256R1()).public_key() for number in range(3)]
    keeper = Agreement(KEY, 2)
    first, second = (keeper.with_peer(peers[number], bytes((number,))) for number in range(2))
    assert keeper.with_peer(peers[0], b"\0") is first
    third = keeper.with_peer(peers[2], b"\2")
    assert [_given_up(one) for one in (first, second, third)] == [False, True, False]
    keeper.forget()
    assert [_given_up(one) for one in (first, third)] == [True, True]
    with keeper:
        again = keeper.with_peer(peers[0], b"\0")
        assert not _given_up(again)
    assert _given_up(again)
