"""Whose word counts about what the broker holds and what it goes by: officers, by keys of their own.

A user's officer is the holder of an infrastructure certificate whom its organisation appointed. The key that signs
its commands is not an officer's: whoever stole that one can release nothing. The broker's officers are those on the
workspace's roll.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.anchors import authorities
from smki.authority.ceremony.approval import proposed_roll
from smki.authority.ceremony.file import OfficersCeremony
from smki.authority.officers import MAX_NAME, read_public_key
from smki.authority.registration import officers_in_force
from smki.authority.standing import authority_faults, standing_fault
from smki.authority.workspace import Workspace
from smki.entity import EntityId
from smki.errors import InvalidInput
from smki.pki.chain import MAX_DEPTH
from smki.pki.holder import load_certificate
from smki.pki.keyid import key_hash
from smki.pki.kind import Kind
from smki.pki.path import (
    CONFORMANCE,
    InvalidPath,
    Options,
    PathCertificate,
    TrustAnchor,
    find_path,
)
from smki.pki.public_key import spki_of
from smki.pki.signed_data import SignedData, make_signed_data
from smki.settings import read_toml
from smki.store.admission_records import Capacity

_DAY = timedelta(days=1)


@dataclass(frozen=True, eq=False)
class Voice:
    """Somebody whose signature counts, and for whom they speak."""

    name: str
    capacity: Capacity
    organisation: str
    """Of a user's officer."""
    key: ec.EllipticCurvePublicKey

    def is_same_person(self, other: "Voice") -> bool:
        """By name or by key: two roles do not make two people."""
        return person(self.name) == person(other.name) or spki_of(self.key) == spki_of(other.key)

    @property
    def words(self) -> str:
        return f"{self.name} of {self.organisation}" if self.organisation else f"{self.name}, on the roll"


def person(name: str) -> str:
    """A name as it is compared: however it is written, with whatever case, accents or blanks it was typed."""
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).split())


def broker_officers(workspace: Workspace) -> tuple[Voice, ...]:
    """Those on the roll, as the last ceremony left it."""
    return tuple(
        Voice(one.name, "broker", "", read_public_key(one.public_key, one.name)) for one in workspace.store.officers()
    )


def users_officers(workspace: Workspace, party: EntityId) -> tuple[Voice, ...]:
    """Those of the organisation that an EUI-64 belongs to, whose certificates are in use now."""
    return tuple(one for one in _users_officers(workspace, party) if not _signs_commands(workspace, party, one))


def _users_officers(workspace: Workspace, party: EntityId) -> Iterator[Voice]:
    organisations = workspace.store.organisations
    record = organisations.named(organisations.owner_of(party))
    if record is not None:  # then it was enrolled here: no file speaks for it, least of all while it is suspended
        for officer, key in officers_in_force(workspace, record) if record.active else ():
            yield Voice(officer.name, "originator", record.name, key)
        return
    for one in workspace.policies.broker.officers:
        if one.speaks_for(party):
            found = _believed(workspace, one.certificate, one.name)
            if found is not None:
                yield Voice(one.name, "originator", one.organisation, found)


def once_officers(workspace: Workspace, party: EntityId | None) -> tuple[Voice, ...]:
    """All who ever were: of the organisation that an EUI-64 belongs to, and on the broker's roll.

    What they signed in their time still counts: it is not undone by their leaving.
    """
    found: list[Voice] = []
    if party is not None:
        organisations = workspace.store.organisations
        record = organisations.named(organisations.owner_of(party))
        if record is not None:
            for one in workspace.store.certificates.of_officers(record.number):
                key, named = _key_and_name(one.der)
                found += [Voice(named, "originator", record.name, key)] if key is not None else []
        else:
            for far in workspace.policies.broker.officers:
                key = _believed(workspace, far.certificate, far.name, once=True) if far.speaks_for(party) else None
                found += [Voice(far.name, "originator", far.organisation, key)] if key is not None else []
        found = [one for one in found if not _signs_commands(workspace, party, one)]
    for ceremony in workspace.store.ceremonies("officers"):
        plan = read_toml(ceremony.file, "a ceremony on record", OfficersCeremony).value
        found += (Voice(one.name, "broker", "", one.public_key) for one in proposed_roll(plan))
    return tuple(found)


def _key_and_name(der: bytes) -> tuple[ec.EllipticCurvePublicKey | None, str]:
    certificate = load_certificate(der, "an officer's certificate on record")
    key, names = certificate.public_key(), certificate.subject.get_attributes_for_oid(x509.oid.NameOID.COMMON_NAME)
    return key if isinstance(key, ec.EllipticCurvePublicKey) else None, str(names[0].value) if names else ""


def _believed(workspace: Workspace, der: bytes, name: str, *, once: bool = False) -> ec.EllipticCurvePublicKey | None:
    """The key of an officer who was enrolled elsewhere, while it and its authority are believed; or were once."""
    certificate = load_certificate(der, f"broker.toml: the certificate of {name}")
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not _is_of_infrastructure(certificate):
        return None
    roots, between = authorities(workspace, Kind.INFRASTRUCTURE.value)
    options = Options(
        initial_policies=frozenset(workspace.policies.hierarchy(Kind.INFRASTRUCTURE.value).policy_oids),
        explicit_policy=True,
        inhibit_mapping=True,
        inhibit_any=True,
        max_depth=MAX_DEPTH,
        conformance=CONFORMANCE,
    )
    path = find_path(
        PathCertificate.read(der),
        [TrustAnchor.of_certificate(PathCertificate.read(root)) for root in roots],
        [PathCertificate.read(one) for one in between],
        certificate.not_valid_before_utc if once else workspace.clock(),
        options,
    )
    if isinstance(path, InvalidPath):
        return None
    if once:
        return key
    if standing_fault(workspace, certificate, name) is not None:
        return None
    return None if any(authority_faults(workspace, path)) else key


def _is_of_infrastructure(certificate: x509.Certificate) -> bool:
    """An officer's has extended usages and names a person; a user's has neither (GBCS 12), and is no officer's."""
    usages = [one.value for one in certificate.extensions if isinstance(one.value, x509.KeyUsage)]
    extended = [one for one in certificate.extensions if isinstance(one.value, x509.ExtendedKeyUsage)]
    named = {attribute.oid for attribute in certificate.subject}
    signs = any(one.digital_signature and not one.key_cert_sign for one in usages)
    return bool(extended) and signs and named == {x509.oid.NameOID.COMMON_NAME}


def _signs_commands(workspace: Workspace, party: EntityId, one: Voice) -> bool:
    """Whether the same key is also the user's own, by any certificate on record."""
    known = {record.key_hash for record in workspace.store.certificates.of_entity(party)}
    return key_hash(spki_of(one.key)) in known


def signers(signed: SignedData, voices: Iterable[Voice]) -> tuple[Voice, ...]:
    """Whose signature it is: of several, where one key stands under several names."""
    return tuple(one for one in voices if signed.is_signed_by(one.key))


def sign_as_officer(content: bytes, name: str, key: ec.EllipticCurvePrivateKey, at: datetime) -> bytes:
    """CMS as `openssl cms -sign` makes it. It is believed by its key: what names the signer inside is a form."""
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise InvalidInput("officer.name", f"{name[:40]!r} is no officer's name", "give the name on record")
    subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, at, at + _DAY)
    return make_signed_data(content, builder.sign(key, hashes.SHA256()), key, at)
