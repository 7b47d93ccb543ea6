"""Trust anchor cells: whom a device believes, in which role, for what (GBCS 13.1).

All of a device's cells are filled at all times. What is in a cell comes from a certificate, which is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.entity import EUI64_OCTETS, EntityId, KeyUsage, RemotePartyRole
from smki.errors import InvalidInput
from smki.pki.holder import UNREADABLE, holder, load_certificate
from smki.pki.keyid import KEY_IDENTIFIER_OCTETS

NOBODY = EntityId(bytes(EUI64_OCTETS))  # a root has no EUI-64: what a device answers for it (CS02a)


class CellUse(Enum):
    """What the key in a cell is for."""

    KEY_CERT_SIGN = "keyCertSign"
    DIGITAL_SIGNATURE = "digitalSignature"
    KEY_AGREEMENT = "keyAgreement"
    TOP_UP = "prePaymentTopUp"
    """Key agreement too, for prepayment tokens alone."""

    @property
    def key_usage(self) -> KeyUsage | None:
        """What the certificate in the cell says; a root's says something else."""
        if self is CellUse.KEY_CERT_SIGN:
            return None
        return KeyUsage.DIGITAL_SIGNATURE if self is CellUse.DIGITAL_SIGNATURE else KeyUsage.KEY_AGREEMENT


@dataclass(frozen=True, slots=True)
class CellName:
    """One cell: a role and a use."""

    role: RemotePartyRole
    use: CellUse

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `supplier keyAgreement`."""
        role, _, use = text.partition(" ")
        for known in CellUse:
            if known.value == use:
                return cls(RemotePartyRole.parse(role), known)
        raise InvalidInput(
            "cell.name", f"{text[:40]!r} names no cell", "write a role and a use, such as `supplier keyAgreement`"
        )

    def __str__(self) -> str:
        return f"{self.role.word} {self.use.value}"


@dataclass(frozen=True, slots=True)
class Cell:
    """What is in a cell."""

    certificate: bytes
    entity: EntityId
    key_identifier: bytes
    public_key: ec.EllipticCurvePublicKey = field(compare=False, repr=False)

    @classmethod
    def of(cls, certificate: bytes, name: CellName) -> Self:
        """From the certificate that is put into it. Whether it may stand there is judged before."""
        read = load_certificate(certificate, f"the certificate for cell {name}")
        try:
            key: object = read.public_key()
        except (ValueError, *UNREADABLE):
            key = None
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise InvalidInput("cell.key", f"cell {name}: a key that is not on P-256", "use certificates of GBCS")
        entity = NOBODY
        if name.use.key_usage is not None:
            who = holder(read, f"cell {name}")
            if who.usage is not name.use.key_usage or who.role is None:
                raise InvalidInput("cell.usage", f"cell {name}: a certificate for another use", "use the right one")
            entity = who.entity
        try:
            identifier = read.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        except (x509.ExtensionNotFound, ValueError, *UNREADABLE):
            raise InvalidInput("cell.key", f"cell {name}: no key identifier", "use certificates of GBCS") from None
        if len(identifier) != KEY_IDENTIFIER_OCTETS:
            raise InvalidInput(
                "cell.key", f"cell {name}: its key identifier has not 8 octets", "use certificates of GBCS"
            )
        return cls(read.public_bytes(Encoding.DER), entity, identifier, key)


Cells = Mapping[CellName, Cell]


def roles_of(cells: Cells, entity: EntityId, use: CellUse) -> tuple[RemotePartyRole, ...]:
    """Every role in which a device knows someone, by the cells it has for a use."""
    octets = entity.octets
    return tuple([name.role for name, cell in cells.items() if name.use is use and cell.entity.octets == octets])
