"""Chains of our own hierarchies: what a device or organisation certificate and the way up from it must be. Pure.

RFC 5280 decides whether a path is valid (`smki.pki.path`); this decides whether it is one of ours (GBCS 12).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from smki.entity import KeyUsage, RemotePartyRole
from smki.errors import InvalidInput
from smki.pki.distribution_point import scope_of
from smki.pki.holder import hardware_serial
from smki.pki.keyid import KEY_IDENTIFIER_OCTETS, KeyIdentifier
from smki.pki.kind import Kind
from smki.pki.name import entity_of
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
from smki.pki.usages import one_usage, usages_in
from smki.pki.verdict import Fault

# A link from one root to the next and an issuing authority; nothing in GBCS 12 or 13.3 is deeper.
MAX_DEPTH = 2
_POINT, _DELTA = ExtensionOID.ISSUING_DISTRIBUTION_POINT, ExtensionOID.DELTA_CRL_INDICATOR


def verify_chain(
    leaf: bytes,
    intermediates: Sequence[bytes],
    anchors: Sequence[TrustAnchor],
    at: datetime,
    *,
    kind: Kind,
    usage: KeyUsage,
    policies: frozenset[x509.ObjectIdentifier],
    disapply_time: bool = False,
    crls: Sequence[PathCrl] | None = None,
) -> ValidPath | InvalidPath:
    """Judge a device's or an organisation's certificate, with whatever certificates came along with it.

    `disapply_time` is applyTimeBasedCPVChecks = disapply (GBCS 13.3). With `crls`, as at a head-end, the status of
    every certificate below the anchor must be known; devices process none.
    """
    if kind not in _SUBJECTS:
        raise InvalidInput(
            "chain.kind", f"no chain of kind {kind.value} is judged here", "ask for a device or organisation"
        )
    read, faults = _read_all(intermediates)
    try:
        target = PathCertificate.read(leaf)
    except InvalidInput as error:
        return InvalidPath((Fault.of(error),))
    unfit = [*profile_faults(target, kind, usage), *(f for crl in crls or () for f in crl_faults(crl))]
    options = Options(
        initial_policies=policies,
        explicit_policy=True,
        inhibit_mapping=True,
        inhibit_any=True,
        max_depth=MAX_DEPTH,
        disapply_time=disapply_time,
        crls=None if crls is None else tuple(crls),
        conformance=CONFORMANCE,
    )
    verdict = find_path(target, anchors, read, at, options)
    if isinstance(verdict, InvalidPath):
        missing = "path.no-anchor" in verdict.codes
        return InvalidPath((*verdict.faults, *unfit, *(faults if missing else ())))
    unfit += [fault for above in verdict.certificates[:-1] for fault in _authority_faults(above)]
    return InvalidPath(tuple(unfit)) if unfit else verdict


def profile_faults(certificate: PathCertificate, kind: Kind, usage: KeyUsage) -> Iterator[Fault]:
    """Every rule of GBCS 12 that a device's or organisation's certificate breaks."""
    yield from _common_faults(certificate)
    stated = certificate.value(x509.KeyUsage)
    if stated is None or one_usage(stated) is not usage:
        yield _unfit("key-usage", f"{certificate} is not for {usage.value} and nothing else (GBCS 12)")
    keys = certificate.value(x509.AuthorityKeyIdentifier)
    if keys is None or len(keys.key_identifier or b"") != KEY_IDENTIFIER_OCTETS:
        yield _unfit("key-identifier", f"{certificate} does not name its issuer's key in 8 octets (GBCS 12)")
    if not _SUBJECTS[kind](certificate):
        yield _unfit("profile", f"{certificate} does not name one {kind.value} (GBCS 12)")


def crl_faults(crl: PathCrl) -> Iterator[Fault]:
    """Every rule that a CRL of ours keeps and this one breaks: direct, numbered, its key named, its scope known."""
    keys = crl.authority_key_identifier
    if keys is None or len(keys.key_identifier or b"") != KEY_IDENTIFIER_OCTETS:
        yield _unfit("key-identifier", f"{crl} does not name its issuer's key in 8 octets (GBCS 12)")
    if crl.number is None or crl.is_number_critical:
        yield _unfit("crl-number", f"{crl} has no number, or a critical one (RFC 5280 5.2.3)")
    whole = scope_of(crl.scope) is not None and (_POINT in crl.critical) == (crl.scope is not None)
    if not whole or crl.next_update is None:
        yield _unfit("crl-scope", f"{crl} is not one authority's for all reasons, with an end (RFC 5280 5.2.5)")
    adds = crl.base is None or (crl.number is not None and 0 < crl.base < crl.number)
    if not adds or (_DELTA in crl.critical) != crl.is_delta:
        yield _unfit("crl-delta", f"{crl} does not add to a complete list before it (RFC 5280 5.2.4)")


def _authority_faults(certificate: PathCertificate) -> Iterator[Fault]:
    yield from _common_faults(certificate)
    stated = certificate.value(x509.KeyUsage)
    if stated is None or usages_in(stated) != ("key_cert_sign", "crl_sign"):
        yield _unfit("key-usage", f"{certificate} is not for signing certificates and CRLs alone (GBCS 12)")


def _common_faults(certificate: PathCertificate) -> Iterator[Fault]:
    """GBCS 12, for every certificate a device processes.

    Not that certificatePolicies be critical: a reference message carries a certificate where it is not. It is
    processed either way.
    """
    if x509.KeyUsage.oid not in certificate.critical:
        yield _unfit("key-usage", f"{certificate} has no critical key usage (GBCS 12)")
    if certificate.key_identifier != KeyIdentifier.of_point(certificate.point).octets:
        yield _unfit("key-identifier", f"{certificate} does not name its key by method (2) (GBCS 12)")
    if not certificate.policies:
        yield _unfit("policy", f"{certificate} states no policy (GBCS 12)")


def _is_device(certificate: PathCertificate) -> bool:
    """An empty subject, and one hardware module name that ends in an EUI-64 (GBCS 12; RFC 4108 5)."""
    names = certificate.value(x509.SubjectAlternativeName)
    if not certificate.subject.is_empty or names is None or len(list(names)) != 1:
        return False
    (name,) = names
    return isinstance(name, x509.OtherName) and hardware_serial(name) is not None


def _is_organisation(certificate: PathCertificate) -> bool:
    """A role and an EUI-64, after an optional common name, one attribute to an RDN (GBCS 12)."""
    rdns = [next(iter(rdn)) for rdn in certificate.subject.rdns if len(rdn) == 1]
    unit, common, unique = (
        oid.dotted_string
        for oid in (NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.COMMON_NAME, NameOID.X500_UNIQUE_IDENTIFIER)
    )
    types = [rdn[0] for rdn in rdns]
    if len(rdns) != len(certificate.subject.rdns) or types not in ([unit, unique], [common, unit, unique]):
        return False
    role, identifier = rdns[-2][2], rdns[-1][2]
    roles = {known.organisational_unit.lower() for known in RemotePartyRole}
    return entity_of(identifier) is not None and role in roles


_SUBJECTS = {Kind.DEVICE: _is_device, Kind.ORGANISATION: _is_organisation}


def _read_all(ders: Sequence[bytes]) -> tuple[list[PathCertificate], list[Fault]]:
    """Those that can be read. The others are on no path; why is told if none is found."""
    found, faults = [], []
    for der in ders:
        try:
            found.append(PathCertificate.read(der))
        except InvalidInput as error:
            faults.append(Fault(error.code, f"a certificate that came along: {error.message}", error.remedy))
    return found, faults


def _unfit(code: str, message: str) -> Fault:
    return Fault(f"path.{code}", message, "do not use it: have it made again by its issuer")
