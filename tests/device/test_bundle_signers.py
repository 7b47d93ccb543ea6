"""Whose signature puts certificates into a device's cells: a person's, and no machine's of the same authority."""

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from smki.device.bundle import open_bundle
from smki.errors import InvalidInput, Refused
from smki.pki.path import PathCertificate, TrustAnchor
from smki.pki.signed_data import make_signed_data
from tests.pki.hierarchy import Made, chain

AT = datetime(2026, 6, 1, tzinfo=UTC)


def opened(made: list[Made]) -> None:
    """A bundle with nothing in it: refused for its signer, or for what it says."""
    root, issuing, signer = made
    certificate = x509.load_der_x509_certificate(signer.der)
    anchor = TrustAnchor.of_certificate(PathCertificate.read(root.der))
    beside = [certificate.public_bytes(Encoding.DER), issuing.der]
    open_bundle(make_signed_data(b"{}", certificate, signer.key, AT, certificates=beside), [anchor], AT)


@pytest.mark.requirement("R-LEA-6")
@pytest.mark.parametrize("profile", ["ocsp-responder", "system", "tls-client"])
def test_no_machines_key_signs_a_bundle(profile: str) -> None:
    """A responder's stands open to the network: whoever has it installs no root."""
    with pytest.raises(Refused) as refused:
        opened(chain("infrastructure", profile))
    assert refused.value.code == "bundle.signer"


def test_no_partys_key_signs_a_bundle() -> None:
    with pytest.raises(Refused) as refused:
        opened(chain("oca", "organisation"))
    assert refused.value.code == "bundle.signer"


@pytest.mark.requirement("R-LEA-6")
def test_an_officers_is_read() -> None:
    with pytest.raises(InvalidInput) as refused:
        opened(chain("infrastructure", "officer"))
    assert refused.value.code == "bundle.form"
