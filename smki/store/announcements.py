"""What users announce and what brokers were told: reading it, and the changes of an act."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from smki.entity import EntityId
from smki.store.acts import Acts
from smki.store.announcement_records import AnnouncedRow, AnnouncementRecord, SignedRecord, TakenRecord
from smki.store.engine import Engine
from smki.store.values import moment_of, pieces, places, seconds_of

_OWN = ("originator", "number", "at", "items", "text", "file", "handed_out")
_TAKEN = ("originator", "key_hash", "number", "at", "until", "items", "digest", "file")
_ANNOUNCED = ("digest", "originator", "key_hash", "number", "until")


class Announcements:
    """A user's own, and those that were handed to a broker."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # A user's own

    def waiting(self) -> dict[EntityId, int]:
        """Of each originator, how many signed commands nobody was told of yet."""
        rows = self._engine.execute("SELECT originator, COUNT(*) FROM unannounced GROUP BY originator").fetchall()
        return {EntityId(bytes(originator)): count for originator, count in rows}

    def unannounced(self, originator: EntityId, limit: int, since: datetime | None = None) -> list[bytes]:
        """Signed pre-commands by their digests, the oldest first."""
        rows = self._engine.execute(
            "SELECT digest FROM unannounced WHERE originator = ? AND at >= ? ORDER BY at, digest LIMIT ?",
            (originator.octets, 0 if since is None else seconds_of(since), limit),
        ).fetchall()
        return [bytes(digest) for (digest,) in rows]

    def last(self, originator: EntityId) -> AnnouncementRecord | None:
        """The last that was made."""
        row = self._engine.execute(
            f"SELECT {', '.join(_OWN)} FROM announcement WHERE originator = ? ORDER BY number DESC LIMIT 1",
            (originator.octets,),
        ).fetchone()
        return None if row is None else _own(row)

    def originators(self) -> frozenset[EntityId]:
        """Who ever announced anything here."""
        rows = self._engine.execute("SELECT DISTINCT originator FROM announcement").fetchall()
        return frozenset(EntityId(bytes(originator)) for (originator,) in rows)

    # A broker's

    def taken(self, originator: EntityId, key_hash: bytes, number: int) -> TakenRecord | None:
        return self._taken("AND number = ?", (originator.octets, key_hash, number))

    def last_taken(self, originator: EntityId, key_hash: bytes) -> TakenRecord | None:
        return self._taken("ORDER BY number DESC LIMIT 1", (originator.octets, key_hash))

    def _taken(self, condition: str, values: tuple[Any, ...]) -> TakenRecord | None:
        row = self._engine.execute(
            f"SELECT {', '.join(_TAKEN)} FROM announcement_taken WHERE originator = ? AND key_hash = ? {condition}",
            values,
        ).fetchone()
        if row is None:
            return None
        entity, key_hash, number, at, until, items, digest, file = row
        return TakenRecord(
            EntityId(bytes(entity)),
            bytes(key_hash),
            number,
            moment_of(at),
            moment_of(until),
            items,
            bytes(digest),
            None if file is None else bytes(file),
        )

    def announced(self, digests: Sequence[bytes], now: datetime) -> list[AnnouncedRow]:
        """Of these commands those that were announced, are not used, and are not over: by whom and where."""
        found: list[AnnouncedRow] = []
        for piece in pieces(digests):
            rows = self._engine.execute(
                "SELECT digest, originator, key_hash, number FROM announced"
                f" WHERE until > ? AND digest IN ({places(piece)})",
                (seconds_of(now), *piece),
            ).fetchall()
            found += (AnnouncedRow(bytes(one), bytes(by), bytes(key), number) for one, by, key, number in rows)
        return found

    def left(self, originator: EntityId, now: datetime) -> int:
        """How many of an originator's announced commands may still come."""
        row = self._engine.execute(
            "SELECT COUNT(*) FROM announced WHERE originator = ? AND until > ?", (originator.octets, seconds_of(now))
        ).fetchone()
        return int(row[0])


class AnnouncementActs(Acts):
    """Changes to what is announced."""

    @property
    def announcements(self) -> Announcements:
        """What is announced, as this act sees it."""
        return Announcements(self._engine)

    def put_unannounced(self, records: Iterable[SignedRecord]) -> None:
        """What was signed just now."""
        rows = [(seconds_of(item.at), item.submitted, item.originator.octets) for item in records]
        self._engine.insert("unannounced", ("at", "digest", "originator"), rows)

    def put_announcement(self, record: AnnouncementRecord, digests: Sequence[bytes]) -> None:
        """A new one: these wait no more, and the one before it is not handed out again."""
        self._execute(
            "UPDATE announcement SET text = NULL, file = NULL WHERE originator = ?", (record.originator.octets,)
        )
        values = (record.originator.octets, record.number, seconds_of(record.at), record.items, record.text)
        self._engine.insert("announcement", _OWN, [(*values, record.file, int(record.handed_out))])
        for piece in pieces(digests):
            self._execute(f"DELETE FROM unannounced WHERE digest IN ({places(piece)})", piece)

    def sign_announcement(self, record: AnnouncementRecord, file: bytes) -> bool:
        """It has its signature; false: it had one before, and that is the one."""
        changed: int = self._execute(
            "UPDATE announcement SET file = ? WHERE originator = ? AND number = ? AND file IS NULL"
            " AND text IS NOT NULL",
            (file, record.originator.octets, record.number),
        ).rowcount
        return changed == 1

    def hand_out_announcement(self, record: AnnouncementRecord) -> bool:
        """Its file has its name; false: it had before."""
        changed: int = self._execute(
            "UPDATE announcement SET handed_out = 1 WHERE originator = ? AND number = ? AND handed_out = 0",
            (record.originator.octets, record.number),
        ).rowcount
        return changed == 1

    def take_announcement(self, record: TakenRecord, digests: Sequence[bytes]) -> None:
        """What a user says it signed. A digest that was announced before counts from now on by this one."""
        self._engine.insert(
            "announcement_taken",
            _TAKEN,
            [
                (
                    record.originator.octets,
                    record.key_hash,
                    record.number,
                    seconds_of(record.at),
                    seconds_of(record.until),
                    record.items,
                    record.digest,
                    record.file,
                )
            ],
        )
        self.use_announced([(record.originator, digest) for digest in digests])
        rows = [
            (digest, record.originator.octets, record.key_hash, record.number, seconds_of(record.until))
            for digest in digests
        ]
        self._engine.insert("announced", _ANNOUNCED, rows)

    def use_announced(self, used: Sequence[tuple[EntityId, bytes]]) -> None:
        """These were admitted: nothing is let through by them again."""
        of: dict[bytes, list[bytes]] = {}
        for originator, digest in used:
            of.setdefault(originator.octets, []).append(digest)
        for octets, digests in of.items():
            for piece in pieces(digests):
                self._execute(
                    f"DELETE FROM announced WHERE originator = ? AND digest IN ({places(piece)})", (octets, *piece)
                )

    def drop_announced(self, now: datetime) -> None:
        """What is over says nothing any more."""
        self._execute("DELETE FROM announced WHERE until <= ?", (seconds_of(now),))
        self._execute(
            "UPDATE announcement_taken SET file = NULL WHERE until <= ? AND file IS NOT NULL", (seconds_of(now),)
        )


def _own(row: Sequence[Any]) -> AnnouncementRecord:
    originator, number, at, items, text, file, handed_out = row
    return AnnouncementRecord(
        EntityId(bytes(originator)),
        number,
        moment_of(at),
        items,
        text,
        None if file is None else bytes(file),
        bool(handed_out),
    )
