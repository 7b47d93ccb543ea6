"""Certification path validation and revocation: RFC 5280 section 6, for P-256 keys and ECDSA with SHA-256. Pure.

It knows no profile of ours: what our own certificates must be besides is `smki.pki.chain`'s.
"""

from smki.pki.path.certificate import MAX_CERTIFICATE_OCTETS, PathCertificate, TrustAnchor
from smki.pki.path.crl import MAX_CRL_OCTETS, PathCrl
from smki.pki.path.names import DistinguishedName
from smki.pki.path.options import ANY_POLICY, CONFORMANCE, InvalidPath, Options, Rule, ValidPath
from smki.pki.path.verify import find_path, verify_path

__all__ = [
    "ANY_POLICY",
    "CONFORMANCE",
    "MAX_CERTIFICATE_OCTETS",
    "MAX_CRL_OCTETS",
    "DistinguishedName",
    "InvalidPath",
    "Options",
    "PathCertificate",
    "PathCrl",
    "Rule",
    "TrustAnchor",
    "ValidPath",
    "find_path",
    "verify_path",
]
