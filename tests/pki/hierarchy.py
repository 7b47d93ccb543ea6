"""A whole hierarchy made with software keys through the one path: what the independent verifiers are shown."""

import os
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.pki.contingency import wrap
from smki.pki.keyid import KeyIdentifier
from smki.pki.name import EMPTY, authority_name, organisation_name, person_or_system_name
from smki.pki.profile import Profile, read_profile
from smki.pki.serial import Serial
from smki.pki.template import Draft, Fields, Issuer, compile_template, draft, sign
from smki.pki.validity import Validity

POLICY = "1.2.826.0.1.8641679.1.2.1.4"
POLICIES = (x509.ObjectIdentifier(POLICY),)
FOLDER = Path(__file__).parent.parent.parent / "policies" / "profiles"
PROFILES: dict[str, Profile] = {
    path.stem: read_profile(path.read_bytes(), f"profiles/{path.name}").value for path in FOLDER.glob("*.toml")
}
START = date(2026, 1, 1)


@dataclass(frozen=True)
class Made:
    """A certificate and its key."""

    profile: Profile
    key: ec.EllipticCurvePrivateKey
    name: x509.Name
    der: bytes

    @property
    def issuer(self) -> Issuer:
        return Issuer(self.name, KeyIdentifier.of(self.key.public_key()))


def subject_for(profile: Profile, entity: EntityId | None) -> x509.Name:
    kind = profile.kind.value
    if kind in {"root", "link"}:
        return authority_name(RemotePartyRole.ROOT, "ZA" if kind == "root" else "ZB")
    if kind == "issuing":
        return authority_name(RemotePartyRole.ISSUING_AUTHORITY, "Z1")
    if kind == "device":
        return EMPTY
    if kind == "organisation":
        assert entity is not None
        return organisation_name(RemotePartyRole.SUPPLIER, entity, None)
    return person_or_system_name("alice")


def validity_for(profile: Profile) -> Validity:
    if profile.longest_years is None:
        return Validity.without_end(datetime(2026, 1, 1, tzinfo=UTC))
    return Validity.years(START, profile.longest_years)


def draft_for(profile: Profile, issuer: Issuer | None, usage: KeyUsage | None = None) -> Draft:
    contingency = None
    if profile.carries_contingency:
        contingency = wrap(ec.generate_private_key(ec.SECP256R1()).public_key(), os.urandom(32), "rfc5934")
    if not profile.kind.is_authority:
        usage = usage or KeyUsage.DIGITAL_SIGNATURE
    return draft(
        profile,
        issuer=issuer,
        subject=lambda entity: subject_for(profile, entity),
        policies=POLICIES,
        validity=validity_for(profile),
        usage=usage,
        contingency=contingency,
    )


def make(name: str, signer: Made | None, usage: KeyUsage | None = None) -> Made:
    profile = PROFILES[name]
    key = ec.generate_private_key(ec.SECP256R1())
    plan = draft_for(profile, None if signer is None else signer.issuer, usage)
    entity = EntityId(os.urandom(8)) if plan.has_entity else None
    signing = key if signer is None else signer.key
    fields = Fields(Serial.from_entropy(os.urandom), validity_for(profile), key.public_key(), entity)
    der = sign(compile_template(plan, os.urandom), fields, signing, signing.public_key())
    return Made(profile, key, subject_for(profile, entity), der)


def chain(hierarchy: str, leaf: str, usage: KeyUsage | None = None) -> list[Made]:
    """Root, issuing authority, end entity."""
    root = make(f"root-{hierarchy}", None)
    issuing = make(f"issuing-{hierarchy}", root)
    return [root, issuing, make(leaf, issuing, usage)]
