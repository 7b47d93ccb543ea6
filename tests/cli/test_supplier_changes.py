"""`smki cos request` as the incoming supplier types it."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from smki.device.cells import CellUse
from smki.parties.cos.request import Asked, Home, read_request
from tests.cli.typing_hand import Type, typing_in
from tests.house import founded
from tests.parties.cos.world import NORTH, ROLE, SOUTH, Supplier, meter, point
from tests.parties.people import believe, certificate

USES = {"ds": CellUse.DIGITAL_SIGNATURE, "ka": CellUse.KEY_AGREEMENT, "topup": CellUse.TOP_UP}


@pytest.fixture
def smki(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Type:
    """A supplier's workspace, its certificates in files."""
    with founded(tmp_path / "south", kind="user") as house:
        believe(house.home)
        signing = house.workspace.open_token("keys").generate_key("xml", b"k" * 16, "sign").public_key()
    found = {name: Supplier(SOUTH, "South").certificate(use) for name, use in USES.items()}
    found["xml"] = certificate(signing, SOUTH, ROLE.XML_SIGN)
    for name, one in found.items():
        (tmp_path / f"{name}.pem").write_bytes(one.certificate.public_bytes(Encoding.PEM))
    monkeypatch.chdir(tmp_path)
    return typing_in(tmp_path / "south", capsys, monkeypatch)


def finding(number: int, home: int, should: object = SOUTH, mend: str = "supplierByTransCoS") -> str:
    cell = {"cell": "supplier keyAgreement", "code": "cell.wrong-supplier", "mend": mend}
    where = {"device": str(meter(number)), "meter_point": str(point(home))}
    return json.dumps({**where, **cell, "holds": str(NORTH), "should_hold": str(should)}) + "\n"


_CERTIFICATES = ("--ds", "ds.pem", "--ka", "ka.pem", "--top-up", "topup.pem")
ASKING = ("cos", "request", *_CERTIFICATES, "--token", "keys", "--key", "xml", "--certificate", "xml.pem")


def test_the_homes_that_an_audit_found_are_asked_for(smki: Type, tmp_path: Path) -> None:
    rows = [finding(1, 1), finding(1, 1), finding(2, 1), finding(3, 2), finding(4, 3, NORTH), finding(5, 4, mend="x")]
    (tmp_path / "findings").write_text("".join(rows))
    code, out, err = smki(*ASKING, "--findings", "findings", "--out", "request.p7m")
    assert (code, "wrote request.p7m" in out) == (0, True), err
    asked = read_request((tmp_path / "request.p7m").read_bytes()).asked
    assert isinstance(asked, Asked)
    homes = [home for home in asked.homes() if isinstance(home, Home)]
    assert [(home.meter_point, home.devices) for home in homes] == [
        (point(1), (meter(1), meter(2))),
        (point(2), (meter(3),)),
    ]
    (tmp_path / "findings").write_text(finding(4, 3, NORTH))
    assert "no home" in smki(*ASKING, "--findings", "findings", "--out", "none.p7m")[2]
    assert "Name homes" in smki(*ASKING, "--out", "none.p7m")[2]
    assert not (tmp_path / "none.p7m").exists()
