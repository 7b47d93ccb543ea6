"""Chains of our own hierarchies: what we issue, and the real certificates."""

import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from smki.entity import KeyUsage
from smki.errors import InvalidInput
from smki.pki.chain import verify_chain
from smki.pki.keyid import KeyIdentifier
from smki.pki.kind import Kind
from smki.pki.path import (
    InvalidPath,
    PathCertificate,
    PathCrl,
    TrustAnchor,
    ValidPath,
)
from tests.pki.hierarchy import POLICIES, Made, chain
from tests.pki.path_made import AT, DAY, OTHER, P1, codes, scope
from tests.vectors_folder import read_json


def test_nothing_but_cryptography_is_needed() -> None:
    """A device has nothing else installed."""
    program = "import sys, smki.pki.chain; print(*sorted(m.partition('.')[0] for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"msgspec", "pkcs11", "click", "sqlite3", "sqlite_utils", "rich", "pkilint"}


def own_crl(issuer: Made, *revoked: Made) -> PathCrl:
    """As our CRL profile has it."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.name).last_update(AT).next_update(AT + DAY)
    builder = builder.add_extension(x509.CRLNumber(1), False)
    own = KeyIdentifier.of(issuer.key.public_key()).octets
    builder = builder.add_extension(x509.AuthorityKeyIdentifier(own, None, None), False)
    for made in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(PathCertificate.read(made.der).serial)
        builder = builder.add_revoked_certificate(entry.revocation_date(AT).build())
    return PathCrl.read(builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER))


@pytest.mark.parametrize("usage_", list(KeyUsage))
@pytest.mark.parametrize(("hierarchy", "leaf"), [("oca", "organisation"), ("dca", "device")])
def test_what_we_issue_is_what_we_accept(hierarchy: str, leaf: str, usage_: KeyUsage) -> None:
    root, issuing, end = chain(hierarchy, leaf, usage_)
    anchors = [TrustAnchor.of_certificate(PathCertificate.read(root.der))]
    kind, other = (Kind.DEVICE, Kind.ORGANISATION) if leaf == "device" else (Kind.ORGANISATION, Kind.DEVICE)

    def asked(**changed: Any) -> set[str]:
        given: dict[str, Any] = {"kind": kind, "usage": usage_, "policies": frozenset(POLICIES), **changed}
        return codes(verify_chain(end.der, [b"noise", issuing.der], anchors, given.pop("at", AT), **given))

    assert asked() == set()
    assert "path.profile" in asked(kind=other)
    assert asked(usage=next(u for u in KeyUsage if u is not usage_)) == {"path.key-usage"}
    assert "path.policy" in asked(policies=frozenset({P1}))
    crls = [own_crl(root), own_crl(issuing)]
    assert asked(crls=crls) == set()
    assert asked(crls=[crls[0], own_crl(issuing, end)]) == {"path.revoked"}
    assert "path.crl-scope" in asked(crls=[*crls, OTHER.revoke(more=[scope(indirect_crl=True)])])
    assert "path.no-crl" in asked(crls=[])
    later = AT.replace(year=2100)
    assert "path.expired" in asked(at=later)
    assert asked(at=later, disapply_time=True) == set()
    with pytest.raises(InvalidInput):
        asked(kind=Kind.INFRASTRUCTURE)
    assert codes(
        verify_chain(end.der[:-1], [], anchors, AT, kind=kind, usage=usage_, policies=frozenset(POLICIES))
    ) == {"path.form"}


def real() -> tuple[list[dict[str, Any]], list[TrustAnchor], dict[str, bytes]]:
    """Every certificate; every issuer's key as an anchor unless its certificate is there; and those certificates."""
    held = read_json("certificates", "certificates.json")
    certificates = held["certificates"]
    ders = {
        item["id"]: x509.load_pem_x509_certificate(item["pem"].encode()).public_bytes(Encoding.DER)
        for item in certificates
    }
    anchors = [
        TrustAnchor.of_key(
            x509.Name.from_rfc4514_string(",".join(reversed(issuer["issuer"].split(",")))),
            bytes.fromhex(issuer["public_key_hex"]),
            bytes.fromhex(issuer["ski_hex"]),
        )
        for issuer in held["issuer_keys"]
        if not issuer["certificate_available"]
    ]
    return certificates, anchors, ders


@pytest.mark.vectors
def test_real_certificates_validate_as_long_as_they_are_valid() -> None:
    certificates, anchors, ders = real()
    authorities = [ders[item["id"]] for item in certificates if item["category"] == "issuing-ca"]
    refused = []
    for item in certificates:
        if item["category"] not in {"device", "organisation"}:
            continue
        leaf = PathCertificate.read(ders[item["id"]])
        (bit,) = item["facts"]["key_usage"]
        given: dict[str, Any] = {
            "kind": Kind.DEVICE if item["category"] == "device" else Kind.ORGANISATION,
            "usage": KeyUsage.DIGITAL_SIGNATURE if bit == "digital_signature" else KeyUsage.KEY_AGREEMENT,
            "policies": frozenset(map(x509.ObjectIdentifier, item["facts"]["policy_oids"])),
        }
        verdict = verify_chain(leaf.der, authorities, anchors, leaf.not_before, **given)
        assert isinstance(verdict, ValidPath) == item["expected"]["signature_valid"], (item["id"], verdict)
        if isinstance(verdict, InvalidPath):
            refused.append(item["id"])
            assert set(verdict.codes) & {"path.signature", "path.no-anchor"}
            continue
        if leaf.not_after.year < 9999:
            late = leaf.not_after + timedelta(seconds=1)
            assert codes(verify_chain(leaf.der, authorities, anchors, late, **given)) == {"path.expired"}
            untimed = verify_chain(leaf.der, authorities, anchors, late, disapply_time=True, **given)
            assert isinstance(untimed, ValidPath)
        assert "path.no-crl" in codes(verify_chain(leaf.der, authorities, anchors, leaf.not_before, crls=[], **given))
    assert len(refused) < len(certificates) // 10
