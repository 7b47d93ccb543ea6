"""Files that people and their systems hand in: ceremonies, plans, thresholds, requests, batches, lists of homes."""

import base64
import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from scripts.fuzzing.certificates import KEY, signed
from scripts.fuzzing.target import NOW, Run, Target, folder, in_file, texts
from smki.errors import SmkiError
from smki.pki.public_key import spki_of
from tests.house import House, founded

if TYPE_CHECKING:
    from smki.parties.recovery.plan import Plan

_EUI, _SUPPLIER = "00-DB-12-34-56-78-90-A0", "90-B3-D5-1F-30-01-00-00"
_DIGEST = hashlib.sha256(b"x").hexdigest()


def _ceremony() -> Run:
    from smki.authority.ceremony.file import OfficersCeremony, read_ceremony
    from smki.authority.officers import read_officer

    def read(path: Path) -> None:
        plan = read_ceremony(path).plan
        if isinstance(plan, OfficersCeremony):
            for one in plan.officers:
                read_officer(one.name, one.public_key)

    return in_file(read, "ceremony.toml")()


def _ceremonies() -> Iterator[bytes]:
    from smki.authority.workspace import SHIPPED
    from tests.house import OFFICERS, roll

    yield roll(list(OFFICERS)).encode()
    yield from (path.read_bytes() for path in sorted((SHIPPED / "policies" / "ceremonies").glob("*.toml")))


def _approvals() -> Run:
    """Read and judged: whoever can put a file beside a ceremony can put this in."""
    from smki.authority.officers import Officer, judge, read_approval, read_approvals
    from smki.parties.recovery.approval import _time_fault
    from tests.house import OFFICERS

    roll = [Officer(name, key.public_key()) for name, key in OFFICERS.items()]
    path = folder() / "approved.toml.approvals"

    def run(octets: bytes) -> None:
        path.write_bytes(octets)
        found = read_approvals(path.with_name("approved.toml"))
        judge(found, roll, bytes(32), bytes(16))
        for one in found:
            assert read_approval(json.loads(json.dumps(one.as_json()))) == one, "written, and read otherwise"
            _time_fault(one, NOW, NOW)

    return run


def _some_approvals() -> Iterator[bytes]:
    from smki.authority.officers import approve
    from tests.house import OFFICERS

    given = [approve(name, key, bytes(32), bytes(16), NOW).as_json() for name, key in OFFICERS.items()]
    yield b"".join(json.dumps(one).encode() + b"\n" for one in given)


def _plan() -> Run:
    from smki.parties.recovery.file import der_of, devices_of, read_plan_file

    def read(path: Path) -> None:
        file = read_plan_file(path)
        for put in file.table.put:
            with suppress(SmkiError):
                der_of(put.certificate, "put")
        devices_of(file)

    return in_file(read, "plan.toml")()


def _plans() -> Iterator[bytes]:
    from tests.device.desk import own

    der = base64.b64encode(next(iter(own().values()))).decode()
    for kind, more in (
        ("recovery", f'method = "3"\n[signer]\ncertificate = "{der}"\ntoken = "recovery"\n'),
        ("contingency", ""),
    ):
        yield f"""kind = "{kind}"
purpose = "Replace a stolen key"
root = "oca-root"
path = ["{der}"]
at = 2026-11-22T09:00:00Z
floors = {{supplier = {{counter = 5, top_up = 6}}}}
put = [{{cell = "supplier digitalSignature", certificate = "{der}", where = "{_SUPPLIER}"}}]
{more}
[compromise]
what = "organisation signing key"
certificates = ["4A07BC01D9253B51FAF01F7EC7DA5B2F"]
notified_by = "North Supply"
notified_at = 2026-11-21T09:00:00Z
evidence = "Case 4711"
[decision]
by = "SMKI PMA"
at = 2026-11-21T10:00:00Z
reference = "Minute 12"
[devices]
file = "plan.toml"
sha256 = "{_DIGEST}"
count = 1
""".encode()


def _devices() -> Run:
    from smki.cli.ordering import _rows
    from smki.parties.recovery.file import read_device_list, read_devices

    in_a_file, rows = in_file(read_device_list)(), in_file(lambda path: list(_rows(path)))()

    def run(octets: bytes) -> None:
        for read in (rows, in_a_file):
            with suppress(SmkiError):
                read(octets)
        found = read_devices(octets, "input")
        written = b"".join(situation.line(device).encode() + b"\n" for device, situation in found)
        assert list(read_devices(written, "input")) == list(found), "written, and read otherwise"

    return run


def _progress() -> Run:
    from smki.parties.recovery.report import read_progress

    plan = cast("Plan", SimpleNamespace(file=SimpleNamespace(sha256=bytes(32))))
    return in_file(lambda path: read_progress(path, plan))()


_PROGRESS = json.dumps({
    "form": "smki-organisation-compromise-progress/1", "plan_sha256": "00" * 32, "compromised": "a key",
    "method": "3", "at": "2026-11-21T12:00:00Z", "started_at": "2026-11-21T11:00:00Z", "devices": 2,
    "commands": {"sent": 2}, "readings": {"recovered": 1}, "complete": False, "completed_at": "",
    "outstanding": [{"device": _EUI, "reading": "unknown"}],
})  # fmt: skip


def _thresholds() -> Run:
    from smki.parties.broker.threshold_file import read_thresholds
    from tests.device.desk import policies

    return lambda octets: read_thresholds(octets, policies().use_cases)


def _threshold_files() -> Iterator[bytes]:
    from smki.parties.broker.threshold_file import EXAMPLES

    spki = base64.b64encode(spki_of(KEY.public_key())).decode()
    since, until, week = (f"2026-11-{day}T00:00:00Z" for day in ("01", "30", "05"))
    for text in EXAMPLES.values():
        yield text.format(owner=_SUPPLIER, since=since, until=until, week=week).encode()
    own = EXAMPLES["own"].format(owner=_SUPPLIER, since=since, until=until, week=week)
    yield f'{own}\n[announcements]\nkeys = ["{spki}"]\n'.encode()
    value = 'form = "smki-broker-thresholds/1"\nowner = "global"\nserial = 1\nsince = 2026-10-01T00:00:00Z\n'
    value += 'until = 2026-12-01T00:00:00Z\n[[value]]\nname = "v"\nuse_cases = ["ECS17b"]\npath = "a/b"\nmost = 1.5\n'
    yield value.encode()


def _confirmation() -> Run:
    from smki.parties.broker.confirmation import read_confirmation

    def run(octets: bytes) -> None:
        found = read_confirmation(octets, 100)
        assert found.content() == octets, "read, and written otherwise"

    return run


_CONFIRMATION = f"""smki quarantine confirmation v1
workspace 0f1e2d3c4b5a69788796a5b4c3d2e1f0
decision release
officer Ann Ash
made-at 2026-11-21T10:00:00Z
reason ordered by Collections, ticket 4711
{_DIGEST} ECS43 Open the Load Switch in ESME, {_EUI}, counter 1000
"""


def _broker_requests() -> Run:
    """The file as its user signed it, and each line of it."""
    from smki.entity import RemotePartyRole
    from smki.parties.broker.parties import Parties
    from smki.parties.broker.requests import Requesting, read_requests
    from smki.pki.signed_data import make_signed_data
    from tests.device.desk import policies
    from tests.device.desk import signer as key_of
    from tests.parties.people import SUPPLIER, certificate

    parties = Parties(_user().workspace, ())
    one = certificate(key_of().public_key(), SUPPLIER, RemotePartyRole.SUPPLIER)
    requesting = Requesting.__new__(Requesting)
    requesting._use_cases = policies().use_cases

    def run(octets: bytes) -> None:
        data = make_signed_data(octets, one.certificate, key_of(), NOW, certificates=[one.octets])
        for line in read_requests(data, parties, 100).lines:
            requesting._read(line, SUPPLIER, "input")

    return run


@cache
def _user() -> House:
    """A user's workspace; it lives as long as the process."""
    from tests.parties.people import believe

    house = _LIVING.enter_context(founded(folder() / "user", lambda: NOW, None, "user"))
    believe(house.home)
    return house


_LIVING = ExitStack()


def _lists() -> Run:
    """A list from outside, into a workspace that believes its authority."""
    from smki.authority.lists import listings
    from smki.authority.lists_intake import take_in

    workspace = _user().workspace

    def run(octets: bytes) -> None:
        take_in(workspace, octets)
        list(listings(workspace))

    return run


def _some_lists() -> Iterator[bytes]:
    from tests.parties.lists import made_list

    yield made_list(0x43 << 120 | 5, number=3)
    yield made_list(0x43 << 120 | 6, number=4, base=3, compromised=NOW)


def _announcement() -> Run:
    """As it came; and signed, so that all of it is read."""
    from smki.parties.announcement import read_announcement
    from smki.store.note import sign_note

    spki = spki_of(KEY.public_key())

    def run(octets: bytes) -> None:
        with suppress(SmkiError):
            read_announcement(octets).signed_by(spki)
        text = octets.decode(errors="replace")
        read = read_announcement(octets)
        note = sign_note(str(read.originator), text, spki, lambda data: KEY.sign(data, ec.ECDSA(hashes.SHA256())))
        found = read_announcement(note.encode(errors="replace")).signed_by(spki)
        assert found is None or found.text() == text, "read, and written otherwise"

    return run


def _revocation() -> Run:
    from smki.authority.revocation.request import read_request, serials_in, write_request

    def run(octets: bytes) -> None:
        with suppress(SmkiError):
            serials_in(io.BytesIO(octets), 100)
        asked = read_request(signed(octets), 100)
        assert asked.made_at is not None
        written = write_request(asked, asked.made_at)
        assert replace(read_request(signed(written), 100), signed=None) == replace(asked, signed=None), "otherwise"

    return run


def _supplier_change() -> Run:
    from smki.parties.cos.request import Asked, Home, read_content, read_kept, write_cancel, write_change

    def run(octets: bytes) -> None:
        with suppress(SmkiError):
            read_kept(octets)
        found = read_content(octets)
        if not isinstance(found, Asked):
            written = write_cancel(found.supplier, found.made, found.request, sorted(found.references))
            assert replace(read_content(written), digest=b"") == replace(found, digest=b""), "read otherwise"
            return
        homes = [one for one in found.homes() if isinstance(one, Home)]
        if homes:
            written = write_change(found.supplier, found.made, found.certificates, found.floors, homes)
            again = read_content(written)
            assert isinstance(again, Asked)
            assert list(again.homes()) == homes, "written, and read otherwise"

    return run


def _changes() -> Iterator[bytes]:
    head = {
        "form": "smki change of supplier 1", "act": "change", "supplier": _SUPPLIER, "made": "2026-11-21T12:00:00Z",
        "certificates": dict.fromkeys(("digitalSignature", "keyAgreement", "prePaymentTopUp"), "AAAA"),
        "floors": {"commands": "0", "top_ups": "0"},
    }  # fmt: skip
    line = {"reference": "r1", "meter_point": "1900000777001", "devices": [_EUI], "at": "2026-12-01T00:00:00Z"}
    yield b"".join(json.dumps(one).encode() + b"\n" for one in (head, line, {**line, "reference": "r2"}))
    cancel = {name: head[name] for name in ("form", "supplier", "made")} | {"act": "cancel", "request": _DIGEST}
    yield b"".join(json.dumps(one).encode() + b"\n" for one in (cancel, {"reference": "r1"}))


_ANNOUNCEMENT = f"""smki-announcement/1
originator {_SUPPLIER}
number 1795262400
after 1795262100
at 2026-11-21T12:00:00Z
{_DIGEST}
"""
_REQUESTS = (
    json.dumps({"form": "smki-broker-requests/1", "user": _SUPPLIER})
    + "\n"
    + json.dumps({"use_case": "ECS17b", "target": _EUI, "counter": "5", "payload": "d920", "reference": "a"})
    + "\n"
)
_REVOCATION = """smki revocation request v1
requested-by authority:Ann Ash
reason key-compromise
made-at 2026-11-21T10:00:00Z
compromised-at 2026-11-21T08:30:00Z
evidence stolen from the office in Leeds, crime number 4711
4A07BC01D9253B51FAF01F7EC7DA5B2F
"""

TARGETS = {
    "ceremony": Target(_ceremony, _ceremonies),
    "approvals": Target(_approvals, _some_approvals),
    "plan": Target(_plan, _plans),
    "devices": Target(_devices, texts(f"{_EUI} ESME supplier={_SUPPLIER}\n00-DB-12-34-56-78-90-A1 GSME\n")),
    "progress": Target(_progress, texts(_PROGRESS)),
    "thresholds": Target(_thresholds, _threshold_files),
    "confirmation": Target(_confirmation, texts(_CONFIRMATION)),
    "announcement": Target(_announcement, texts(_ANNOUNCEMENT)),
    "lists": Target(_lists, _some_lists),
    "broker-requests": Target(_broker_requests, texts(_REQUESTS)),
    "revocation": Target(_revocation, texts(_REVOCATION)),
    "supplier-change": Target(_supplier_change, _changes),
}
