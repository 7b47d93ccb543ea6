"""The names of parties and keys: EUI-64 identifiers, remote party roles, key usages."""

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Self

from smki.errors import InvalidInput

EUI64_OCTETS = 8
PREFIX_DIGITS = {6, 7, 9}  # 24, 28 and 36 bits: the three sizes the IEEE assigns


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

    def __reduce__(self) -> tuple[type["EntityId"], tuple[bytes]]:
        """Millions go from process to process: as their octets, not as a dictionary of fields."""
        return EntityId, (self.octets,)

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

    @property
    def is_reserved(self) -> bool:
        """No one's own: null, or a group address (IEEE 802 8.2: the lowest bit of the first octet)."""
        return not any(self.octets) or bool(self.octets[0] & 1)


@dataclass(frozen=True, slots=True, order=True)
class EntityRange:
    """A stretch of EUI-64s given to one organisation, both ends included."""

    first: EntityId
    last: EntityId

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise InvalidInput("entity.range", f"{self.first}..{self.last} ends before it begins", "swap the ends")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one EUI-64, `FIRST..LAST`, or an assigned prefix such as `00-DB-12` (IEEE MA-L, MA-M or MA-S)."""
        first, dots, last = text.partition("..")
        if dots:
            return cls(EntityId.parse(first), EntityId.parse(last))
        digits = text.replace("-", "")
        if len(digits) in PREFIX_DIGITS and set(digits) <= set("0123456789abcdefABCDEF"):
            return cls(EntityId.parse(digits.ljust(16, "0")), EntityId.parse(digits.ljust(16, "F")))
        one = EntityId.parse(text)
        return cls(one, one)

    def __contains__(self, entity: EntityId) -> bool:
        return self.first.octets <= entity.octets <= self.last.octets

    def overlaps(self, other: "EntityRange") -> bool:
        return self.first <= other.last and other.first <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}..{self.last}"


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
    def word(self) -> str:
        """As commands and files write it: `networkOperator`."""
        first, *rest = self.name.lower().split("_")
        return first + "".join({"cos": "CoS"}.get(part, part.title()) for part in rest)

    @classmethod
    def parse(cls, text: str) -> Self:
        for role in cls:
            if role.word == text:
                return role
        raise InvalidInput(
            "entity.role", f"{text[:30]!r} names no role", f"use one of: {', '.join(role.word for role in cls)}"
        )

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


class DeviceType(Enum):
    """The kinds of device on a home network that this system knows by name."""

    ESME = "ESME"
    """Electricity meter."""
    GSME = "GSME"
    """Gas meter."""
    CHF = "CHF"
    """Communications hub."""
    GPF = "GPF"
    """Gas proxy in the hub."""
    PPMID = "PPMID"
    """Prepayment interface."""
    HCALCS = "HCALCS"
    """Auxiliary load control switch."""
    SAPC = "SAPC"
    """Standalone auxiliary proportional controller."""
    TYPE_2 = "type 2"
    """One that only listens: an in-home display, a consumer access device."""

    @classmethod
    def parse(cls, text: str) -> Self:
        for device in cls:
            if device.value == text:
                return device
        raise InvalidInput(
            "entity.device-type",
            f"{text[:30]!r} names no kind of device",
            f"use one of: {', '.join(device.value for device in cls)}",
        )


class KeyUsage(Enum):
    """What the one key of an end-entity certificate is for; a certificate has exactly one (GBCS 12)."""

    DIGITAL_SIGNATURE = "digitalSignature"
    KEY_AGREEMENT = "keyAgreement"
