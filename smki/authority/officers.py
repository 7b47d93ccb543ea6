"""Officers: the people whose approvals allow a ceremony, and the keys that prove it was them.

An approval signs the ceremony file's digest together with the workspace, the officer's name and the time, so it
serves for that file, in that workspace, and nothing else.
"""

import base64
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.safe_files import read_private, write_new
from smki.errors import InvalidInput, Refused
from smki.pki.public_key import read_spki, spki_of
from smki.words import utc

if TYPE_CHECKING:
    from smki.hsm.token import Token

MAX_APPROVALS_OCTETS = 1 << 20
MIN_PASSPHRASE_OCTETS = 12
OFFICER_KEY_LABEL = "officer"
MAX_NAME = 64
_PURPOSE = "smki ceremony approval v1"


@dataclass(frozen=True, slots=True)
class Officer:
    """One name on the roll, and the public key that checks what they approve."""

    name: str
    public_key: ec.EllipticCurvePublicKey

    @property
    def spki(self) -> bytes:
        return spki_of(self.public_key)


@dataclass(frozen=True, slots=True)
class Approval:
    """One officer's signature over one ceremony file."""

    officer: str
    sha256: bytes
    workspace: bytes
    at: str
    signature: bytes

    def statement(self) -> bytes:
        """What is signed: five lines, each of which must be what it says."""
        lines = (_PURPOSE, self.workspace.hex(), self.sha256.hex(), self.officer, self.at)
        return "".join(f"{line}\n" for line in lines).encode()

    def as_json(self) -> dict[str, str]:
        return {
            "officer": self.officer,
            "sha256": self.sha256.hex(),
            "workspace": self.workspace.hex(),
            "at": self.at,
            "signature": base64.b64encode(self.signature).decode(),
        }


@dataclass(frozen=True, slots=True)
class Judged:
    """An approval, and why it does not count if it does not."""

    approval: Approval
    fault: str | None

    @property
    def counts(self) -> bool:
        return self.fault is None


def read_public_key(der: bytes, whose: str) -> ec.EllipticCurvePublicKey:
    """A P-256 public key from its DER; nothing else is a key here."""
    key = read_spki(der)
    if key is None:
        raise InvalidInput(
            "officer.public-key",
            f"the public key of {whose} is not on P-256, in its one DER form",
            "make one with `smki officer key`",
        )
    return key


def read_officer(name: str, encoded: str) -> Officer:
    """An officer from the two fields of a ceremony file."""
    try:
        der = base64.b64decode(encoded, validate=True)
    except ValueError:  # also of what is not ASCII
        raise InvalidInput(
            "officer.public-key",
            f"the public key of {name} is not base64",
            "copy the line `smki officer key` printed",
        ) from None
    return Officer(name, read_public_key(der, name))


def approve(name: str, key: ec.EllipticCurvePrivateKey, sha256: bytes, workspace: bytes, at: datetime) -> Approval:
    """Sign one ceremony file's digest as the officer called `name`."""
    when = utc(at)
    unsigned = Approval(name, sha256, workspace, when, b"")
    signature = key.sign(unsigned.statement(), ec.ECDSA(hashes.SHA256()))
    return Approval(name, sha256, workspace, when, signature)


def judge(
    approvals: Sequence[Approval], roll: Sequence[Officer], sha256: bytes, workspace: bytes
) -> tuple[Judged, ...]:
    """Say of each approval whether it counts for this file; a second one by the same officer does not."""
    officers = {officer.name: officer for officer in roll}
    seen: set[str] = set()
    judged = []
    for approval in approvals:
        fault = _fault(approval, officers.get(approval.officer), sha256, workspace)
        if fault is None and approval.officer in seen:
            fault = "the same officer approved before"
        if fault is None:
            seen.add(approval.officer)
        judged.append(Judged(approval, fault))
    return tuple(judged)


def _fault(approval: Approval, officer: Officer | None, sha256: bytes, workspace: bytes) -> str | None:
    if officer is None:
        return "not an officer on the roll"
    if approval.workspace != workspace:
        return "approved in another workspace"
    if approval.sha256 != sha256:
        return "the file was changed since it was approved"
    try:
        officer.public_key.verify(approval.signature, approval.statement(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return "the signature is not this officer's"
    return None


def approvals_path(ceremony: Path) -> Path:
    """Approvals travel beside the file they approve."""
    return ceremony.with_name(ceremony.name + ".approvals")


def read_approvals(ceremony: Path) -> tuple[Approval, ...]:
    """Every approval kept beside a ceremony file, believed in none."""
    path = approvals_path(ceremony)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_APPROVALS_OCTETS + 1)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise InvalidInput("approvals.unreadable", f"{path}: {error.strerror}", "mend its permissions") from None
    if len(data) > MAX_APPROVALS_OCTETS:
        raise InvalidInput("approvals.size", f"{path.name} is larger than 1 MiB", "remove it and approve again")
    return tuple(_read_approval(line, path.name, n) for n, line in enumerate(data.splitlines(), 1) if line.strip())


def _read_approval(line: bytes, source: str, number: int) -> Approval:
    try:
        return read_approval(json.loads(line))
    except (ValueError, RecursionError, InvalidInput):
        raise InvalidInput(
            "approvals.form",
            f"{source}, line {number}: not an approval",
            "remove the line, and approve again",
        ) from None


def read_approval(fields: Any) -> Approval:
    """An approval as it is kept, believed in nothing."""
    try:
        officer, at = fields["officer"], fields["at"]
        for text in (officer, at):
            if not isinstance(text, str) or not text.isprintable() or len(text) > MAX_NAME:
                raise ValueError
        return Approval(
            officer=officer,
            sha256=bytes.fromhex(fields["sha256"]),
            workspace=bytes.fromhex(fields["workspace"]),
            at=at,
            signature=base64.b64decode(fields["signature"], validate=True),
        )
    except (ValueError, KeyError, TypeError):
        raise InvalidInput("approvals.form", "not an approval", "approve again") from None


def load_officer_key(path: Path, passphrase: bytes) -> ec.EllipticCurvePrivateKey:
    """An officer's private key from its encrypted file; an unencrypted one is refused."""
    data = read_private(path)
    try:
        key = serialization.load_pem_private_key(data, passphrase)
    except TypeError:
        raise Refused(
            "officer.key-in-clear", f"{path} is not encrypted", "make the key with `smki officer key`"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise Refused(
            "officer.passphrase", f"{path} does not open with this passphrase", "check file and passphrase"
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InvalidInput("officer.key", f"{path} is not a P-256 key", "make the key with `smki officer key`")
    return key


def make_officer_key(path: Path, passphrase: bytes) -> ec.EllipticCurvePublicKey:
    """Make an officer's key pair and write the private half, encrypted, where nothing stood before."""
    if len(passphrase) < MIN_PASSPHRASE_OCTETS:
        raise Refused(
            "officer.passphrase-short",
            f"the passphrase has {len(passphrase)} characters, and {MIN_PASSPHRASE_OCTETS} are needed",
            "choose a longer one",
        )
    key = ec.generate_private_key(ec.SECP256R1())
    encryption = serialization.BestAvailableEncryption(passphrase)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    write_new(path, pem, mode=0o600)
    return key.public_key()


def make_officer_key_in(token: "Token") -> ec.EllipticCurvePublicKey:
    """Make an officer's key pair in a token of their own."""
    return token.generate_key(OFFICER_KEY_LABEL, os.urandom(16), "sign").public_key()


def officer_key_in(token: "Token") -> ec.EllipticCurvePrivateKey:
    """The officer's key in a token."""
    return token.find_key(label=OFFICER_KEY_LABEL)
