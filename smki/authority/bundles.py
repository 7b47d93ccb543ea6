"""Trust bundles: what a device is given before it can judge a command, put together from the register and signed.

A bundle has a version that only ever grows for its device, reserved in the log before the bundle is signed.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.hierarchy import certificate_of, named
from smki.authority.log import act, seal
from smki.authority.standing import REVOKED, Word, of_record, revoked_issuers, standing_of
from smki.authority.workspace import Workspace
from smki.device.bundle import FORM, SIGNERS_PURPOSE, use_cases_as_json
from smki.device.cells import Cell, CellName, CellUse
from smki.device.network import rules_as_json
from smki.device.update import MAX_COUNTER
from smki.entity import DeviceType, EntityId, KeyUsage, RemotePartyRole
from smki.errors import InvalidInput, Refused
from smki.pki.serial import Serial
from smki.pki.signed_data import make_signed_data
from smki.pki.status import Status
from smki.store.certificates import Query
from smki.store.records import CertificateRecord
from smki.words import utc

_FEW = 2  # key agreement certificates of a supplier: for management, and for top-ups
_VERSION_OF = b"bundle "


@dataclass(frozen=True, slots=True)
class Installation:
    """Which device, and who is responsible for it where more than one could be."""

    device: EntityId
    kind: DeviceType
    parties: Mapping[RemotePartyRole, EntityId]
    counters: Mapping[RemotePartyRole, int]
    top_up_floor: int
    top_up_certificate: str | None = None
    crls: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs bundles: an infrastructure certificate of ours, and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Exported:
    """A bundle: signed, and in its parts."""

    version: int
    octets: bytes
    manifest: bytes
    parts: Mapping[str, bytes]
    """For firmware: file names and their content."""


def export(workspace: Workspace, installation: Installation, signer: Signer) -> Exported:
    """Put a device's bundle together, log it, sign it."""
    above = _above(workspace, signer)
    cells = _cells(workspace, installation)
    own = _own(workspace, installation.device)
    chain = [certificate.der for certificate in _authorities(workspace).values()]
    name = _version_name(installation.device)
    version = max(0, workspace.store.signatures.last_counter(name)) + 1
    certificates = _unique([*cells.values(), *own.values(), *chain])
    manifest = _manifest(workspace, installation, version, cells, own, certificates)
    with act(
        workspace,
        "bundle.exported",
        device=str(installation.device),
        device_type=installation.kind.value,
        version=version,
        manifest_sha256=hashlib.sha256(manifest).hexdigest(),
        signed_by=f"{signer.certificate.serial_number:032X}",
    ) as tx:
        tx.reserve_counter(name, version)
    octets = make_signed_data(
        manifest,
        signer.certificate,
        signer.key,
        workspace.clock(),
        certificates=_unique([signer.certificate.public_bytes(Encoding.DER), *above, *certificates]),
        crls=installation.crls,
    )
    seal(workspace)
    return Exported(version, octets, manifest, dict(_parts(manifest, cells, own, chain, installation.crls)))


def _authorities(workspace: Workspace) -> dict[int, CertificateRecord]:
    """Those that are believed, by their numbers: a revoked one, and whatever it issued, goes onto no device."""
    every, revoked = workspace.store.authorities(), revoked_issuers(workspace)
    return {
        one.number: certificate_of(workspace, one)
        for one in every
        if one.state == "active" and one.number not in revoked
    }


def _version_name(device: EntityId) -> bytes:
    return hashlib.sha256(_VERSION_OF + device.octets).digest()[:16]


def _unique(ders: list[bytes]) -> list[bytes]:
    return list(dict.fromkeys(ders))


def _above(workspace: Workspace, signer: Signer) -> list[bytes]:
    """The authorities above the signer: it must be one of ours, of the infrastructure, and in use."""
    serial, now = f"{signer.certificate.serial_number:032X}", workspace.clock()
    der = signer.certificate.public_bytes(Encoding.DER)
    issuing = {
        one.number: one
        for one in workspace.store.authorities()
        if one.hierarchy == "infrastructure" and one.tier == "issuing" and one.issuer is not None
    }
    standing = standing_of(workspace, signer.certificate)
    if standing.word is Word.REVOKED:
        raise Refused(
            REVOKED, f"certificate {serial} is {standing.text}", "sign with a certificate of `smki org appoint`"
        )
    for record in workspace.store.certificates.find(
        Query(serial=Serial.parse(serial), status=Status.IN_USE, now=now)
    ):
        authority = issuing.get(record.issuer)
        if record.der != der or not _is_for_people(signer.certificate):
            continue
        if authority is not None and authority.issuer is not None and record.not_before <= now:
            _refuse_below_revoked(workspace, record)
            root = named(workspace, authority.issuer)
            return [certificate_of(workspace, authority).der, certificate_of(workspace, root).der]
    raise Refused(
        "bundle.signer",
        f"certificate {serial} is no officer's of ours that is in use",
        "sign with a certificate of `smki org appoint`",
    )


def _is_for_people(certificate: x509.Certificate) -> bool:
    """Devices believe no bundle that a system's key has signed."""
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.ExtendedKeyUsage):
            return SIGNERS_PURPOSE in extension.value
    return False


def _refuse_below_revoked(workspace: Workspace, record: CertificateRecord) -> None:
    standing = revoked_issuers(workspace).get(record.issuer)
    if standing is not None:
        raise Refused(
            REVOKED, f"the authority above certificate {record.serial} is {standing.text}", "issue another first"
        )


# What goes in


def _cells(workspace: Workspace, installation: Installation) -> dict[CellName, bytes]:
    wanted = workspace.policies.devices.get(installation.kind)
    if wanted is None:
        raise InvalidInput("bundle.kind", f"devices.toml has no {installation.kind.value}", "add it")
    found: dict[CellName, bytes] = {}
    missing: list[CellName] = []
    for name in wanted:
        der = _root(workspace) if name.use is CellUse.KEY_CERT_SIGN else _filling(workspace, installation, name)
        if der is None:
            missing.append(name)
        else:
            Cell.of(der, name)  # what a device would refuse never leaves
            found[name] = der
    if missing:
        _refuse_revoked(workspace, installation, missing)
        raise Refused(
            "bundle.cells",
            f"nothing fills cell {', '.join(map(str, missing))}: all cells are filled at all times (GBCS 13.1.2)",
            "enrol the organisation and issue its certificates; or say whom you mean with --party ROLE=EUI-64",
        )
    return found


def _refuse_revoked(workspace: Workspace, installation: Installation, missing: list[CellName]) -> None:
    """Where it is a revocation that left a cell without a certificate, that is what is told."""
    for name in missing:
        entity = installation.parties.get(name.role) or _only_one(workspace, name.role)
        if entity is None or name.use.key_usage is None:
            continue
        query = Query(entity=entity, usage=name.use.key_usage, status=Status.REVOKED, now=workspace.clock())
        for one in list(workspace.store.certificates.find(query)):
            told = of_record(workspace, one).text
            raise Refused(
                REVOKED, f"cell {name}: certificate {one.serial} of {entity} is {told}", "issue another first"
            )


def _root(workspace: Workspace) -> bytes | None:
    for authority in workspace.store.authorities():
        if authority.hierarchy == "organisation" and authority.tier == "root" and authority.state == "active":
            return certificate_of(workspace, authority).der
    return None


def _filling(workspace: Workspace, installation: Installation, name: CellName) -> bytes | None:
    """The certificate in use of who has a role; of a supplier's two for key agreement the later is for top-ups."""
    entity = installation.parties.get(name.role) or _only_one(workspace, name.role)
    if entity is None or name.use.key_usage is None:
        return None
    query = Query(entity=entity, usage=name.use.key_usage, status=Status.IN_USE, now=workspace.clock())
    # Of those drawn in the same few seconds the one recorded first comes first out of the store: the rest of a serial
    # number is chance, and says nothing. Whoever must be sure names the one for top-ups.
    believed = _authorities(workspace)
    records = sorted(
        (one for one in workspace.store.certificates.find(query) if one.role is name.role and one.issuer in believed),
        key=lambda one: (one.not_before, one.serial.tick),
    )
    return _chosen(records, installation, name)


def _chosen(records: list[CertificateRecord], installation: Installation, name: CellName) -> bytes | None:
    top_up = installation.top_up_certificate
    if name.role is not RemotePartyRole.SUPPLIER or name.use is CellUse.DIGITAL_SIGNATURE:
        return records[-1].der if records else None
    if top_up is not None:
        chosen = [one for one in records if (str(one.serial) == top_up) == (name.use is CellUse.TOP_UP)]
    elif len(records) > _FEW:
        raise Refused(
            "bundle.top-up",
            f"{len(records)} key agreement certificates of the supplier are in use",
            "say which one is for top-ups: --top-up SERIAL",
        )
    else:
        chosen = records[1:] if name.use is CellUse.TOP_UP else records[:1]
    return chosen[-1].der if chosen else None


def _only_one(workspace: Workspace, role: RemotePartyRole) -> EntityId | None:
    """The one identifier of the one organisation that has a role, if there is just one."""
    found = [
        item.first
        for organisation in workspace.store.organisations.all()
        if organisation.active and role in organisation.roles
        for item in organisation.ranges
        if item.first == item.last
    ]
    return found[0] if len(found) == 1 else None


def _own(workspace: Workspace, device: EntityId) -> dict[KeyUsage, bytes]:
    """The device's own certificates: in use, or pending until it is commissioned."""
    found, now = {}, workspace.clock()
    for usage in KeyUsage:
        known = workspace.store.certificates.find(Query(entity=device, usage=usage, now=now))
        own = [(one, of_record(workspace, one)) for one in list(known) if one.role is None]
        records = [one for one, standing in own if standing.word in {Word.GOOD, Word.PENDING}]
        revoked = [(one, standing) for one, standing in own if standing.word is Word.REVOKED]
        if revoked and not records:
            one, standing = revoked[0]
            raise Refused(REVOKED, f"certificate {one.serial} of {device} is {standing.text}", "issue another first")
        if len(records) != 1:
            raise Refused(
                "bundle.device",
                f"{len(records)} {usage.value} certificates of {device} are pending or in use",
                "issue its certificates first: `smki device issue`",
            )
        _refuse_below_revoked(workspace, records[0])
        found[usage] = records[0].der
    return found


def _manifest(
    workspace: Workspace,
    installation: Installation,
    version: int,
    cells: Mapping[CellName, bytes],
    own: Mapping[KeyUsage, bytes],
    certificates: list[bytes],
) -> bytes:
    roles = {name.role for name in cells if name.use is not CellUse.KEY_CERT_SIGN}
    for counter in (*installation.counters.values(), installation.top_up_floor):
        if not 0 <= counter <= MAX_COUNTER:
            raise InvalidInput("bundle.counter", f"counter {counter}", f"give 0 to {MAX_COUNTER}")
    told: dict[str, Any] = {
        "form": FORM,
        "version": str(version),
        "made_at": utc(workspace.clock()),
        "device": str(installation.device),
        "device_type": installation.kind.value,
        "cells": {str(name): _digest(der) for name, der in cells.items()},
        "counters": {role.word: str(installation.counters.get(role, 0)) for role in sorted(roles)},
        "top_up_floor": str(installation.top_up_floor),
        "own": {usage.value: _digest(der) for usage, der in own.items()},
        "certificates": [_digest(der) for der in certificates],
        "crls": [_digest(der) for der in installation.crls],
        "use_cases": use_cases_as_json(workspace.policies.use_cases, installation.kind),
        "joins": rules_as_json(workspace.policies.joins.given_to_devices(_device_issuers(workspace))),
    }
    return json.dumps(told, indent=1, sort_keys=True).encode() + b"\n"


def _device_issuers(workspace: Workspace) -> list[bytes]:
    """Whose device certificates are believed when devices show them to each other."""
    believed = _authorities(workspace)
    return [
        believed[one.number].der
        for one in workspace.store.authorities()
        if one.hierarchy == "device" and one.tier == "issuing" and one.number in believed
    ]


def _digest(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()


def _parts(
    manifest: bytes,
    cells: Mapping[CellName, bytes],
    own: Mapping[KeyUsage, bytes],
    chain: list[bytes],
    crls: tuple[bytes, ...],
) -> Iterator[tuple[str, bytes]]:
    yield "manifest.json", manifest
    for name, der in cells.items():
        yield f"cells/{name.role.word}-{name.use.value}.der", der
    for usage, der in own.items():
        yield f"own/{usage.value}.der", der
    for der in chain:
        yield f"authorities/{_digest(der)[:16]}.der", der
    for der in crls:
        yield f"crls/{_digest(der)[:16]}.crl", der
