"""Which certificates could go into cells in place of what was compromised: what the register knows."""

from collections.abc import Iterable, Iterator
from functools import cached_property

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.hierarchy import certificate_of, named
from smki.authority.standing import Word, of_record, revoked_issuers
from smki.authority.workspace import Workspace
from smki.device.cells import CellName, CellUse
from smki.entity import DeviceType, EntityId, RemotePartyRole
from smki.errors import InvalidInput
from smki.parties.recovery.case import Case, Method
from smki.pki.holder import load_certificate
from smki.pki.keyid import key_hash
from smki.pki.serial import Serial
from smki.pki.status import Status
from smki.store.certificates import Query
from smki.store.estate_records import Believed
from smki.store.records import AuthorityRecord, CertificateRecord

_TWO = 2  # key agreement certificates of a supplier: the earlier for commands, the later for top-ups


def affected_records(workspace: Workspace, serials: Iterable[str]) -> Iterator[CertificateRecord]:
    """The certificates whose keys were compromised."""
    for text in dict.fromkeys(serials):
        found = list(workspace.store.certificates.find(Query(serial=Serial.parse(text))))
        if not found:
            raise InvalidInput("plan.affected", f"no certificate {text[:40]} is known here", "see `smki cert find`")
        yield from found


class Filling:
    """What there is to put into cells, for one case and method."""

    def __init__(
        self,
        workspace: Workspace,
        root: str,
        method: Method,
        case: Case,
        affected: tuple[CertificateRecord, ...],
    ) -> None:
        self._workspace = workspace
        self._root = named(workspace, root)
        self.method = method
        self._case = case
        self._affected = {record.der for record in affected}
        self._keys = {self.key_identifier(record.der) for record in affected}
        self._below: dict[tuple[EntityId, bytes], bool] = {}

    @staticmethod
    def key_identifier(der: bytes) -> bytes:
        read = load_certificate(der, "a certificate").extensions
        return read.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest

    # Authorities

    @cached_property
    def _authorities(self) -> tuple[AuthorityRecord, ...]:
        return tuple(
            one
            for one in self._workspace.store.authorities()
            if one.hierarchy == self._root.hierarchy and one.state == "active"
        )

    def _der(self, authority: AuthorityRecord) -> bytes:
        return certificate_of(self._workspace, authority).der

    @cached_property
    def _next_root(self) -> AuthorityRecord | None:
        roots = [one for one in self._authorities if one.tier == "root" and one.name != self._root.name]
        return roots[-1] if roots else None

    @property
    def next_root(self) -> bytes | None:
        """The newest root that is not the present one."""
        return None if self._next_root is None else self._der(self._next_root)

    @cached_property
    def _issuers(self) -> set[int]:
        """Whose certificates may be put: of authorities under the right root, not compromised and not revoked."""
        root = self._next_root if self.method == "contingency" else self._root
        revoked = revoked_issuers(self._workspace)
        return {
            one.number
            for one in self._authorities
            if root is not None and one.issuer == root.name and self._der(one) not in self._affected
            if one.number not in revoked
        }

    def is_below_affected(self, believed: Believed) -> bool:
        """Whether a compromised authority issued what is in a cell: a file of the inventory may leave serials out."""
        key = (believed.holds, believed.key_identifier)
        if key not in self._below:
            numbers = {one.number for one in self._authorities if self._der(one) in self._affected}
            found = self._workspace.store.certificates.of_entity(believed.holds)
            self._below[key] = any(
                record.issuer in numbers and self.key_identifier(record.der) == believed.key_identifier
                for record in found
            )
        return self._below[key]

    def path(self, certificates: Iterable[bytes]) -> tuple[bytes, ...]:
        """The authorities above, and of a new root that the present one proves, the link."""
        above = [self._der(one) for one in self._authorities if one.tier == "issuing"]
        found: dict[bytes, None] = {}
        for der in certificates:
            if der == self.next_root and self.method != "contingency":
                found |= dict.fromkeys(self._links())
            found |= {authority: None for authority in above if _issued(der, authority)}
        return tuple(found)

    def _links(self) -> Iterator[bytes]:
        if self._next_root is None or self._next_root.public_key is None:
            return
        present = self._der(self._root)
        for record in self._workspace.store.certificates.of_key(key_hash(self._next_root.public_key)):
            proves = record.status is not Status.REVOKED and record.der != self.next_root
            if proves and _issued(record.der, present):
                yield record.der

    # Parties

    @cached_property
    def broker(self) -> EntityId | None:
        return self.party(RemotePartyRole.ACCESS_CONTROL_BROKER)

    def party(self, role: RemotePartyRole) -> EntityId | None:
        """The one identifier of the one organisation that has a role, if there is just one."""
        found = [
            item.first
            for organisation in self._workspace.store.organisations.all()
            if organisation.active and role in organisation.roles
            for item in organisation.ranges
            if item.first == item.last and self._has_any(item.first, role)
        ]
        return found[0] if len(found) == 1 else None

    def _has_any(self, entity: EntityId, role: RemotePartyRole) -> bool:
        return any(one.role is role for one in self._workspace.store.certificates.of_entity(entity))

    def newest(self, entity: EntityId, cell: CellName) -> bytes | None:
        """The newest of a party's certificates for a cell; of two for key agreement the later is for top-ups."""
        query = Query(entity=entity, usage=cell.use.key_usage, now=self._workspace.clock())
        records = sorted(
            (one for one in self._workspace.store.certificates.find(query) if self._may_go(one)),
            key=lambda one: (one.not_before, one.serial.octets),
        )
        if not records:
            return None
        first_of_two = len(records) == _TWO and cell.use is CellUse.KEY_AGREEMENT
        return records[0].der if first_of_two else records[-1].der

    def _may_go(self, record: CertificateRecord) -> bool:
        """What is on its way to devices may be pending still: it comes into use when they have it."""
        serving = of_record(self._workspace, record).word in {Word.GOOD, Word.PENDING}
        good = record.issuer in self._issuers and record.der not in self._affected
        return serving and good and self.key_identifier(record.der) not in self._keys

    # Cells

    def cells_of(self, role: RemotePartyRole) -> tuple[CellName, ...]:
        """The cells of a role, on whatever device; they change together."""
        return tuple(name for name in self.all_cells(set(self._workspace.policies.devices)) if name.role is role)

    def all_cells(self, kinds: set[DeviceType]) -> tuple[CellName, ...]:
        """Every cell of these kinds, each once."""
        devices = self._workspace.policies.devices
        return tuple(dict.fromkeys(name for kind in devices if kind in kinds for name in devices[kind]))


def _issued(der: bytes, authority: bytes) -> bool:
    read = load_certificate(der, "a certificate")
    try:
        read.verify_directly_issued_by(load_certificate(authority, "an authority"))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return read.public_bytes(Encoding.DER) != authority
