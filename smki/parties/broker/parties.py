"""Whose certificates the broker believes: of those who command, and of the devices it adds its MAC for.

A certificate is read once a run. What it is worth is asked again for each chunk of commands, so that a revocation in
the middle of a long run stops what comes after it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from smki.authority.workspace import Workspace
from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.errors import InvalidInput, Refused
from smki.parties.keys import Certified, certified, refuse_unless_certified
from smki.pki.holder import UNREADABLE
from smki.pki.status import Status
from smki.pki.verdict import Fault
from smki.store.records import CertificateRecord

_KEYS_KEPT = 100_000
_PIECE = 500  # values in one question


@dataclass(frozen=True, eq=False)
class Signer:
    """One certificate of somebody who commands."""

    certified: Certified
    standing: tuple[Fault, ...]
    """What speaks against it now."""

    @property
    def entity(self) -> EntityId:
        return self.certified.holder.entity

    @property
    def role(self) -> RemotePartyRole | None:
        return self.certified.holder.role

    @property
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
        self._signers: dict[tuple[EntityId, KeyUsage], tuple[Signer, ...]] = {}
        self._chains: dict[bytes, Fault | None] = {}
        self._certified = lru_cache(maxsize=4096)(self._read)
        self._keys: dict[bytes, DeviceKey] = {}

    def begin_chunk(self) -> None:
        """From here on, what certificates are worth is asked anew."""
        self._signers.clear()

    def signers(self, entity: EntityId, usage: KeyUsage = KeyUsage.DIGITAL_SIGNATURE) -> tuple[Signer, ...]:
        """Everybody's certificates for a usage, whatever speaks against them."""
        key = entity, usage
        if key not in self._signers:
            now = self._workspace.clock()
            found = {one.certificate.public_bytes(Encoding.DER): one for one in self._given.get(key, [])}
            registered = {
                record.der: record for record in self._store.certificates.of_entity(entity) if record.usage is usage
            }
            for der in registered:
                found.setdefault(der, self._certified(der))
            self._signers[key] = tuple(
                Signer(one, tuple(self._against(one, der, registered.get(der), now)))
                for der, one in found.items()
                if one.holder.role is not None
            )
        return self._signers[key]

    @staticmethod
    def _read(der: bytes) -> Certified:
        return certified(der, "a registered certificate")

    def _against(
        self, one: Certified, der: bytes, record: CertificateRecord | None, now: datetime
    ) -> Iterable[Fault]:
        name = f"certificate {one.serial} of {one.holder.entity}"
        status = None if record is None else record.status_at(now)
        if status is Status.REVOKED:
            yield Fault("broker.revoked", f"{name} is revoked", "refuse it, and find out who uses the key")
        elif not one.certificate.not_valid_before_utc <= now <= one.certificate.not_valid_after_utc:
            yield Fault("broker.expired", f"{name} is not valid now", "have it renewed, or correct the clock")
        elif status is not None and status is not Status.IN_USE:
            yield Fault("broker.not-in-use", f"{name} is {status.value}", "have it signed with one that is in use")
        elif record is None:
            yield from self._against_given(one, der)

    def _against_given(self, one: Certified, der: bytes) -> Iterable[Fault]:
        """A certificate that is not in the register speaks for someone because an authority says so."""
        if any(self._store.certificates.of_key(one.key_hash)):
            yield Fault("broker.unregistered", f"{one.serial} is not the one registered for its key", "use that one")
        if der not in self._chains:
            try:
                refuse_unless_certified(self._workspace, der, f"certificate {one.serial}", one.holder.usage)
                self._chains[der] = None
            except (Refused, InvalidInput) as error:
                self._chains[der] = Fault("broker.chain", error.message, error.remedy)
        fault = self._chains[der]
        if fault is not None:
            yield fault

    def device_keys(self, devices: Sequence[EntityId]) -> dict[EntityId, DeviceKey | Fault]:
        """The one key agreement key of each device: of the certificate in use, or of the one that was given."""
        now = self._workspace.clock()
        found: dict[EntityId, dict[bytes, DeviceKey]] = {device: {} for device in devices}
        for device, keys in found.items():
            for one in self._given.get((device, KeyUsage.KEY_AGREEMENT), []):
                if one.known.is_valid(now):
                    keys[one.known.point] = DeviceKey(one.holder.public_key, one.known.point)
        unknown = [device.octets for device, keys in found.items() if not keys]
        for start in range(0, len(unknown), _PIECE):
            piece = unknown[start : start + _PIECE]
            for octets, key_hash, der in self._store.certificates.serving(piece, KeyUsage.KEY_AGREEMENT, now):
                key = self._key_of(key_hash, der)
                found[EntityId(octets)][key.point] = key
        return {device: _only(device, tuple(keys.values())) for device, keys in found.items()}

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
