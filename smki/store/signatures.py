"""Signatures of commands, and the counters that were ever given away: reading them, and the changes of an act."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from smki.errors import Refused
from smki.store.announcement_records import SignedRecord
from smki.store.announcements import AnnouncementActs
from smki.store.engine import Engine
from smki.store.records import SignatureRecord
from smki.store.values import counter_octets, pieces, places, seconds_of

_COLUMNS = ("digest", "key_hash", "counter", "target", "code", "at")


class Signatures:
    """Every signature that was ever asked for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def last_counter(self, key_hash: bytes) -> int:
        """The greatest counter given away under a key; -1 before the first."""
        row = self._engine.execute("SELECT last FROM counter WHERE key_hash = ?", (key_hash,)).fetchone()
        return -1 if row is None else int.from_bytes(row[0])

    def known(self, key_hash: bytes, digests: Sequence[bytes]) -> dict[bytes, bytes | None]:
        """Of these digests, those that were to be signed before: with the signature, if it came so far."""
        found: dict[bytes, bytes | None] = {}
        for piece in pieces(digests):
            rows = self._engine.execute(
                "SELECT signature.digest, signed.signature FROM signature LEFT JOIN signed"
                " ON signed.digest = signature.digest AND signed.key_hash = signature.key_hash"
                f" WHERE signature.key_hash = ? AND signature.digest IN ({places(piece)})",
                (key_hash, *piece),
            ).fetchall()
            found.update((bytes(digest), None if value is None else bytes(value)) for digest, value in rows)
        return found

    def count_since(self, key_hash: bytes, code: int, since: datetime) -> int:
        """How many of a use case since a moment, that one excluded."""
        row = self._engine.execute(
            "SELECT COUNT(*) FROM signature WHERE key_hash = ? AND code = ? AND at > ?",
            (key_hash, code, seconds_of(since)),
        ).fetchone()
        return int(row[0])


class SignatureActs(AnnouncementActs):
    """Changes to counters and signatures."""

    def reserve_counter(self, key_hash: bytes, counter: int) -> None:
        """Give a counter away: it and all below it are used up, whatever becomes of it."""
        changed = self._execute(
            "INSERT INTO counter (key_hash, last) VALUES (?, ?)"
            " ON CONFLICT (key_hash) DO UPDATE SET last = excluded.last WHERE counter.last < excluded.last",
            (key_hash, counter_octets(counter)),
        ).rowcount
        if changed != 1:
            raise Refused("sign.counter", f"counter {counter} was used before", "number it after the last one")

    def put_signatures(self, records: Iterable[SignatureRecord]) -> None:
        """What is about to be signed."""
        self._engine.insert(
            "signature",
            _COLUMNS,
            [
                (
                    item.digest,
                    item.key_hash,
                    counter_octets(item.counter),
                    item.target.octets,
                    item.code,
                    seconds_of(item.at),
                )
                for item in records
            ],
        )

    def complete_signatures(self, key_hash: bytes, signatures: Sequence[SignedRecord]) -> list[bytes]:
        """What was signed, to be announced from now on. Where two runs signed the same, the first counts for both."""
        self.lock()
        before = Signatures(self._engine).known(key_hash, [item.digest for item in signatures])
        kept = {digest: signature for digest, signature in before.items() if signature is not None}
        fresh = [item for item in signatures if item.digest not in kept]
        rows = [(item.digest, key_hash, item.signature) for item in fresh]
        self._engine.insert("signed", ("digest", "key_hash", "signature"), rows)
        self.put_unannounced(fresh)
        return [kept.get(item.digest, item.signature) for item in signatures]
