"""Registration: which organisations there are, what each may ask for, and who speaks for it."""

from dataclasses import dataclass
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.log import act, seal
from smki.authority.officers import read_public_key
from smki.authority.standing import Word, of_record, revoked_issuers
from smki.authority.workspace import Workspace
from smki.entity import EntityRange, RemotePartyRole
from smki.errors import InvalidInput, Refused
from smki.pki.kind import Kind
from smki.pki.name import MAX_COMMON_NAME, is_common_name
from smki.pki.request import Request
from smki.pki.verdict import Fault
from smki.store.records import CertificateRecord, OrganisationRecord, ResponsibleRecord

Function = Literal["SRO", "ARO"]
MAX_RANGES = 1000
MAX_VOLUME = 100_000_000
# An authority's own roles are nobody's to subscribe to.
_AUTHORITY_ROLES = {RemotePartyRole.ROOT, RemotePartyRole.ISSUING_AUTHORITY}


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an administrator says of a new organisation."""

    name: str
    roles: tuple[RemotePartyRole, ...]
    kinds: tuple[Kind, ...]
    ranges: tuple[EntityRange, ...]
    volume: int


def enrol(workspace: Workspace, enrolment: Enrolment) -> OrganisationRecord:
    """Put an organisation on record."""
    _check(enrolment)
    record = OrganisationRecord(
        0, enrolment.name, True, enrolment.roles, enrolment.kinds, enrolment.ranges, enrolment.volume
    )
    with act(
        workspace,
        "organisation.enrolled",
        organisation=record.name,
        roles=[role.word for role in record.roles],
        kinds=[kind.value for kind in record.kinds],
        ranges=[str(item) for item in record.ranges],
        volume=record.volume,
    ) as tx:
        tx.put_organisation(record)
    seal(workspace)
    return named(workspace, record.name)


def _check(enrolment: Enrolment) -> None:
    name = enrolment.name
    if not is_common_name(name):
        raise InvalidInput("org.name", f"{name[:40]!r} cannot be a name", f"give 1 to {MAX_COMMON_NAME} characters")
    if forbidden := _AUTHORITY_ROLES & set(enrolment.roles):
        words = ", ".join(sorted(role.word for role in forbidden))
        raise Refused("org.role", f"{words} is an authority's role", "enrol authorities by a ceremony")
    if Kind.ORGANISATION in enrolment.kinds and not enrolment.roles:
        raise Refused("org.role", "an organisation that subscribes for itself has a role", "give --role")
    if not enrolment.kinds:
        raise InvalidInput("org.kind", "it may subscribe to nothing", "give --may device, --may organisation")
    if len(enrolment.ranges) > MAX_RANGES or enrolment.volume > MAX_VOLUME:
        raise InvalidInput("org.size", "too many ranges, or too large a volume", f"at most {MAX_RANGES} ranges")
    for number, item in enumerate(enrolment.ranges):
        if any(item.overlaps(other) for other in enrolment.ranges[:number]):
            raise InvalidInput("org.range", f"{item} overlaps another range given", "give each identifier once")


def named(workspace: Workspace, name: str) -> OrganisationRecord:
    """The organisation called `name`."""
    record = workspace.store.organisations.named(name)
    if record is None:
        raise InvalidInput("org.unknown", f"no organisation is called {name[:40]!r}", "see `smki org list`")
    return record


def set_active(workspace: Workspace, name: str, active: bool, reason: str) -> None:
    """Suspend an organisation, or take it back: nothing is issued to it in between."""
    record = named(workspace, name)
    kind = "organisation.resumed" if active else "organisation.suspended"
    with act(workspace, kind, organisation=name, reason=reason) as tx:
        tx.set_active(record.number, active)
    seal(workspace)


# Officers of an organisation


def appoint(workspace: Workspace, name: str, function: Function, certificate: CertificateRecord) -> ResponsibleRecord:
    """Name an officer: the holder of an infrastructure certificate that is in force."""
    from smki.pki.lint import read_certificate

    record = named(workspace, name)
    if not record.active:
        raise Refused("org.state", f"{name} is suspended", "resume it first")
    if certificate.subscriber != record.number:
        raise Refused("org.officer-certificate", f"the certificate was not issued to {name}", "issue one with --csr")
    if certificate.profile != workspace.policies.issuance.rule(Kind.INFRASTRUCTURE).profile.name:
        raise Refused("org.officer-certificate", "that is no officer's certificate", "issue one with --csr")
    standing = of_record(workspace, certificate)
    if standing.word is Word.REVOKED:
        raise Refused("org.officer-revoked", f"the certificate is {standing.text}", "issue a new one with --csr")
    if standing.word is not Word.GOOD:
        raise Refused("org.officer-certificate", "the certificate is not in use", "issue a new one with --csr")
    parsed = read_certificate(certificate.der)
    key = parsed.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey), "we issue for P-256 only"
    from smki.pki.public_key import spki_of

    (common_name,) = (str(attribute.value) for attribute in parsed.subject)
    officer = ResponsibleRecord(common_name, function, spki_of(key), certificate.issuer, certificate.serial)
    with act(
        workspace,
        "organisation.officer-appointed",
        organisation=name,
        officer=officer.name,
        function=function,
        serial=str(officer.serial),
        replaces=[str(item.serial) for item in record.officers if item.name == officer.name],
    ) as tx:
        tx.put_responsible(record.number, officer)
    seal(workspace)
    return officer


def dismiss(workspace: Workspace, name: str, officer: str) -> None:
    """The officer speaks for the organisation no longer."""
    record = named(workspace, name)
    with act(workspace, "organisation.officer-dismissed", organisation=name, officer=officer) as tx:
        tx.remove_responsible(record.number, officer)
    seal(workspace)


def officers_in_force(
    workspace: Workspace, record: OrganisationRecord
) -> list[tuple[ResponsibleRecord, ec.EllipticCurvePublicKey]]:
    """Those whose certificate is in use today, and its authority not revoked, with their keys."""
    found, revoked = [], revoked_issuers(workspace)
    for officer in record.officers:
        certificate = workspace.store.certificates.get(officer.issuer, officer.serial)
        if certificate is None or certificate.issuer in revoked:
            continue
        if of_record(workspace, certificate).word is Word.GOOD:
            found.append((officer, read_public_key(officer.public_key, officer.name)))
    return found


# Eligibility

_REMEDIES = {
    "subscriber.suspended": "resume it with `smki org resume`, once the reason is gone",
    "subscriber.kind": "have the organisation enrolled for certificates of this kind",
    "entity.reserved": "give the device or organisation an EUI-64 of its own",
    "entity.not-allocated": "ask for identifiers in the organisation's own ranges: see `smki org show`",
    "role.not-held": "ask in a role the organisation holds: see `smki org show`",
    "subject.name": "leave the common name out, or write the organisation's name as it is enrolled",
}


def ineligible(subscriber: OrganisationRecord, kind: Kind, request: Request) -> list[Fault]:
    """Every reason why this organisation may not have this certificate."""
    found: list[Fault] = []

    def fault(code: str, message: str) -> None:
        found.append(Fault(code, message, _REMEDIES[code]))

    if not subscriber.active:
        fault("subscriber.suspended", f"{subscriber.name} is suspended")
    # Its officers' certificates are how an organisation comes to subscribe at all.
    if kind not in subscriber.kinds and kind is not Kind.INFRASTRUCTURE:
        fault("subscriber.kind", f"{subscriber.name} does not subscribe to {kind.value} certificates")
    entity = request.entity
    if entity is not None:
        if entity.is_reserved:
            fault("entity.reserved", f"{entity} is null or a group address")
        if not any(entity in item for item in subscriber.ranges):
            fault("entity.not-allocated", f"{entity} is not in a range of {subscriber.name}")
    if request.role is not None and request.role not in subscriber.roles:
        fault("role.not-held", f"{subscriber.name} is no {request.role.word}")
    if kind is Kind.ORGANISATION and request.common_name not in {None, subscriber.name}:
        fault("subject.name", f"the common name {str(request.common_name)[:40]!r} is not {subscriber.name!r}")
    return found


def as_json(record: OrganisationRecord) -> dict[str, Any]:
    """An organisation for programs."""
    return {
        "name": record.name,
        "state": "active" if record.active else "suspended",
        "roles": [role.word for role in record.roles],
        "may": [kind.value for kind in record.kinds],
        "ranges": [str(item) for item in record.ranges],
        "volume": record.volume,
        "officers": [
            {"name": officer.name, "function": officer.function, "serial": str(officer.serial)}
            for officer in record.officers
        ],
    }
