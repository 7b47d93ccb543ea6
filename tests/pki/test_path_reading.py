"""Certificates and lists of paths are read strictly, or refused; mutilated ones are harmless."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from smki.errors import InvalidInput
from smki.pki.keyid import point_of
from smki.pki.path import (
    MAX_CERTIFICATE_OCTETS,
    Options,
    PathCertificate,
    PathCrl,
    TrustAnchor,
)
from tests.pki.path_made import (
    AT,
    DAY,
    GOOD,
    ISSUING,
    LEAF,
    ROOT,
    judged,
    name,
)

LIST = ISSUING.revoke(7)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_mutilated_certificates_and_crls_are_refused_or_harmless(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([GOOD[0].der, GOOD[1].der, LIST.der]))
    cut = data.draw(st.integers(0, len(whole) - 1))
    reader: Any = PathCrl if whole is LIST.der else PathCertificate
    with pytest.raises(InvalidInput):
        reader.read(whole[:cut])
    with pytest.raises(InvalidInput):
        reader.read(whole + data.draw(st.binary(min_size=1, max_size=4)))
    flipped = bytearray(whole)
    flipped[cut] ^= data.draw(st.integers(1, 255))
    try:
        got = reader.read(bytes(flipped))
    except InvalidInput:
        return
    assert got.der == bytes(flipped)
    if isinstance(got, PathCertificate):
        place = 0 if whole is GOOD[0].der else 1
        path = [*GOOD[:place], got, *GOOD[place + 1 :]]
        assert "path.signature" in judged(path)
    else:
        assert judged(GOOD, Options(crls=(ROOT.revoke(), got)))


def test_a_signature_stands_in_one_form_only() -> None:
    """Half of all signatures end in a bit that could be left out, and many in more."""
    for reader, der in ((PathCertificate, GOOD[1].der), (PathCrl, LIST.der)):
        at = der.rindex(bytes.fromhex("2a8648ce3d040302")) + len(bytes.fromhex("2a8648ce3d0403020348"))
        shorter = bytearray(der)
        shorter[at] = 1
        shorter[-1] &= 0xFE
        with pytest.raises(InvalidInput):
            reader.read(bytes(shorter))


def test_other_curves_sizes_and_parameters_are_refused() -> None:
    stranger = ec.generate_private_key(ec.SECP384R1())
    builder = x509.CertificateBuilder().issuer_name(name("Root")).subject_name(name("Leaf")).serial_number(1)
    builder = builder.not_valid_before(AT).not_valid_after(AT)
    for subject, signer, algorithm in (
        (stranger, ROOT.key, hashes.SHA256()),
        (LEAF.key, stranger, hashes.SHA384()),
        (LEAF.key, ROOT.key, hashes.SHA512()),
    ):
        made = builder.public_key(subject.public_key()).sign(signer, algorithm).public_bytes(Encoding.DER)
        with pytest.raises(InvalidInput) as raised:
            PathCertificate.read(made)
        assert raised.value.code == "path.algorithm"
    with pytest.raises(InvalidInput) as raised:
        PathCertificate.read(bytes(MAX_CERTIFICATE_OCTETS + 1))
    assert raised.value.code == "path.size"


def test_point_of_an_anchor_is_checked() -> None:
    with pytest.raises(InvalidInput):
        TrustAnchor.of_key(name("Root"), bytes(65))
    assert TrustAnchor.of_key(name("Root"), point_of(ROOT.key.public_key())).key_identifier is None


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(InvalidInput):
        judged(GOOD, at=AT.replace(tzinfo=None))


def test_a_country_of_three_letters_is_read_without_a_word_beside(tmp_path: Path) -> None:
    odd = x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "GBR", _ASN1Type.PrintableString, _validate=False)])
    crl = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(odd)
        .last_update(AT)
        .next_update(AT + DAY)
        .sign(ROOT.key, hashes.SHA256())
    )
    (tmp_path / "list.crl").write_bytes(crl.public_bytes(Encoding.DER))
    reading = (
        "import sys; from smki.pki.path import PathCrl; print(PathCrl.read(open(sys.argv[1], 'rb').read()).issuer)"
    )
    done = subprocess.run(
        [sys.executable, "-c", reading, str(tmp_path / "list.crl")], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("C=GBR\n", "")
