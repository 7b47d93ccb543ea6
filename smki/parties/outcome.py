"""What became of one message that was handed in."""

from typing import Any, Literal

import msgspec

from smki.pki.verdict import Fault

Result = Literal[
    "signed", "signed before", "held", "taken back", "MAC added", "admitted", "admitted before", "refused"
]


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """One message, and what it is now."""

    reference: str
    result: Result
    message: bytes = b""
    faults: tuple[Fault, ...] = ()
    delivery: str = ""
    """For whom an admitted command is: the network, or a hand-held terminal at the device."""
    warnings: tuple[Fault, ...] = ()
    """What was noticed about it, and held nothing up."""

    def __repr__(self) -> str:
        """Without the message: one kind of command has a secret in it (GBCS 13.3)."""
        return f"Outcome({self.reference!r}, {self.result!r}, faults={self.faults!r}, warnings={self.warnings!r})"

    def as_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {"reference": self.reference, "result": self.result}
        if self.message:
            told["message"] = self.message.hex()
        if self.faults:
            told["faults"] = [fault.as_json() for fault in self.faults]
        if self.delivery:
            told["delivery"] = self.delivery
        if self.warnings:
            told["warnings"] = [fault.as_json() for fault in self.warnings]
        return told
