"""Commands to a home as a person types them: made, signed for by the right party, refused where they must be."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from smki.gbcs.message import Protection, read_message
from smki.gbcs.payload.declared import read_declared
from smki.gbcs.payload.joins import JoinCommand, UnjoinCommand
from tests.cli.typing_hand import Type, typing_in
from tests.house import House

if TYPE_CHECKING:
    from smki.entity import DeviceType
    from tests.device.family import Family

SUPPLIER, BROKER = "90-B3-D5-1F-30-01-00-00", "90-B3-D5-1F-30-00-00-02"
HUB, GSME, PPMID, ESME = (f"00-DB-12-34-99-00-00-0{number}" for number in range(4))
PARTIES = ["--supplier", SUPPLIER, "--broker", BROKER, "--counter", "1000"]
CODE = "83FE D340 7A93 9723 A5C6 39B2 6916 D505 C3B5"


@pytest.fixture
def smki(
    standing: House, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Type:
    standing.workspace.close()
    monkeypatch.chdir(tmp_path)
    return typing_in(standing.home, capsys, monkeypatch)


@pytest.fixture
def certified(smki: Type) -> Type:
    """Four devices with certificates, exported to a folder."""
    assert smki("device", "request", HUB, "--count", "4", "--out", "devices")[0] == 0
    assert (
        smki("device", "issue", "--org", "Meter Works", "--from", "devices/requests", "--out", "made.jsonl")[0] == 0
    )
    assert smki("cert", "export", "--org", "Meter Works", "--out", "certificates")[0] == 0
    return smki


def commands(printed: tuple[int, str, str]) -> list[dict[str, Any]]:
    code, out, err = printed
    assert code == 0, err
    found: list[dict[str, Any]] = json.loads(out)["commands"]
    return found


def refused(printed: tuple[int, str, str]) -> str:
    code, out, err = printed
    assert code in {2, 3}, err
    assert out == ""
    return err.splitlines()[0].rpartition("[")[2].rstrip("]")


def test_method_c_carries_the_certificate_of_each_to_the_other(certified: Type) -> None:
    made = commands(
        certified(
            "han", "join", f"GSME={GSME}", f"PPMID={PPMID}", *PARTIES,
            "--certificates", "certificates", "--out", "join", "--json",
        )
    )  # fmt: skip
    assert [(one["number"], one["to"], one["use_case"], one["signed_by"]) for one in made] == [
        (1, f"PPMID {PPMID}", "0x00AF", "accessControlBroker"),
        (2, f"GSME {GSME}", "0x00AF", "supplier"),
    ]
    for one, other in zip(made, (GSME, PPMID), strict=True):
        message = read_message(bytes.fromhex(one["message"]))
        assert message.protection is Protection.NONE
        said = read_declared(JoinCommand, message.payload).payload
        assert said.other_device.hex("-").upper() == other
        assert said.other_device_certificate is not None
        assert one["asked"]["counter"] == one["counter"]
    supplementary = read_message(bytes.fromhex(made[0]["message"])).header.supplementary
    assert supplementary is not None
    assert (str(supplementary.party), supplementary.counter) == (SUPPLIER, 1000)
    assert sorted(path.name for path in Path("join").iterdir()) == [
        "accessControlBroker-asked.jsonl",
        "accessControlBroker.jsonl",
        "supplier-asked.jsonl",
        "supplier.jsonl",
    ]
    assert refused(certified("han", "unjoin", f"GSME={GSME}", f"PPMID={PPMID}", *PARTIES, "--out", "join")) == (
        "file.exists"
    )


def test_certificates_are_found_in_the_store_once_they_are_in_use(certified: Type) -> None:
    pair = [f"GSME={GSME}", f"PPMID={PPMID}"]
    assert refused(certified("han", "join", *pair, *PARTIES)) == "han.certificate"
    for device in (GSME, PPMID):
        found = json.loads(certified("cert", "find", "--entity", device, "--usage", "keyAgreement", "--json")[1])
        assert certified("cert", "status", found["certificates"][0]["serial"], "--to", "in-use")[0] == 0
    made = commands(certified("han", "join", *pair, *PARTIES, "--json"))
    carried = [
        read_declared(JoinCommand, read_message(bytes.fromhex(one["message"])).payload).payload for one in made
    ]
    assert all(one.other_device_certificate is not None for one in carried)


def proving(home: "Family", kind: "DeviceType") -> list[str]:
    """Files with the broker's key and certificate, and with that of the device that told."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    from smki.authority.safe_files import write_new
    from smki.device.cells import CellName, CellUse
    from smki.entity import EntityId, KeyUsage, RemotePartyRole
    from tests.device.desk import key
    from tests.parties.people import certificate

    role, usage = RemotePartyRole.ACCESS_CONTROL_BROKER, KeyUsage.KEY_AGREEMENT
    mine = key(CellName(role, CellUse.KEY_AGREEMENT))
    folder = Path(f"proof-{kind.value}")
    folder.mkdir()
    pem = mine.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_new(folder / "broker.key", pem, 0o600)
    broker = certificate(mine.public_key(), EntityId.parse(BROKER), role, usage).certificate
    (folder / "broker.der").write_bytes(broker.public_bytes(Encoding.DER))
    (folder / "device.der").write_bytes(home.states[kind].own[usage])
    return [
        "--certificate", str(folder / "broker.der"), "--key-file", str(folder / "broker.key"),
        "--certificates", str(folder / "device.der"),
    ]  # fmt: skip


def test_a_log_goes_from_alert_to_command(smki: Type) -> None:
    """What an old hub and an old proxy told is given to the new ones."""
    from smki.gbcs.payload.joins import GCS59, JoinMethod, RestoreCommand
    from tests.device.family import DEVICES, KIND, Family
    from tests.device.test_hub import listing

    home = Family()
    old_hub, old_proxy = str(DEVICES[KIND.CHF]), str(DEVICES[KIND.GPF])
    by_hub, by_proxy = proving(home, KIND.CHF), proving(home, KIND.GPF)
    alert = listing(home).alerts[0]
    Path("hub-alert").write_text(alert.hex())
    restoring = ["han", "whitelist", f"CHF={HUB}", "--restore", "hub-alert", *PARTIES]
    printed = smki(*restoring, "--told-by", old_hub, *by_hub, "--json")
    (one,) = commands(printed)
    assert one["use_case"] == "0x0003"
    assert json.loads(printed[1])["told"] == {"originator": old_hub, "devices": 1}
    assert smki(*restoring, "--told-by", old_hub, *by_hub)[1].startswith(f"{old_hub} told of 1 device\n")
    same = ["han", "whitelist", f"CHF={old_hub}", "--restore", "hub-alert", *PARTIES]
    assert commands(smki(*same, *by_hub, "--json"))[0]["use_case"] == "0x0003"
    found = home.try_to_join(KIND.GPF, JoinMethod.B, KIND.TYPE_2)
    Path("proxy-alert").write_text(found.alerts[0].hex())
    log = ["han", "log", f"GPF={HUB}", "--restore", "proxy-alert", *PARTIES]
    printed = smki(*log, "--told-by", old_proxy, *by_proxy, "--json")
    (one,) = commands(printed)
    assert one["use_case"] == str(GCS59)
    assert json.loads(printed[1])["told"] == {"originator": old_proxy, "devices": 1}
    entries = read_declared(RestoreCommand, read_message(bytes.fromhex(one["message"])).payload).payload.entries
    assert len(entries) == 1
    assert refused(smki("han", "log", f"GPF={HUB}", "--restore", "hub-alert", *PARTIES)) == "han.alert"
    assert refused(smki(*log, "--told-by", old_proxy)) == "han.unproven"
    assert refused(smki(*log, *by_proxy)) == "han.teller"


def test_an_alert_that_nobody_sent_is_not_believed(smki: Type) -> None:
    """Whoever could make one up could put any device into a home."""
    from dataclasses import replace

    from smki.gbcs.message import Message
    from smki.gbcs.payload import hub as wire
    from tests.device.family import DEVICES, DISPLAY, KIND, Family
    from tests.device.test_hub import listing

    home = Family()
    sent = read_message(listing(home).alerts[0])
    by_hub = proving(home, KIND.CHF)
    evil = wire.Backup(bytes(12), bytes(8), (wire.BackedUp(DISPLAY, bytes(16)),))
    made_up = wire.whitelist_alert(1, bytes(12), evil)

    def restored(message: Message, *options: str) -> tuple[int, str, str]:
        Path("alert").write_text(message.encode().hex())
        return smki("han", "whitelist", f"CHF={DEVICES[KIND.CHF]}", "--restore", "alert", *options, *PARTIES)

    assert restored(sent, *by_hub)[0] == 0
    assert refused(restored(replace(sent, payload=made_up), *by_hub)) == "han.unproven"
    assert refused(restored(replace(sent, mac=bytes(12)), *by_hub)) == "han.unproven"
    assert refused(restored(sent)) == "han.unproven"
    assert refused(restored(sent, *by_hub[:4])) == "han.unproven"
    by_another = replace(sent, header=replace(sent.header, originator=DISPLAY))
    assert refused(restored(by_another, *by_hub)) == "han.teller"
    assert refused(restored(by_another, "--told-by", str(DISPLAY), *by_hub)) == "han.unproven"
    assert smki("han", "whitelist", f"CHF={HUB}", "--remove", ESME, *by_hub, *PARTIES)[0] == 2
    assert smki("han", "log", f"GPF={HUB}", "--told-by", ESME, *PARTIES)[0] == 2


def test_what_a_signer_expects_is_what_it_is_shown(certified: Type) -> None:
    made = commands(
        certified(
            "han", "join", f"GSME={GSME}", f"PPMID={PPMID}", *PARTIES, "--certificates", "certificates", "--json"
        )
    )
    for one in made:
        shown = json.loads(certified("message", "show", one["message"], "--json")[1])["messages"][0]
        assert shown["values"] == one["asked"]["values"]


def test_methods_a_and_b_and_parting(smki: Type) -> None:
    made = commands(smki("han", "join", f"HCALCS={PPMID}", f"ESME={ESME}", *PARTIES, "--json"))
    assert [(one["to"][:6].strip(), one["use_case"]) for one in made] == [("HCALCS", "0x00AB"), ("ESME 0", "0x000D")]
    made = commands(smki("han", "join", f"GPF={HUB}", f"GSME={GSME}", *PARTIES, "--out", "b", "--json"))
    assert [(one["use_case"], one["signed_by"]) for one in made] == [("0x000E", None)]
    assert [path.name for path in Path("b").iterdir()] == ["mac.jsonl"]
    made = commands(smki("han", "unjoin", f"GSME={GSME}", f"PPMID={PPMID}", *PARTIES, "--json"))
    assert [(one["to"][:4], one["use_case"]) for one in made] == [("GSME", "0x000F"), ("PPMI", "0x000F")]
    gone = read_message(bytes.fromhex(made[0]["message"])).payload
    assert read_declared(UnjoinCommand, gone).payload.hex("-").upper() == PPMID


def test_whitelist_and_logs(smki: Type) -> None:
    Path("label").write_text(CODE)
    listing = ["--add", ESME, "--install-code", "label"]
    printed = smki("han", "whitelist", f"CHF={HUB}", *listing, *PARTIES, "--out", "listed", "--json")
    (one,) = commands(printed)
    assert (one["use_case"], one["originator"], one["signed_by"]) == ("0x0001", BROKER, None)
    secret = "83fed3407a939723a5c639b26916d505"
    assert secret not in (printed[1] + printed[2]).lower().replace(" ", ""), "it opens the network"
    assert not {"message", "asked"} & set(one)
    (file,) = Path("listed").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    message = json.loads(file.read_text())["message"]
    assert secret in message
    assert "c3b5" not in message
    (one,) = commands(smki("han", "whitelist", f"CHF={HUB}", "--remove", ESME, *PARTIES, "--json"))
    assert one["use_case"] == "0x0002"
    (one,) = commands(smki("han", "log", f"CHF={HUB}", *PARTIES, "--json"))
    assert one["use_case"] == "0x010F"
    (one,) = commands(smki("han", "log", f"PPMID={PPMID}", *PARTIES, "--json"))
    assert (one["use_case"], one["originator"]) == ("0x0013", BROKER)
    code, out, _ = smki("han", "log", f"PPMID={PPMID}", *PARTIES)
    assert (code, "0x0013" in out) == (0, True)


def test_what_is_refused(certified: Type) -> None:
    pair = [f"GSME={GSME}", f"PPMID={PPMID}"]
    assert refused(certified("han", "join", f"GSME={GSME}", f"HCALCS={PPMID}", *PARTIES)) == "han.pair"
    assert refused(certified("han", "join", f"GSME={GSME}", f"PPMID={GSME}", *PARTIES)) == "han.pair"
    assert refused(certified("han", "join", *pair, *PARTIES)) == "han.certificate"
    assert refused(certified("han", "join", GSME, PPMID, *PARTIES)) == "han.kind"
    assert refused(certified("han", "join", f"GSME={'00' * 8}", f"PPMID={PPMID}", *PARTIES)) == "han.certificate"
    assert refused(certified("han", "whitelist", f"ESME={ESME}", "--remove", GSME, *PARTIES)) == "han.kind"
    for bad in (CODE.replace("C3B5", "C3B6"), "", "\xff"):
        Path("label").write_text(bad, encoding="latin-1")
        listing = ["--add", ESME, "--install-code", "label"]
        printed = certified("han", "whitelist", f"CHF={HUB}", *listing, *PARTIES)
        assert refused(printed) == "install-code.form"
        assert "D505" not in printed[2]
    assert refused(certified("han", "whitelist", f"CHF={HUB}", "--add", ESME, "--install-code", "no", *PARTIES)) == (
        "install-code.file"
    )
    Path("alert").write_text(json.dumps({"message": "00"}))
    assert refused(certified("han", "log", f"GPF={HUB}", "--restore", "alert", *PARTIES)) == "gbcs.form"
    assert certified("han", "whitelist", f"CHF={HUB}", *PARTIES)[0] == 2
    assert certified("han", "topup", "--state", "x", "--meter", GSME)[0] == 2


def test_a_certificate_of_another_tree_is_refused(certified: Type, typed: Callable[[], None]) -> None:
    typed()
    pair = [f"GSME={GSME}", f"PPMID={PPMID}"]
    printed = certified("han", "join", *pair, *PARTIES, "--certificates", "other")
    assert refused(printed) == "han.certificate"


@pytest.fixture
def typed() -> Callable[[], None]:
    """Certificates of the same devices, by an authority that nobody here believes."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding

    from smki.entity import EntityId, KeyUsage
    from tests.parties.people import certificate

    def make() -> None:
        Path("other").mkdir()
        for device in (GSME, PPMID):
            key = ec.generate_private_key(ec.SECP256R1()).public_key()
            one = certificate(key, EntityId.parse(device), None, KeyUsage.KEY_AGREEMENT)
            (Path("other") / device).write_bytes(one.certificate.public_bytes(Encoding.DER))

    return make


def test_a_plan(smki: Type) -> None:
    Path("home.toml").write_text(
        f'device = [{{ kind = "CHF", id = "{HUB}" }}, {{ kind = "GSME", id = "{GSME}" }},'
        f' {{ kind = "PPMID", id = "{PPMID}" }}]'
    )
    code, out, _ = smki("han", "plan", "home.toml", "--svg", "home.svg", "--json")
    told = json.loads(out)
    assert (code, [one["method"] for one in told["joins"]]) == (0, ["C"])
    assert Path("home.svg").read_text().startswith("<svg")
    assert "signature and MAC" in smki("han", "plan", "home.toml")[1]
    assert smki("han", "plan", "home.toml", "--svg", "home.svg")[0] == 3
    assert smki("han", "plan", "nothing.toml")[0] == 2
