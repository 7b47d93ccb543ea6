"""Stretches of time as policy files write them: `5s`, `30m`, `24h`, `7d`."""

import re
from datetime import timedelta

from smki.errors import Refused

_FORM = re.compile(r"([1-9][0-9]{0,4})([smhd])")
_UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_MINUTE = timedelta(minutes=1)


def read_stretch(text: str, source: str, *, least: timedelta = _MINUTE, most: timedelta = timedelta.max) -> timedelta:
    match = _FORM.fullmatch(text)
    if match is None:
        raise Refused(
            "policy.stretch", f"{source}: {text[:20]!r} is no stretch of time", "write one such as 30m, 24h or 7d"
        )
    found = int(match[1]) * _UNITS[match[2]]
    if found < least:
        raise Refused("policy.stretch", f"{source}: {text} is too short", f"give {_short(least)} at least")
    if found > most:
        raise Refused("policy.stretch", f"{source}: {text} is too long", f"give {_short(most)} at most")
    return found


def _short(stretch: timedelta) -> str:
    """In its largest whole unit."""
    unit = next(letter for letter in "dhms" if not stretch % _UNITS[letter])
    return f"{stretch // _UNITS[unit]}{unit}"
