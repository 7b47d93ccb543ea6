"""What became of one message that was handed in."""

from dataclasses import dataclass, field
from typing import Any, Literal

from smki.pki.verdict import Fault

Result = Literal["signed", "signed before", "held", "taken back", "MAC added", "refused"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One message, and what it is now."""

    reference: str
    result: Result
    message: bytes = field(default=b"", repr=False)
    faults: tuple[Fault, ...] = ()

    def as_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {"reference": self.reference, "result": self.result}
        if self.message:
            told["message"] = self.message.hex()
        if self.faults:
            told["faults"] = [fault.as_json() for fault in self.faults]
        return told
