"""What people type: identities, numbers, times and words, as arguments and as fields of files."""

from collections.abc import Callable
from contextlib import suppress

import click

from scripts.fuzzing.target import NOW, Run, Target, in_file, texts
from smki.errors import SmkiError

_SEEDS = (
    *("90-B3-D5-1F-30-00-00-02", "90b3d51f30000002", "00-DB-12", "00-DB-12-34-56-78-90-A0..00-DB-12-34-56-78-90-AF"),
    *("1900000777001", "19 0000 0777 001", "3938424403", "4A07BC01D9253B51FAF01F7EC7DA5B2F", "supplier", "ESME"),
    *("2026-11-21T12:00:00Z", "2026-11-21", "2026-11-21T12:00:00+01:00", "90d", "24h", "30m", "0x0051", "ECS17b"),
    *("83FED3407A939723A5C639B26916D505C3B5", "supplier digitalSignature", "supplier=5/7", "supplier=0,0", "env:PIN"),
    *("supplier digitalSignature=a.pem@90-B3-D5-1F-30-00-00-02", "key-compromise", "in use", "authority:Ann Ash"),
    *(
        "commissioned",
        "ESME=00-DB-12-34-56-78-90-A0",
        "16",
        "18446744073709551615",
        "file:pins/audit",
        "stolen, case 7",
    ),
    *("1.2.826.0.1", "name(part, count; list[count & 15; element: u8?])", "73943333457189043313", "ab" * 32),
    "90-B3-D5-1F-30-00-00-02 0123456789ABCDEF 4A07BC01D9253B51FAF01F7EC7DA5B2F",
)


def _parsers() -> dict[str, Callable[[str], object]]:
    """Everything that takes a text and gives a value."""
    from smki.authority.certificates import _day, _days
    from smki.authority.estate import devices_intake, meter_points
    from smki.authority.revocation import request
    from smki.authority.stretch import read_stretch
    from smki.cli import bundle, cos, credentials, drafting, outcomes, render
    from smki.device.cells import CellName
    from smki.entity import DeviceType, RemotePartyRole
    from smki.gbcs.header import MessageCode
    from smki.gbcs.payload.shape import parse_shape
    from smki.gbcs.top_up import Utrn, read_top_up
    from smki.hsm.pin import PinSource
    from smki.parties.cos import request as cos_request
    from smki.pki.oid import parse_oid
    from smki.pki.path.constraints import _uri_host
    from smki.pki.reason import Reason
    from smki.pki.status import Status
    from smki.store.estate_records import DeviceStatus
    from tests.device.desk import policies
    from tests.parties.people import METER, SUPPLIER

    return {
        "role": RemotePartyRole.parse,
        "device type": DeviceType.parse,
        "message code": MessageCode.parse,
        "cell": CellName.parse,
        "reason": Reason.parse,
        "status": Status.parse,
        "device status": DeviceStatus.parse,
        "source of a PIN": PinSource.parse,
        "use case": policies().use_cases.find,
        "window": lambda text: read_stretch(text, "option"),
        "OID": lambda text: parse_oid(text, "option"),
        "shape": lambda text: parse_shape(text, "option"),
        "content of a cell": devices_intake.cell_content,
        "floor of a device": devices_intake._floor,
        "since": meter_points.moment,
        "day": _day,
        "last day": lambda text: _day(text, after=1),
        "days": _days,
        "time": render.moment_of,
        "time with a zone": lambda text: drafting.parse_time(text, "--at").astimezone(NOW.tzinfo),
        "put": drafting._put,
        "floor": drafting._floor,
        "floors": credentials._floors_of,
        "place": credentials._place,
        "pair": bundle._pair,
        "digest of a run": outcomes._digest,
        "request that is taken back": cos._digest_of,
        "moment": cos_request.moment,
        "counter": cos_request.counter,
        "asker": request.asker_of,
        "evidence": request.Evidence.given,
        "host of a name constraint": _uri_host,
        "top-up": lambda text: read_top_up(Utrn.typed(text), SUPPLIER, METER, 5),
    }


def _written() -> dict[str, tuple[Callable[[str], object], Callable[[object], str]]]:
    """Those with a form of their own: written and read again, they are the same."""
    from smki.entity import EntityId, EntityRange
    from smki.gbcs.install_code import InstallCode
    from smki.meter_point import MeterPoint
    from smki.pki.serial import Serial

    return {
        "EUI-64": (EntityId.parse, str),
        "range": (EntityRange.parse, str),
        "serial number": (Serial.parse, str),
        "meter point": (MeterPoint.parse, str),
        "install code": (InstallCode.parse, lambda code: code.printed.hex()),  # type: ignore[attr-defined]
    }


def _options() -> Run:
    parsers, written = _parsers(), _written()

    def run(octets: bytes) -> None:
        text = octets.decode(errors="surrogateescape")  # as Python reads arguments
        for read in parsers.values():
            with suppress(SmkiError, click.UsageError):
                read(text)
        for read, write in written.values():
            with suppress(SmkiError):
                value = read(text)
                assert read(write(value)) == value, "written, and read otherwise"

    return run


def _pin() -> Run:
    from smki.cli.secrets import read_passphrase
    from smki.cli.session import Session

    return in_file(lambda path: read_passphrase(Session(), f"file:{path}", "Passphrase"))()


TARGETS = {
    "options": Target(_options, texts(*_SEEDS), (SmkiError, click.UsageError)),
    "pin": Target(_pin, texts("1234", "1234\n", "é\r\n")),
}
