"""Every key that others thought of to break ECDH, as the key in a certificate that comes with a join (method C)."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from smki.device.joins import certificate_of
from smki.entity import EntityId
from smki.gbcs.agreement import agree
from smki.pki.der import SEQUENCE, tlv
from smki.pki.public_key import spki_of
from tests.device.family import certified, device_keys
from tests.vectors_folder import vectors

pytestmark = pytest.mark.vectors
DEVICE = EntityId.parse("00-DB-12-34-56-78-90-C0")
_ALGORITHM = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")  # id-ecPublicKey on P-256
_BIT_STRING = 0x03
_P256 = {"secp256r1", "P-256"}


def groups() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for path in sorted(vectors("wycheproof").glob("ecdh_*.json")):
        found += [(path.name, group) for group in json.loads(path.read_text())["testGroups"]]
    return found


def with_key(spki: bytes) -> bytes:
    """A device's certificate with these octets in the place of its key; method C looks at no signature of it."""
    made, key = certified(device_keys(DEVICE).agreement, DEVICE), device_keys(DEVICE).agreement.public_key()
    body = made[4 : 4 + 4 + int.from_bytes(made[6:8])]
    assert spki_of(key) in body
    changed = body[4:].replace(spki_of(key), spki)
    return tlv(SEQUENCE, tlv(SEQUENCE, changed) + made[4 + len(body) :])


def spki_in(group: dict[str, Any], case: dict[str, Any]) -> bytes | None:
    """The public key as SubjectPublicKeyInfo, however the case gives it; None for what has no such form."""
    public, encoding = case["public"], group["encoding"]
    if encoding == "ecpoint":
        return _spki(bytes.fromhex(public))
    if encoding == "asn":
        return bytes.fromhex(public)
    if encoding == "pem":
        try:
            body = "".join(line for line in public.splitlines() if "-----" not in line)
            return base64.b64decode(body, validate=True)
        except ValueError:
            return None
    if set(public) >= {"x", "y"} and public.get("crv") in _P256:
        x, y = (_url(public[name]) for name in ("x", "y"))
        return _spki(b"\4" + x + y)
    return None


def _spki(point: bytes) -> bytes:
    return tlv(SEQUENCE, _ALGORITHM + tlv(_BIT_STRING, b"\0" + point))


def _url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def private_of(group: dict[str, Any], case: dict[str, Any]) -> ec.EllipticCurvePrivateKey | None:
    """Our own key, where it is one of P-256."""
    if group["encoding"] == "pem":
        try:
            key = load_pem_private_key(case["private"].encode(), None)
        except ValueError:
            return None
        return key if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1) else None
    if group["encoding"] == "webcrypto":
        if case["private"].get("crv") not in _P256 or "d" not in case["private"]:
            return None
        return ec.derive_private_key(int.from_bytes(_url(case["private"]["d"])), ec.SECP256R1())
    if group["curve"] not in _P256:
        return None
    return ec.derive_private_key(int(case["private"], 16), ec.SECP256R1())


def test_every_valid_key_agrees_and_no_other_is_taken_wrongly() -> None:
    valid = refused = 0
    for source, group in groups():
        for case in group["tests"]:
            name = source, case["tcId"], case["comment"]
            spki, mine = spki_in(group, case), private_of(group, case)
            if spki is None or mine is None:
                assert case["result"] != "valid", name
                refused += 1
                continue
            who = certificate_of(with_key(spki), DEVICE)
            if case["result"] == "invalid":
                assert who is None, name
                refused += 1
            elif case["result"] == "valid":
                assert who is not None, name
                valid += 1
            else:
                refused += who is None
            if who is not None:
                with agree(mine, who.public_key) as ours, agree(mine, known(case, group)) as theirs:
                    assert ours.derive(b"", b"", 32) == theirs.derive(b"", b"", 32)
                    assert bytes(ours._octets).hex() == case["shared"], name
    assert valid > 100
    assert refused > 100


def known(case: dict[str, Any], group: dict[str, Any]) -> ec.EllipticCurvePublicKey:
    """The same key, read by pyca from the form the case gives."""
    if group["encoding"] == "pem":
        key = load_pem_public_key(case["public"].encode())
    else:
        spki = spki_in(group, case)
        assert spki is not None
        key = load_der_public_key(spki)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def test_the_certificate_of_these_tests_is_one() -> None:
    assert certificate_of(with_key(spki_of(device_keys(DEVICE).agreement.public_key())), DEVICE) is not None
