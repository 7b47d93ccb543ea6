"""Which authorities a workspace believes: an authority its own, a service user those in its folder `anchors/`."""

from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.hierarchy import certificate_of
from smki.authority.safe_files import read_bounded
from smki.authority.workspace import Workspace
from smki.errors import InvalidInput
from smki.pki.holder import load_certificate

FOLDER = "anchors"
_MOST = 100
_MAX_OCTETS = 1 << 16


def authorities(workspace: Workspace, hierarchy: str) -> tuple[list[bytes], list[bytes]]:
    """The roots of a hierarchy, and what lies below them."""
    found: dict[bool, list[bytes]] = {True: [], False: []}
    if workspace.kind == "authority":
        for one in workspace.store.authorities():
            if one.hierarchy == hierarchy and one.serial is not None:
                found[one.tier == "root"].append(certificate_of(workspace, one).der)
    else:
        paths = sorted((workspace.home / FOLDER).glob("*"))
        if len(paths) > _MOST:
            raise InvalidInput("anchors.count", f"{FOLDER}/ has {len(paths)} files", f"keep {_MOST} at most")
        for path in paths:
            certificate = load_certificate(
                read_bounded(path, _MAX_OCTETS, "anchors", "no certificate is: remove it"), str(path)
            )
            root = certificate.subject == certificate.issuer
            found[root].append(certificate.public_bytes(Encoding.DER))
    return found[True], found[False]


def believed(workspace: Workspace) -> tuple[list[bytes], list[bytes]]:
    """The same over all hierarchies."""
    if workspace.kind == "user":
        return authorities(workspace, "")
    names = dict.fromkeys(one.hierarchy for one in workspace.store.authorities())
    found = [authorities(workspace, name) for name in names]
    return [root for roots, _ in found for root in roots], [der for _, between in found for der in between]
