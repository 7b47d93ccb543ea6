"""The commands around messages, as a person types them."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from smki.authority.policies import load_policies
from smki.authority.workspace import SHIPPED
from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.gbcs.agreement import agree
from smki.gbcs.message import Protection, read_message
from smki.gbcs.protection import mac_holds
from smki.gbcs.words import Vocabulary, read
from tests.cli.typing_hand import Type, typing_in
from tests.house import founded
from tests.parties.people import BROKER, METER, SUPPLIER, arming, believe, certificate
from tests.vectors_folder import vectors

METER_KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user's workspace with three keys, their certificates and the meter's in files."""
    with founded(tmp_path / "user", kind="user") as house:
        believe(house.home)
        token = house.workspace.open_token("keys")
        for label, usage, role, entity in (
            ("ds", KeyUsage.DIGITAL_SIGNATURE, RemotePartyRole.SUPPLIER, SUPPLIER),
            ("topup", KeyUsage.KEY_AGREEMENT, RemotePartyRole.SUPPLIER, SUPPLIER),
            ("broker", KeyUsage.KEY_AGREEMENT, RemotePartyRole.ACCESS_CONTROL_BROKER, BROKER),
        ):
            wanted = "sign" if usage is KeyUsage.DIGITAL_SIGNATURE else "agree"
            key = token.generate_key(label, os.urandom(16), wanted)  # type: ignore[arg-type]
            one = certificate(key.public_key(), entity, role, usage)
            (tmp_path / f"{label}.pem").write_bytes(one.certificate.public_bytes(Encoding.PEM))
    meter = certificate(METER_KEY.public_key(), METER, None, KeyUsage.KEY_AGREEMENT)
    (tmp_path / "meters").mkdir()
    (tmp_path / "meters" / "meter.der").write_bytes(meter.certificate.public_bytes(Encoding.DER))
    return tmp_path / "user"


@pytest.fixture
def smki(home: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Type:
    monkeypatch.chdir(tmp_path)
    return typing_in(home, capsys, monkeypatch)


def signing(label: str = "ds") -> list[str]:
    return ["--token", "keys", "--key", label, "--certificate", f"{label}.pem"]


def asked(counter: int, **changes: Any) -> str:
    policies = load_policies(SHIPPED / "policies")
    values = read(arming(counter), Vocabulary(policies.use_cases, policies.names)).values
    return json.dumps(
        {"use_case": "ECS44", "target": str(METER), "counter": str(counter), "values": values, **changes}
    )


def test_a_message_is_shown_however_it_is_given(smki: Type, tmp_path: Path) -> None:
    octets = arming(1000).encode()
    (tmp_path / "as-hex").write_text(octets.hex())
    (tmp_path / "as-lines").write_text("\n".join(octets.hex()[at : at + 40] for at in range(0, 2 * len(octets), 40)))
    (tmp_path / "as-base64").write_text(base64.b64encode(octets).decode())
    (tmp_path / "as-octets").write_bytes(octets)
    (tmp_path / "as-json").write_text(json.dumps({"reference": "x", "message": octets.hex().upper()}))
    shown = {smki("message", "show", name)[1] for name in sorted(path.name for path in tmp_path.glob("as-*"))}
    shown |= {smki("message", "show", octets.hex())[1], smki("message", "show", "-", typed=octets)[1]}
    (text,) = shown
    assert "ECS44 Arm Load Switch in ESME, critical" in text
    assert "remote supply arm" in text
    (tmp_path / "many").write_text(f"{octets.hex()}\n{arming(1001).encode().hex()}\n")
    told = json.loads(smki("message", "show", "many", "--json")[1])
    assert [item["counter"] for item in told["messages"]] == ["1000", "1001"]
    assert told["messages"][0]["values"] == json.loads(asked(1000))["values"]


def test_what_is_no_message_is_told_with_its_code(smki: Type, tmp_path: Path) -> None:
    (tmp_path / "mixed").write_text(f"{arming(1).encode().hex()}\ndf0901\n")
    code, out, err = smki("message", "show", "mixed")
    assert code == 1
    assert "ECS44" in out
    assert "gbcs.form" in err
    assert smki("message", "show", "df0901" + "00" * 40)[0] == 3
    (tmp_path / "text").write_text("hello")
    (tmp_path / "empty").write_text("\n")
    for name, code_ in (("text", "message.text"), ("empty", "message.empty"), ("absent", "message.unreadable")):
        code, _, err = smki("message", "show", name)
        assert (code, code_ in err) == (2, True), err


def test_signing_from_a_pipe_with_what_was_asked_for(smki: Type, tmp_path: Path) -> None:
    (tmp_path / "asked.json").write_text(asked(1000))
    code, out, err = smki(
        "message", "sign", "--from", "-", "--expect", "asked.json", *signing(), typed=arming(1000).encode()
    )
    assert (code, "1 signed" in err) == (0, True)
    line = json.loads(out)
    assert read_message(bytes.fromhex(line["message"])).protection is Protection.SIGNATURE
    again = smki("message", "sign", "--from", "-", "--expect", "asked.json", *signing(), typed=arming(1000).encode())
    assert json.loads(again[1])["result"] == "signed before"
    assert json.loads(again[1])["message"] == line["message"]
    (tmp_path / "asked.json").write_text(asked(1001, values={}))
    code, out, _ = smki(
        "message", "sign", "--from", "-", "--expect", "asked.json", *signing(), typed=arming(1001).encode()
    )
    assert code == 3
    assert json.loads(out)["faults"][0]["code"] == "sign.expectation"


@pytest.mark.requirement("R-E2E-3")
def test_nothing_is_signed_unseen(smki: Type) -> None:
    code, out, _ = smki("message", "sign", "--from", "-", *signing(), typed=arming(1000).encode())
    assert code == 3
    assert json.loads(out)["faults"][0]["code"] == "sign.unseen"


def test_from_signature_to_mac_to_verification(smki: Type, tmp_path: Path) -> None:
    (tmp_path / "asked.json").write_text(asked(1000))
    (tmp_path / "pre").write_bytes(arming(1000).encode())
    (tmp_path / "meter.key").write_bytes(METER_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert smki("message", "sign", "--from", "pre", "--expect", "asked.json", "--out", "signed", *signing())[0] == 0
    mac = ["message", "mac", "--from", "signed", *signing("broker"), "--certificates", "meters"]
    assert smki(*mac)[0] == 3, "the signer's certificate is not known"
    code, out, _ = smki(*mac, "--certificates", "ds.pem", "--keep-secrets", "10")
    assert code == 0
    message = read_message(bytes.fromhex(json.loads(out)["message"]))
    assert message.protection is Protection.BOTH
    (tmp_path / "protected").write_text(out)
    certificates = ["--certificates", "ds.pem", "--certificates", "broker.pem"]
    code, out, _ = smki("message", "verify", "protected", *certificates, "--json")
    assert code == 1
    assert [item["answer"] for item in json.loads(out)["messages"][0]["checks"]] == ["holds", "holds", "not checked"]
    meter = ["--certificate", "meters/meter.der", "--key-file", "meter.key"]
    code, _, err = smki("message", "verify", "protected", *certificates, *meter)
    assert (code, "file.loose-mode" in err) == (3, True), "a key that others can read is no key"
    (tmp_path / "meter.key").chmod(0o600)
    assert smki("message", "verify", "protected", *certificates, *meter)[0] == 0
    broken = bytearray(message.encode())
    broken[-1] ^= 1
    (tmp_path / "broken").write_bytes(bytes(broken))
    assert smki("message", "verify", "broken", *certificates, *meter)[0] == 3
    with agree(METER_KEY, _public(tmp_path / "broker.pem")) as secret:
        assert mac_holds(message, secret)
    (tmp_path / "private").write_bytes(arming(7).encode())
    assert smki("message", "mac", "--from", "private", *signing("topup"))[0] == 3, "a supplier is no broker"


def _public(path: Path) -> ec.EllipticCurvePublicKey:
    from smki.parties.keys import read_certified

    return read_certified(path).holder.public_key


def test_tokens(smki: Type) -> None:
    common = ["--device", str(METER), *signing("topup"), "--certificates", "meters"]
    made = json.loads(smki("topup", "make", "--pounds", "10", *common, "--json")[1])
    assert (made["number"], made["value"], made["value_class"], len(made["utrn"])) == (1, 10, "pounds", 20)
    spaced = " ".join(made["utrn"][at : at + 4] for at in range(0, 20, 4))
    assert json.loads(smki("topup", "check", spaced, *common, "--json")[1]) == made
    wrong = made["utrn"][:-1] + str((int(made["utrn"][-1]) + 1) % 10)
    assert "topup.check-digit" in smki("topup", "check", wrong, *common)[2]
    assert smki("topup", "make", *common)[0] == 2
    assert "topup.value" in smki("topup", "make", "--pence", "8192", *common)[2]
    assert "topup.role" in smki("topup", "make", "--pence", "1", "--device", str(METER), *signing("broker"))[2]
    assert "topup.device" in smki("topup", "make", "--pence", "1", *common[:-2])[2]
    assert str(EntityId.parse(made["device"])) == str(METER)


def test_the_table_of_use_cases(smki: Type) -> None:
    code, out, _ = smki("usecase", "list", "--critical", "--sender", "loadController")
    assert code == 0
    assert "ECS47e" in out
    assert "ECS43" not in out
    (row,) = json.loads(smki("usecase", "show", "0x0050", "--json")[1])["use_cases"]
    assert (row["name"], row["critical"], row["protection"]["command"]) == ("ECS43", True, ["signature+mac"])
    assert smki("usecase", "show", "CS02b")[1].count("name ") == 10
    assert smki("usecase", "show", "ECS99")[0] == 2
    assert "CHF" in smki("usecase", "list", "--device", "CHF", "--json")[1]


def test_keys_are_named_one_way_or_the_other(smki: Type) -> None:
    for wrong in (
        ["--certificate", "ds.pem"],
        ["--token", "keys", "--key", "ds"],
        ["--certificate", "ds.pem", "--token", "keys"],
    ):
        assert smki("message", "verify", arming(1).encode().hex(), *wrong)[0] == 2
    assert smki("message", "decrypt", arming(1).encode().hex())[0] == 2


@pytest.mark.vectors
def test_laboratories_run_their_vectors(smki: Type, tmp_path: Path) -> None:
    folder = vectors("gbcs")
    keys = folder / "keys.json"
    files = [path for path in sorted(folder.glob("*.json")) if path != keys]
    code, out, _ = smki("message", "check", *files, "--keys", keys, "--json")
    told = json.loads(out)
    assert (code, told["disagreements"]) == (0, [])
    assert told["vectors"] > 0
    for path in files:
        document = json.loads(path.read_text())
        if document.get("vectors"):
            document["vectors"] = document["vectors"][:1]
            document["vectors"][0]["header"]["message_code"] = "ffff"
            (tmp_path / "altered.json").write_text(json.dumps(document))
            code, out, _ = smki("message", "check", "altered.json", "--keys", keys)
            assert code == 3
            assert "expected ffff" in out
    assert smki("message", "check", keys, "--keys", keys)[0] == 2
