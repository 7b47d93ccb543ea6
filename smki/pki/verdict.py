"""Verdicts on what comes from outside: each rule that was broken, with its code, the facts, and what to do."""

from dataclasses import dataclass
from typing import Self

from smki.errors import SmkiError


@dataclass(frozen=True, slots=True)
class Fault:
    """One broken rule."""

    code: str
    message: str
    remedy: str

    @classmethod
    def of(cls, error: SmkiError) -> Self:
        """What stopped one thing among many, as a finding about that thing."""
        return cls(error.code, error.message, error.remedy)

    def as_json(self) -> dict[str, str]:
        return {"code": self.code, "message": self.message, "remedy": self.remedy}
