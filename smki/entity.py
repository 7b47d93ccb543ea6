"""The names of parties and keys: EUI-64 identifiers, remote party roles, key usages."""

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Self

from smki.errors import InvalidInput

EUI64_OCTETS = 8


@dataclass(frozen=True, slots=True, order=True)
class EntityId:
    """An EUI-64: the identity of a device or of an organisation's role on the network."""

    octets: bytes

    def __post_init__(self) -> None:
        if len(self.octets) != EUI64_OCTETS:
            raise InvalidInput(
                "entity.length",
                f"an EUI-64 has 8 octets, not {len(self.octets)}",
                "give 16 hexadecimal digits, with or without hyphens",
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `90-B3-D5-1F-30-00-00-02` or `90b3d51f30000002`; nothing between the two forms."""
        parts = text.split("-")
        digits = "".join(parts)
        well_formed = len(parts) == 1 or (len(parts) == EUI64_OCTETS and all(len(p) == 2 for p in parts))
        hexadecimal = len(digits) == 2 * EUI64_OCTETS and set(digits) <= set("0123456789abcdefABCDEF")
        if not (well_formed and hexadecimal):
            raise InvalidInput(
                "entity.form",
                f"{text[:40]!r} is not an EUI-64",
                "give 16 hexadecimal digits, with a hyphen between every two or with none",
            )
        return cls(bytes.fromhex(digits))

    def __str__(self) -> str:
        return self.octets.hex("-").upper()


class RemotePartyRole(IntEnum):
    """Role of an organisation, carried as two hexadecimal digits in its certificate's OU (GBCS 4.3, 12)."""

    ROOT = 0
    RECOVERY = 1
    SUPPLIER = 2
    NETWORK_OPERATOR = 3
    ACCESS_CONTROL_BROKER = 4
    TRANSITIONAL_COS = 5
    WAN_PROVIDER = 6
    ISSUING_AUTHORITY = 7
    LOAD_CONTROLLER = 8
    OTHER = 127
    XML_SIGN = 135
    DSP_XML_SIGN = 137

    @property
    def organisational_unit(self) -> str:
        return f"{self.value:02X}"

    @classmethod
    def from_organisational_unit(cls, text: str) -> Self:
        """Read the OU value: exactly two upper-case hexadecimal digits of a known role."""
        for role in cls:
            if role.organisational_unit == text:
                return role
        raise InvalidInput(
            "entity.role",
            f"organisational unit {text[:20]!r} names no remote party role",
            "use the two hexadecimal digits of a role, such as 02 for a supplier",
        )


class KeyUsage(Enum):
    """What the one key of an end-entity certificate is for; a certificate has exactly one (GBCS 12)."""

    DIGITAL_SIGNATURE = "digitalSignature"
    KEY_AGREEMENT = "keyAgreement"
