"""The contingency: the keys that can replace a root on every device after it was compromised."""

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.hierarchy import certificate_of, named
from smki.authority.log import act, seal
from smki.authority.workspace import Workspace
from smki.errors import IntegrityFailure, Refused
from smki.pki.contingency import WRAPPED_APEX_CONTINGENCY_KEY, unwrap
from smki.pki.public_key import spki_of

if TYPE_CHECKING:
    from smki.hsm.key import HsmPrivateKey


@dataclass(frozen=True)
class Opened:
    """The contingency of a root, opened: what a device needs to believe it, and the key that signs."""

    token: str
    key: "HsmPrivateKey"
    public_key: ec.EllipticCurvePublicKey
    """Out of the root's own certificate, where devices find it."""
    secret: bytes = field(repr=False)
    """The symmetric key. Whoever has it in hand puts it into commands, and nowhere else."""


def open_contingency(workspace: Workspace, name: str) -> Opened:
    """Read the symmetric key out of its token, and open the wrapped key in a root's certificate with it."""
    root = named(workspace, name)
    record = workspace.store.contingency(name)
    if record is None:
        raise Refused("contingency.none", f"authority {name} has no contingency keys", "name a root that has")
    certificate = x509.load_der_x509_certificate(certificate_of(workspace, root).der)
    extension = certificate.extensions.get_extension_for_oid(WRAPPED_APEX_CONTINGENCY_KEY).value
    assert isinstance(extension, x509.UnrecognizedExtension), "pyca has no type of its own for it"
    token = workspace.open_token(record.token)
    secret = token.reveal_secret(record.secret_id)
    public_key = unwrap(extension.value, secret)
    key = token.find_key(key_id=record.key_id)
    challenge = os.urandom(32)
    try:
        public_key.verify(key.sign(challenge, ec.ECDSA(hashes.SHA256())), challenge, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise IntegrityFailure(
            "contingency.key", "the contingency key is not the one the root names", "restore its token"
        ) from None
    return Opened(record.token, key, public_key, secret)


def rehearse(workspace: Workspace, name: str) -> dict[str, Any]:
    """Open the wrapped key in a root's certificate, sign with the contingency key, verify with what was opened."""
    opened = open_contingency(workspace, name)
    with act(workspace, "contingency.rehearsed", authority=name, token=opened.token):
        pass
    seal(workspace)
    return {
        "authority": name,
        "token": opened.token,
        "contingency_public_key": spki_of(opened.public_key).hex(),
        "opens": True,
        "signs": True,
    }
