"""Whose certificates the broker believes: of those who command, and of the devices it adds its MAC for.

A certificate is read once a run. What it is worth is asked again for each chunk of commands, so that a revocation in
the middle of a long run stops what comes after it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from smki.authority.standing import Above, Word, authority_faults, fault_of, judged_path, revoked_issuers, standing_of
from smki.authority.workspace import Workspace
from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.errors import InvalidInput
from smki.parties.broker.rules import Speaker
from smki.parties.keys import Certified, certified, known_of
from smki.pki.holder import UNREADABLE
from smki.pki.kind import Kind
from smki.pki.path import InvalidPath, ValidPath
from smki.pki.verdict import Fault

_CODES = {
    "key.revoked": "broker.revoked",
    "key.unregistered": "broker.unregistered",
    "key.status-unknown": "broker.status-unknown",
}
_KEYS_KEPT = 100_000
_PIECE = 500  # values in one question


@dataclass(frozen=True, eq=False)
class Signer:
    """One certificate of somebody who commands."""

    certified: Certified
    standing: tuple[Fault, ...]
    """What speaks against it now."""

    @cached_property
    def entity(self) -> EntityId:
        return self.certified.holder.entity

    @cached_property
    def role(self) -> RemotePartyRole | None:
        return self.certified.holder.role

    @cached_property
    def speaker(self) -> Speaker | None:
        """It speaks for itself, where it has a role."""
        return None if self.role is None else Speaker(self.entity, self.role)

    @cached_property
    def serial(self) -> bytes:
        return bytes.fromhex(self.certified.serial)


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """A device's key agreement key, and what tells it from others."""

    public_key: ec.EllipticCurvePublicKey
    point: bytes


class Parties:
    """Certificates by whom they speak for: those that were given, and those of this workspace's register."""

    def __init__(self, workspace: Workspace, others: Iterable[Certified]) -> None:
        self._workspace = workspace
        self._store = workspace.store
        self._given: dict[tuple[EntityId, KeyUsage], list[Certified]] = {}
        for one in others:
            self._given.setdefault((one.holder.entity, one.holder.usage), []).append(one)
        self._signers: dict[tuple[EntityId, bool], tuple[Signer, ...]] = {}
        self._certified: dict[bytes, Certified] = {}
        self._paths: dict[bytes, ValidPath | InvalidPath] = {}
        self._keys: dict[bytes, DeviceKey] = {}

    def add(self, one: Certified) -> None:
        """A certificate that came along: believed as far as its authorities are."""
        given = self._given.setdefault((one.holder.entity, one.holder.usage), [])
        if all(other.certificate != one.certificate for other in given):
            given.append(one)
            self._signers.pop((one.holder.entity, one.holder.usage is KeyUsage.DIGITAL_SIGNATURE), None)

    def same(self, signer: Signer) -> Signer:
        """The same certificate, as it stands now."""
        found = self.signers(signer.entity, signer.certified.holder.usage)
        return next(item for item in found if item.certified.certificate == signer.certified.certificate)

    def begin_chunk(self) -> None:
        """From here on, what certificates are worth is asked anew."""
        self._signers.clear()

    def signers(self, entity: EntityId, usage: KeyUsage = KeyUsage.DIGITAL_SIGNATURE) -> tuple[Signer, ...]:
        """Everybody's certificates for a usage, whatever speaks against them."""
        key = entity, usage is KeyUsage.DIGITAL_SIGNATURE
        known = self._signers.get(key)
        if known is None:
            given = self._given.get((entity, usage), [])
            found = {one.certificate.public_bytes(Encoding.DER): one for one in given}
            for record in self._store.certificates.of_entity(entity):
                if record.usage is usage and record.der not in found:
                    found[record.der] = self._read(record.der)
            known = self._signers[key] = tuple(
                Signer(one, tuple(self._against(one, der)))
                for der, one in found.items()
                if one.holder.role is not None
            )
        return known

    def _read(self, der: bytes) -> Certified:
        known = self._certified.get(der)
        if known is None:
            known = self._certified[der] = certified(der, "a registered certificate")
        return known

    def _against(self, one: Certified, der: bytes) -> Iterator[Fault]:
        """Its own standing, and that of the authorities above it; an answer of the moment."""
        now, name = self._workspace.clock(), f"certificate {one.serial} of {one.holder.entity}"
        standing = standing_of(self._workspace, one.certificate)
        if standing.word is not Word.REVOKED and not one.known.is_valid(now):
            yield Fault("broker.expired", f"{name} is not valid now", "have it renewed, or correct the clock")
            return
        fault = fault_of(self._workspace, standing, name)
        if fault is not None:
            yield Fault(_CODES.get(fault.code, "broker.not-in-use"), fault.message, fault.remedy)
            return
        path = self._paths.get(der)
        if path is None:
            path = self._paths[der] = judged_path(self._workspace, der, Kind.ORGANISATION, one.holder.usage)
        elif isinstance(path, ValidPath):  # built once a run; whether an authority was revoked since, is asked
            for above in authority_faults(self._workspace, path):
                yield Fault(_CODES.get(above.code, "broker.chain"), above.message, above.remedy)
        if isinstance(path, InvalidPath):
            said = "; ".join(item.message for item in path.faults[:3])
            yield Fault("broker.chain", f"{name}: {said}", "put its authorities into the folder anchors/")

    def device_keys(self, devices: Sequence[EntityId]) -> dict[EntityId, DeviceKey | Fault]:
        """The one key agreement key of each device: of the certificate in use, or of the one that was given."""
        now = self._workspace.clock()
        found: dict[EntityId, dict[bytes, DeviceKey]] = {device: {} for device in devices}
        against: dict[EntityId, Fault] = {}
        above = Above(self._workspace)
        for device, keys in found.items():
            for one in self._given.get((device, KeyUsage.KEY_AGREEMENT), []):
                if not one.known.is_valid(now):
                    continue
                fault = known_of(self._workspace, one, above).against
                if fault is None:
                    keys[one.known.point] = DeviceKey(one.holder.public_key, one.known.point)
                else:
                    code = _CODES.get(fault.code, "broker.device-key")
                    against[device] = Fault(code, fault.message, fault.remedy)
        unknown = [device.octets for device, keys in found.items() if not keys]
        revoked = revoked_issuers(self._workspace)
        for start in range(0, len(unknown), _PIECE):
            piece = unknown[start : start + _PIECE]
            for octets, issuer, key_hash, der in self._store.certificates.serving(piece, KeyUsage.KEY_AGREEMENT, now):
                device = EntityId(octets)
                if issuer in revoked:
                    why = f"the authority of {device} is {revoked[issuer].text}"
                    against[device] = Fault("broker.revoked", why, "have the device given other certificates")
                    continue
                key = self._key_of(key_hash, der)
                found[device][key.point] = key
        return {
            device: _only(device, tuple(keys.values())) if keys else against.get(device) or _only(device, ())
            for device, keys in found.items()
        }

    def _key_of(self, key_hash: bytes, der: bytes) -> DeviceKey:
        known = self._keys.get(key_hash)
        if known is None:
            known = _key(der)
            if len(self._keys) >= _KEYS_KEPT:
                self._keys.clear()
            self._keys[key_hash] = known
        return known


def _only(device: EntityId, keys: Sequence[DeviceKey]) -> DeviceKey | Fault:
    if len(keys) == 1:
        return keys[0]
    return Fault(
        "broker.device-key",
        f"{len(keys)} key agreement keys of {device} are known",
        "give the certificate that the device uses",
    )


def _key(der: bytes) -> DeviceKey:
    """Of a certificate that this authority issued, and so knows."""
    try:
        key: object = x509.load_der_x509_certificate(der).public_key()
    except (ValueError, *UNREADABLE):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise InvalidInput("cert.form", "a registered certificate does not read", "restore the store from a backup")
    return DeviceKey(key, key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
