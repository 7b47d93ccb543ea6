"""Validity periods as this system writes them, and the two forms a date can take in a certificate."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum

from smki.errors import InvalidInput

FIRST_GENERALIZED_YEAR = 2050  # RFC 5280 4.1.2.5
NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # no well-defined expiry: RFC 5280 4.1.2.5


class TimeForm(Enum):
    """UTCTime up to 2049, GeneralizedTime from 2050: each has one length."""

    UTC = "%y%m%d%H%M%SZ"
    GENERALIZED = "%Y%m%d%H%M%SZ"

    @classmethod
    def of(cls, moment: datetime) -> "TimeForm":
        return cls.UTC if moment.year < FIRST_GENERALIZED_YEAR else cls.GENERALIZED

    def encode(self, moment: datetime) -> bytes:
        """The content octets."""
        text = moment.astimezone(UTC).strftime(self.value)
        # strftime does not pad years below 1000 on every platform; certificates begin at 1950
        return text.encode("ascii")


@dataclass(frozen=True, slots=True)
class Validity:
    """From when until when, to the second, both inclusive."""

    not_before: datetime
    not_after: datetime

    def __post_init__(self) -> None:
        for moment in (self.not_before, self.not_after):
            if moment.tzinfo is None or moment.microsecond or moment.year < 1950:
                raise InvalidInput(
                    "validity.moment",
                    f"{moment.isoformat()} cannot stand in a certificate",
                    "give UTC, whole seconds",
                )
        if self.not_after <= self.not_before:
            raise InvalidInput(
                "validity.order", f"validity would end {self.not_after} before it begins", "give a later end"
            )

    @classmethod
    def years(cls, start: date, years: int) -> "Validity":
        """From midnight of `start` to the last second of the day before its anniversary."""
        try:
            anniversary = start.replace(year=start.year + years)
        except ValueError:
            if start.year + years > NEVER.year:
                raise InvalidInput("validity.years", f"{years} years reach past 9999", "ask for fewer") from None
            anniversary = date(start.year + years, 3, 1)  # from a 29 February to a year that has none
        begin = datetime.combine(start, time(), UTC)
        return cls(begin, datetime.combine(anniversary, time(), UTC) - timedelta(seconds=1))

    @classmethod
    def without_end(cls, start: datetime) -> "Validity":
        """Of a device: there is no well-defined end (GBCS 12)."""
        return cls(start, NEVER)

    @property
    def forms(self) -> tuple[TimeForm, TimeForm]:
        return TimeForm.of(self.not_before), TimeForm.of(self.not_after)
