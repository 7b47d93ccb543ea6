"""What is handed in by the thousand: rows, homes, lines between commands, batches of requests."""

import base64
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from scripts.fuzzing.certificates import KEY, signer
from scripts.fuzzing.target import Run, Target, folder, in_file, texts
from smki.errors import SmkiError

_EUI, _SUPPLIER = "00-DB-12-34-56-78-90-A0", "90-B3-D5-1F-30-01-00-00"


def _rows() -> Run:
    """Rows of registration data, of the inventory, of homes: CSV or lines of JSON."""
    from smki.authority.estate import devices_intake, meter_points
    from smki.authority.estate.devices_intake import Row
    from smki.authority.estate.intake import Columns, Fields, Place, Report, Spool, take_in
    from smki.meter_point import MeterPoint
    from smki.parties.cos import incoming
    from tests.device.desk import policies

    workspace = cast("Any", SimpleNamespace(policies=policies()))

    def device(fields: Fields, place: Place) -> None:
        row = Row.parse(fields, *place, MeterPoint.parse)
        spool = Spool(io.BytesIO())
        spool.add(row.pack(fields))
        ((packed,),) = spool.chunks()
        assert Row.unpack(tuple(packed)) == row, "packed, and unpacked otherwise"

    def registration(fields: Fields, _place: Place) -> None:
        MeterPoint.parse(fields["meter_point"])
        meter_points.moment(fields["since"]).timestamp()

    def home(fields: Fields, _place: Place) -> None:
        incoming.one_home(workspace, fields, None)

    kinds: tuple[tuple[Columns, Callable[[Fields, Place], None]], ...] = (
        (devices_intake.COLUMNS, device),
        (meter_points.COLUMNS, registration),
        (incoming.COLUMNS, home),
    )

    def read(path: Path) -> None:
        for columns, parse in kinds:
            with suppress(SmkiError):
                take_in([path], columns, 100, Report(), parse)

    return in_file(read)()


_CELL = f"{_SUPPLIER} 0123456789ABCDEF"
_ROWS = texts(
    "device,type,status,meter_point,supplier digitalSignature,supplier counter\n"
    f"{_EUI},ESME,commissioned,1900000777001,{_CELL},5\n",
    json.dumps({"device": _EUI, "type": "ESME", "status": "commissioned", "meter_point": "-"}) + "\n",
    f"meter_point,supplier,network_operator,since\n1900000777001,{_SUPPLIER},,2026-11-21\n",
    f"reference,meter_point,devices,at\nr1,1900000777001,{_EUI},2026-12-01T00:00:00Z\n",
)


def _home() -> Run:
    from smki.parties.han_plan import home_of, plan, read_home
    from tests.device.desk import policies

    in_a_file = in_file(read_home)()

    def run(octets: bytes) -> None:
        with suppress(SmkiError):
            in_a_file(octets)
        plan(home_of(octets, "input"), policies())

    return run


_HOME = 'name = "12 Acacia Avenue"\n' + "".join(
    f'[[device]]\nkind = "{kind}"\nid = "00-DB-12-34-56-78-90-A{n}"\n'
    for n, kind in enumerate(("CHF", "ESME", "GPF", "GSME", "PPMID", "HCALCS", "IHD", "CAD"))
)


def _lines() -> Run:
    """What commands hand to each other: findings of an audit, what was asked for, what was issued."""
    from smki.cli.findings import read_findings
    from smki.parties.expectation import read_expectations
    from smki.parties.issued import certificates_issued

    def read(path: Path) -> None:
        with suppress(SmkiError):
            read_expectations(path)
        with suppress(SmkiError):
            list(certificates_issued(path))
        list(read_findings(path))

    return in_file(read)()


_LINES = texts(
    json.dumps(
        {"use_case": "ECS44", "target": _EUI, "counter": "5", "values": {"a/b": "1"}, "originator": _SUPPLIER}
    ),
    json.dumps([{"use_case": "ECS44", "target": _EUI, "counter": "5", "values": {}}]),
    json.dumps({"reference": "1", "result": "issued", "certificate": "AAAA"}) + "\n{}\n",
    json.dumps({"device": _EUI, "meter_point": "1900000777001", "holds": _EUI, "should_hold": _SUPPLIER, "mend": "x"})
    + "\n",
)


def _batch() -> Run:
    """Requests for certificates as they come: DER, PEM, JSON lines, zip, tar."""
    from smki.authority.issuance.intake import take_in

    def run(octets: bytes) -> None:
        with take_in(None, io.BytesIO(octets), folder(), 1000) as intake:
            again = list(intake)
        assert len(again) == intake.count, "spooled, and lost"

    return run


def _batches() -> Iterator[bytes]:
    from cryptography.hazmat.primitives.serialization import Encoding

    from smki.entity import EntityId, KeyUsage
    from smki.pki.device_request import device_request
    from smki.pki.kind import Kind
    from tests.device.desk import policies

    profile = policies().issuance.rule(Kind.DEVICE).profile
    der = device_request(profile, EntityId.parse(_EUI), KeyUsage.KEY_AGREEMENT, KEY)
    text = base64.encodebytes(der).decode()
    pem = f"-----BEGIN CERTIFICATE REQUEST-----\n{text}-----END CERTIFICATE REQUEST-----\n".encode()
    yield from (der, pem * 2)
    yield json.dumps({"request": base64.b64encode(der).decode(), "reference": "a"}).encode() + b"\n"
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            archive.writestr(zipfile.ZipInfo("a.csr", (2026, 1, 1, 0, 0, 0)), der, method)
            archive.writestr(zipfile.ZipInfo("b/c.pem", (2026, 1, 1, 0, 0, 0)), pem, method)
        yield file.getvalue()
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=form) as archive:
            for name, data in (("a.csr", der), ("é" * 120, pem)):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        yield file.getvalue()[:8192]
    yield signer().public_bytes(Encoding.PEM)


TARGETS = {
    "rows": Target(_rows, _ROWS),
    "home": Target(_home, texts(_HOME)),
    "lines": Target(_lines, _LINES),
    "batch": Target(_batch, _batches),
}
