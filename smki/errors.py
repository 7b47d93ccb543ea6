"""What stops work, said once: a stable code, what happened, and what to do next.

Findings of a linter and verdicts on untrusted input are values, not exceptions; these exceptions are for what
makes it impossible or forbidden to go on. Only `smki.cli` prints them, and turns `exit_status` into an exit code.
"""

from typing import ClassVar


class SmkiError(Exception):
    """Base of every error this program raises on purpose."""

    exit_status: ClassVar[int] = 1

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy

    def __reduce__(self) -> tuple[type["SmkiError"], tuple[str, str, str]]:
        """From one process to another whole."""
        return type(self), (self.code, self.message, self.remedy)

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]"

    def __repr__(self) -> str:
        return f"{type(self).__name__}(code={self.code!r}, message={self.message!r}, remedy={self.remedy!r})"


class InvalidInput(SmkiError):
    """A file, value or argument from outside is not of its form."""

    exit_status = 2


class Refused(SmkiError):
    """A rule says no: quorum, role, profile, an object that would be overwritten."""

    exit_status = 3


class Unavailable(SmkiError):
    """The HSM, a token, the database or a file cannot be reached now; the same call may succeed later."""

    exit_status = 4


class IntegrityFailure(SmkiError):
    """What is stored contradicts itself: a changed log, a key that is not its certificate's."""

    exit_status = 5
