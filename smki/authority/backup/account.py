"""Holding the tables against the log: what the entries say was done is there, and nothing besides.

The log is signed, the tables are not; but which certificates, serial numbers and revocations there are follows from
the entries. Both sides are added up as sums of hashes, in whatever order they come: a million need no memory. The
hashes are under a key drawn for this one run: nobody finds other rows, however many, that would have the same sum.
"""

import hashlib
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from smki.pki.status import Status
from smki.store.engine import Engine

_BATCH = 1000


class _Entry(msgspec.Struct, frozen=True):
    act: str
    facts: dict[str, Any]


_read_entry = msgspec.json.Decoder(_Entry).decode


@dataclass
class _Sum:
    """Things, each hashed, added up: equal sums are of the same things."""

    key: bytes
    count: int = 0
    total: int = 0

    def add(self, octets: bytes) -> None:
        self.count += 1
        self.total += int.from_bytes(hashlib.blake2b(octets, digest_size=32, key=self.key).digest())

    def against(self, logged: "_Sum", what: str) -> Iterator[str]:
        if self.count != logged.count:
            yield f"{what}: {self.count} on record, and {logged.count} in the log"
        elif self.total != logged.total:
            yield f"{what}: {self.count} on record, and they are not those in the log"


class _Sums:
    """What there is: as the log has it, or the tables."""

    def __init__(self, key: bytes) -> None:
        self.issued, self.drawn, self.burnt = _Sum(key), _Sum(key), _Sum(key)
        self.revoked, self.lists = _Sum(key), _Sum(key)


def account(engine: Engine) -> Iterator[str]:
    """What contradicts itself in a database read inside a snapshot or transaction; nothing: it holds together."""
    key = os.urandom(32)
    logged, kept = _Sums(key), _Sums(key)
    for (body,) in _rows(engine, "SELECT body FROM audit_entry"):
        try:
            _add_entry(logged, _read_entry(body))
        except (msgspec.DecodeError, AttributeError, TypeError, KeyError, ValueError, RecursionError):
            yield "an entry of the log cannot be read"
            return
    revoked = yield from _certificates(engine, kept)
    for serial, is_burnt in _rows(engine, "SELECT serial, burnt FROM reservation"):
        kept.drawn.add(serial)
        if is_burnt:
            kept.burnt.add(serial)
    yield from kept.issued.against(logged.issued, "certificates")
    yield from kept.drawn.against(logged.drawn, "serial numbers")
    yield from kept.burnt.against(logged.burnt, "burnt serial numbers")
    yield from _revocations(engine, kept, revoked)
    yield from kept.revoked.against(logged.revoked, "revocations")
    yield from kept.lists.against(logged.lists, "numbers of revocation lists")


def _rows(engine: Engine, sql: str) -> Iterator[tuple[Any, ...]]:
    for rows in engine.batches(sql, _BATCH):
        yield from rows


def _numbered(authority: str, number: int, serial: bytes = b"") -> bytes:
    """What is counted for each authority."""
    return b"|".join((authority.encode(), str(number).encode(), serial))


def _certificates(engine: Engine, kept: _Sums) -> Generator[str, None, int]:
    """Gives, when all are seen, how many have the status of a revoked one."""
    revoked = 0
    for serial, status, der in _rows(engine, "SELECT serial, status, der FROM certificate"):
        kept.issued.add(hashlib.sha256(der).digest())
        kept.drawn.add(serial)
        revoked += status == Status.REVOKED.number
        if serial not in der:
            yield f"certificate {serial.hex().upper()} has another serial number inside"
    return revoked


def _revocations(engine: Engine, kept: _Sums, revoked: int) -> Iterator[str]:
    names = dict(engine.execute("SELECT number, name FROM authority").fetchall())
    for issuer, number, serial in _rows(engine, "SELECT issuer, number, serial FROM revocation"):
        kept.revoked.add(_numbered(names.get(issuer, ""), number, serial))
    for issuer, number in _rows(engine, "SELECT issuer, number FROM crl"):
        kept.lists.add(_numbered(names.get(issuer, ""), number))
    with_status = engine.execute(
        "SELECT COUNT(*) FROM revocation JOIN certificate ON certificate.serial = revocation.serial"
        " AND certificate.issuer = revocation.issuer WHERE certificate.status = ?",
        (Status.REVOKED.number,),
    ).fetchone()[0]
    if with_status != revoked:
        yield f"{revoked} certificates have the status revoked, and {with_status} of them were"
    standing = engine.execute(
        "SELECT COUNT(*) FROM revocation JOIN certificate ON certificate.serial = revocation.serial"
        " AND certificate.issuer = revocation.issuer WHERE certificate.status <> ?",
        (Status.REVOKED.number,),
    ).fetchone()[0]
    if standing:
        yield f"{standing} certificates were revoked, and their status is another"


# What each kind of entry says


def _add_entry(sums: _Sums, entry: _Entry) -> None:
    add = _ACTS.get(entry.act)
    if add is not None:
        add(sums, entry.facts)


def _each(total: _Sum, values: Iterable[str]) -> None:
    for value in values:
        total.add(bytes.fromhex(value))


def _issued(sums: _Sums, facts: dict[str, Any]) -> None:
    _each(sums.issued, facts["certificates"])
    _each(sums.burnt, facts["burnt"])


def _founded(sums: _Sums, facts: dict[str, Any]) -> None:
    _each(sums.issued, facts["certificates"].values())


def _set_aside(sums: _Sums, facts: dict[str, Any]) -> None:
    _each(sums.drawn, facts["serials"])


def _set_aside_by_name(sums: _Sums, facts: dict[str, Any]) -> None:
    _each(sums.drawn, facts["serials"].values())
    _each(sums.burnt, facts.get("burnt", {}).values())


def _appointing(sums: _Sums, facts: dict[str, Any]) -> None:
    _each(sums.drawn, (facts["serial"],))
    _each(sums.burnt, facts["burnt"])


def _appointed(sums: _Sums, facts: dict[str, Any]) -> None:
    _each(sums.issued, (facts["certificate"],))


def _burnt(sums: _Sums, facts: dict[str, Any]) -> None:
    _each(sums.burnt, facts["serials"])


def _revoked(sums: _Sums, facts: dict[str, Any]) -> None:
    sums.revoked.add(_numbered(facts["authority"], facts["number"], bytes.fromhex(facts["serial"])))


def _listed(sums: _Sums, facts: dict[str, Any]) -> None:
    sums.lists.add(_numbered(facts["authority"], facts["number"]))


_ACTS: dict[str, Callable[[_Sums, dict[str, Any]], None]] = {
    "certificates.issued": _issued,
    "ceremony.done": _founded,
    "serials.reserved": _set_aside,
    "ceremony.signing": _set_aside_by_name,
    "ceremony.resumed": _set_aside_by_name,
    "ocsp.appointing": _appointing,
    "ocsp.appointed": _appointed,
    "serials.burnt": _burnt,
    "certificate.revoked": _revoked,
    "crl.number-reserved": _listed,
}
