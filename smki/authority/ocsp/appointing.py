"""Appointing a responder: a key in a token, and the authority's certificate that lets it answer (RFC 6960 4.2.2.2).

The intent is on record before a key is made or anything signed: a run that died is taken up by the next, its serial
number burnt, its key used.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.ceremony.making import make_or_take_up
from smki.authority.ceremony.plan import issuer_of, key_of
from smki.authority.ceremony.run import alone
from smki.authority.hierarchy import named
from smki.authority.issuance.order import refuse_revoked
from smki.authority.log import KEY_ID_OCTETS, act, seal
from smki.authority.ocsp.policy import OcspPolicy
from smki.authority.ocsp.responders import Appointed, appointed
from smki.authority.workspace import Workspace
from smki.entity import KeyUsage
from smki.errors import Refused
from smki.pki.keyid import key_hash
from smki.pki.lint import lint, refuse_faults
from smki.pki.name import person_or_system_name
from smki.pki.public_key import spki_of
from smki.pki.serial import Serial
from smki.pki.template import Fields, compile_template, draft, sign
from smki.pki.validity import Validity
from smki.store.records import AuthorityRecord, CertificateRecord
from smki.store.responders import ResponderRecord

_SHORT = 16  # of a serial number's digits, in a key's label: the time, and 32 random bits


@dataclass(frozen=True, slots=True)
class Appointment:
    """The responder there is now, and whether it was made just now."""

    responder: Appointed
    made: bool


def appoint(workspace: Workspace, name: str, token: str, *, anew: bool) -> Appointment:
    """Appoint a responder for an authority, its key in a token; while one there is good for long, nothing is done."""
    policy = workspace.policies.ocsp
    with alone(workspace):
        authority = _authority(workspace, name, policy)
        _refuse_shared(workspace, token)
        now = workspace.clock()
        here = [item for item in appointed(workspace) if item.authority == authority and item.record.token == token]
        for item in here:
            if not anew and item.may_answer(now) and _is_good_for_long(item, policy, now):
                return Appointment(item, made=False)
        made = _appoint(workspace, authority, token, policy)
    seal(workspace)
    return Appointment(made, made=True)


def _is_good_for_long(item: Appointed, policy: OcspPolicy, now: datetime) -> bool:
    """Or for as long as any responder of this authority could be: there is no other end to be had."""
    end, last = item.certificate.not_after, item.authority.not_after
    return end - now > policy.renew or (last is not None and end >= last)


def _authority(workspace: Workspace, name: str, policy: OcspPolicy) -> AuthorityRecord:
    """One that issues, or did: a root's key serves in ceremonies only."""
    authority = named(workspace, name)
    if authority.tier != "issuing" or authority.state != "active":
        raise Refused(
            "ocsp.authority", f"{name} is no working issuing authority", "a root's certificates are on its list alone"
        )
    refuse_revoked(workspace, authority)
    if authority.hierarchy not in policy.hierarchies:
        raise Refused(
            "ocsp.hierarchy",
            f"nobody answers for hierarchy {authority.hierarchy}",
            "add it to `hierarchies` in policies/ocsp.toml",
        )
    return authority


def _refuse_shared(workspace: Workspace, token: str) -> None:
    """A responder's token is logged in on a machine that everybody reaches: nothing that issues is in it."""
    workspace.token_ref(token)
    held = {item.token: item.name for item in workspace.store.authorities()}
    held[workspace.audit_token] = "the audit log"
    for record in workspace.store.authorities():
        contingency = workspace.store.contingency(record.name)
        if contingency is not None:
            held[contingency.token] = f"the contingency of {record.name}"
    serial = _serial_of(workspace, token)
    for name, whose in held.items():
        # By its serial number too: smki.toml may give one token two names.
        if name == token or (serial is not None and serial == _serial_of(workspace, name)):
            raise Refused(
                "ocsp.token", f"token {token} holds the key of {whose}", "name a token for responders alone"
            )


def _serial_of(workspace: Workspace, token: str) -> str | None:
    """Of the token itself, as it was recorded when it was made, or as it says; none while it is away."""
    known = workspace.store.token(token)
    if known is not None:
        return known.serial
    ref = workspace.tokens.get(token)
    info = workspace.hsm.find(ref) if ref is not None else None
    return info.serial if info is not None else None


def _appoint(workspace: Workspace, authority: AuthorityRecord, token: str, policy: OcspPolicy) -> Appointed:
    now = workspace.clock()
    unfinished = _unfinished(workspace, authority, token)
    key_id = unfinished[0].key_id if unfinished else os.urandom(KEY_ID_OCTETS)
    serial = Serial.draw(os.urandom, now)
    validity = _validity(authority, policy, now)
    record = ResponderRecord(authority.number, serial, token, key_id)
    burnt = [item.serial for item in unfinished]
    facts = {"authority": authority.name, "token": token, "key": key_id.hex(), "serial": str(serial)}
    with act(workspace, "ocsp.appointing", **facts, burnt=[str(item) for item in burnt]) as tx:
        if burnt:
            tx.burn_serials(authority.number, burnt)
        tx.reserve_serials(authority.number, [serial], f"ocsp {authority.name}")
        tx.put_responder(record)
    label = f"ocsp-{authority.name}-{str(serial)[:_SHORT].lower()}"
    key = make_or_take_up(workspace.open_token(token), label, key_id)
    certificate = _issue(workspace, authority, policy, serial, validity, key.public_key())
    facts = {"authority": authority.name, "token": token, "serial": str(serial), "not_after": f"{validity.not_after}"}
    with act(workspace, "ocsp.appointed", **facts, certificate=sha256(certificate.der).hexdigest()) as tx:
        tx.store_certificates([certificate])
    return Appointed(record, authority, certificate)


def _unfinished(workspace: Workspace, authority: AuthorityRecord, token: str) -> list[ResponderRecord]:
    """What runs that died left: no certificate, and a serial number that nobody gave up yet."""
    certificates = workspace.store.certificates
    return [
        item
        for item in workspace.store.responders.all()
        if (item.issuer, item.token) == (authority.number, token)
        and certificates.get(item.issuer, item.serial) is None
        and not certificates.is_burnt(item.issuer, item.serial)
    ]


def _validity(authority: AuthorityRecord, policy: OcspPolicy, now: datetime) -> Validity:
    """From midnight, as certificates with an end begin here; it ends with its authority at the latest."""
    begin = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    assert authority.not_after is not None, "an active authority has an end"
    end = min(begin + policy.life - timedelta(seconds=1), authority.not_after)
    if end <= now:
        raise Refused(
            "authority.too-old",
            f"authority {authority.name} ended {authority.not_after:%Y-%m-%d}",
            "appoint one for the authority that issues now",
        )
    return Validity(begin, end)


def _issue(
    workspace: Workspace,
    authority: AuthorityRecord,
    policy: OcspPolicy,
    serial: Serial,
    validity: Validity,
    public_key: ec.EllipticCurvePublicKey,
) -> CertificateRecord:
    """The certificate, signed by the authority and looked at as a stranger would."""
    subject = person_or_system_name(f"OCSP responder of {authority.subject}")
    plan = draft(
        policy.profile,
        issuer=issuer_of(authority),
        subject=lambda _: subject,
        policies=workspace.policies.hierarchy(authority.hierarchy).policy_oids,
        validity=validity,
        usage=KeyUsage.DIGITAL_SIGNATURE,
    )
    issuer = key_of(authority)
    key = workspace.open_token(authority.token).find_key(key_id=authority.key_id, public_key=issuer)
    der = sign(compile_template(plan, os.urandom), Fields(serial, validity, public_key), key, issuer)
    refuse_faults(lint(der, policy.profile))
    return CertificateRecord(
        issuer=authority.number,
        serial=serial,
        key_hash=key_hash(spki_of(public_key)),
        entity=None,
        profile=policy.profile.name,
        not_before=validity.not_before,
        not_after=validity.not_after,
        der=der,
        usage=KeyUsage.DIGITAL_SIGNATURE,
    )
