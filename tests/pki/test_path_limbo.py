"""x509-limbo: every case the folder holds, through path building, with section 4's rules for CAs on."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID

from smki.errors import InvalidInput
from smki.pki.path import (
    CONFORMANCE,
    InvalidPath,
    Options,
    PathCertificate,
    PathCrl,
    TrustAnchor,
    ValidPath,
    find_path,
)
from smki.pki.path.options import DEFAULT_DEPTH
from smki.pki.verdict import Fault
from tests.pki.path_cases import cases, settle

NOW = datetime(2026, 11, 21, tzinfo=UTC)
PURPOSES = {
    "anyExtendedKeyUsage": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "serverAuth": ExtendedKeyUsageOID.SERVER_AUTH,
    "codeSigning": ExtendedKeyUsageOID.CODE_SIGNING,
    "emailProtection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timeStamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "OCSPSigning": ExtendedKeyUsageOID.OCSP_SIGNING,
}
CASES = cases("testcases", "x509-limbo", "limbo.json")


def der(pem: str) -> bytes:
    return base64.b64decode("".join(line for line in pem.splitlines() if not line.startswith("-----")))


def readable(pems: list[str]) -> list[PathCertificate]:
    """Those that can be read: what cannot be is on no path."""
    found = []
    for pem in pems:
        try:
            found.append(PathCertificate.read(der(pem)))
        except InvalidInput:
            continue
    return found


def purposes(case: dict[str, Any]) -> list[ObjectIdentifier | None]:
    """Each is asked for by itself."""
    return [PURPOSES.get(name) or ObjectIdentifier(name) for name in case["extended_key_usage"]] or [None]


def options(case: dict[str, Any], purpose: ObjectIdentifier | None) -> Options:
    depth = case["max_chain_depth"]
    return Options(
        max_depth=DEFAULT_DEPTH if depth is None else depth,
        extended_key_usage=purpose,
        crls=tuple(PathCrl.read(der(pem)) for pem in case["crls"]) or None,
        conformance=CONFORMANCE,
    )


def verdict(case: dict[str, Any]) -> ValidPath | InvalidPath:
    at = case["validation_time"]
    try:
        verdicts = [
            find_path(
                PathCertificate.read(der(case["peer_certificate"])),
                [TrustAnchor.of_certificate(anchor) for anchor in readable(case["trusted_certs"])],
                readable(case["untrusted_intermediates"]),
                datetime.fromisoformat(at) if at else NOW,
                options(case, purpose),
            )
            for purpose in purposes(case)
        ]
        return next((verdict for verdict in verdicts if isinstance(verdict, InvalidPath)), verdicts[0])
    except InvalidInput as error:
        return InvalidPath((Fault(error.code, error.message, error.remedy),))


@pytest.mark.vectors
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_case(case: dict[str, Any]) -> None:
    settle("x509-limbo", case["id"], case["expected_result"] == "SUCCESS", verdict(case))
