"""Why a certificate is revoked (RFC 5280 5.3.1). Pure."""

from enum import Enum

from smki.errors import InvalidInput


class Reason(Enum):
    """The value is the code in a CRL entry. Nothing is held or taken back here, so those two codes are not ours."""

    UNSPECIFIED = 0
    KEY_COMPROMISE = 1
    CA_COMPROMISE = 2
    AFFILIATION_CHANGED = 3
    SUPERSEDED = 4
    CESSATION_OF_OPERATION = 5
    PRIVILEGE_WITHDRAWN = 9
    AA_COMPROMISE = 10

    @property
    def word(self) -> str:
        """As people and files write it: `key-compromise`."""
        return self.name.lower().replace("_", "-")

    @property
    def is_compromise(self) -> bool:
        return self in {Reason.KEY_COMPROMISE, Reason.CA_COMPROMISE, Reason.AA_COMPROMISE}

    @classmethod
    def parse(cls, text: str) -> "Reason":
        for reason in cls:
            if text == reason.word:
                return reason
        raise InvalidInput(
            "reason.unknown", f"{text[:40]!r} is no reason", f"use one of: {', '.join(one.word for one in cls)}"
        )
