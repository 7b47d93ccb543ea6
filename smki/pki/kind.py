"""The kinds of certificates, and what each fixes: all that security rests on. Pure."""

from enum import Enum
from typing import Literal

ExtensionName = Literal[
    "keyUsage",
    "basicConstraints",
    "extendedKeyUsage",
    "subjectAltName",
    "certificatePolicies",
    "subjectKeyIdentifier",
    "authorityKeyIdentifier",
    "wrappedApexContingencyKey",
    "ocspNoCheck",
]
_COMMON: frozenset[ExtensionName] = frozenset({"keyUsage", "certificatePolicies", "subjectKeyIdentifier"})


class Kind(Enum):
    """What a certificate is for; the value is how a file says it."""

    ROOT = "root"
    LINK = "link"
    ISSUING = "issuing"
    ORGANISATION = "organisation"
    DEVICE = "device"
    INFRASTRUCTURE = "infrastructure"
    RESPONDER = "responder"

    @property
    def is_authority(self) -> bool:
        return self in {Kind.ROOT, Kind.LINK, Kind.ISSUING}

    @property
    def path_length(self) -> int | None:
        """An issuing authority may not make another; a root's reach is bounded by what it signs."""
        return 0 if self is Kind.ISSUING else None

    @property
    def extensions(self) -> frozenset[ExtensionName]:
        """Exactly those a certificate of this kind has, but for a root's contingency key."""
        match self:
            case Kind.ROOT:
                return _COMMON | {"basicConstraints"}
            case Kind.LINK | Kind.ISSUING:
                return _COMMON | {"basicConstraints", "authorityKeyIdentifier"}
            case Kind.ORGANISATION:
                return _COMMON | {"authorityKeyIdentifier"}
            case Kind.DEVICE:
                return _COMMON | {"authorityKeyIdentifier", "subjectAltName"}
            case Kind.INFRASTRUCTURE:
                return _COMMON | {"authorityKeyIdentifier", "extendedKeyUsage"}
            case Kind.RESPONDER:
                return _COMMON | {"authorityKeyIdentifier", "extendedKeyUsage", "ocspNoCheck"}

    @property
    def longest_years(self) -> int:
        """The ceiling no file can raise; devices have no end at all."""
        if self is Kind.RESPONDER:
            return 1  # nobody asks whether it was revoked (RFC 6960 4.2.2.2.1), so it ends by itself, soon
        return 50 if self.is_authority else 10
