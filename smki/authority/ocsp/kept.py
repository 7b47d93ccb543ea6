"""Answers that were signed and are given again, until they are old or what they say is no longer so."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import cached_property
from hashlib import sha256


@dataclass(frozen=True)
class Answer:
    """A signed answer, and what HTTP says of it (RFC 5019 6.2)."""

    octets: bytes
    issuer: int
    serials: tuple[int, ...]
    made_at: datetime
    next_update: datetime
    plain: bytes | None = None
    """The shortest request it answers: under this it may be kept. None: it is for one asker alone."""
    seen: int = 0
    """How many revocations its issuer had made, at least, when the register was read for it."""

    @cached_property
    def etag(self) -> bytes:
        return b'"%s"' % sha256(self.octets).hexdigest().encode()

    @cached_property
    def lines(self) -> bytes:
        """What stays the same however often it is given."""
        return b"Last-Modified: %s\r\nExpires: %s\r\nETag: %s\r\n" % (
            http_date(self.made_at),
            http_date(self.next_update),
            self.etag,
        )


def http_date(moment: datetime) -> bytes:
    return format_datetime(moment, usegmt=True).encode()


class Kept:
    """A bounded store of answers, for one thread; others may ask whether one is due."""

    def __init__(self, most: int, refresh: timedelta) -> None:
        self._most = most
        self._refresh = refresh
        self._answers: dict[bytes, Answer] = {}
        self._about: defaultdict[tuple[int, int], set[bytes]] = defaultdict(set)
        self._seen: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, plain: bytes, now: datetime) -> Answer | None:
        """An answer that need not be signed anew; one from a future that a clock stepped back from is none."""
        found = self._answers.get(plain)
        if found is None or not found.made_at <= now < min(found.made_at + self._refresh, found.next_update):
            return None
        return found

    def put(self, answer: Answer) -> None:
        """Keep it, unless what was revoked meanwhile may have made it wrong."""
        if answer.plain is None or answer.seen < self._seen.get(answer.issuer, 0):
            return
        self._drop(answer.plain)
        while len(self._answers) >= self._most:
            self._drop(next(iter(self._answers)))  # the oldest: it is due soonest
        self._answers[answer.plain] = answer
        for serial in answer.serials:
            self._about[answer.issuer, serial].add(answer.plain)

    def begin(self, issuer: int, seen: int) -> None:
        """From here on it is told what an issuer revokes; answers that knew of fewer revocations may be wrong."""
        self._seen[issuer] = seen
        for plain, answer in tuple(self._answers.items()):
            if answer.issuer == issuer and answer.seen != seen:
                self._drop(plain)

    def revoked(self, issuer: int, serials: list[int], seen: int) -> None:
        """These say good no longer."""
        self._seen[issuer] = seen
        for serial in serials:
            for plain in tuple(self._about.get((issuer, serial), ())):
                self._drop(plain)

    def forget(self, issuer: int) -> None:
        """All that an issuer's responder signed: it is another now."""
        for plain in [plain for plain, answer in self._answers.items() if answer.issuer == issuer]:
            self._drop(plain)

    def _drop(self, plain: bytes) -> None:
        answer = self._answers.pop(plain, None)
        if answer is None:
            return
        for serial in answer.serials:
            about = self._about[answer.issuer, serial]
            about.discard(plain)
            if not about:
                del self._about[answer.issuer, serial]
