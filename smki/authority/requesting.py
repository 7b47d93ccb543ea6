"""Keys and requests as a device or an organisation makes them, in a token or in files."""

import base64
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.safe_files import new_file, write_new
from smki.entity import EUI64_OCTETS, EntityId, KeyUsage, RemotePartyRole
from smki.errors import InvalidInput, Refused, Unavailable
from smki.pki.device_request import device_request
from smki.pki.name import organisation_name, person_or_system_name
from smki.pki.profile import Profile
from smki.pki.usages import key_usage

if TYPE_CHECKING:
    from smki.hsm.token import Token

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,23}")
_SHORT = {KeyUsage.DIGITAL_SIGNATURE: "ds", KeyUsage.KEY_AGREEMENT: "ka"}


def make_device_requests(profile: Profile, first: EntityId, count: int, out: Path, token: "Token | None") -> int:
    """Two requests for each device: into a folder beside their keys, or as JSON lines without keys."""
    entities = _following(first, count)
    if out.suffix == ".jsonl":
        if token is not None:
            raise InvalidInput("device.out", "keys in a token need a folder's names", "name a folder")
        return _write_lines(profile, entities, out)
    _make_folders(out)
    made = 0
    for entity in entities:
        for usage in KeyUsage:
            name = f"{entity}-{_SHORT[usage]}"
            key = _key(out / "keys", name, usage, token)
            write_new(out / "requests" / f"{name}.csr", device_request(profile, entity, usage, key))
            made += 1
    return made


@dataclass(frozen=True, slots=True)
class Party:
    """Who an organisation's certificate speaks for."""

    role: RemotePartyRole
    entity: EntityId
    common_name: str | None


def make_organisation_requests(
    party: Party, usages: tuple[KeyUsage, ...], out: Path, token: "Token | None", label: str | None = None
) -> int:
    """A key pair and a request for each usage; what they are called begins with the label, or with the EUI-64."""
    if label is not None and not _LABEL.fullmatch(label):
        raise InvalidInput(
            "request.label", f"{label[:40]!r} cannot name keys", "use up to 24 letters, digits, hyphens"
        )
    subject = organisation_name(party.role, party.entity, party.common_name)
    _make_folders(out)
    for usage in usages:
        name = f"{label or party.entity}-{_SHORT[usage]}"
        builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
        builder = builder.add_extension(key_usage(usage), critical=True)
        request = builder.sign(_key(out / "keys", name, usage, token), hashes.SHA256())
        write_new(out / "requests" / f"{name}.csr", request.public_bytes(serialization.Encoding.DER))
    return len(usages)


def make_person_request(name: str, label: str, out: Path, token: "Token") -> None:
    """A key in a token, and a request for an infrastructure certificate: of an officer, or of what signs bundles."""
    if not _LABEL.fullmatch(label):
        raise InvalidInput("request.label", f"{label[:40]!r} names no key", "use up to 24 letters, digits, hyphens")
    if out.exists():
        raise Refused("file.exists", f"{out} exists", "choose another name")
    builder = x509.CertificateSigningRequestBuilder().subject_name(person_or_system_name(name))
    request = builder.sign(token.generate_key(label, os.urandom(16), "sign"), hashes.SHA256())
    write_new(out, request.public_bytes(serialization.Encoding.PEM))


def _make_folders(out: Path) -> None:
    try:
        for folder in (out, out / "requests", out / "keys"):
            folder.mkdir(mode=0o700)
    except FileExistsError:
        raise Refused("file.exists", f"{out} exists", "name a folder that does not") from None
    except OSError as error:
        raise Unavailable("file.write", f"{out}: {error.strerror}", "name a folder you may make") from None


def _following(first: EntityId, count: int) -> Iterator[EntityId]:
    start = int.from_bytes(first.octets)
    if start + count > 1 << (8 * EUI64_OCTETS):
        raise InvalidInput("entity.range", "there are not so many EUI-64s after this one", "begin lower")
    return (EntityId((start + number).to_bytes(EUI64_OCTETS)) for number in range(count))


def _key(folder: Path, name: str, usage: KeyUsage, token: "Token | None") -> ec.EllipticCurvePrivateKey:
    if token is not None:
        # A request is signed whatever the key is for: that is how possession is proven.
        both = usage is KeyUsage.KEY_AGREEMENT
        return token.generate_key(name, os.urandom(16), "sign and agree" if both else "sign")
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.PKCS8
    write_new(
        folder / f"{name}.key",
        key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()),
        mode=0o600,
    )
    return key


def _write_lines(profile: Profile, entities: Iterator[EntityId], out: Path) -> int:
    made = 0
    with new_file(out) as file:
        for entity in entities:
            for usage in KeyUsage:
                der = device_request(profile, entity, usage, ec.generate_private_key(ec.SECP256R1()))
                line = {"reference": f"{entity}-{_SHORT[usage]}", "request": base64.b64encode(der).decode()}
                file.write(json.dumps(line).encode() + b"\n")
                made += 1
    return made
