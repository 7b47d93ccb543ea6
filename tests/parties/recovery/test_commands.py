"""`smki recovery` and `smki contingency` as a person types them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from smki.parties.recovery.file import read_plan_file
from tests.cli.typing_hand import Type, typing_in
from tests.parties.recovery.test_recovery import certified_root
from tests.parties.recovery.world import World

Approve = Callable[[str, str, str], tuple[int, str, str]]
SAID = [
    "--purpose", "Replace what was lost", "--notified-by", "North", "--notified-at", "2026-11-21T09:00:00Z",
    "--evidence", "case 4711", "--decided-by", "SMKI PMA", "--decided-at", "2026-11-21T10:00:00+00:00",
    "--reference", "minute 12",
]  # fmt: skip


def hand(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> tuple[Type, Approve]:
    for name in ("alice", "bob", "carol"):
        world.house.officer_file(name)
    home = world.house.home
    world.house.workspace.close()
    monkeypatch.chdir(home)
    smki = typing_in(home, capsys, monkeypatch)

    def approve(noun: str, plan: str, name: str) -> tuple[int, str, str]:
        digest = read_plan_file(home / plan).sha256.hex()
        key = ["--officer", name, "--key", home / f"{name}.pem", "--passphrase", f"file:{home / 'passphrase'}"]
        return smki(noun, "approve", plan, *key, "--sha256", digest)

    return smki, approve


def test_a_theft_from_plan_to_report(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add_homes(2)
    lost = world.stolen()
    signer = world.house.keep("recovery.pem", "")
    signer.write_bytes(world.signer.certificate.public_bytes(Encoding.PEM))
    smki, approve = hand(world, capsys, monkeypatch)
    case = ["--what", "organisation signing key", "--certificate", str(lost.serial), *SAID]
    key = ["--signer", "recovery.pem", "--token", "recovery", "--key", "ds"]
    code, out, err = smki("recovery", "plan", "theft.toml", "--method", "3", *case, *key, "--json")
    assert (code, json.loads(out)["homes"]) == (0, {"ESME": 2}), err
    assert smki("recovery", "plan", "theft.toml", "--method", "3", *case, *key)[0] == 3, "nothing is written over"
    assert smki("recovery", "plan", "x.toml", "--method", "3", *case, *key, "--at", "soon")[0] == 2
    assert smki("recovery", "plan", "x.toml", "--method", "3", *case, *key, "--put", "supplier")[0] == 2
    assert smki("recovery", "plan", "x.toml", "--method", "3", *case, *key, "--floor", "supplier=x")[0] == 2
    assert smki("contingency", "show", "theft.toml")[0] == 2, "it is a plan of another kind"
    code, out, _ = smki("recovery", "show", "theft.toml")
    assert code == 0
    assert "Homes: 2 ESME" in out
    assert "0 of 2 key custodians" in out
    code, _, err = smki("recovery", "run", "theft.toml")
    assert (code, "recovery.quorum" in err) == (3, True)
    assert approve("recovery", "theft.toml", "alice")[0] == approve("recovery", "theft.toml", "bob")[0] == 0
    assert smki("recovery", "run", "theft.toml", "--rehearse")[0] == 0
    code, out, err = smki("recovery", "run", "theft.toml")
    assert (code, "2 signed" in err) == (0, True)
    assert [json.loads(line)["result"] for line in out.splitlines()] == ["signed", "signed"]
    assert smki("recovery", "run", "theft.toml", "--out", "again.jsonl")[0] == 0
    assert smki("recovery", "run", "theft.toml", "--out", "again.jsonl")[0] == 3
    code, out, _ = smki("recovery", "progress", "theft.toml", "--outstanding", "--json")
    told = json.loads(out)
    assert (code, told["readings"], len(told["outstanding"])) == (1, {"not_read": 2}, 2)
    assert smki("recovery", "report", "theft.toml", "--out", ".")[0] == 0
    code, out, _ = smki("recovery", "progress", "theft.toml", "--outstanding", "--heard", "theft.progress.json")
    assert (code, "heard: not_read" in out) == (1, True)
    notified: dict[str, Any] = json.loads(Path("theft.notification.json").read_text())
    assert notified["certificates"][0]["serial"] == str(lost.serial)


def test_a_root_from_plan_to_run(
    other: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    serial = str(certified_root(other, "oca-root").serial)
    smki, approve = hand(other, capsys, monkeypatch)
    case = ["--what", "root OCA key", "--certificate", serial, *SAID]
    code, out, err = smki("contingency", "plan", "root.toml", *case)
    assert (code, "anyByContingency" in out) == (0, True), err
    for name in ("alice", "bob"):
        assert approve("contingency", "root.toml", name)[0] == 0
    code, _, err = smki("contingency", "run", "root.toml")
    assert (code, "2 of 3 approvals" in err) == (3, True)
    assert approve("contingency", "root.toml", "carol")[0] == 0
    code, out, err = smki("contingency", "run", "root.toml")
    assert (code, "4 signed" in err, len(out.splitlines())) == (0, True, 4)


@pytest.mark.parametrize("text", ["", "kind = 1", 'kind = "recovery"', "\xff" * 10, "[" * 100])
def test_what_is_no_plan_is_told_so(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    smki, _ = hand(world, capsys, monkeypatch)
    Path("x.toml").write_text(text, encoding="latin-1")
    for words in (("show",), ("run",), ("progress",), ("report", "--out", ".")):
        code, _, err = smki("recovery", words[0], "x.toml", *words[1:])
        assert (code, "hint:" in err) == (2, True)
