"""`smki credentials` as a person types it."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.device.modes import MODES_BY_WORD, SUPPLIER_CELLS
from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.gbcs.message import read_message
from tests.cli.typing_hand import Type, typing_in
from tests.device.desk import own
from tests.house import founded
from tests.parties.changing import Meter
from tests.parties.people import METER, SUPPLIER, believe, certificate

FILES = ("ds", "ka", "topup")
OTHERS = "00-DB-12-34-56-78-90-A1\n# a comment\n\n00-DB-12-34-56-78-90-A2, ESME\n"


@pytest.fixture
def smki(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Type:
    """A user's workspace, three new certificates, the meter's, and a list of meters."""
    with founded(tmp_path / "user", kind="user") as house:
        believe(house.home)
        house.workspace.open_token("keys").generate_key("ds", b"k" * 16, "sign")
        mine = house.workspace.open_token("keys").find_key(label="ds").public_key()
    for name, cell in zip(FILES, SUPPLIER_CELLS, strict=True):
        assert cell.use.key_usage is not None
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        one = certificate(key, SUPPLIER, RemotePartyRole.SUPPLIER, cell.use.key_usage)
        (tmp_path / f"{name}.pem").write_bytes(one.certificate.public_bytes(Encoding.PEM))
    now = certificate(mine, SUPPLIER, RemotePartyRole.SUPPLIER, KeyUsage.DIGITAL_SIGNATURE)
    (tmp_path / "now.pem").write_bytes(now.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "meters").mkdir()
    for usage, der in own().items():
        (tmp_path / "meters" / f"{usage.value}.der").write_bytes(der)
    (tmp_path / "list").write_text(OTHERS)
    monkeypatch.chdir(tmp_path)
    return typing_in(tmp_path / "user", capsys, monkeypatch)


def making(*more: str, mode: str = "supplierBySupplier") -> list[str]:
    given = [f"--certificate-for={cell}={name}.pem" for cell, name in zip(SUPPLIER_CELLS, FILES, strict=True)]
    return ["credentials", "make", mode, "--originator", str(SUPPLIER), *given, *more]


ONE = ("--device", str(METER), "--counter", "1000")


def test_from_making_to_the_outcome(smki: Type, tmp_path: Path) -> None:
    code, _, err = smki(*making(*ONE, "--out", "pre", "--expect-out", "asked"))
    assert (code, "1 made" in err) == (0, True), err
    code, out, _ = smki("credentials", "show", "pre")
    assert code == 0
    for words in ("supplierBySupplier", "at once", "supplier prePaymentTopUp", str(SUPPLIER)):
        assert words in out
    signing = ["--token", "keys", "--key", "ds", "--certificate", "now.pem"]
    assert smki("message", "sign", "--from", "pre", "--expect", "asked", "--out", "signed", *signing)[0] == 0
    message = read_message(bytes.fromhex(json.loads((tmp_path / "pre").read_text())["message"]))
    (tmp_path / "answer").write_bytes(Meter().obey(message))
    code, out, err = smki("credentials", "outcome", "--from", "answer")
    assert (code, "outcome.unproven" in err) == (3, True)
    taking = ["credentials", "outcome", "--from", "answer", "--certificates", "meters"]
    code, out, err = smki(*taking)
    assert (code, out.count("success"), "1 done" in err) == (0, 3, True)
    told = json.loads(smki(*taking, "--json")[1])["answers"]
    assert [(one["state"], one["before"], len(one["cells"])) for one in told] == [("done", True, 3)]
    shown = json.loads(smki("credentials", "show", "answer", "--json")[1])["messages"]
    assert shown[0]["cells"]["supplier_digitalSignature"]["is"] == "success"
    (order,) = json.loads(smki("credentials", "orders", "--json")[1])["orders"]
    assert (order["state"], order["order"]) == ("done", told[0]["order"])
    found = smki("credentials", "orders", "--state", "done", "--device", str(METER), "--batch", order["batch"])
    assert "all replaced" in found[1]


def test_many_devices_and_the_same_again(smki: Type, tmp_path: Path) -> None:
    many = making("--devices", "list", "--first-counter", "7")
    code, out, err = smki(*many)
    assert (code, "2 made" in err) == (0, True)
    lines = [json.loads(line) for line in out.splitlines()]
    headers = [read_message(bytes.fromhex(line["message"])).header for line in lines]
    assert [(header.target, header.counter) for header in headers] == [
        (EntityId.parse("00-DB-12-34-56-78-90-A1"), 7),
        (EntityId.parse("00-DB-12-34-56-78-90-A2"), 8),
    ]
    code, again, err = smki(*many)
    assert (code, "2 made before" in err) == (0, True)
    assert [json.loads(line)["message"] for line in again.splitlines()] == [line["message"] for line in lines]
    code, out, err = smki(*making("--devices", "list", "--first-counter", "6", "--disapply-time"))
    assert (code, err.count("credentials.counter")) == (3, 2)
    (tmp_path / "list").write_text(OTHERS + f"{METER}\n")
    assert smki(*making("--devices", "list", "--first-counter", "7"))[0] == 0
    assert smki(*making("--devices", "list", "--first-counter", "9", "--kind", "CHF"))[0] == 1


def test_what_a_rule_forbids_is_told_once_for_all(smki: Type) -> None:
    code, out, err = smki(
        *making("--devices", "list", "--first-counter", "1", mode="networkOperatorByNetworkOperator")
    )
    assert (code, out) == (3, "")
    assert "00-DB-12-34-56-78-90-A1 and 1 more: networkOperatorByNetworkOperator fills no cell" in err
    assert "[credentials.target]" in err


MISUNDERSTOOD = [
    (("--counter", "1"), "Name devices"),
    (("--device", str(METER)), "Number them"),
    (("--devices", "list", "--counter", "1"), "--first-counter"),
    ((*ONE, "--at", "tomorrow"), "is no time"),
    ((*ONE, "--at", "2027-01-01T00:00:00Z", "--cancel"), "--cancel"),
    ((*ONE, "--top-up-floor", "1"), "--floor"),
    ((*ONE, "--floor-of", "supplier"), "ROLE=N"),
    ((*ONE, "--floor-of", "supplier=1,2,3"), "ROLE=N"),
    ((*ONE, "--certificate-for", "supplier digitalSignature"), "CELL=FILE"),
    ((*ONE, "--certificate-for", "king digitalSignature=ds.pem"), "entity.role"),
    ((*ONE, "--certificate-for", "supplier crown=ds.pem"), "cell.name"),
    (("--device", str(METER), "--device", str(METER), "--first-counter", "1"), "credentials.device-twice"),
    (("--device", "00-DB", "--counter", "1"), "entity.form"),
    ((*ONE, "--symmetric-key", "list"), "file.loose-mode"),
    ((*ONE, "--path", "list"), "cert.form"),
]


def test_what_is_not_understood(smki: Type, tmp_path: Path) -> None:
    (tmp_path / "list").chmod(0o644)
    for more, words in MISUNDERSTOOD:
        code, out, err = smki(*making(*more))
        assert (code in {2, 3}, out) == (True, ""), err
        assert words in err


def test_every_mode_has_its_word(smki: Type) -> None:
    code, _, err = smki(*making(*ONE, mode="supplierByAnybody"))
    assert code == 2
    assert all(word in "".join(err.split()) for word in MODES_BY_WORD)


def test_own_keys_and_cells(smki: Type, tmp_path: Path) -> None:
    meter = Meter()
    to = ("--device", str(METER), "--originator", str(SUPPLIER))
    usage = ("--usage", "digitalSignature")
    assert smki("credentials", "own-key", "request", *usage, *to, "--counter", "1", "--out", "ask")[0] == 0
    command = read_message(bytes.fromhex(json.loads((tmp_path / "ask").read_text())["message"]))
    (tmp_path / "answer").write_bytes(meter.obey(command))
    assert smki("credentials", "csr", "answer", "--out", "none")[0] == 3
    code, _, err = smki("credentials", "csr", "answer", "--certificates", "meters", "--out", "requests.jsonl")
    assert (code, "1 request" in err) == (0, True)
    assert json.loads((tmp_path / "requests.jsonl").read_text())["reference"] == f"{METER}-digitalSignature"
    installing = ["credentials", "own-key", "install", "--originator", str(SUPPLIER), "--issued"]
    assert smki(*installing, "meters/digitalSignature.der", "--counter", "2")[0] == 0
    assert smki(*installing, "meters", "--counter", "3")[0] == 2
    assert smki(*installing, "list", "--counter", "3")[0] == 2
    assert smki(*installing, "ds.pem", "--counter", "3")[0] == 3
    assert smki("credentials", "own-key", "read-back", *usage, *to, "--counter", "4")[0] == 0
    reading = ["credentials", "read", *to, "--counter", "5", "--roles"]
    code, out, _ = smki(*reading, "supplier,loadController")
    assert (code, str(read_message(bytes.fromhex(json.loads(out)["message"])).header.code)) == (0, "0x011B")
    assert smki(*reading, "supplier", "--as", "recovery")[0] == 3
    assert smki(*reading, "king")[0] == 2


def test_what_is_about_something_else(smki: Type, tmp_path: Path) -> None:
    from tests.parties.people import arming

    (tmp_path / "arm").write_bytes(arming(1).encode())
    code, _, err = smki("credentials", "show", "arm")
    assert (code, "credentials.other" in err) == (3, True)
    code, _, err = smki("credentials", "outcome", "--from", "arm")
    assert (code, "outcome.kind" in err) == (3, True)
    assert smki("credentials", "orders", "--batch", "x")[0] == 2


OLD, NEW = EntityId.parse("90-B3-D5-1F-30-02-00-00"), EntityId.parse("90-B3-D5-1F-30-02-00-01")
BY_OPERATOR = "networkOperatorByNetworkOperator"


def finding(device: str, holds: EntityId, mend: str = BY_OPERATOR, should: EntityId | None = NEW) -> str:
    told = {"device": device, "meter_point": "1312345678907", "cell": "networkOperator digitalSignature"}
    held = {"holds": str(holds), "should_hold": None if should is None else str(should)}
    return json.dumps({**told, **held, "code": "cell.wrong-network-operator", "mend": mend}) + "\n"


def test_what_an_audit_found_is_mended_in_bulk(smki: Type, tmp_path: Path) -> None:
    """One command for a device, of whoever is in its cells now; what these certificates do not mend is left."""
    devices = [f"00-DB-12-34-56-78-90-0{number}" for number in range(6)]
    (tmp_path / "findings").write_text(
        finding(devices[0], OLD)
        + finding(devices[0], OLD)
        + finding(devices[1], OLD)
        + finding(devices[2], SUPPLIER)
        + finding(devices[3], OLD, "anyExceptAbnormalRootByRecovery")
        + finding(devices[4], OLD, should=OLD)
        + finding(devices[5], OLD, "CS02a", None)
    )
    given = []
    for cell in ("networkOperator:digitalSignature", "networkOperator:keyAgreement"):
        usage = KeyUsage(cell.partition(":")[2])
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        one = certificate(key, NEW, RemotePartyRole.NETWORK_OPERATOR, usage)
        (tmp_path / f"{usage.value}.pem").write_bytes(one.certificate.public_bytes(Encoding.PEM))
        given.append(f"--certificate-for={cell}={usage.value}.pem")
    mending = ["credentials", "make", BY_OPERATOR, "--originator", str(OLD), *given, "--first-counter", "5"]
    code, out, err = smki(*mending, "--findings", "findings", "--floor", "0")
    assert (code, "2 made" in err) == (0, True), err
    headers = [read_message(bytes.fromhex(json.loads(line)["message"])).header for line in out.splitlines()]
    assert [(str(header.target), header.originator, header.counter) for header in headers] == [
        (devices[0], OLD, 5),
        (devices[1], OLD, 6),
    ]
    for wrong in ("not JSON\n", "[]\n", finding("00", OLD), "x" * 2000):
        (tmp_path / "findings").write_text(wrong)
        assert "findings.form" in smki(*mending, "--findings", "findings", "--floor", "0")[2]
