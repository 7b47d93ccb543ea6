"""Dates and times in words: what is said, what is left open, what cannot be one (Blue Book 4.1.6.1, ZCL 2.5.2.20)."""

import pytest

from smki.gbcs.payload.dates import activation, date, date_time, time, utc


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        ("07e00a1f01", "2016-10-31 Monday"),
        ("07e00a1f07", "2016-10-31 Sunday"),
        ("07e00101ff", "2016-01-01"),
        ("07e00c1fff", "2016-12-31"),
        ("ffff0a1f02", "any year-10-31 Tuesday"),
        ("07e0ff1f03", "2016-any month-31 Wednesday"),
        ("07e00aff04", "2016-10-any day Thursday"),
        ("07e0fd1f05", "2016-end of daylight saving-31 Friday"),
        ("07e0fe1f06", "2016-begin of daylight saving-31 Saturday"),
        ("07e00afdff", "2016-10-second last day"),
        ("07e00afeff", "2016-10-last day"),
        ("00010a1fff", "0001-10-31"),
        ("ffffffffff", "any year-any month-any day"),
        ("07e0001fff", None),
        ("07e00d1fff", None),
        ("07e0fc1fff", None),
        ("07e00a00ff", None),
        ("07e00a20ff", None),
        ("07e00afcff", None),
        ("07e00a1f00", None),
        ("07e00a1f08", None),
        ("07e00a1ffe", None),
        ("07e00a1f", None),
        ("07e00a1fff00", None),
    ],
)
def test_dates(octets: str, said: str | None) -> None:
    assert date(bytes.fromhex(octets)) == said


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        ("00000000", "00:00:00"),
        ("173b3b63", "23:59:59.99"),
        ("01020304", "01:02:03.04"),
        ("010203ff", "01:02:03"),
        ("ff020300", "any:02:03"),
        ("01ff0300", "01:any:03"),
        ("0102ff00", "01:02:any"),
        ("ffffff00", "any:any:any"),
        ("ffffffff", "any time"),
        ("18000000", None),
        ("003c0000", None),
        ("00003c00", None),
        ("00000064", None),
        ("fe000000", None),
        ("000000", None),
        ("0000000000", None),
    ],
)
def test_times(octets: str, said: str | None) -> None:
    assert time(bytes.fromhex(octets)) == said


DAY, HOUR = "07e00a1f01", "0102030 0".replace(" ", "")


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("8000 00", ""),
        ("8000 ff", ""),
        ("0000 00", " UTC"),
        ("003c 00", " (+60 minutes to UTC)"),
        ("ffc4 00", " (-60 minutes to UTC)"),
        ("0348 00", " (+840 minutes to UTC)"),
        ("fcb8 00", " (-840 minutes to UTC)"),
        ("0349 00", None),
        ("fcb7 00", None),
        ("7fff 00", None),
        ("8001 00", None),
        ("8000 01", " (invalid value)"),
        ("8000 02", " (doubtful value)"),
        ("8000 04", " (different clock base)"),
        ("8000 08", " (invalid clock status)"),
        ("8000 80", " (daylight saving)"),
        ("8000 8f", " (invalid value, doubtful value, different clock base, invalid clock status, daylight saving)"),
        ("8000 10", " (clock status 0x10)"),
        ("0000 81", " UTC (invalid value, daylight saving)"),
    ],
)
def test_what_follows_a_date_and_time(rest: str, said: str | None) -> None:
    found = date_time(bytes.fromhex(DAY + HOUR + rest))
    assert found == (None if said is None else f"2016-10-31 Monday 01:02:03{said}")


@pytest.mark.parametrize(
    ("octets", "said", "takes_effect"),
    [
        ("00" * 12, "all zero", "all zero (at once)"),
        ("00" * 9 + "8000ff", "all zero", "all zero (at once)"),
        ("ff" * 9 + "8000ff", "not specified", "not specified (cancels)"),
        ("ff" * 9 + "800001", "not specified (invalid value)", "not specified (invalid value) (cancels)"),
        ("ff" * 9 + "000000", "not specified", "not specified (cancels)"),
        (DAY + HOUR + "800000", "2016-10-31 Monday 01:02:03", "2016-10-31 Monday 01:02:03"),
        (
            "ff" * 8 + "00" + "800000",
            "any year-any month-any day any:any:any",
            "any year-any month-any day any:any:any",
        ),
        ("07e00d1f01" + HOUR + "800000", None, None),
        (DAY + "18000000" + "800000", None, None),
        (DAY + HOUR + "0349" + "00", None, None),
        ("00" * 11, None, None),
        ("00" * 13, None, None),
        ("ff" * 12, "not specified", "not specified (cancels)"),
    ],
)
def test_a_date_and_time_and_when_what_is_set_takes_effect(
    octets: str, said: str | None, takes_effect: str | None
) -> None:
    """GBCS 9.2.2.7: zeros say on receipt, and nothing specified cancels."""
    assert date_time(bytes.fromhex(octets)) == said
    assert activation(bytes.fromhex(octets)) == takes_effect


def test_seconds_are_counted_from_the_year_2000() -> None:
    assert utc(0) == "2000-01-01T00:00:00Z"
    assert utc(86_400 + 3_661) == "2000-01-02T01:01:01Z"
    assert utc(0xFFFFFFFE) == "2136-02-07T06:28:14Z"
