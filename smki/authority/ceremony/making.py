"""Making one authority: keys, serial numbers, certificates. `run` says in which order, and what follows a death."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.ceremony.file import CeremonyFile
from smki.authority.ceremony.plan import Plan, issuer_of, key_of, subject_of
from smki.authority.log import act
from smki.authority.workspace import Workspace
from smki.errors import IntegrityFailure
from smki.pki.contingency import wrap
from smki.pki.keyid import key_hash
from smki.pki.lint import lint, refuse_faults
from smki.pki.profile import Profile
from smki.pki.public_key import spki_of
from smki.pki.serial import Serial
from smki.pki.template import Draft, Fields, compile_template, draft, sign
from smki.pki.validity import Validity
from smki.store.records import AuthorityRecord, CertificateRecord, ContingencyRecord

if TYPE_CHECKING:
    from smki.hsm.key import HsmPrivateKey
    from smki.hsm.token import Token


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One certificate of the ceremony: who signs whom, and how."""

    name: str
    signer: AuthorityRecord
    draft: Draft
    profile: Profile
    validity: Validity
    public_key: ec.EllipticCurvePublicKey


class Making:
    """One ceremony under way."""

    def __init__(self, workspace: Workspace, ceremony: CeremonyFile, plan: Plan, detail: dict[str, Any]) -> None:
        self._workspace = workspace
        self._ceremony = ceremony
        self._plan = plan
        self._detail = detail

    @property
    def _authority(self) -> AuthorityRecord:
        found = self._workspace.store.authority(self._plan.file.name)
        assert found is not None, "on record since the ceremony started"
        return found

    # Keys

    def make_keys(self) -> Iterator[str]:
        file = self._plan.file
        token = self._workspace.open_token(file.token)
        key = make_or_take_up(token, file.name, bytes.fromhex(self._detail["key_id"]))
        spki = spki_of(key.public_key())
        contingency = self._make_contingency()
        facts: dict[str, Any] = {"authority": file.name, "token": file.token, "public_key": spki.hex()}
        if contingency is not None:
            facts |= {"contingency_token": contingency.token, "contingency_key": contingency.public_key.hex()}
        with act(self._workspace, "ceremony.keys-made", sha256=self._ceremony.sha256.hex(), **facts) as tx:
            tx.set_authority_key(file.name, spki)
            if contingency is not None:
                tx.put_contingency(contingency)
            tx.advance_ceremony(self._ceremony.sha256, "started", "keys-made", self._detail)
        yield f"key made in token {file.token}, where it stays"
        if contingency is not None:
            yield f"contingency keys made in token {contingency.token}"

    def _make_contingency(self) -> ContingencyRecord | None:
        file = self._plan.file
        if file.contingency is None:
            return None
        token = self._workspace.open_token(file.contingency.token)
        key_id = bytes.fromhex(self._detail["contingency_id"])
        secret_id = bytes.fromhex(self._detail["secret_id"])
        key = make_or_take_up(token, f"{file.name}-contingency", key_id)
        if not token.has_secret(secret_id):
            token.generate_secret(f"{file.name}-contingency-secret", secret_id)
        return ContingencyRecord(file.name, file.contingency.token, key_id, secret_id, spki_of(key.public_key()))

    # Serial numbers

    def _names(self) -> list[str]:
        links = ["new-with-old", "old-with-new"] if self._plan.elder is not None else []
        return [self._plan.file.name, *links]

    def _signer_number(self, name: str) -> int:
        plan = self._plan
        signer = plan.elder if name == "new-with-old" else plan.signer if name == plan.file.name else None
        return self._authority.number if signer is None else signer.number

    def _draw(self) -> dict[str, Serial]:
        return {name: Serial.draw(os.urandom, self._workspace.clock()) for name in self._names()}

    def reserve(self) -> Iterator[str]:
        """Set serial numbers aside before anything is signed with them."""
        drawn = self._draw()
        self._detail["serials"] = {name: str(serial) for name, serial in drawn.items()}
        with act(
            self._workspace,
            "ceremony.signing",
            sha256=self._ceremony.sha256.hex(),
            authority=self._plan.file.name,
            serials=self._detail["serials"],
        ) as tx:
            for name, serial in drawn.items():
                tx.reserve_serials(self._signer_number(name), [serial], f"ceremony {self._plan.file.name}: {name}")
            tx.advance_ceremony(self._ceremony.sha256, "keys-made", "signing", self._detail)
        yield "serial numbers reserved"

    def burn_and_reserve(self) -> Iterator[str]:
        """A run died while signing: what it may have signed is given up."""
        burnt = {name: Serial.parse(text) for name, text in self._detail["serials"].items()}
        drawn = self._draw()
        self._detail["serials"] = {name: str(serial) for name, serial in drawn.items()}
        with act(
            self._workspace,
            "ceremony.resumed",
            sha256=self._ceremony.sha256.hex(),
            authority=self._plan.file.name,
            burnt={name: str(serial) for name, serial in burnt.items()},
            serials=self._detail["serials"],
        ) as tx:
            for name, serial in burnt.items():
                tx.burn_serials(self._signer_number(name), [serial])
            for name, serial in drawn.items():
                tx.reserve_serials(self._signer_number(name), [serial], f"ceremony {self._plan.file.name}: {name}")
            tx.advance_ceremony(self._ceremony.sha256, "signing", "signing", self._detail)
        yield "serial numbers of the interrupted run burnt, new ones reserved"

    # Certificates

    def sign_and_store(self) -> Iterator[str]:
        """Sign each certificate, look at it as a stranger would, store all in one act."""
        made = [(wanted, self._issue(wanted)) for wanted in self._wanted()]
        own = made[0][1]
        digests = {wanted.name: _digest(record.der) for wanted, record in made}
        with act(
            self._workspace,
            "ceremony.done",
            sha256=self._ceremony.sha256.hex(),
            authority=self._plan.file.name,
            certificates=digests,
            serials=self._detail["serials"],
        ) as tx:
            for _, record in made:
                tx.store_certificates([record])
            tx.activate_authority(self._plan.file.name, own.serial, int(own.not_after.timestamp()))
            tx.advance_ceremony(self._ceremony.sha256, "signing", "done", self._detail)
        for name, digest in digests.items():
            yield f"certificate {name} signed, verified, stored: SHA-256 {digest}"

    def _wanted(self) -> Iterator[_Wanted]:
        plan, authority = self._plan, self._authority
        contingency = self._wrapped_contingency()
        own = _Wanted(
            plan.file.name,
            plan.signer or authority,
            plan.draft(contingency),
            plan.profile,
            plan.validity,
            key_of(authority),
        )
        yield own
        if plan.elder is not None:
            # Whoever holds one root can reach the other (RFC 4210 4.4).
            yield self._link("new-with-old", plan.elder, authority)
            yield self._link("old-with-new", authority, plan.elder)

    def _link(self, name: str, signer: AuthorityRecord, subject: AuthorityRecord) -> _Wanted:
        assert self._plan.elder is not None, "links are made between an elder and its successor"
        assert self._plan.elder.not_after is not None, "the elder is active"
        end = min(self._plan.validity.not_after, self._plan.elder.not_after)
        validity = Validity(self._plan.validity.not_before, end)
        profile = self._plan.hierarchy.link
        plan = draft(
            profile,
            issuer=issuer_of(signer),
            subject=lambda _: subject_of(subject),
            policies=self._plan.hierarchy.policy_oids,
            validity=validity,
        )
        return _Wanted(name, signer, plan, profile, validity, key_of(subject))

    def _wrapped_contingency(self) -> bytes | None:
        file = self._plan.file
        if file.contingency is None:
            return None
        record = self._workspace.store.contingency(file.name)
        assert record is not None, "on record since the keys were made"
        token = self._workspace.open_token(record.token)
        key = token.find_key(key_id=record.key_id)
        if spki_of(key.public_key()) != record.public_key:
            raise IntegrityFailure(
                "contingency.key", "the contingency key is not the one on record", "restore its token from its backup"
            )
        return wrap(key.public_key(), token.reveal_secret(record.secret_id), file.contingency.wrap)

    def _issue(self, wanted: _Wanted) -> CertificateRecord:
        serial = Serial.parse(self._detail["serials"][wanted.name])
        fields = Fields(serial, wanted.validity, wanted.public_key)
        issuer_key = key_of(wanted.signer)
        key = self._workspace.open_token(wanted.signer.token).find_key(
            key_id=wanted.signer.key_id, public_key=issuer_key
        )
        der = sign(compile_template(wanted.draft, os.urandom), fields, key, issuer_key)
        refuse_faults(lint(der, wanted.profile))
        return CertificateRecord(
            issuer=wanted.signer.number,
            serial=serial,
            key_hash=key_hash(spki_of(wanted.public_key)),
            entity=None,
            profile=wanted.profile.name,
            not_before=wanted.validity.not_before,
            not_after=wanted.validity.not_after,
            der=der,
        )


def make_or_take_up(token: "Token", label: str, key_id: bytes) -> "HsmPrivateKey":
    """Make a key pair; or take up the one that a dying run made under this identifier and never used."""
    token.clear_unfinished(key_id)
    if not token.has_key(key_id):
        return token.generate_key(label, key_id, "sign")
    info = next(info for info in token.key_pairs() if info.key_id == key_id)
    if not info.protected:
        raise IntegrityFailure(
            "ceremony.key-unprotected", f"the key {label} could leave token {token.name}", "find out who made it"
        )
    return token.find_key(key_id=key_id)


def _digest(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()
