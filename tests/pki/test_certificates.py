"""Our certificates as strangers see them: pkilint, OpenSSL, GnuTLS, pyHanko; and beside the real ones."""

import asyncio
import base64
import os
import subprocess
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.x509.oid import ExtensionOID
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.policy_decl import PKIXValidationParams

from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.errors import InvalidInput
from smki.pki.describe import describe
from smki.pki.keyid import KeyIdentifier
from smki.pki.lint import Severity, lint, lint_profile, read_certificate
from smki.pki.name import EMPTY, authority_name, organisation_name
from smki.pki.serial import Serial
from smki.pki.template import Fields, Issuer, compile_template, draft
from smki.pki.validity import Validity
from tests.pki.hierarchy import POLICY, PROFILES, Made, chain
from tests.vectors_folder import read_json, vectors

LEAVES = [
    ("oca", "organisation", KeyUsage.DIGITAL_SIGNATURE),
    ("oca", "organisation", KeyUsage.KEY_AGREEMENT),
    ("dca", "device", KeyUsage.DIGITAL_SIGNATURE),
    ("dca", "device", KeyUsage.KEY_AGREEMENT),
    ("infrastructure", "officer", None),
    ("infrastructure", "system", None),
    ("infrastructure", "tls-client", None),
    ("infrastructure", "ocsp-responder", None),
    ("oca", "ocsp-responder", None),
]
CHAINS = [chain(hierarchy, leaf, usage) for hierarchy, leaf, usage in LEAVES]
IDS = [f"{leaf}-{usage.value if usage else 'signs'}" for _, leaf, usage in LEAVES]
each_chain = pytest.mark.parametrize("made", CHAINS, ids=IDS)


def pem(made: Made) -> str:
    body = base64.encodebytes(made.der).decode()
    return f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n"


def files(made: list[Made], folder: Path) -> list[str]:
    paths = [folder / f"{number}.pem" for number in range(3)]
    for path, item in zip(paths, made, strict=True):
        path.write_text(pem(item))
    return [str(path) for path in paths]


@pytest.mark.requirement("R-SUB-6")
@each_chain
def test_linters_find_no_fault(made: list[Made]) -> None:
    for item in made:
        assert [f for f in lint(item.der, item.profile) if f.severity >= Severity.WARNING] == []


@pytest.mark.requirement("R-SUB-6")
@each_chain
def test_openssl_accepts_the_chain_strictly_and_with_policies(made: list[Made], tmp_path: Path) -> None:
    root, issuing, leaf = files(made, tmp_path)
    strict = ["openssl", "verify", "-x509_strict", "-policy_check", "-explicit_policy", "-attime", "1780000000"]
    done = subprocess.run(
        [*strict, "-policy", POLICY, "-CAfile", root, "-untrusted", issuing, leaf], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    other = subprocess.run(
        [*strict, "-policy", "1.2.3.4", "-CAfile", root, "-untrusted", issuing, leaf], capture_output=True, text=True
    )
    assert other.returncode != 0


@each_chain
def test_gnutls_accepts_the_chain(made: list[Made], tmp_path: Path) -> None:
    bundle = tmp_path / "chain.pem"
    bundle.write_text("".join(pem(item) for item in reversed(made)))
    trust = tmp_path / "root.pem"
    trust.write_text(pem(made[0]))
    done = subprocess.run(
        ["certtool", "--verify", "--load-ca-certificate", trust, "--infile", bundle], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@each_chain
def test_pyhanko_accepts_the_chain(made: list[Made]) -> None:
    root, issuing, leaf = (asn1_x509.Certificate.load(item.der) for item in made)
    if made[2].profile.name == "organisation":
        # asn1crypto cannot normalise a name whose unique identifier is a BIT STRING: the authorities alone, then.
        leaf = issuing
    context = ValidationContext(
        trust_roots=[root],
        allow_fetching=False,
        moment=datetime(2026, 6, 1, tzinfo=UTC),
        revocation_mode="soft-fail",
    )
    validator = CertificateValidator(
        leaf,
        intermediate_certs=[issuing],
        validation_context=context,
        pkix_params=PKIXValidationParams(user_initial_policy_set=frozenset([POLICY]), initial_explicit_policy=True),
    )
    path = asyncio.run(validator.async_validate_path())
    assert len(list(path.iter_certs(include_root=True))) == len({root.sha256, issuing.sha256, leaf.sha256})


@each_chain
def test_a_certificate_is_told_in_words(made: list[Made]) -> None:
    words = dict(describe(made[2].der))
    assert words["serial"] == f"{x509.load_der_x509_certificate(made[2].der).serial_number:032X}"
    assert POLICY in words["policies, critical"]


def test_our_lint_sees_what_another_profile_made() -> None:
    device = CHAINS[2][2]
    codes = {finding.code for finding in lint_profile(device.der, PROFILES["organisation"])}
    assert {"smki.extensions", "smki.names", "smki.lifetime"} <= codes


# Real certificates

# Kinds of deviation that other test authorities show; whatever else differs is our defect.
DEVIATIONS = {
    "policies not critical": "the device authority 0001 of 2015 left certificatePolicies uncritical, against GBCS 12",
    "basicConstraints on an end entity": "two third-party test authorities add CA:FALSE; Z1 does not",
}


def deviations(certificate: x509.Certificate) -> set[str]:
    found = set()
    for extension in certificate.extensions:
        if extension.oid == ExtensionOID.CERTIFICATE_POLICIES and not extension.critical:
            found.add("policies not critical")
        if isinstance(extension.value, x509.BasicConstraints) and not extension.value.ca:
            found.add("basicConstraints on an end entity")
    return found


def rebuild(case: dict[str, Any], certificate: x509.Certificate) -> bytes:
    """The same certificate's to-be-signed octets, out of our template."""
    facts = case["facts"]
    entity = EntityId(bytes.fromhex(facts["subject_eui64"])) if facts["subject_eui64"] else None
    kind = case["category"]
    profile = PROFILES[{"device": "device", "issuing-ca": "issuing-oca"}.get(kind, "organisation")]

    def subject(of: EntityId | None) -> x509.Name:
        if kind == "device":
            return EMPTY
        role = RemotePartyRole.from_organisational_unit(facts["subject_ou"])
        if of is None:
            return authority_name(role, facts["subject_cn"])
        return organisation_name(role, of, facts["subject_cn"])

    usages = {"digital_signature": KeyUsage.DIGITAL_SIGNATURE, "key_agreement": KeyUsage.KEY_AGREEMENT}
    authority = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert authority is not None
    validity = Validity(certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    plan = draft(
        profile,
        issuer=Issuer(certificate.issuer, KeyIdentifier(authority)),
        subject=subject,
        policies=tuple(x509.ObjectIdentifier(oid) for oid in facts["policy_oids"]),
        validity=validity,
        usage=None if kind == "issuing-ca" else usages[facts["key_usage"][0]],
    )
    key = certificate.public_key()
    serial = Serial(certificate.serial_number.to_bytes(16))
    return compile_template(plan, os.urandom).fill(Fields(serial, validity, key, entity))  # type: ignore[arg-type]


@pytest.mark.requirement("R-SUB-6")
@pytest.mark.vectors
def test_real_certificates_are_rebuilt_octet_for_octet() -> None:
    cases = read_json("certificates", "certificates.json")["certificates"]
    outcome: Counter[str] = Counter()
    for case in cases:
        if case["expected"]["signature_valid"] is False and not case["expected"].get(
            "signature_valid_if_non_minimal_integers_tolerated"
        ):
            outcome["not signed by its issuer: synthetic"] += 1
            continue
        certificate = x509.load_pem_x509_certificate(case["pem"].encode())
        named = deviations(certificate)
        same = rebuild(case, certificate) == certificate.tbs_certificate_bytes
        assert same != bool(named), f"{case['id']}: equal {same}, deviations {named}"
        assert named <= DEVIATIONS.keys()
        outcome["equal" if same else "deviates by name"] += 1
    assert outcome["equal"] > len(cases) * 0.9


@pytest.mark.vectors
def test_real_key_identifiers_are_of_method_2() -> None:
    for case in read_json("certificates", "certificates.json")["certificates"]:
        point = bytes.fromhex(case["facts"]["public_key_hex"])
        same = KeyIdentifier.of_point(point).octets.hex() == case["facts"]["ski_hex"]
        assert same == case["facts"]["ski_is_rfc5280_method2_of_key"], case["id"]


@pytest.mark.vectors
def test_malformed_certificates_are_refused_or_judged() -> None:
    folder = vectors("malformed")
    seen = 0
    for row in read_json("malformed", "index.json")["files"]:
        if row["kind"] != "cert":
            continue
        seen += 1
        der = (folder / row["file"]).read_bytes()
        try:
            read_certificate(der)
        except InvalidInput:
            continue
        assert row["expect"] != "reject" or list(lint_profile(der, PROFILES["device"])), row["file"]
        assert list(lint_profile(der, PROFILES["device"])), row["file"]
        assert list(lint_profile(der, PROFILES["organisation"])), row["file"]
    assert seen
