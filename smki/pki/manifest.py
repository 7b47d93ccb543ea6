"""Batch manifests: the digests of the files that hold a batch, signed by an officer as CMS signed data. Pure.

The content is what `sha256sum FILE...` prints; `openssl cms -sign -binary -nodetach -outform DER` signs it. One
signer, SHA-256, ECDSA on P-256, signed attributes: everything else CMS allows (RFC 5652) is refused.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from smki.errors import InvalidInput, Refused
from smki.pki.signed_data import SignedData, read_signed_data

MAX_MANIFEST_OCTETS = 1 << 26
_LINE = re.compile(rb"([0-9a-f]{64}) [ *][^\n]{1,4096}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was signed, and which of the keys asked about signed it."""

    signer: int
    digests: frozenset[bytes]


def open_manifest(data: bytes, keys: Sequence[ec.EllipticCurvePublicKey]) -> Manifest:
    """Believe a manifest that one of `keys` signed; the certificates it brings along are not looked at."""
    if len(data) > MAX_MANIFEST_OCTETS:
        raise _form(f"{len(data)} octets, and {MAX_MANIFEST_OCTETS} is the limit")
    try:
        signed = read_signed_data(data)
    except InvalidInput as error:
        if error.code == "cms.digest":
            raise Refused("manifest.digest", f"the manifest: {error.message}", error.remedy) from None
        raise _form(error.message) from None
    return Manifest(_signer(signed, keys), _digests(signed.content))


def _form(reason: str) -> InvalidInput:
    return InvalidInput(
        "manifest.form",
        f"the manifest cannot be read: {reason}",
        "sha256sum FILE > list; openssl cms -sign -binary -nodetach -outform DER -in list -signer CERT -inkey KEY",
    )


def _signer(signed: SignedData, keys: Sequence[ec.EllipticCurvePublicKey]) -> int:
    for number, key in enumerate(keys):
        if signed.is_signed_by(key):
            return number
    raise Refused(
        "manifest.signer",
        "no officer of this organisation signed the manifest",
        "see `smki org show` for its officers; sign with the key of an infrastructure certificate in force",
    )


def _digests(content: bytes) -> frozenset[bytes]:
    found = set()
    for line in content.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise _form("a line is not as sha256sum prints it")
        found.add(bytes.fromhex(match[1].decode()))
    return frozenset(found)
