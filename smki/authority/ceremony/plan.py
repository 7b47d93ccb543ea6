"""What a ceremony for an authority would make: its parts, held against policy and against what exists."""

import os
import re
from dataclasses import dataclass
from datetime import date

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.ceremony.file import AuthorityCeremony
from smki.authority.officers import read_public_key
from smki.authority.policies import Hierarchy
from smki.authority.workspace import Workspace
from smki.entity import RemotePartyRole
from smki.errors import Refused
from smki.pki.contingency import SYMMETRIC_KEY_OCTETS, WRAP_FORMS, wrap
from smki.pki.keyid import KeyIdentifier
from smki.pki.lint import Finding, lint
from smki.pki.name import authority_name
from smki.pki.profile import Profile
from smki.pki.serial import Serial
from smki.pki.template import Draft, Fields, Issuer, Template, compile_template, draft, sign
from smki.pki.validity import Validity
from smki.store.records import AuthorityRecord

_TAKEN_NAME = re.compile(r".*-delta|link-[0-9a-f]{16}")  # crl/NAME-delta.crl, ca/link-HASH.pem


@dataclass(frozen=True, slots=True)
class Plan:
    """An authority that may be made."""

    file: AuthorityCeremony
    hierarchy: Hierarchy
    profile: Profile
    subject: x509.Name
    signer: AuthorityRecord | None
    elder: AuthorityRecord | None
    validity: Validity

    def draft(self, contingency: bytes | None) -> Draft:
        return draft(
            self.profile,
            issuer=None if self.signer is None else issuer_of(self.signer),
            subject=lambda _: self.subject,
            policies=self.hierarchy.policy_oids,
            validity=self.validity,
            contingency=contingency,
        )


def issuer_of(authority: AuthorityRecord) -> Issuer:
    """How an authority stands in what it signs."""
    return Issuer(subject_of(authority), KeyIdentifier.of(key_of(authority)))


def subject_of(authority: AuthorityRecord) -> x509.Name:
    role = RemotePartyRole.ROOT if authority.tier == "root" else RemotePartyRole.ISSUING_AUTHORITY
    return authority_name(role, authority.subject)


def key_of(authority: AuthorityRecord) -> ec.EllipticCurvePublicKey:
    assert authority.public_key is not None, "an active authority has its key"
    return read_public_key(authority.public_key, authority.name)


def make_plan(workspace: Workspace, file: AuthorityCeremony, today: date) -> Plan:
    """Hold a ceremony file against policy and against what exists; every refusal says what to change."""
    hierarchy = workspace.policies.hierarchy(file.hierarchy)
    profile = hierarchy.profile(file.tier)
    role = RemotePartyRole.ROOT if file.tier == "root" else RemotePartyRole.ISSUING_AUTHORITY
    subject = authority_name(role, file.subject)
    workspace.token_ref(file.token)
    signer = _standing(workspace, file, file.signed_by, "signed_by")
    elder = _standing(workspace, file, file.succeeds, "succeeds")
    root = file.tier == "root"
    roots = [a for a in workspace.store.authorities() if a.hierarchy == file.hierarchy and a.tier == "root"]
    others = [a for a in roots if a.name != file.name and a.state == "active"]
    wanted = hierarchy.contingency == "required" and root
    rules = {
        f"policy gives this tier the profile {profile.name}": file.profile != profile.name,
        "a root signs itself; an issuing authority names its root in signed_by": root == (signer is not None),
        "only a root succeeds another": elder is not None and not root,
        f"hierarchy {file.hierarchy} has the root {others[-1].name if others else ''}: name it in succeeds": root
        and bool(others)
        and elder is None,
        "a [contingency] table stands in a root's ceremony where policy requires it, nowhere else": wanted
        != (file.contingency is not None),
        "the contingency keys are kept in another token than the root's": file.contingency is not None
        and file.contingency.token == file.token,
        "the subject is another authority's": any(
            a.subject == file.subject and a.tier == file.tier and a.name != file.name
            for a in workspace.store.authorities()
            if a.hierarchy == file.hierarchy
        ),
        "under published/ the name would be that of another's delta lists, or of a link": bool(
            _TAKEN_NAME.fullmatch(file.name)
        ),
    }
    for rule, broken in rules.items():
        if broken:
            raise Refused("ceremony.rule", f"ceremony {file.name}: {rule}", "correct the ceremony file")
    if file.contingency is not None:
        workspace.token_ref(file.contingency.token)
        if file.contingency.wrap not in WRAP_FORMS:
            raise Refused(
                "ceremony.wrap",
                f"no wrap form is called {file.contingency.wrap}",
                f"use one of: {', '.join(WRAP_FORMS)}",
            )
    validity = Validity.years(file.valid_from or today, file.valid_years)
    if signer is not None and signer.not_after is not None and validity.not_after > signer.not_after:
        raise Refused(
            "ceremony.outlives", f"{file.name} would outlive {signer.name}, which signs it", "ask for fewer years"
        )
    plan = Plan(file, hierarchy, profile, subject, signer, elder, validity)
    plan.draft(b"" if wanted else None)
    return plan


def _standing(workspace: Workspace, file: AuthorityCeremony, name: str | None, key: str) -> AuthorityRecord | None:
    """An authority the file names: an active root of the same hierarchy."""
    if name is None:
        return None
    found = workspace.store.authority(name)
    if found is None or found.state != "active" or found.tier != "root" or found.hierarchy != file.hierarchy:
        raise Refused(
            "ceremony.no-root",
            f"ceremony {file.name}: {key} = {name!r} is no active root of hierarchy {file.hierarchy}",
            "run that root's ceremony first; `smki ca tree` shows what there is",
        )
    return found


def rehearse(plan: Plan) -> tuple[Template, bytes, tuple[Finding, ...]]:
    """The template, a specimen certificate signed by throwaway keys, and what the linters find in it."""
    throwaway = ec.generate_private_key(ec.SECP256R1())
    contingency = None
    if plan.file.contingency is not None:
        contingency = wrap(throwaway.public_key(), os.urandom(SYMMETRIC_KEY_OCTETS), plan.file.contingency.wrap)
    template = compile_template(plan.draft(contingency), os.urandom)
    fields = Fields(Serial.from_entropy(os.urandom), plan.validity, throwaway.public_key())
    certificate = sign(template, fields, throwaway, throwaway.public_key())
    return template, certificate, lint(certificate, plan.profile)
