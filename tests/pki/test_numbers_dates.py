"""Serial numbers and periods of validity: one length on the wire, and dates that can stand there."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from smki.errors import InvalidInput
from smki.pki.serial import Serial
from smki.pki.validity import NEVER, TimeForm, Validity

FIRST = datetime(2020, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def drawn(at: datetime) -> Serial:
    return Serial.draw(lambda count: b"\xab" * count, at)


# Serial numbers


@pytest.mark.parametrize("octets", [b"\x01" + bytes(15), b"\x7f" + b"\xff" * 15])
def test_a_serial_number_is_sixteen_octets_positive_and_never_shorter(octets: bytes) -> None:
    serial = Serial(octets)
    assert (serial.number, str(serial)) == (int.from_bytes(octets), octets.hex().upper())
    assert Serial.parse(octets.hex()) == serial
    assert serial.tick == octets[:4]


@pytest.mark.parametrize(
    "octets", [b"", b"\x00" + b"\xff" * 15, b"\x80" + bytes(15), b"\x01" + bytes(14), b"\x01" + bytes(16)]
)
def test_any_other_octets_are_no_serial_number(octets: bytes) -> None:
    with pytest.raises(InvalidInput) as refusal:
        Serial(octets)
    assert refusal.value.code == "serial.form"
    with pytest.raises(InvalidInput) as refusal:
        Serial.parse(octets.hex())
    assert refusal.value.code == "serial.form"


def test_what_is_not_hexadecimal_is_no_serial_number() -> None:
    with pytest.raises(InvalidInput) as refusal:
        Serial.parse("0x" + 30 * "1")
    assert refusal.value.code == "serial.form"


def test_a_number_drawn_at_random_keeps_all_bits_but_the_first() -> None:
    assert Serial.from_entropy(lambda count: b"\xff" * count).octets == b"\x7f" + b"\xff" * 15
    draws = iter([b"\x80" + b"\xff" * 15, b"\x81" + bytes(15)])
    assert Serial.from_entropy(lambda _: next(draws)).octets == b"\x01" + bytes(15)


@pytest.mark.parametrize(
    ("at", "tick"),
    [
        (FIRST, "40000000"),
        (FIRST + 3 * SECOND, "40000000"),
        (FIRST + 4 * SECOND, "40000001"),
        (FIRST + 4 * SECOND * 0x3FFF_FFFF, "7fffffff"),
        (FIRST + 4 * SECOND * 0x4000_0000, "40000000"),
    ],
)
def test_a_number_to_be_issued_begins_with_its_time_to_four_seconds(at: datetime, tick: str) -> None:
    serial = drawn(at)
    assert serial.octets == bytes.fromhex(tick) + b"\xab" * 12
    assert serial.tick == bytes.fromhex(tick)


# Dates


def test_a_date_is_written_short_up_to_2049_and_in_full_from_2050() -> None:
    """RFC 5280 4.1.2.5."""
    turn = datetime(2050, 1, 1, tzinfo=UTC)
    assert TimeForm.of(turn - SECOND).encode(turn - SECOND) == b"491231235959Z"
    assert TimeForm.of(turn).encode(turn) == b"20500101000000Z"
    eastern = datetime(2026, 6, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    assert TimeForm.UTC.encode(eastern) == b"260531230000Z"
    assert Validity(turn - SECOND, turn).forms == (TimeForm.UTC, TimeForm.GENERALIZED)


@pytest.mark.parametrize(
    ("begin", "end", "code"),
    [
        (FIRST.replace(tzinfo=None), FIRST + SECOND, "validity.moment"),
        (FIRST, (FIRST + SECOND).replace(tzinfo=None), "validity.moment"),
        (FIRST.replace(microsecond=1), FIRST + SECOND, "validity.moment"),
        (FIRST, FIRST.replace(second=1, microsecond=1), "validity.moment"),
        (datetime(1949, 12, 31, 23, 59, 59, tzinfo=UTC), FIRST, "validity.moment"),
        (FIRST, FIRST, "validity.order"),
        (FIRST + SECOND, FIRST, "validity.order"),
    ],
)
def test_dates_that_cannot_stand_in_a_certificate_are_refused(begin: datetime, end: datetime, code: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        Validity(begin, end)
    assert refusal.value.code == code


def test_the_first_and_the_last_date_there_are() -> None:
    begin = datetime(1950, 1, 1, tzinfo=UTC)
    assert Validity(begin, begin + SECOND).not_before == begin
    assert Validity.without_end(begin) == Validity(begin, NEVER)
    assert datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) == NEVER


@pytest.mark.parametrize(
    ("start", "years", "last"),
    [
        (date(2026, 1, 1), 10, date(2035, 12, 31)),
        (date(2026, 3, 1), 1, date(2027, 2, 28)),
        (date(2024, 2, 29), 1, date(2025, 2, 28)),
        (date(2024, 2, 29), 4, date(2028, 2, 28)),
        (date(2026, 6, 15), 7973, date(9999, 6, 14)),
        (date(2024, 2, 29), 7975, date(9999, 2, 28)),
    ],
)
def test_years_end_with_the_day_before_the_anniversary(start: date, years: int, last: date) -> None:
    """Both ends belong to it: from the first second of the first day to the last of the last."""
    validity = Validity.years(start, years)
    assert validity.not_before == datetime(start.year, start.month, start.day, tzinfo=UTC)
    assert validity.not_after == datetime(last.year, last.month, last.day, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("start", [date(2026, 6, 15), date(2024, 2, 29)])
def test_years_past_9999_are_refused(start: date) -> None:
    with pytest.raises(InvalidInput) as refusal:
        Validity.years(start, 10_000 - start.year)
    assert refusal.value.code == "validity.years"
