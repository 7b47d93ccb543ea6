"""One entry of the log: its only form, and what may stand in it. Pure.

The hashes cover these octets, and a stranger reads them: so no number that another reader would round (RFC 7493 2.2),
nothing that is not JSON, and no two ways to write the same entry.
"""

import json
from datetime import datetime
from functools import lru_cache
from typing import Any

from smki.errors import InvalidInput
from smki.store.records import Act
from smki.words import utc

MAX_ENTRY_OCTETS = 1 << 16
MAX_NUMBER = (1 << 53) - 1
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def entry_body(seq: int, act: Act) -> bytes:
    """JSON with sorted keys and no spaces."""
    _refuse_unfit(act.facts, "facts")
    fields = {
        "v": 1,
        "seq": seq,
        "time": _moment(act.at),
        "act": act.kind,
        "actor": act.actor,
        "facts": act.facts,
    }
    try:
        body = canonical(fields)
    except UnicodeEncodeError:  # half a character: what Python makes of a file name that is not UTF-8
        raise InvalidInput("audit.text", "an audit entry holds text that is not Unicode", "rename the file") from None
    if len(body) > MAX_ENTRY_OCTETS:
        raise InvalidInput("audit.size", f"an audit entry of {len(body)} octets", "do less in one act")
    return body


@lru_cache(maxsize=64)
def _moment(at: datetime) -> str:
    """Thousands of entries of one act have one time."""
    return utc(at)


def canonical(fields: Any) -> bytes:
    return _CANONICAL(fields).encode()


def _refuse_unfit(value: object, place: str) -> None:
    if type(value) is str:
        return
    match value:
        case bool() | str():
            return
        case int() if abs(value) <= MAX_NUMBER:
            return
        case list() | tuple():
            for item in value:
                _refuse_unfit(item, place)
            return
        case dict() if all(isinstance(key, str) for key in value):
            for key, item in value.items():
                _refuse_unfit(item, f"{place}.{key}")
            return
    raise InvalidInput(
        "audit.fact", f"{place} is of a kind that no audit entry holds ({type(value).__name__})", "report this"
    )
