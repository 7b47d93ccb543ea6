"""What the payload of a command says, as far as the broker asks: pure. Most commands of a run say the same."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from re import compile as pattern

from smki.gbcs.message import Message
from smki.gbcs.use_case import UseCase
from smki.gbcs.words import Reading, Vocabulary, counter_agrees, read
from smki.parties.anomaly.seen import numbers
from smki.parties.signing_rules import of_operations
from smki.pki.verdict import Fault

_KEPT = 1024
_LARGEST = 4096  # octets of a payload whose reading is kept: a megabyte or two of memory at the most
_ACCESS_REQUEST = b"\xd9"
_COUNTER = slice(2, 5)  # of a DLMS payload: the low 24 bits of the message's counter
# A moment as `smki.gbcs.payload.dates` tells it. Meters in Great Britain leave the deviation out, and mean UTC.
_MOMENT = pattern(
    r"(\d{4})-(\d\d)-(\d\d)(?: [A-Z][a-z]+)?[T ](\d\d):(\d\d):(\d\d)(?:Z| UTC| \(([+-]\d+) minutes to UTC\))?"
)
# What only critical commands do: set or execute clocks, scripts, calendars, schedules, the switch, accounts,
# credits and charges; of gas meters tariffs, prices, payment modes, credit, the valve. Nobody asks for it unsigned.
_CRITICAL = pattern(
    r"(?:set|execute) class (?:8|9|20|22|70|111|112|113) "
    r"|cluster 0x0700 command 0x0[1459]$|cluster 0x0702 command 0x0[BDE]$|cluster 0x0705 command 0x0[56]$"
)
# What detectors count and bound by its use case, as they do the switch: balances (ECS04a, ECS04b, GCS40a to d),
# payment modes (ECS02, ECS03, GCS02, GCS03), the randomised offset (ECS38).
_COUNTED = (
    (pattern(r"execute class 112 \S+ 1$"), {0x001C}),
    (pattern(r"execute class 112 \S+ 2$"), {0x00B3}),
    (pattern(r"cluster 0x0705 command 0x05$"), {0x0086, 0x00B4, 0x00C0, 0x00C2}),
    (pattern(r"set class 111 \S+ 2$"), {0x001A, 0x001B}),
    (pattern(r"cluster 0x0705 command 0x06$"), {0x006C, 0x006D}),
    (pattern(r"set class 1 0-0:94\.44\.0\.1 2$"), {0x004B}),
)
_AT_ONCE = ("all zero (at once)", "0 (now)")
_CANCELS = ("(cancels)", "(cancel)")


@dataclass(frozen=True, slots=True)
class Content:
    """A payload in words, what is wrong with it, and when what it asks takes effect."""

    reading: Reading
    faults: tuple[Fault, ...]
    moments: tuple[datetime, ...]
    """None where it says none: then it takes effect at once."""
    at_once: bool
    """Whether it says so of a part of it, or cancels something, whatever it says of the rest."""
    numbers: tuple[tuple[str, float], ...]
    """Those of its values that a detector asks for."""


class Contents:
    """Readings of payloads, kept for the commands of a run that say the same to others."""

    def __init__(
        self, vocabulary: Vocabulary, execution_paths: frozenset[str], asked: Callable[[int], frozenset[str]]
    ) -> None:
        self._vocabulary = vocabulary
        self._paths = execution_paths
        self._asked = asked
        self._kept: OrderedDict[tuple[int, bytes], Content] = OrderedDict()

    def forget(self) -> None:
        """Other numbers are asked for from now on."""
        self._kept.clear()

    def of(self, message: Message) -> Content:
        payload, code = message.payload, message.header.code
        dlms = payload.startswith(_ACCESS_REQUEST) and len(payload) > _COUNTER.stop
        key = code, payload[: _COUNTER.start] + payload[_COUNTER.stop :] if dlms else payload
        content = self._kept.get(key)
        if content is None:
            content = self._read(message)
            if len(payload) <= _LARGEST:
                self._kept[key] = content
                if len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
        if content.reading.fault is None and not self._repeats_counter(content, message, dlms):
            return replace(content, faults=(*content.faults, _OTHER_COUNTER))
        return content

    def _repeats_counter(self, content: Content, message: Message, dlms: bool) -> bool:
        if dlms:
            return message.payload[_COUNTER] == message.header.counter.to_bytes(8)[-3:]
        return content.reading.kind != "asn1" or counter_agrees(replace(content.reading, message=message))

    def _read(self, message: Message) -> Content:
        reading = read(message, self._vocabulary)
        moments: tuple[datetime, ...] = ()
        at_once = False
        faults = tuple(_of_form(reading))
        if reading.use_case is not None and reading.use_case.critical:
            found = [_moment(text) for text in self._when(reading)]
            moments = tuple(sorted({item for item in found if isinstance(item, datetime)}))
            at_once = None in found
            faults += tuple(dict.fromkeys(item for item in found if isinstance(item, Fault)))
        asked = self._asked(int(message.header.code))
        told = numbers(reading.values, asked) if asked else ()
        return Content(reading, faults, moments, at_once, told)

    def _when(self, reading: Reading) -> Iterator[str]:
        for path, value in reading.values.items():
            if path.rpartition(" / ")[2].rpartition(": ")[2] in self._paths:
                yield value


_OTHER_COUNTER = Fault(
    "broker.payload-counter", "its payload repeats another counter than its header has", "ask for it again"
)


def _of_form(reading: Reading) -> Iterator[Fault]:
    if reading.fault is not None:
        yield Fault("broker.payload", reading.fault.message, "send nothing that cannot be read")
    elif reading.payload.encrypted:
        yield Fault("broker.payload", "part of it is encrypted", "commands hide nothing: ask for it again")
    elif (reading.kind != "asn1" and not reading.operations) or not reading.payload.nodes:
        yield Fault("broker.payload", "its payload asks nothing of a device", "ask for the command again")
    elif reading.use_case is not None:
        # Rules count use cases: nobody opens a switch under another one's name.
        yield from of_operations(reading, "broker")
        yield from _of_others(reading, reading.use_case)


def _of_others(reading: Reading, row: UseCase) -> Iterator[Fault]:
    """Nor does anybody anything else that is counted, or critical, under one that is not."""
    for one in reading.operations:
        counted = any(kind.match(one.what) and int(row.code) not in codes for kind, codes in _COUNTED)
        if counted or (not row.critical and _CRITICAL.match(one.what)):
            told = f"{one.what} is not {row.label}"
            yield Fault("broker.operation", told, "have it signed under its own use case")


def _moment(text: str) -> datetime | Fault | None:
    """When something takes effect; None: at once, as what it cancels is cancelled."""
    if text in _AT_ONCE or text.endswith(_CANCELS):
        return None
    found = _MOMENT.fullmatch(text)
    if found is not None:
        *fields, minutes = found.groups()
        try:
            year, month, day, hour, minute, second = (int(field) for field in fields)
            local = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
            return local - timedelta(minutes=int(minutes or 0))
        except (ValueError, OverflowError):
            pass
    return Fault(
        "broker.execution-date", f"when it takes effect is not one moment: {text[:60]}", "name one date and time"
    )
