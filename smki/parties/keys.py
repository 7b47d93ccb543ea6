"""Keys that parties work with, and their certificates: keys in a token, or for laboratories in a file."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.safe_files import read_bounded, read_private
from smki.authority.standing import REVOKED, UNKNOWN, Above, Watch, judged_path, standing_fault
from smki.authority.workspace import Workspace
from smki.entity import EntityId, KeyUsage
from smki.errors import InvalidInput, Refused
from smki.gbcs.verdict import Known
from smki.pki.holder import UNREADABLE, Holder, holder, load_certificate
from smki.pki.keyid import key_hash
from smki.pki.kind import Kind
from smki.pki.path import ValidPath
from smki.pki.public_key import spki_of
from smki.pki.status import Status
from smki.pki.verdict import Fault
from smki.store.certificates import Query

if TYPE_CHECKING:
    from smki.hsm.key import HsmPrivateKey

_MAX_FILES = 100_000
_MAX_FILE_OCTETS = 1 << 20
_PEM_END = b"-----END CERTIFICATE-----"


@dataclass(frozen=True)
class Certified:
    """A certificate, and who it speaks for."""

    certificate: x509.Certificate
    holder: Holder

    @property
    def serial(self) -> str:
        return f"{self.certificate.serial_number:032X}"

    @property
    def octets(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def known(self) -> Known:
        one = self.certificate
        return Known(self.serial, self.holder, one.not_valid_before_utc, one.not_valid_after_utc, octets=self.octets)

    @cached_property
    def key_hash(self) -> bytes:
        return key_hash(spki_of(self.holder.public_key))


def certified(data: bytes, source: str) -> Certified:
    certificate = load_certificate(data, source)
    return Certified(certificate, holder(certificate, source))


def read_certified(path: Path) -> Certified:
    return certified(_octets(path), str(path))


def certificates_in(paths: tuple[Path, ...]) -> Iterator[Certified]:
    """Every certificate in these files and folders; several may stand in one PEM file.

    In a folder, those of officers and authorities are passed over: they speak for no party to a message.
    """
    count = 0
    for path in paths:
        folder = path.is_dir()
        for member in sorted(item for item in path.iterdir() if item.is_file()) if folder else [path]:
            for data in _certificates(_octets(member)):
                count += 1
                if count > _MAX_FILES:
                    raise InvalidInput("cert.count", f"more than {_MAX_FILES} certificates", "name fewer")
                try:
                    yield certified(data, str(member))
                except InvalidInput as error:
                    if not (folder and error.code == "cert.holder"):
                        raise


def _certificates(data: bytes) -> list[bytes]:
    if _PEM_END not in data:
        return [data]
    return [part + _PEM_END for part in data.split(_PEM_END)[:-1]]


def _octets(path: Path) -> bytes:
    return read_bounded(path, _MAX_FILE_OCTETS, "cert", "name certificates")


def refuse_unless_in_use(workspace: Workspace, one: Certified, usage: KeyUsage, *, or_pending: bool = False) -> Watch:
    """A certificate serves while it is in use: by the register or the lists, by its dates, by those above it.

    What is on its way to devices may be pending: it comes into use when they have it, and the one before goes out.
    A run that goes on for long keeps the watch, and asks it again.
    """
    name, now = name_of(one), workspace.clock()
    if one.holder.usage is not usage:
        raise Refused("key.usage", f"{name} is for {one.holder.usage.value}", f"name the one for {usage.value}")
    if not one.certificate.not_valid_before_utc <= now <= one.certificate.not_valid_after_utc:
        raise Refused("key.expired", f"{name} is not valid now", "have it renewed, or correct the clock")
    for fault in register_faults(workspace, one, or_pending=or_pending):
        raise Refused(fault.code, fault.message, fault.remedy)
    path = refuse_unless_certified(workspace, one.octets, name, usage)
    return Watch.on(workspace, name, path, or_pending=or_pending)


def name_of(one: Certified) -> str:
    return f"certificate {one.serial} of {one.holder.entity}"


def register_faults(workspace: Workspace, one: Certified, *, or_pending: bool = False) -> Iterator[Fault]:
    """What the register, or a list, has against a certificate; of those above it, a path has to tell."""
    fault = standing_fault(workspace, one.certificate, name_of(one), or_pending=or_pending)
    if fault is not None:
        yield fault
        return
    registered = list(workspace.store.certificates.find(Query(key_hash=one.key_hash, now=workspace.clock())))
    if registered and not any(record.der == one.octets for record in registered):
        yield Fault(
            "key.unregistered", f"{name_of(one)} is not the one registered for its key", "use the registered one"
        )


def refuse_unless_certified(workspace: Workspace, der: bytes, name: str, usage: KeyUsage) -> ValidPath:
    """A certificate speaks for someone because an authority that this workspace believes says so (GBCS 12)."""
    verdict = judged_path(workspace, der, Kind.ORGANISATION, usage)
    if isinstance(verdict, ValidPath):
        return verdict
    for fault in verdict.faults:
        if fault.code in {REVOKED, UNKNOWN}:
            raise Refused(fault.code, f"{name}: {fault.message}", fault.remedy)
    raise Refused(
        "key.chain",
        f"{name}: {'; '.join(fault.message for fault in verdict.faults[:3])}",
        "put the root's and the issuing authority's certificates into the workspace's folder anchors/",
    )


def known_of(workspace: Workspace, one: Certified, above: Above | None = None) -> Known:
    """A certificate to check with, and what speaks now against it, or against an authority above it."""
    fault = standing_fault(workspace, one.certificate, name_of(one), or_pending=True)
    return replace(one.known, against=fault or (above or Above(workspace)).against(one.certificate))


class Doubts:
    """What speaks against certificates that a long run meets again and again: asked anew for each of its pieces."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._judged: dict[bytes, Known] = {}
        self._above = Above(workspace)

    def forget(self) -> None:
        self._judged.clear()
        self._above = Above(self._workspace)

    def of(self, known: Known) -> Known:
        found = self._judged.get(known.octets)
        if found is None:
            one = certified(known.octets, f"certificate {known.name}")
            found = known_of(self._workspace, one, self._above)
            self._judged[known.octets] = found
        return found


def token_key(workspace: Workspace, token: str, label: str, one: Certified) -> "HsmPrivateKey":
    """The private key in a token, proven to be the certificate's."""
    return workspace.open_token(token).find_key(label=label, public_key=one.holder.public_key)


def file_key(path: Path, one: Certified) -> ec.EllipticCurvePrivateKey:
    """A private key from a file that nobody else can read: for laboratories and devices on a desk."""
    return _read_key(path, one.holder.public_key, f"certificate {one.serial}")


def read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The same, whosever it is."""
    try:
        key = serialization.load_pem_private_key(read_private(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InvalidInput("key.form", f"{path} holds no private key as PEM without passphrase", "name one")
    return key


def _read_key(path: Path, public_key: ec.EllipticCurvePublicKey, whose: str) -> ec.EllipticCurvePrivateKey:
    key = read_key(path)
    if key.public_key() != public_key:
        raise Refused("key.other", f"{path} is not the key of {whose}", "name the key it belongs to")
    return key


def token_key_of(
    workspace: Workspace, token: str, label: str, path: Path
) -> tuple[x509.Certificate, "HsmPrivateKey"]:
    """A key in a token with a certificate of any kind: of an officer, say, who speaks for no party to a message."""
    certificate, public_key = _any_certificate(path)
    return certificate, workspace.open_token(token).find_key(label=label, public_key=public_key)


def file_key_of(key: Path, path: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """The same with a key in a file."""
    certificate, public_key = _any_certificate(path)
    return certificate, _read_key(key, public_key, str(path))


def _any_certificate(path: Path) -> tuple[x509.Certificate, ec.EllipticCurvePublicKey]:
    certificate = load_certificate(_octets(path), str(path))
    try:
        key: object = certificate.public_key()
    except (ValueError, *UNREADABLE):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InvalidInput("cert.holder", f"{path}: its key is not on P-256", "give a certificate of ours")
    return certificate, key


def octets_of(path: Path) -> bytes:
    """The DER of the one certificate in a file."""
    return load_certificate(_octets(path), str(path)).public_bytes(Encoding.DER)


def issued_to(
    workspace: Workspace, entity: EntityId, usage: KeyUsage, status: Status = Status.IN_USE
) -> Iterator[Certified]:
    """The certificates in use that this workspace issued to someone; or those of another status."""
    query = Query(entity=entity, usage=usage, status=status, now=workspace.clock())
    for record in workspace.store.certificates.find(query):
        yield certified(record.der, f"certificate {record.serial}")


def known_to(workspace: Workspace, entity: EntityId, usage: KeyUsage) -> tuple[Known, ...]:
    """The certificates that this workspace issued to someone; where none is in use, the revoked, with why not."""
    every = list(issued_to(workspace, entity, usage)) or list(issued_to(workspace, entity, usage, Status.REVOKED))
    above = Above(workspace)
    return tuple(known_of(workspace, one, above) for one in every)


def refuse_revoked(workspace: Workspace, entity: EntityId, usage: KeyUsage) -> None:
    """Where someone has no certificate left in use because it was revoked, that is what is told."""
    for one in issued_to(workspace, entity, usage, Status.REVOKED):
        for fault in register_faults(workspace, one):
            raise Refused(fault.code, fault.message, fault.remedy)
