"""Dates and times in words. What is not specified is said, and never filled in."""

from datetime import UTC, datetime, timedelta

DATE_TIME, DATE, TIME = 12, 5, 4  # octets (Blue Book 4.1.6.1)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # ZCL 2.5.2.20, UTCTime
_ANY, _ANY_YEAR, _ANY_DEVIATION = 0xFF, 0xFFFF, 0x8000
_DAYS = ("", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = {0xFD: "end of daylight saving", 0xFE: "begin of daylight saving"}
_DAYS_OF_MONTH = {0xFD: "second last day", 0xFE: "last day"}
_MAX_DEVIATION = 840
_STATUS = ("invalid value", "doubtful value", "different clock base", "invalid clock status")
_DAYLIGHT_SAVING = 0x80


def utc(seconds: int) -> str:
    """Seconds since the beginning of 2000."""
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def date_time(octets: bytes) -> str | None:
    """A COSEM date-time as text; None if the octets cannot be one (Blue Book 4.1.6.1)."""
    if len(octets) != DATE_TIME:
        return None
    if octets[:9] == bytes(9):
        return "all zero"
    day, hours = date(octets[:5]), time(octets[5:9])
    deviation, status = _deviation(int.from_bytes(octets[9:11], "big")), octets[11]
    if day is None or hours is None or deviation is None:
        return None
    if _is_unspecified(octets):
        return "not specified" + _status(status)
    return f"{day} {hours}{deviation}{_status(status)}"


def activation(octets: bytes) -> str | None:
    """When what is set takes effect: zeros say on receipt, and nothing specified cancels (GBCS 9.2.2.7)."""
    told = date_time(octets)
    if told is None:
        return None
    if not any(octets[:9]):
        return f"{told} (at once)"
    return f"{told} (cancels)" if _is_unspecified(octets) else told


def _is_unspecified(octets: bytes) -> bool:
    return octets[:9] == bytes([_ANY]) * 9


def date(octets: bytes) -> str | None:
    """A COSEM date: year, month, day of month, day of week, each perhaps any."""
    if len(octets) != DATE:
        return None
    year, month, day, weekday = int.from_bytes(octets[:2], "big"), octets[2], octets[3], octets[4]
    if not (1 <= month <= 12 or month in {*_MONTHS, _ANY}) or not (1 <= weekday <= 7 or weekday == _ANY):
        return None
    if not (1 <= day <= 31 or day in {*_DAYS_OF_MONTH, _ANY}):
        return None
    years = "any year" if year == _ANY_YEAR else f"{year:04}"
    months = "any month" if month == _ANY else _MONTHS.get(month, f"{month:02}")
    days = "any day" if day == _ANY else _DAYS_OF_MONTH.get(day, f"{day:02}")
    return f"{years}-{months}-{days}" + ("" if weekday == _ANY else f" {_DAYS[weekday]}")


def time(octets: bytes) -> str | None:
    """A COSEM time: hour, minute, second, hundredths, each perhaps any."""
    if len(octets) != TIME:
        return None
    if any(part > most and part != _ANY for part, most in zip(octets, (23, 59, 59, 99), strict=True)):
        return None
    if octets == bytes([_ANY]) * TIME:
        return "any time"
    clock = ":".join("any" if part == _ANY else f"{part:02}" for part in octets[:3])
    return clock + (f".{octets[3]:02}" if octets[3] not in {0, _ANY} else "")


def _deviation(raw: int) -> str | None:
    """Minutes from local time to UTC; most meters in Great Britain leave it unspecified and mean UTC."""
    if raw == _ANY_DEVIATION:
        return ""
    minutes = raw - (1 << 16) if raw & 0x8000 else raw
    if abs(minutes) > _MAX_DEVIATION:
        return None
    return f" ({minutes:+d} minutes to UTC)" if minutes else " UTC"


def _status(status: int) -> str:
    """The clock status: nothing to say if it is fine (0) or not specified (FF)."""
    if status in {0, _ANY}:
        return ""
    words = [word for bit, word in enumerate(_STATUS) if status >> bit & 1]
    words += ["daylight saving"] if status & _DAYLIGHT_SAVING else []
    return f" ({', '.join(words) or f'clock status {status:#04x}'})"
