"""`smki cert revoke` and what shows a revocation, as typed; and every desk of an authority's workspace after it."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.bundles import Installation, Signer, export
from smki.authority.hierarchy import pem
from smki.authority.revocation.request import Evidence
from smki.cli.main import run
from smki.cli.session import Session
from smki.entity import DeviceType, EntityId, KeyUsage
from smki.parties.keys import certified, known_to
from smki.pki.holder import load_certificate
from smki.store.records import CertificateRecord
from tests.authority.desk import code_of
from tests.authority.revocation.conftest import world
from tests.authority.revocation.world import NORTH, SUPPLIER, World
from tests.cli.typing_hand import Type, typing_in
from tests.house import NOW, no_prompt

__all__ = ["world"]
WHY = ("--reason", "key-compromise", "--evidence", "stolen from the office", "--requested-by", "Ann Ash")


@pytest.fixture
def type_(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Type:
    typed = typing_in(world.workspace.home, capsys, monkeypatch)

    def one_after_the_other(*arguments: str | Path, **more: bytes) -> tuple[int, str, str]:
        world.workspace.close()  # a PKCS#11 library serves one workspace of a process
        return typed(*arguments, **more)

    return one_after_the_other


def test_a_stolen_key_is_reported_and_shows(world: World, type_: Type, tmp_path: Path) -> None:
    record = world.organisation()
    world.officer("Ann Ash")
    code, out, err = type_("cert", "revoke", record.serial, *WHY, "--compromised-at", "2026-11-21T12:00:00Z")
    assert code == 0, err
    assert out.splitlines()[0] == f"revoked {record.serial} for key-compromise"
    assert "smki crl publish" in out
    code, out, _ = type_("cert", "revoke", record.serial, *WHY, "--json")
    told = json.loads(out)
    assert (code, told["revoked"], told["revoked_before"][0]["reason"]) == (0, [], "key-compromise")
    _, out, _ = type_("cert", "find", "--status", "revoked")
    assert "key-compromise, compromised 2026-11-21T12:00:00Z" in out
    _, out, _ = type_("cert", "show", record.serial, "--json")
    shown = json.loads(out)
    assert (shown["revoked_at"], shown["revocation_reason"]) == ("2026-11-21T12:00:00Z", "key-compromise")
    path = tmp_path / "it.pem"
    path.write_bytes(pem(record.der))
    code, out, _ = type_("chain", "verify", path)
    assert (code, "[key.revoked]" in out) == (3, True)


def test_what_follows_is_told_of_what_an_interrupted_run_did_as_well(world: World, type_: Type) -> None:
    officer, record = world.officer("Ann Ash"), world.organisation()
    words = Evidence(text="stolen from the office")
    assert len(world.revoke(officer, requested_by="bob", evidence=words)) == 1
    said = ("--reason", "key-compromise", "--evidence", words.text, "--requested-by", "bob")
    code, out, err = type_("cert", "revoke", officer.serial, record.serial, *said, "--json")
    told = json.loads(out)
    assert (code, len(told["revoked"]), len(told["revoked_before"])) == (0, 1, 1), err
    assert told["officers"] == [{"organisation": NORTH, "name": "Ann Ash"}]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("4A07BC01D9253B51FAF01F7EC7DA5B2F",),
        ("--organisation", NORTH, "4A07BC01D9253B51FAF01F7EC7DA5B2F", *WHY),
        ("--request", __file__, "--reason", "superseded"),
        ("4A07", *WHY),
        ("--from", "nothing-here", *WHY),
    ],
)
def test_what_is_not_said_is_asked_for(type_: Type, arguments: tuple[str, ...]) -> None:
    assert type_("cert", "revoke", *arguments)[0] == 2


def test_numbers_come_by_a_pipe_and_a_file(world: World, type_: Type, tmp_path: Path) -> None:
    first, second = world.organisation(), world.organisation(usage=KeyUsage.KEY_AGREEMENT)
    world.officer("Ann Ash")
    code, out, _ = type_("cert", "revoke", "--from", "-", *WHY, typed=f"{first.serial}\n".encode())
    assert (code, "revoked" in out) == (0, True)
    (tmp_path / "serials").write_text(f"{second.serial}\n{first.serial}\n")
    code, out, _ = type_("cert", "revoke", "--from", tmp_path / "serials", *WHY)
    assert (code, f"revoked before: {first.serial}" in out) == (0, True)


def test_an_officers_signed_request(world: World, type_: Type, tmp_path: Path) -> None:
    record, officer = world.organisation(), world.officer("Ann Ash")
    certificate, key, ask = tmp_path / "ann.pem", tmp_path / "ann.key", tmp_path / "ask.p7m"
    certificate.write_bytes(pem(officer.der))
    form = serialization.PrivateFormat.PKCS8
    key.write_bytes(world.officers_key.private_bytes(Encoding.PEM, form, serialization.NoEncryption()))
    key.chmod(0o600)
    hand = ("--certificate", certificate, "--key-file", key, "--out", ask)
    assert type_("cert", "request-revocation", record.serial, *WHY, *hand)[0] == 0
    code, out, _ = type_("cert", "revoke", "--request", ask, "--json")
    assert (code, json.loads(out)["signed"]) == (0, True)
    assert type_("cert", "request-revocation", record.serial, *WHY, "--out", tmp_path / "other")[0] == 2


def test_an_authority_waits_as_typed(world: World, type_: Type, tmp_path: Path) -> None:
    authority = world.authority("device")
    why = ("--reason", "ca-compromise", "--evidence", "token lost in transit", "--requested-by", "alice")
    code, _, err = type_("cert", "revoke", authority.serial, *why)
    assert (code, "[approve.needed]" in err) == (3, True)
    key, passphrase = world.desk.house.officer_file("bob")
    (hold,) = json.loads(type_("approve", "list", "--json")[1])["batches"]
    bob = ("--officer", "bob", "--key", key, "--passphrase", f"file:{passphrase}")
    assert type_("approve", "grant", hold["batch"], *bob)[0] == 0
    code, out, _ = type_("cert", "revoke", authority.serial, *why)
    assert (code, "issues nothing" in out) == (0, True)


class _Terminal:
    """Standard input that is somebody at a terminal, who types one line."""

    def __init__(self, line: str) -> None:
        self._line = line

    def isatty(self) -> bool:
        return True

    def readline(self, *_: Any) -> str:
        return self._line


@pytest.mark.parametrize(("answer", "code"), [("n\n", 130), ("y\n", 0)])
def test_at_a_terminal_it_is_shown_first(
    world: World,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    code: int,
) -> None:
    record = world.organisation()
    world.officer("Ann Ash")
    world.workspace.close()
    monkeypatch.setattr("sys.stdin", _Terminal(answer))
    line = ["--home", str(world.workspace.home), "cert", "revoke", str(record.serial), *WHY]
    assert run(line, Session(lambda: NOW, no_prompt)) == code
    printed = capsys.readouterr()
    assert "1 certificate will be revoked for key-compromise, for good" in printed.err
    assert "Ann Ash of North Supply, subscriber, by your word" in printed.err


# Every desk of this workspace


def _bundle(world: World, signer: CertificateRecord) -> Any:
    installation = Installation(EntityId.parse("00-DB-12-00-00-00-00-01"), DeviceType.ESME, {}, {}, 0)
    return export(world.workspace, installation, Signer(load_certificate(signer.der, "it"), world.officers_key))


def test_no_bundle_is_signed_or_filled_by_what_is_revoked(world: World) -> None:
    signer = world.officer("Ann Ash")
    certificates = [world.organisation(), world.organisation(usage=KeyUsage.KEY_AGREEMENT)]
    assert code_of(lambda: _bundle(world, signer)) == "bundle.cells"
    world.revoke(*certificates)
    assert code_of(lambda: _bundle(world, signer)) == "key.revoked"
    world.revoke(signer)
    assert code_of(lambda: _bundle(world, signer)) == "key.revoked"


def test_whoever_is_known_by_a_revoked_certificate_is_known_as_such(world: World) -> None:
    record = world.organisation()
    (known,) = known_to(world.workspace, SUPPLIER, KeyUsage.DIGITAL_SIGNATURE)
    assert known.against is None
    world.revoke(record)
    (known,) = known_to(world.workspace, SUPPLIER, KeyUsage.DIGITAL_SIGNATURE)
    assert known.against is not None
    assert known.against.code == "key.revoked"
    assert certified(known.octets, "it").octets == record.der
