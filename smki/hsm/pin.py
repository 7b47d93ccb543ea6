"""PINs: where one comes from, and that it never shows. It refuses to know what a PIN opens."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest
from pathlib import Path
from typing import Literal, NoReturn, Self

from smki.errors import InvalidInput, Refused, Unavailable

MAX_PIN_OCTETS = 255  # longer than any HSM takes; more is another file given by mistake


class Pin:
    """A PIN. Its text comes out of `reveal` and nowhere else: not of repr, str, format, pickle or an error."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not 0 < len(text.encode()) <= MAX_PIN_OCTETS:
            raise InvalidInput(
                "pin.length", f"a PIN has 1 to {MAX_PIN_OCTETS} octets", "check where the PIN comes from"
            )
        self._text = text

    def reveal(self) -> str:
        """The PIN itself, for the one call that logs in."""
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pin) and compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(Pin)  # says nothing of the text

    def __repr__(self) -> str:
        return "Pin(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a PIN is not pickled")


@dataclass(frozen=True, slots=True)
class PinSource:
    """Where a PIN comes from: typed by a person, a variable of the environment, or a file only we can read."""

    kind: Literal["prompt", "env", "file"]
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `prompt`, `env:NAME` or `file:PATH`."""
        kind, colon, name = text.partition(":")
        if text == "prompt":
            return cls("prompt")
        if colon and name and kind == "env":
            return cls("env", name)
        if colon and name and kind == "file":
            return cls("file", name)
        # The text is not repeated: someone may have written the PIN itself here.
        raise InvalidInput(
            "pin.source",
            "this is no source of a PIN",
            "write prompt, env:NAME or file:PATH; the PIN itself belongs into none of our files",
        )

    def file(self, base: Path) -> Path | None:
        """The file the PIN is read from, relative paths counted from `base`; none for the other kinds."""
        return base / self.name if self.kind == "file" else None

    def obtain(self, ask: Callable[[str], str], base: Path) -> Pin:
        """Get the PIN now. `ask` shows its argument and reads a line without echo."""
        if self.kind == "prompt":
            return Pin(ask("PIN"))
        if self.kind == "env":
            return self._from_environment()
        return _from_file(base / self.name)

    def _from_environment(self) -> Pin:
        text = os.environ.get(self.name)
        if not text:
            raise Unavailable(
                "pin.missing", f"the variable {self.name} holds no PIN", f"set {self.name}, or use file:"
            )
        return Pin(text)


def _from_file(path: Path) -> Pin:
    try:
        # Not through a link, and without waiting for a writer should it be a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Unavailable("pin.missing", f"{path}: {error.strerror}", "put the PIN's file back") from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Refused("pin.not-a-file", f"{path} is not a regular file", "name the file itself")
        if status.st_uid != os.geteuid():
            raise Refused("pin.owner", f"{path} belongs to uid {status.st_uid}", f"chown {os.geteuid()} {path}")
        if stat.S_IMODE(status.st_mode) & 0o077:
            mode = stat.S_IMODE(status.st_mode)
            raise Refused(
                "pin.loose-mode",
                f"others can reach {path} (mode {mode:04o})",
                f"chmod 600 {path}, and change the PIN if others may have read it",
            )
        octets = file.read(MAX_PIN_OCTETS + 3)  # two more for the line's end, one to notice more
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        raise InvalidInput("pin.form", f"{path} is not text", "write the PIN as one line of text") from None
    line = text.removesuffix("\n").removesuffix("\r")
    if "\n" in line:
        raise InvalidInput("pin.form", f"{path} holds more than one line", "write the PIN as one line of text")
    return Pin(line)
