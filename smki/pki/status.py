"""What a certificate is at a moment, and which changes of that are legal. Pure."""

from enum import Enum

from smki.errors import InvalidInput


class Status(Enum):
    """The five of the repository's search interface; the value is how people and files write one.

    Expired is never written down: it follows from the date.
    """

    PENDING = "pending"
    IN_USE = "in use"
    NOT_IN_USE = "not in use"
    EXPIRED = "expired"
    REVOKED = "revoked"

    @property
    def letter(self) -> str:
        """As the search interface says it."""
        return self.name[0]

    @property
    def number(self) -> int:
        """As the store says it."""
        return _NUMBERS.index(self)

    @classmethod
    def from_number(cls, number: int) -> "Status":
        return _NUMBERS[number]

    @classmethod
    def parse(cls, text: str) -> "Status":
        """Read `in use`, `in-use` or `I`."""
        for status in cls:
            if text.lower().replace("-", " ") == status.value or text == status.letter:
                return status
        raise InvalidInput(
            "status.unknown", f"{text[:20]!r} is no status", f"use one of: {', '.join(s.value for s in Status)}"
        )

    def may_become(self, other: "Status") -> bool:
        return other in _LEGAL[self]


_NUMBERS = (Status.PENDING, Status.IN_USE, Status.NOT_IN_USE, Status.EXPIRED, Status.REVOKED)
_LEGAL = {
    Status.PENDING: {Status.IN_USE, Status.NOT_IN_USE, Status.REVOKED},
    Status.IN_USE: {Status.NOT_IN_USE, Status.REVOKED},
    Status.NOT_IN_USE: {Status.REVOKED},
    Status.EXPIRED: set[Status](),
    Status.REVOKED: set[Status](),
}
