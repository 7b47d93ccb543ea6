"""What the commands that make commands about credentials share: for which devices, with which counters, where to."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from smki.cli.options import EXISTING, FILE, FILE_OR_PIPE, F, with_options
from smki.cli.reading import vocabulary_of
from smki.cli.render import complain, summary
from smki.cli.results import exit_code, output, progress
from smki.cli.session import Session
from smki.errors import InvalidInput
from smki.words import counted

if TYPE_CHECKING:
    from smki.entity import DeviceType, EntityId
    from smki.gbcs.message import Message
    from smki.pki.verdict import Fault

MOST_DEVICES = 1_000_000
_MAX_FILE_OCTETS = 1 << 26
_SHOWN = 20  # different faults; more are counted

originator_option = click.option("--originator", required=True, metavar="EUI-64", help="Who signs it.")
out_options = (
    click.option(
        "--out",
        type=FILE_OR_PIPE,
        help="Write the pre-commands to this new file, a line of JSON each; default: print.",
    ),
    click.option(
        "--expect-out",
        type=FILE,
        help="Write what `smki message sign --expect` compares them with.",
    ),
)
counter_options = (
    click.option("--counter", type=click.IntRange(0), help="The counter of a command for one device."),
    click.option("--first-counter", type=click.IntRange(0), help="Of many, the first; each next has one more."),
)
device_options = (
    click.option("--device", "devices", multiple=True, metavar="EUI-64", help="A device; repeat it."),
    click.option(
        "--devices",
        "device_file",
        type=EXISTING,
        help="Or a file of them, one a line; after a blank or comma its kind, if it is not the same for all.",
    ),
    click.option("--kind", metavar="KIND", help="What kind of device: ESME, GSME, CHF ... Default: the inventory's."),
)


def options(*groups: Iterable[Callable[[F], F]]) -> Callable[[F], F]:
    """Several groups of options on one command."""

    def decorate(function: F) -> F:
        return with_options(function, *(option for group in groups for option in group))

    return decorate


@dataclass(frozen=True, slots=True)
class Target:
    """One device, and the counter of the command that it gets."""

    device: "EntityId"
    kind: "DeviceType | None"
    counter: int


@dataclass(frozen=True, slots=True)
class Line:
    """One command that was made, or was not."""

    message: "Message | None"
    order: bytes
    before: bool
    device: "EntityId"
    faults: "tuple[Fault, ...]"
    same: Hashable


def targets(
    devices: tuple[str, ...],
    device_file: Path | None,
    kind: str | None,
    counter: int | None,
    first_counter: int | None,
    found: Sequence["EntityId"] | None = None,
) -> list[Target]:
    """Every device that is named, or was found by an audit, each with its counter."""
    from smki.entity import DeviceType, EntityId

    if sum((bool(devices), device_file is not None, found is not None)) != 1:
        raise click.UsageError("Name devices: --device EUI-64, repeated, --devices FILE, or --findings FILE.")
    named = devices if found is None else tuple(str(one) for one in found)
    rows = [(text, None) for text in named] if device_file is None else list(_rows(device_file))
    for_all = None if kind is None else DeviceType.parse(kind)
    first = _first_counter(counter, first_counter, len(rows))
    wanted = [
        Target(EntityId.parse(text), for_all if word is None else DeviceType.parse(word), first + place)
        for place, (text, word) in enumerate(rows)
    ]
    if len({one.device for one in wanted}) != len(wanted):
        raise InvalidInput("credentials.device-twice", "a device is named twice", "name each once")
    return wanted


def _first_counter(counter: int | None, first_counter: int | None, count: int) -> int:
    """A key signs with counters that go up: one counter serves one command."""
    if (counter is None) == (first_counter is None):
        raise click.UsageError("Number them: either --counter N for one device, or --first-counter N.")
    if counter is not None and count > 1:
        raise click.UsageError("One counter serves one device: give --first-counter N for many.")
    return counter if counter is not None else first_counter or 0


def _rows(path: Path) -> Iterator[tuple[str, str | None]]:
    from smki.authority.safe_files import read_bounded

    data = read_bounded(path, _MAX_FILE_OCTETS, "credentials", "split it")
    if data.count(b"\n") > MOST_DEVICES:
        raise InvalidInput("credentials.devices", f"{path} names more than {MOST_DEVICES} devices", "split it")
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        parts = [] if line.lstrip().startswith("#") else line.replace(",", " ").split()
        if len(parts) > 2:
            raise InvalidInput(
                "credentials.devices", f"{path} line {number} is no device", "write an EUI-64, and its kind"
            )
        if parts:
            yield parts[0], parts[1] if len(parts) == 2 else None


# Where they go


def hand_out(session: Session, lines: Iterable[Line], total: int, out: Path | None, expect_out: Path | None) -> int:
    """Write what was made, tell what was not, and give the exit code."""
    from msgspec.json import encode

    from smki.parties.expecting import Expecting

    counts = {"made": 0, "made before": 0, "not made": 0}
    faults: dict[tuple[str, str], list[Any]] = {}
    with ExitStack() as stack, progress(total) as advance:
        file = stack.enter_context(output(out))
        expected: IO[bytes] | None = None if expect_out is None else stack.enter_context(output(expect_out))
        expecting = None if expected is None else Expecting(vocabulary_of(session))
        for line in lines:
            advance()
            if line.message is None:
                counts["not made"] += 1
                _count(faults, line)
                continue
            result = "made before" if line.before else "made"
            counts[result] += 1
            told = {
                "reference": f"{line.device} {line.message.header.counter}",
                "result": result,
                "order": line.order.hex(),
                "message": line.message.encode().hex(),
            }
            file.write(encode(told) + b"\n")
            if expected is not None and expecting is not None:
                expected.write(encode(expecting.of(line.message, line.same)) + b"\n")
    _tell(counts, faults)
    return exit_code(counts["made"] + counts["made before"], counts["not made"])


def _count(faults: dict[tuple[str, str], list[Any]], line: Line) -> None:
    for fault in line.faults:
        faults.setdefault((fault.code, fault.message), [fault, 0, line.device])[1] += 1


def _tell(counts: dict[str, int], faults: dict[tuple[str, str], list[Any]]) -> None:
    for fault, count, device in list(faults.values())[:_SHOWN]:
        who = f"{device}" if count == 1 else f"{device} and {count - 1} more"
        complain(fault, f"{who}: ")
    if len(faults) > _SHOWN:
        click.echo(f"and {counted(len(faults) - _SHOWN, 'other fault')}", err=True)
    click.echo(summary(sum(counts.values()), "command", counts), err=True)
