"""What is known about a request to change supplier: its signer, its certificates, its homes and their devices.

Here the workspace is asked; what follows from the answers is said in `smki.parties.cos.rules`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.anchors import authorities
from smki.authority.standing import UNKNOWN, authority_faults
from smki.authority.workspace import Workspace
from smki.device.cells import CellName
from smki.entity import DeviceType, EntityId, KeyUsage
from smki.errors import InvalidInput
from smki.parties.cos.request import USES, Asked, Cancelling, Home, Received, read_kept
from smki.parties.cos.rules import Before, Facts, Presented, Signer, Terms
from smki.parties.keys import Certified, certified, register_faults
from smki.pki.chain import verify_chain
from smki.pki.kind import Kind
from smki.pki.path import InvalidPath, PathCertificate, PathCrl, TrustAnchor, ValidPath
from smki.pki.verdict import Fault
from smki.store.estate_records import DeviceRecord, Registered


@dataclass(frozen=True)
class _Judged:
    """One certificate: what it is, what is against it, the path above it."""

    certified: Certified | None
    faults: tuple[Fault, ...]
    path: ValidPath | None = None


class Evidence:
    """What one workspace knows, asked once for each thing."""

    def __init__(self, workspace: Workspace, crls: Sequence[PathCrl] = ()) -> None:
        self._workspace = workspace
        self._store = workspace.store
        self._policy = workspace.policies.cos
        self._crls = tuple(crls)
        self._seen: list[Certified] = []
        self._paths: list[ValidPath] = []
        roots, self._between = authorities(workspace, Kind.ORGANISATION.value)
        self._anchors = [TrustAnchor.of_certificate(PathCertificate.read(root)) for root in roots]

    @property
    def terms(self) -> Terms:
        return Terms(self._workspace.clock(), self._policy.oldest, self._policy.furthest)

    # Certificates

    def signer(self, received: Received) -> Signer:
        """Whose signature it carries: exactly one certificate is with it, and it is the signer's."""
        ders = received.signed.certificates
        if len(ders) != 1:
            return Signer(None, False)
        one = self._judge(ders[0], KeyUsage.DIGITAL_SIGNATURE, "the signer's certificate")
        if one.certified is None:
            return Signer(None, False, one.faults)
        holder = one.certified.holder
        return Signer(holder, received.signed.is_signed_by(holder.public_key), one.faults)

    def presented(self, asked: Asked) -> tuple[Presented, ...]:
        found = []
        for use, der in zip(USES, asked.certificates, strict=True):
            usage = use.key_usage
            assert usage is not None, "none of them is a root's"
            one = self._judge(der, usage, f"the certificate for {use.value}")
            holder = None if one.certified is None else one.certified.holder
            path = [] if one.path is None else [*one.path.certificates]
            found.append(
                Presented(
                    use=use,
                    holder=holder,
                    standing=one.faults,
                    valid_from=max((above.not_before for above in path), default=None),
                    valid_until=min((above.not_after for above in path), default=None),
                )
            )
        return tuple(found)

    def _judge(self, der: bytes, usage: KeyUsage, source: str) -> _Judged:
        try:
            one = certified(der, source)
        except InvalidInput as error:
            return _Judged(None, (Fault("cos.certificate", error.message, error.remedy),))
        if one.certificate.public_bytes(Encoding.DER) != der:
            return _Judged(None, (Fault("cos.certificate", f"{source} is not DER", "give it as it was issued"),))
        self._seen.append(one)
        faults = list(self._standing(one))
        verdict = verify_chain(
            der,
            self._between,
            self._anchors,
            self._workspace.clock(),
            kind=Kind.ORGANISATION,
            usage=usage,
            policies=frozenset(self._workspace.policies.hierarchy(Kind.ORGANISATION.value).policy_oids),
            crls=self._crls or None,
        )
        if isinstance(verdict, InvalidPath):
            return _Judged(one, (*faults, *verdict.faults))
        if not self._crls:
            faults += authority_faults(self._workspace, verdict)
        self._paths.append(verdict)
        return _Judged(one, tuple(faults), verdict)

    def _standing(self, one: Certified) -> Iterator[Fault]:
        """By the register, or the lists this workspace was given. With lists that came along, those must know."""
        for fault in register_faults(self._workspace, one):
            if not (self._crls and fault.code == UNKNOWN):
                yield fault

    def against_certificates(self) -> tuple[Fault, ...]:
        """What speaks now against any certificate that was judged: a long run outlives its first verdicts."""
        of_leaves = [fault for one in self._seen for fault in self._standing(one)]
        of_paths = [] if self._crls else [f for path in self._paths for f in authority_faults(self._workspace, path)]
        return tuple(dict.fromkeys((*of_leaves, *of_paths)))

    # Homes

    def devices_of(self, home: Home) -> tuple[EntityId, ...]:
        """Those it names; or all behind the meter point that a supplier has a place in."""
        if home.devices:
            return home.devices
        behind = self._store.estate.behind(home.meter_point)
        return tuple(record.entity for record in behind if self._has_supplier(record))

    def registered(self, home: Home) -> tuple[Registered, ...]:
        """Past, present and pending, oldest first."""
        return self._store.registrations.of(home.meter_point)

    def taken_back(self, request: bytes) -> tuple[frozenset[str], ...]:
        """The homes of each order to take a request back; an empty one means all."""
        read = (read_kept(one.file) for one in self._store.supplier_changes.cancelling(request))
        return tuple(one.references for one in read if isinstance(one, Cancelling))

    def _has_supplier(self, record: DeviceRecord) -> bool:
        return not record.status.has_ended and bool(
            Facts(record.entity, record, self.cells(record.kind)).supplier_cells
        )

    def cells(self, kind: DeviceType) -> tuple[CellName, ...]:
        return self._workspace.policies.devices.get(kind, ())

    def facts(self, devices: Iterable[EntityId]) -> dict[EntityId, Facts]:
        """What is known of many devices at once."""
        wanted = list(dict.fromkeys(devices))
        records = self._store.estate.devices(wanted)
        earlier = self._store.supplier_changes.earlier(wanted)
        found = {}
        for device in wanted:
            record = records.get(device)
            before = tuple(
                Before(one.digest, one.made, one.cancels, one.put_off, one.signed) for one in earlier.get(device, ())
            )
            cells = () if record is None else self.cells(record.kind)
            found[device] = Facts(device, record, cells, before)
        return found
