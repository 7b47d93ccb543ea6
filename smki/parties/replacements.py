"""The certificates of a change: each is read once, and held against the register and the authorities once."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.anchors import authorities
from smki.authority.workspace import Workspace
from smki.device.cells import Cell, CellName
from smki.entity import EntityId, RemotePartyRole
from smki.errors import SmkiError
from smki.parties.changes import Place
from smki.parties.keys import Certified, refuse_unless_in_use
from smki.pki.holder import holder, load_certificate
from smki.pki.kind import Kind
from smki.pki.verdict import Fault
from smki.store.records import PutRecord


@dataclass(frozen=True)
class Replacement:
    """A certificate that is to go into a cell, and what is wrong with that."""

    place: Place
    certificate: x509.Certificate
    cell: Cell
    role: RemotePartyRole | None
    """None: a root's."""
    not_after: datetime
    faults: tuple[Fault, ...]

    @property
    def organisation(self) -> EntityId:
        return self.cell.entity

    @property
    def serial(self) -> str:
        return f"{self.certificate.serial_number:032X}"

    @property
    def label(self) -> str:
        return f"certificate {self.serial}"

    @property
    def record(self) -> PutRecord:
        return PutRecord(self.place.cell, self.organisation, self.cell.key_identifier, self.serial)


class Replacements:
    """What a workspace knows of certificates that are put into cells."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._roots, self._between = authorities(workspace, Kind.ORGANISATION.value)
        self._above = [load_certificate(der, "an authority") for der in self._between]
        self._known: dict[tuple[CellName, bytes], Replacement] = {}

    def read(self, place: Place) -> Replacement:
        """One certificate for its cell; an error where it is none for such a cell at all."""
        key = (place.cell, hashlib.sha256(place.certificate).digest())
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._judged(place)
        return found

    def _judged(self, place: Place) -> Replacement:
        cell = Cell.of(place.certificate, place.cell)
        certificate = load_certificate(place.certificate, f"the certificate for cell {place.cell}")
        usage = place.cell.use.key_usage
        if usage is None:
            return Replacement(
                place, certificate, cell, None, certificate.not_valid_after_utc, tuple(self._of_root(place))
            )
        who = holder(certificate, f"the certificate for cell {place.cell}")
        faults: tuple[Fault, ...] = ()
        try:
            refuse_unless_in_use(self._workspace, Certified(certificate, who), usage, or_pending=True)
        except SmkiError as error:
            faults = (Fault.of(error),)
        return Replacement(place, certificate, cell, who.role, certificate.not_valid_after_utc, faults)

    def _of_root(self, place: Place) -> list[Fault]:
        if place.certificate in self._roots:
            return []
        return [
            Fault(
                "credentials.root", "a root that this workspace does not believe", "put its certificate into anchors/"
            )
        ]

    def path(self, read: list[Replacement]) -> tuple[tuple[bytes, ...], list[Fault]]:
        """The authorities between these certificates and a root; of a new root, the link that leads to it."""
        path, faults = dict[bytes, None](), list[Fault]()
        for one in read:
            found = [above for above in self._above if _leads(above, one)]
            if found:
                path[found[-1].public_bytes(Encoding.DER)] = None
            elif one.role is not None:
                faults.append(
                    Fault(
                        "credentials.path",
                        f"the authority above {one.label} is not known here",
                        "give its certificate: --path FILE",
                    )
                )
        return tuple(path), faults


def _leads(above: x509.Certificate, one: Replacement) -> bool:
    """Whether an authority issued a certificate; or, to a root, whether it is the same key under the root before."""
    if one.role is None:
        return above.public_key() == one.cell.public_key
    try:
        one.certificate.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
