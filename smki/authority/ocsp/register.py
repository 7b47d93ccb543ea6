"""What the register says of certificates: good, revoked, or never issued by us."""

from collections.abc import Sequence
from datetime import UTC, datetime

from smki.errors import InvalidInput
from smki.pki.ocsp import CertStatus, Revoked
from smki.pki.serial import SERIAL_OCTETS, Serial
from smki.store.store import Store


def statuses(store: Store, issuer: int, numbers: Sequence[int]) -> list[CertStatus]:
    """Of each serial number of an issuer.

    A number that was burnt is nobody's, and not good: unknown, unless it was revoked. Revocations are read last: what
    was revoked in between is told as revoked.
    """
    serials = [_serial(number) for number in numbers]
    wanted = list({serial for serial in serials if serial is not None})
    issued = store.responders.issued(issuer, wanted)
    revoked = store.revocations.many(issuer, wanted)

    def status(serial: Serial | None) -> CertStatus:
        if serial is None:
            return False
        record = revoked.get(serial)
        return serial in issued if record is None else Revoked(record.at, record.reason)

    return [status(serial) for serial in serials]


def _serial(number: int) -> Serial | None:
    """One we might have drawn; any other needs no look."""
    if number.bit_length() > 8 * SERIAL_OCTETS or number <= 0:
        return None
    try:
        return Serial(number.to_bytes(SERIAL_OCTETS))
    except InvalidInput:
        return None


def last_numbers(store: Store, issuers: Sequence[int]) -> dict[int, int]:
    """Of the revocation made last, among each issuer's."""
    return {issuer: store.revocations.last_number(issuer) for issuer in issuers}


def revoked_between(store: Store, issuer: int, after: int, until: int) -> list[int]:
    """Serial numbers revoked since a look before."""
    rows = store.revocations.listed(issuer, after, until, datetime.fromtimestamp(0, UTC))
    return [int.from_bytes(row[0]) for row in rows]
