"""The form of an announcement: a signed note (C2SP signed-note) that lists what a user's key signed. Pure.

    smki-announcement/1
    originator 90-B3-D5-1F-30-01-00-00
    number 1795262400                   above that of every announcement before it
    after 1795262100                    the number before it; 0: there is none
    at 2026-11-21T12:00:00Z
    SHA-256, hexadecimal                of a signed pre-command, octet for octet as it is submitted; one a line

    — 90-B3-D5-1F-30-01-00-00 SIGNATURE

So `sha256sum` of a signed pre-command finds its line, and whoever signs by other means can write such files too.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from smki.entity import EntityId
from smki.errors import InvalidInput
from smki.store.note import note_text

FORM = "smki-announcement/1"
MOST = 50_000  # commands in one
_DIGEST_CHARACTERS = 64
MAX_OCTETS = MOST * (_DIGEST_CHARACTERS + 1) + (1 << 12)
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_HEAD = re.compile(
    rf"{FORM}\n"
    r"originator ([0-9A-F]{2}(?:-[0-9A-F]{2}){7})\nnumber ([1-9][0-9]{0,14})\nafter (0|[1-9][0-9]{0,14})\n"
    r"at ([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)\n"
)
_LINE = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a user says its key signed."""

    originator: EntityId
    number: int
    after: int
    at: datetime
    digests: tuple[bytes, ...]

    def text(self) -> str:
        """What is signed."""
        head = f"{FORM}\noriginator {self.originator}\nnumber {self.number}\nafter {self.after}\n"
        return f"{head}at {self.at.astimezone(UTC):{_TIME}}\n" + "".join(f"{one.hex()}\n" for one in self.digests)


@dataclass(frozen=True, slots=True)
class Unchecked:
    """A file as it came: whose it says it is, and nothing that is believed yet."""

    note: str
    originator: EntityId
    number: int

    def signed_by(self, spki: bytes) -> Announcement | None:
        """What it says, if this key signed it in its originator's name; None if it did not."""
        text = note_text(self.note, str(self.originator), spki)
        return None if text is None else read_text(text)


def read_announcement(data: bytes) -> Unchecked:
    """Read as much as is needed to ask for the key."""
    if len(data) > MAX_OCTETS:
        raise InvalidInput(
            "announcement.size", f"more than {MAX_OCTETS} octets", f"announce {MOST} commands at a time"
        )
    try:
        note = data.decode("ascii" if data.isascii() else "utf-8")
    except UnicodeDecodeError:
        raise _form("it is no text") from None
    head = _head(note)
    return Unchecked(note, EntityId.parse(head[1]), int(head[2]))


def _head(text: str) -> re.Match[str]:
    head = _HEAD.match(text)
    if head is None:
        raise _form("it does not begin as one")
    return head


def read_text(text: str) -> Announcement:
    """What was signed, or is to be: the text of a note without its signatures."""
    head = _head(text)
    lines = text[head.end() :].split("\n")
    if lines.pop() or not 1 <= len(lines) <= MOST or not all(map(_LINE.fullmatch, lines)):
        raise _form("its lines are not SHA-256 digests")
    if len(set(lines)) != len(lines):
        raise _form("it lists a command twice")
    number, after = int(head[2]), int(head[3])
    if after >= number:
        raise _form("it comes before the one that it follows")
    try:
        at = datetime.strptime(head[4], _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise _form(f"{head[4]} is no time") from None
    return Announcement(EntityId.parse(head[1]), number, after, at, tuple(map(bytes.fromhex, lines)))


def _form(reason: str) -> InvalidInput:
    return InvalidInput(
        "announcement.form", f"this is no announcement: {reason}", "give a file of `smki message announce`"
    )
