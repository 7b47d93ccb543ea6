"""Verdicts on what comes from outside: each rule that was broken, with its code, the facts, and what to do."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One broken rule."""

    code: str
    message: str
    remedy: str

    def as_json(self) -> dict[str, str]:
        return {"code": self.code, "message": self.message, "remedy": self.remedy}
