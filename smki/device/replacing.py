"""Which of an update's certificates may go into their cells: each by itself, the supplier's together (GBCS 13.3).

Pure: cells, certificates and a time in; a status for each out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from smki.device.cells import Cell, CellName, Cells
from smki.device.modes import RULES, SUPPLIER_CELLS, ModeRule
from smki.device.update import CredentialUpdate, Put
from smki.entity import KeyUsage, RemotePartyRole
from smki.errors import InvalidInput
from smki.gbcs.payload.credentials import Mode, StatusCode
from smki.pki.chain import MAX_DEPTH, verify_chain
from smki.pki.holder import holder, load_certificate
from smki.pki.kind import Kind
from smki.pki.path import (
    ANY_POLICY,
    Options,
    PathCertificate,
    TrustAnchor,
    ValidPath,
    find_path,
)
from smki.pki.usages import usages_in

_HANDED_OVER_LATER = {RemotePartyRole.SUPPLIER, RemotePartyRole.NETWORK_OPERATOR}
_UNIT = NameOID.ORGANIZATIONAL_UNIT_NAME.dotted_string
_ROOT_UNIT = RemotePartyRole.ROOT.organisational_unit
_ANY = frozenset({ANY_POLICY})
"""A device knows no policy of its own: it holds the path to those that its root's authority states."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One replacement: what became of it, and what is in the cell if it was good."""

    put: Put
    name: CellName | None
    status: StatusCode
    cell: Cell | None = None


@dataclass(frozen=True, slots=True)
class _Case:
    """What every replacement of one update is judged by."""

    rule: ModeRule
    path: tuple[bytes, ...]
    at: datetime
    disapply_time: bool


def judge(cells: Cells, update: CredentialUpdate, at: datetime) -> tuple[Judged, ...]:
    """A status for each, in the update's order. A new root comes first: the others may hang from it."""
    case = _Case(RULES[update.mode], update.path, at, update.disapply_time)
    roots = {place: _root(cells, put, case) for place, put in enumerate(update.puts) if _is_for_root(put)}
    anchors = [_anchor(cell.certificate) for name, cell in cells.items() if name.role is RemotePartyRole.ROOT]
    new = [_anchor(one.cell.certificate) for one in roots.values() if one.cell is not None]
    anchors = new if new and update.mode is Mode.ANY_BY_CONTINGENCY else [*new, *anchors]
    found = [roots.get(place) or _party(cells, put, case, anchors) for place, put in enumerate(update.puts)]
    return _one_supplier(cells, tuple(found))


def _is_for_root(put: Put) -> bool:
    return put.name is not None and put.name.role is RemotePartyRole.ROOT


def _anchor(der: bytes) -> TrustAnchor:
    return TrustAnchor.of_certificate(PathCertificate.read(der))


# A party's certificate


def _party(cells: Cells, put: Put, case: _Case, anchors: Sequence[TrustAnchor]) -> Judged:
    name = put.name
    if name is None or name not in cells:
        return Judged(put, name, StatusCode.TRUST_ANCHOR_NOT_FOUND)
    try:
        cell = Cell.of(put.certificate, name)
        role = holder(load_certificate(put.certificate, "a replacement"), "a replacement").role
    except InvalidInput:
        return Judged(put, name, StatusCode.BAD_CERTIFICATE)
    usage = name.use.key_usage
    if usage is None or not _may_hold(name, role, case.rule):
        return Judged(put, name, StatusCode.BAD_CERTIFICATE)
    status = _chain_status(put.certificate, case, anchors, usage)
    return Judged(put, name, status, cell if status is StatusCode.SUCCESS else None)


def _may_hold(name: CellName, role: RemotePartyRole | None, rule: ModeRule) -> bool:
    """A cell is for one role. Whoever is let controls load; a broker stands in until a home is handed over."""
    if name.role is RemotePartyRole.LOAD_CONTROLLER or role is name.role:
        return True
    stands_in = role is RemotePartyRole.ACCESS_CONTROL_BROKER and name.role in _HANDED_OVER_LATER
    return rule.puts_broker and stands_in


def _chain_status(der: bytes, case: _Case, anchors: Sequence[TrustAnchor], usage: KeyUsage) -> StatusCode:
    verdict = verify_chain(
        der,
        case.path,
        anchors,
        case.at,
        kind=Kind.ORGANISATION,
        usage=usage,
        policies=_ANY,
        disapply_time=case.disapply_time,
    )
    if isinstance(verdict, ValidPath):
        return StatusCode.SUCCESS
    return StatusCode.NO_TRUST_ANCHOR if "path.no-anchor" in verdict.codes else StatusCode.BAD_CERTIFICATE


# A root


def _root(cells: Cells, put: Put, case: _Case) -> Judged:
    """A root that follows the present one: the present one signed it. Any other needs the contingency key."""
    name = put.name
    if name is None or name not in cells:
        return Judged(put, name, StatusCode.TRUST_ANCHOR_NOT_FOUND)
    try:
        new, cell = PathCertificate.read(put.certificate), Cell.of(put.certificate, name)
    except InvalidInput:
        return Judged(put, name, StatusCode.BAD_CERTIFICATE)
    if not _is_sound_root(new, cell, case):
        return Judged(put, name, StatusCode.BAD_CERTIFICATE)
    if case.rule.mode is Mode.ANY_BY_CONTINGENCY or _follows(cells[name], new, case):
        return Judged(put, name, StatusCode.SUCCESS, cell)
    return Judged(put, name, StatusCode.NO_TRUST_ANCHOR)


def _is_sound_root(root: PathCertificate, cell: Cell, case: _Case) -> bool:
    """It signs itself, is an authority for certificates, and is valid now."""
    valid = case.disapply_time or root.not_before <= case.at <= root.not_after
    if not (valid and root.is_self_issued and _is_root(root)):
        return False
    try:
        cell.public_key.verify(root.signature, root.signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _follows(held: Cell, new: PathCertificate, case: _Case) -> bool:
    """Whether a link came along: the root that is held, and nobody below it, names the new one's key and name."""
    if held.certificate == new.der:
        return True
    options = Options(max_depth=MAX_DEPTH, disapply_time=case.disapply_time)
    anchor = _anchor(held.certificate)
    for der in case.path:
        try:
            link = PathCertificate.read(der)
        except InvalidInput:
            continue
        names_it = (link.subject, link.point) == (new.subject, new.point)
        if names_it and _is_root(link) and isinstance(find_path(link, [anchor], [], case.at, options), ValidPath):
            return True
    return False


def _is_root(certificate: PathCertificate) -> bool:
    """An authority for certificates, in the role of a root: no issuing authority and no party is one (GBCS 12)."""
    usage = certificate.value(x509.KeyUsage)
    bits = set() if usage is None else set(usages_in(usage))
    unit = {value for rdn in certificate.subject.rdns for kind, _, value in rdn if kind == _UNIT}
    return certificate.is_authority and "key_cert_sign" in bits and unit == {_ROOT_UNIT}


# The supplier's cells


def _one_supplier(cells: Cells, judged: tuple[Judged, ...]) -> tuple[Judged, ...]:
    """Cells of two suppliers would share a home between them: then none of the supplier's is replaced."""
    new = {one.name: one.cell for one in judged if one.name in SUPPLIER_CELLS and one.cell is not None}
    after = {name: new.get(name, cells[name]) for name in SUPPLIER_CELLS if name in cells}
    if len({cell.entity for cell in after.values()}) == 1:
        return judged
    return tuple(replace(one, status=StatusCode.OTHER, cell=None) if one.name in new else one for one in judged)
