"""How counts and times are written, for people and in files: one way each."""

from datetime import UTC, datetime

MOMENT = "%Y-%m-%dT%H:%M:%SZ"
"""Of a time in UTC (RFC 3339, by the second)."""


def counted(count: int, one: str, several: str = "") -> str:
    """`1 request`, `2 requests`; the plural is said where an s does not make it."""
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"


def utc(moment: datetime) -> str:
    naive = moment.astimezone(UTC).replace(tzinfo=None)
    return f"{naive.isoformat(timespec='seconds')}Z"  # strftime writes the year 5 as one digit
