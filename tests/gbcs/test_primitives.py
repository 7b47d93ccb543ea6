"""The arithmetic under messages, against vectors of NIST and Wycheproof: every case found, right."""

import base64
import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from smki.entity import EntityId
from smki.errors import Refused
from smki.gbcs.agreement import KeyInfo, Purpose, SharedSecret, agree
from smki.gbcs.gcm import TAG_OCTETS, seal, unseal
from smki.gbcs.protection import plain_signature_holds
from smki.pki.public_key import read_point, read_spki
from tests.vectors_folder import read_json

pytestmark = pytest.mark.vectors


def wycheproof(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for group in read_json("wycheproof", f"{name}_test.json")["testGroups"]:
        for case in group["tests"]:
            yield group, case


def nist(name: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = read_json("nist", f"{name}.json")["tests"]
    assert cases
    return cases


def public(point: str) -> ec.EllipticCurvePublicKey | None:
    return read_point(bytes.fromhex(point))


def test_plain_signatures() -> None:
    for group, case in wycheproof("ecdsa_secp256r1_sha256_p1363"):
        key = public(group["publicKey"]["uncompressed"])
        assert key is not None
        digest = hashlib.sha256(bytes.fromhex(case["msg"])).digest()
        holds = plain_signature_holds(key, bytes.fromhex(case["sig"]), digest)
        assert holds == (case["result"] == "valid"), case["tcId"]


def test_der_signatures() -> None:
    """As certificates carry them."""
    for group, case in wycheproof("ecdsa_secp256r1_sha256"):
        key = read_spki(bytes.fromhex(group["publicKeyDer"]))
        assert key is not None
        try:
            key.verify(bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]), ec.ECDSA(hashes.SHA256()))
            holds = True
        except InvalidSignature:
            holds = False
        assert holds == (case["result"] == "valid"), case["tcId"]


def test_nist_signatures() -> None:
    for case in nist("ecdsa_sigver_p256_sha256"):
        key = public("04" + case["qx"].zfill(64) + case["qy"].zfill(64))
        assert key is not None
        plain = bytes.fromhex(case["r"].zfill(64) + case["s"].zfill(64))
        digest = hashlib.sha256(bytes.fromhex(case["msg"])).digest()
        assert plain_signature_holds(key, plain, digest) == (case["result"] == "valid"), case["tcId"]


def _agreed(private: int, peer: ec.EllipticCurvePublicKey | None) -> bytes | None:
    if peer is None:
        return None
    with agree(ec.derive_private_key(private, ec.SECP256R1()), peer) as secret:
        return bytes(secret._octets)


@pytest.mark.parametrize("name", ["ecdh_secp256r1", "ecdh_secp256r1_ecpoint", "ecdh_secp256r1_pem"])
def test_agreement(name: str) -> None:
    """Strict: the named curve, an uncompressed point; what is merely acceptable elsewhere is refused here."""
    for _, case in wycheproof(name):
        if name.endswith("pem"):
            private = _pem_private(case["private"])
            lines = case["public"].strip().splitlines()
            peer = read_spki(base64.b64decode("".join(lines[1:-1])))
        else:
            private = int(case["private"], 16)
            octets = bytes.fromhex(case["public"])
            peer = read_point(octets) if name.endswith("ecpoint") else read_spki(octets)
        found = _agreed(private, peer)
        if case["result"] == "valid":
            assert found is not None, case["tcId"]
            assert found.hex() == case["shared"], case["tcId"]
        elif case["result"] == "invalid":
            assert found is None, case["tcId"]
        else:
            assert found is None or found.hex() == case["shared"], case["tcId"]


def _pem_private(text: str) -> int:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(text.encode(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key.private_numbers().private_value


def test_agreement_with_keys_of_the_web() -> None:
    for _, case in wycheproof("ecdh_secp256r1_webcrypto"):
        coordinates = [_url(case["public"].get(name, "")) for name in ("x", "y")]
        right_size = all(len(value) == 32 for value in coordinates) and case["public"].get("crv") == "P-256"
        peer = read_point(b"\x04" + b"".join(coordinates)) if right_size else None
        found = _agreed(int.from_bytes(_url(case["private"]["d"])), peer)
        assert (found is not None and found.hex() == case["shared"]) == (case["result"] == "valid"), case["tcId"]


def _url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_nist_agreement() -> None:
    for case in nist("ecc_cdh_primitive_p256"):
        peer = public("04" + case["peerX"].zfill(64) + case["peerY"].zfill(64))
        found = _agreed(int(case["private"], 16), peer)
        assert found is not None
        assert found.hex() == case["z"].zfill(64), case["tcId"]


def test_nist_public_keys() -> None:
    for case in nist("pkv_p256"):
        x, y = int(case["qx"], 16), int(case["qy"], 16)
        fits = x < 1 << 256 and y < 1 << 256
        key = read_point(b"\x04" + x.to_bytes(32) + y.to_bytes(32)) if fits else None
        assert (key is not None) == (case["result"] == "valid"), case["tcId"]


@pytest.mark.parametrize("name", ["aes_gcm", "aes_gmac"])
def test_gcm(name: str) -> None:
    ran = 0
    for group, case in wycheproof(name):
        if group["keySize"] != 128 or not 64 <= group["ivSize"] <= 1024:
            continue  # no key or IV of this system has another size
        key, iv, aad = (bytes.fromhex(case[part]) for part in ("key", "iv", "aad" if "aad" in case else "msg"))
        plaintext = bytes.fromhex(case["msg"]) if "aad" in case else b""
        ciphertext = bytes.fromhex(case.get("ct", ""))
        tag = bytes.fromhex(case["tag"])
        _compare_gcm((key, iv, aad), plaintext, ciphertext, tag, case)
        ran += 1
    assert ran


def test_nist_gcm() -> None:
    for name in ("aes_gcm_128", "aes_gmac_128"):
        for case in nist(name):
            parts = tuple(bytes.fromhex(case.get(part, "")) for part in ("key", "iv", "aad"))
            assert len(parts) == 3
            texts = (bytes.fromhex(case.get(part, "")) for part in ("pt", "ct", "tag"))
            plaintext, ciphertext, tag = texts
            _compare_gcm((parts[0], parts[1], parts[2]), plaintext, ciphertext, tag, case)


def _compare_gcm(
    parts: tuple[bytes, bytes, bytes], plaintext: bytes, ciphertext: bytes, tag: bytes, case: dict[str, Any]
) -> None:
    key, iv, aad = parts
    good = case["result"] == "valid"
    if len(tag) >= TAG_OCTETS:
        opened = unseal(key, iv, ciphertext, tag, aad)
        assert opened == plaintext if good else opened is None, case["tcId"]
    if good:
        made, full = seal(key, iv, plaintext, aad)
        assert (made, full[: len(tag)]) == (ciphertext, tag), case["tcId"]


def test_the_one_step_derivation() -> None:
    """NIST's chain: keys that fit each other, Z, the derived key by the same one-step hash as ours, a MAC with it."""
    for case in nist("kas_ecc_static_kdfconcat_p256_sha256"):
        found = _chain(case)
        right = found is not None and found == bytes.fromhex(case["z"].zfill(64))
        if found is not None:
            derived = hashlib.sha256(bytes.fromhex("00000001") + found + bytes.fromhex(case["otherInfo"])).digest()
            key = derived[: len(case["dkm"]) // 2]
            tag = hmac.digest(key, bytes.fromhex(case["macData"]), "sha512")[: len(case["tag"]) // 2]
            said = bytes.fromhex(case["macData"]).startswith(b"Standard Test Message")  # NIST SP 800-56A test harness
            right = right and said and (key.hex(), tag.hex()) == (case["dkm"], case["tag"])
        assert right == (case["result"] == "valid"), (case["tcId"], case["reason"])


def test_nist_static_agreement() -> None:
    for case in nist("kas_ecc_static_zz_p256"):
        found = _chain(case)
        right = (
            found is not None
            and found.hex() == case["z"].zfill(64)
            and hashlib.sha256(found).hexdigest() == case["zSha256"]
        )
        assert right == (case["result"] == "valid"), (case["tcId"], case["reason"])


def _chain(case: dict[str, Any]) -> bytes | None:
    """Z, if both public keys are points and ours belongs to our private key."""
    private = int(case["iutPrivate"], 16)
    ours = public("04" + case["iutX"].zfill(64) + case["iutY"].zfill(64))
    peer = public("04" + case["peerX"].zfill(64) + case["peerY"].zfill(64))
    if ours is None or ours != ec.derive_private_key(private, ec.SECP256R1()).public_key():
        return None
    return _agreed(private, peer)


def test_nist_keys_and_signatures_of_known_nonces() -> None:
    for case in nist("ecdsa_siggen_p256_sha256"):
        key = public("04" + case["qx"].zfill(64) + case["qy"].zfill(64))
        assert key == ec.derive_private_key(int(case["d"], 16), ec.SECP256R1()).public_key()
        assert key is not None
        plain = bytes.fromhex(case["r"].zfill(64) + case["s"].zfill(64))
        assert plain_signature_holds(key, plain, hashlib.sha256(bytes.fromhex(case["msg"])).digest()), case["tcId"]


def test_a_message_key_is_the_one_step_derivation_over_its_names() -> None:
    secret = SharedSecret(bytes(range(32)))
    info = KeyInfo(EntityId(b"\1" * 8), Purpose.ENCRYPTION, 7, EntityId(b"\2" * 8))
    other = bytes.fromhex("60857406080300") + b"\1" * 8 + b"\x09\x04" + (7).to_bytes(8) + b"\2" * 8
    assert info.octets == other
    expected = hashlib.sha256(bytes.fromhex("00000001") + bytes(range(32)) + other).digest()[:16]
    assert secret.message_key(info) == expected


def test_a_secret_is_not_shown_not_sent_and_gone_at_its_end() -> None:
    import pickle

    with SharedSecret(b"\x42" * 32) as secret:
        assert "42" not in repr(secret)
        with pytest.raises(TypeError):
            pickle.dumps(secret)
    with pytest.raises(Refused):
        secret.message_key(KeyInfo(EntityId(bytes(8)), Purpose.COMMAND, 0, EntityId(bytes(8))))
