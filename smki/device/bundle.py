"""A trust bundle: everything a device must hold before it can judge a command, signed by those who installed it.

CMS signed data over a manifest in JSON; certificates and CRLs lie beside it in the standard fields, and the manifest
names each by its SHA-256. Bundles have versions: an older one never replaces a newer.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from smki.device.cells import Cell, CellName, Cells, CellUse
from smki.device.join_rules import JoinRules
from smki.device.network import rules_from_json
from smki.device.update import MAX_COUNTER
from smki.entity import DeviceType, EntityId, KeyUsage, RemotePartyRole
from smki.errors import InvalidInput, Refused
from smki.gbcs.header import Cra, MessageCode
from smki.gbcs.message import Protection
from smki.gbcs.use_case import UseCase, UseCases
from smki.pki.holder import holder, load_certificate
from smki.pki.path import Options, PathCertificate, TrustAnchor, ValidPath, find_path
from smki.pki.public_key import read_point
from smki.pki.signed_data import SignedData, read_signed_data

FORM = "smki-bundle/1"
MAX_BUNDLE_OCTETS = 1 << 24  # the largest part is a CRL, if there is one
# What people sign is for mail protection (RFC 8551); a responder's key, and a machine's for TLS, stand open to the
# network, and the same authority issues their certificates: they put nothing onto a device.
SIGNERS_PURPOSE = ExtendedKeyUsageOID.EMAIL_PROTECTION


@dataclass(frozen=True)
class Bundle:
    """What a bundle says, once its signature held."""

    version: int
    device: EntityId
    kind: DeviceType
    cells: Cells
    counters: Mapping[RemotePartyRole, int]
    top_up_floor: int
    own: Mapping[KeyUsage, bytes]
    """The device's own certificates."""
    certificates: tuple[bytes, ...]
    crls: tuple[bytes, ...]
    use_cases: UseCases
    joins: JoinRules
    manifest: Mapping[str, Any]


def open_bundle(octets: bytes, anchors: Sequence[TrustAnchor], at: datetime) -> Bundle:
    """Believe a bundle whose signer's certificate leads to an anchor; read nothing of one that does not."""
    if len(octets) > MAX_BUNDLE_OCTETS:
        raise _wrong(f"{len(octets)} octets, and {MAX_BUNDLE_OCTETS} is the limit")
    try:
        signed = read_signed_data(octets)
    except InvalidInput as error:
        raise _wrong(error.message) from None
    _check_signer(signed, anchors, at)
    return _read(signed)


def _check_signer(signed: SignedData, anchors: Sequence[TrustAnchor], at: datetime) -> None:
    """One of the certificates that came along signed it, and a path leads from it to an anchor."""
    read = [found for der in signed.certificates if (found := _path_certificate(der)) is not None]
    signers = [item for item in read if (key := read_point(item.point)) is not None and signed.is_signed_by(key)]
    reasons: list[str] = []
    for signer in signers:
        verdict = find_path(signer, anchors, read, at, Options(extended_key_usage=SIGNERS_PURPOSE))
        if isinstance(verdict, ValidPath):
            return
        reasons += [fault.message for fault in verdict.faults]
    why = "; ".join(reasons) or "no certificate in it is of the key that signed it"
    raise Refused(
        "bundle.signer", f"nobody known signed this bundle: {why}", "give the anchor of those who installed it"
    )


def _path_certificate(der: bytes) -> PathCertificate | None:
    """As the path layer reads it; real device certificates need not be readable for that to find the signer's."""
    try:
        return PathCertificate.read(der)
    except InvalidInput:
        return None


def _read(signed: SignedData) -> Bundle:
    try:
        manifest = json.loads(signed.content)
        if manifest["form"] != FORM:
            raise _wrong(f"a manifest of form {str(manifest['form'])[:30]!r}, and {FORM} is known here")
        by_digest = {hashlib.sha256(der).hexdigest(): der for der in (*signed.certificates, *signed.crls)}
        names = {CellName.parse(text): digest for text, digest in manifest["cells"].items()}
        bundle = Bundle(
            version=_counter(manifest["version"]),
            device=EntityId.parse(manifest["device"]),
            kind=DeviceType.parse(manifest["device_type"]),
            cells={name: Cell.of(by_digest[digest], name) for name, digest in names.items()},
            counters={RemotePartyRole.parse(role): _counter(text) for role, text in manifest["counters"].items()},
            top_up_floor=_counter(manifest["top_up_floor"]),
            own={KeyUsage(usage): by_digest[digest] for usage, digest in manifest["own"].items()},
            certificates=tuple(by_digest[digest] for digest in manifest["certificates"]),
            crls=tuple(by_digest[digest] for digest in manifest["crls"]),
            use_cases=use_cases_from_json(manifest["use_cases"]),
            joins=rules_from_json(manifest["joins"]),
            manifest=manifest,
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise _wrong(f"its manifest is not of its form ({type(error).__name__})") from None
    _check_whole(bundle)
    return bundle


def _check_whole(bundle: Bundle) -> None:
    """Every cell's role has a counter, and the device's own certificates are its own."""
    for usage, der in bundle.own.items():
        who = holder(load_certificate(der, "the device's own certificate"), "the device's own certificate")
        if who.entity != bundle.device or who.role is not None or who.usage is not usage:
            raise _wrong(f"the {usage.value} certificate is not the device's")
    if set(bundle.own) != set(KeyUsage):
        raise _wrong("it lacks one of the device's own certificates")
    missing = {name.role for name in bundle.cells if name.use is not CellUse.KEY_CERT_SIGN} - set(bundle.counters)
    if missing:
        raise _wrong(f"no counter for {', '.join(role.word for role in sorted(missing))}")


def own_key(bundle: Bundle, usage: KeyUsage) -> ec.EllipticCurvePublicKey:
    """The public half of one of the device's own keys."""
    return holder(load_certificate(bundle.own[usage], "the device's own certificate"), "the device").public_key


def _counter(text: Any) -> int:
    """Counters are texts of digits: other readers of JSON round what has more than 53 bits (RFC 7493 2.2).

    What is no text has no `isascii`: an AttributeError, which says so to the caller as well.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise ValueError
    value = int(text)
    if value > MAX_COUNTER:
        raise ValueError
    return value


# The use cases of one kind of device, as the manifest has them


def use_cases_as_json(table: UseCases, kind: DeviceType | None) -> dict[str, Any]:
    """The rows a kind of device knows; all of them where no kind is given."""
    return {
        str(row.code): {
            "name": row.name,
            "title": row.title,
            "category": row.category,
            "critical": row.critical,
            "protections": {
                cra.name.lower(): [form.value for form in forms] for cra, forms in row.protections.items()
            },
            "dated": row.dated,
            "senders": [role.word for role in row.senders],
            "sending_devices": [device.value for device in row.sending_devices],
        }
        for row in table.all
        if kind is None or kind in row.devices
    }


def use_cases_from_json(rows: Mapping[str, Any]) -> UseCases:
    """The same rows again; what no table may say, no bundle may either."""
    found = {}
    for text, row in rows.items():
        code = MessageCode.parse(text)
        critical = row["critical"]
        if not isinstance(critical, bool) or not isinstance(row["dated"], bool):
            raise TypeError
        found[code] = UseCase(
            code=code,
            name=str(row["name"]),
            title=str(row["title"]),
            category=str(row["category"]),
            critical=critical,
            protections={
                Cra[cra.upper()]: tuple(Protection(form) for form in forms)
                for cra, forms in row["protections"].items()
            },
            dated=row["dated"],
            senders=tuple(RemotePartyRole.parse(word) for word in row["senders"]),
            sending_devices=tuple(DeviceType.parse(word) for word in row["sending_devices"]),
            devices=(),
            services=(),
            users=(),
        )
    return UseCases(found)


def _wrong(reason: str) -> InvalidInput:
    return InvalidInput("bundle.form", f"no trust bundle: {reason}", "export it anew: `smki bundle export`")
