"""The commands about the estate as a person types them; what a device says is signed by a key of its own."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.hierarchy import pem
from smki.device.cells import CellName
from smki.device.modes import cell_usage, key_usage_bits
from smki.entity import EntityId, RemotePartyRole
from smki.gbcs.header import Cra, Header, MessageCode
from smki.gbcs.message import Message
from smki.gbcs.payload.credentials import CellContents, DetailsResponse, RoleDetails, StatusCode
from smki.gbcs.payload.declared import enumerated, write_declared
from smki.gbcs.protection import sign
from smki.pki.kind import Kind
from tests.authority.desk import DEVICE, Desk, new_key, organisation_csr
from tests.authority.estate.people import (
    DS,
    KA,
    KEY,
    NORTH,
    SOUTH,
    TOP_UP,
    as_csv,
    as_lines,
    enrol_all,
    meter,
    registration,
)
from tests.cli.typing_hand import Type, typing_in
from tests.house import NOW, House

SUPPLIER_CELLS = (DS, KA, TOP_UP)


@pytest.fixture
def key() -> ec.EllipticCurvePrivateKey:
    return new_key()


@pytest.fixture
def smki(
    standing: House,
    key: ec.EllipticCurvePrivateKey,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Type:
    """A workspace with those who are registered, and a certificate for the device's key."""
    enrol_all(standing.workspace)
    desk = Desk(standing)
    (outcome,) = desk.issue(desk.order(), desk.device_csr(key=key))
    assert outcome.certificate is not None, outcome.faults
    standing.workspace.close()
    monkeypatch.chdir(tmp_path)
    typed = typing_in(standing.home, capsys, monkeypatch)
    assert typed("cert", "status", str(outcome.certificate.serial), "--to", "in-use")[0] == 0
    return typed


def read(printed: tuple[int, str, str], code: int = 0) -> Any:
    assert printed[0] == code, printed
    return json.loads(printed[1])


def answer(
    key: ec.EllipticCurvePrivateKey, cells: dict[CellName, tuple[EntityId, str]], device: EntityId = DEVICE
) -> str:
    """What a device says to CS02a about its supplier's cells, as hexadecimal."""
    contents = [
        CellContents(
            key_usage=key_usage_bits(name.use),
            cell_usage=cell_usage(name.use),
            subject_unique_id=holds.octets,
            subject_key_identifier=bytes.fromhex(identifier),
        )
        for name, (holds, identifier) in cells.items()
    ]
    status = enumerated(StatusCode.SUCCESS if cells else StatusCode.TRUST_ANCHOR_NOT_FOUND)
    role = RoleDetails(
        role=RemotePartyRole.SUPPLIER,
        status_code=status,
        current_counter=7 if cells else None,
        cells=contents or None,
    )
    header = Header(Cra.RESPONSE, 1, device, NORTH, MessageCode(0x0008))
    return sign(Message(header, write_declared(DetailsResponse(payload=[role]))), key).encode().hex()


def test_a_meter_point_and_what_stands_behind_it(smki: Type, tmp_path: Path) -> None:
    as_csv(tmp_path / "r.csv", [registration(), registration("2099-01-01", SOUTH)])
    as_lines(tmp_path / "d.jsonl", [{**meter(1), "device": str(DEVICE)}])
    assert read(smki("registration", "import", "r.csv", "--json"))["added"] == 2
    assert read(smki("inventory", "import", "d.jsonl", "--json"))["added"] == 1
    told = read(smki("registration", "show", "13 1234 5678 907", "--json"))
    assert told["registered"]["supplier"]["organisation"] == "North Supply"
    assert [item["state"] for item in told["registrations"]] == ["present", "pending"]
    assert [item["device"] for item in told["devices"]] == [str(DEVICE)]
    told = read(smki("registration", "show", "1312345678907", "--at", "2099-01-02", "--json"))
    assert told["registered"]["supplier"]["organisation"] == "South Supply"
    assert read(smki("registration", "show", "3938424403", "--json"), 1)["registered"] is None
    assert smki("registration", "show", "3938424404")[0] == 2
    assert "present" in smki("registration", "show", "1312345678907")[1]
    told = read(smki("inventory", "show", str(DEVICE), "--json"))
    assert [item["usage"] for item in told["certificates"]] == ["digitalSignature"]
    assert told["cells"][str(DS)]["key_identifier"] == KEY
    assert "never" in smki("inventory", "show", str(DEVICE))[1]


def test_wrong_lines_are_told_and_nothing_is_taken(smki: Type, tmp_path: Path) -> None:
    as_csv(tmp_path / "r.csv", [registration(), registration("yesterday")])
    code, printed, said = smki("registration", "import", "r.csv")
    assert (code, "registration.since" in printed, "[intake.wrong-lines]" in said) == (2, True, True)
    told = read(smki("registration", "import", "r.csv", "--json"), 2)
    assert (told["added"], told["wrong_count"]) == (0, 1)
    assert told["wrong"] == [
        {"file": "r.csv", "line": 3, "code": "registration.since", "message": "'yesterday' is no time"}
    ]


def test_a_list_goes_on_where_it_ended(smki: Type, tmp_path: Path) -> None:
    as_lines(tmp_path / "d.jsonl", [meter(n, SOUTH if n == 3 else NORTH) for n in range(1, 6)])
    smki("inventory", "import", "d.jsonl")
    lines = [json.loads(line) for line in smki("inventory", "list", "--json", "--limit", "2")[1].splitlines()]
    assert [line["device"][-2:] for line in lines] == ["01", "02"]
    code, printed, _ = smki("inventory", "list", "--after", lines[-1]["device"])
    assert (code, [line.split()[0][-2:] for line in printed.splitlines()]) == (0, ["03", "04", "05"])
    assert smki("inventory", "list", "--supplier", str(SOUTH), "--type", "ESME")[1].count("\n") == 1
    assert smki("inventory", "list", "--status", "withdrawn")[:2] == (1, "")
    assert smki("inventory", "status", lines[0]["device"], "--reason", "x")[0] == 2  # says no change


def now_read() -> list[str]:
    """An operator's word of when an answer from elsewhere was read."""
    return ["--at", f"{NOW:%Y-%m-%dT%H:%M:%SZ}"]


def test_a_device_proves_what_is_in_its_cells(smki: Type, key: ec.EllipticCurvePrivateKey, tmp_path: Path) -> None:
    as_lines(tmp_path / "d.jsonl", [{**meter(1), "device": str(DEVICE)}])
    smki("inventory", "import", "d.jsonl")
    good = dict.fromkeys(SUPPLIER_CELLS, (NORTH, KEY))
    (tmp_path / "good").write_text(answer(key, good))
    (told,) = read(smki("inventory", "proven", "good", "--json"), 3)["responses"]
    assert told["fault"]["code"] == "read-back.time"
    (told,) = read(smki("inventory", "proven", "good", *now_read(), "--json"))["responses"]
    assert (told["device"], told["differences"], told["fault"]) == (str(DEVICE), [], None)
    assert "as believed" in smki("inventory", "proven", "good", *now_read())[1]
    shown = read(smki("inventory", "show", str(DEVICE), "--json"))
    assert shown["proven_at"].endswith("Z")
    assert {name for name, cell in shown["cells"].items() if cell["proven_at"]} == {str(n) for n in SUPPLIER_CELLS}
    (tmp_path / "other").write_text(answer(key, {**good, DS: (SOUTH, "00" * 8)}))
    (told,) = read(smki("inventory", "proven", "other", *now_read(), "--json"), 1)["responses"]
    assert told["differences"] == [
        {"cell": str(DS), "believed": f"{NORTH} {KEY}", "read": f"{SOUTH} {'00' * 8}"},
    ]
    assert read(smki("inventory", "cells", str(DEVICE), "--json"))["cells"][str(DS)]["holds"] == str(SOUTH)


@pytest.mark.requirement("R-E2E-4")
def test_what_anybody_could_have_said_is_not_taken(
    smki: Type, key: ec.EllipticCurvePrivateKey, tmp_path: Path
) -> None:
    as_lines(tmp_path / "d.jsonl", [{**meter(1), "device": str(DEVICE)}])
    smki("inventory", "import", "d.jsonl")
    good = dict.fromkeys(SUPPLIER_CELLS, (NORTH, KEY))
    stranger = EntityId.parse("00-DB-12-00-00-00-00-99")
    for octets, code in (
        (answer(new_key(), good), "read-back.unproven"),
        (answer(key, good, stranger), "read-back.unproven"),
        (answer(key, {}), "read-back.nothing"),
        ("00", "gbcs.form"),
    ):
        (tmp_path / "said").write_text(octets)
        told = read(smki("inventory", "proven", "said", *now_read(), "--json"), 3)["responses"]
        assert [item["fault"]["code"] for item in told] == [code]
    assert read(smki("inventory", "show", str(DEVICE), "--json"))["proof"] is None


def test_a_certificate_that_somebody_else_put_there_is_written_down(
    smki: Type, standing: House, tmp_path: Path
) -> None:
    desk = Desk(standing)
    order = desk.order(Kind.ORGANISATION, "North Supply")
    (outcome,) = desk.issue(order, organisation_csr(entity=NORTH))
    assert outcome.certificate is not None, outcome.faults
    standing.workspace.close()
    (tmp_path / "north.pem").write_bytes(pem(outcome.certificate.der))
    smki("inventory", "add", str(DEVICE), "--type", "ESME")
    assert smki("inventory", "cells", str(DEVICE), "--put", str(DS), "north.pem")[0] == 2  # no reason
    why = ["--reason", "handed over on paper"]
    cells = read(smki("inventory", "cells", str(DEVICE), "--put", str(DS), "north.pem", *why, "--json"))["cells"]
    assert (cells[str(DS)]["holds"], cells[str(DS)]["serial"]) == (str(NORTH), str(outcome.certificate.serial))
    assert cells[str(DS)]["by"] == "inventory.believed"
    for name, file, code in ((str(KA), "north.pem", 2), (str(DS), "none", 2), ("supplier x", "north.pem", 2)):
        assert smki("inventory", "cells", str(DEVICE), "--put", name, file, *why)[0] == code


def test_the_audit_says_what_is_wrong_and_what_mends_it(smki: Type, tmp_path: Path) -> None:
    as_csv(tmp_path / "r.csv", [registration()])
    as_lines(tmp_path / "d.jsonl", [meter(1), meter(2, SOUTH)])
    smki("registration", "import", "r.csv")
    assert (smki("inventory", "audit")[0], smki("inventory", "audit", "--json")[1]) == (0, "")
    smki("inventory", "import", "d.jsonl")
    code, printed, _ = smki("inventory", "audit", "--out", "f.jsonl")
    assert (code, printed.splitlines()[0]) == (1, "2 devices: 5 findings")
    findings = [json.loads(line) for line in (tmp_path / "f.jsonl").read_text().splitlines()]
    assert [item["code"] for item in findings if item["mend"] == "supplierByTransCoS"] == ["cell.wrong-supplier"] * 3
    assert smki("inventory", "audit", "--out", "f.jsonl")[0] == 3  # never over what is there
    code, printed, _ = smki("inventory", "audit", "--json", "--at", "2025-01-01")
    assert [json.loads(line)["code"] for line in printed.splitlines()].count("meter-point.not-registered") == 2
