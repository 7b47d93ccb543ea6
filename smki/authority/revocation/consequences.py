"""What follows from revocations: devices that hold such a certificate, officers who no longer speak for anyone."""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.workspace import Workspace
from smki.entity import EntityId, RemotePartyRole
from smki.pki.holder import load_certificate
from smki.pki.keyid import KeyIdentifier
from smki.pki.kind import Kind
from smki.pki.serial import Serial
from smki.store.revocations import Target

_WATCHED = {RemotePartyRole.SUPPLIER, RemotePartyRole.NETWORK_OPERATOR}


@dataclass(frozen=True, slots=True)
class Consequences:
    """What somebody has to see to now."""

    devices: int
    """Devices believed to hold one of them in a cell: they go on obeying it until they are given another."""
    officers: tuple[tuple[str, str], ...]
    """Organisation and name."""
    authorities: tuple[str, ...]


def consequences(workspace: Workspace, targets: Sequence[Target]) -> Consequences:
    """Ask the inventory and the register once for all of them."""
    kinds = {name: profile.kind for name, profile in workspace.policies.profiles.items()}
    by_party: dict[tuple[EntityId, bool], list[tuple[Serial, bytes]]] = {}
    organisations = [one for one in targets if one.role is not None and one.entity is not None]
    ders = workspace.store.certificates.octets_of([one.serial for one in organisations])
    for one in organisations:
        assert one.entity is not None, "looked at before"
        party = one.entity, one.role in _WATCHED
        by_party.setdefault(party, []).append((one.serial, _key_identifier(ders[one.key])))
    devices = sum(
        workspace.store.estate.holding(entity, held, watched=watched) for (entity, watched), held in by_party.items()
    )
    serials = {one.serial for one in targets}
    officers: tuple[tuple[str, str], ...] = ()
    if any(one.profile is not None and kinds.get(one.profile) is Kind.INFRASTRUCTURE for one in targets):
        officers = tuple(
            (organisation.name, officer.name)
            for organisation in workspace.store.organisations.all()
            for officer in organisation.officers
            if officer.serial in serials
        )
    authorities = tuple(one.name for one in workspace.store.authorities() if one.serial in serials)
    return Consequences(devices, officers, authorities)


def _key_identifier(der: bytes) -> bytes:
    key = load_certificate(der, "a certificate").public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey), "we issue for P-256 only"
    return KeyIdentifier.of(key).octets
