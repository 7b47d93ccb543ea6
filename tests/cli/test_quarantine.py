"""The commands about what is held as officers type them."""

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.workspace import Workspace
from smki.entity import RemotePartyRole
from smki.parties.anomaly.limits import Limit, Limits
from tests.cli.typing_hand import Type, typing_in
from tests.house import NOW, PASSPHRASE, founded
from tests.parties.broker.deciders import ALICE, Officer, officer_of, organisation, put_roll
from tests.parties.broker.world import World

PASS = ("--passphrase", "file:pass")


class Desk:
    """A broker that holds three commands of one supplier, and files of those who decide about them."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.supplier = world.user(RemotePartyRole.SUPPLIER)
        workspace = world.house.workspace
        put_roll(workspace)
        owner = organisation(workspace, self.supplier.role, self.supplier.entity)
        self.ann = officer_of(workspace, owner)
        world.limits = Limits(own={self.supplier.entity: (Limit("none", None, 0, timedelta(hours=1)),)})
        world.submit(*(self.supplier.arming(5, meter) for meter in world.devices(3, self.supplier)))
        self.waiting = workspace.store.quarantine.in_state("waiting", 10)
        self.pattern = self.waiting[0].pattern
        (folder / "pass").write_text(PASSPHRASE)
        (folder / "pass").chmod(0o600)
        self._key(folder / "ann.pem", self.ann)
        self._key(folder / "alice.pem", ALICE)
        (folder / "broker.der").write_bytes(world.broker.octets)
        pem = b"".join(one.certificate.public_bytes(Encoding.PEM) for one in world.others)
        (folder / "others.pem").write_bytes(pem)

    def _key(self, path: Path, officer: Officer) -> None:
        encryption = serialization.BestAvailableEncryption(PASSPHRASE.encode())
        path.write_bytes(officer.key.private_bytes(Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
        path.chmod(0o600)

    @property
    def workspace(self) -> Workspace:
        return self.world.house.workspace


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with founded(tmp_path / "home", lambda: NOW, kind="user") as house:
        made = Desk(World(house, [NOW]), tmp_path)
        house.workspace.close()
        yield made


@pytest.fixture
def smki(desk: Desk, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Type:
    monkeypatch.chdir(tmp_path)
    typed = typing_in(desk.world.house.home, capsys, monkeypatch)

    def broker(*words: str | Path, typed: Type = typed) -> tuple[int, str, str]:
        return typed("broker", *words)

    return broker


HAND_OUT = ("quarantine", "hand-out", "--token", "keys", "--key", "broker", "--certificate", "broker.der")


def test_from_the_list_to_the_commands(desk: Desk, smki: Type) -> None:
    code, out, _ = smki("quarantine", "list", "--json")
    (line,) = json.loads(out)["patterns"]
    assert (code, line["pattern"], line["count"], line["acknowledged"]) == (0, desk.pattern, 3, False)
    _, out, _ = smki("quarantine", "list", "--pattern", desk.pattern)
    assert out.count("waiting") == 3
    _, out, _ = smki("quarantine", "show", desk.pattern, "--certificates", "others.pem")
    assert "3 admitted (of the first 3)" in out
    assert "54 (remote supply arm)" in out
    drafted = smki("quarantine", "draft", desk.pattern, "--officer", "Ann Ash", "--reason", "asked", "--out", "text")
    assert drafted[1] == "wrote text: release 3 commands, for Ann Ash to sign\n"
    code, out, err = smki("quarantine", "confirm", "text", "--key", "ann.pem", *PASS, "--out", "ann.p7m")
    assert (code, out.splitlines()[0]) == (0, "Ann Ash: release 3 commands (asked)"), err
    assert out.splitlines()[1] == "  3 ECS44 Arm Load Switch in ESME"
    code, out, _ = smki("quarantine", "release", "--confirmation", "ann.p7m")
    assert (code, out.splitlines()[-1]) == (0, "0 of them have the word of both sides")
    code, _, err = smki(*HAND_OUT, "--out", "none.jsonl")
    assert (code, err) == (0, "0 commands: nothing is released\n")
    alice = ("--officer", "alice", "--key", "alice.pem", *PASS, "--reason", "called")
    code, out, err = smki("quarantine", "release", desk.pattern, *alice, "--json")
    assert json.loads(out)["decisions"][0] == {
        "decision": "release",
        "officer": "alice",
        "capacity": "broker",
        "commands": 3,
        "ready": 3,
        "recorded_before": False,
    }
    code, _, err = smki(*HAND_OUT, "--certificates", "others.pem", "--out", "out.jsonl")
    assert (code, err) == (0, "3 commands: 3 admitted\n")
    assert smki("quarantine", "list")[0] == 1
    assert smki("quarantine", "list", "--state", "released")[0] == 0


def test_what_is_wrong_is_told(desk: Desk, smki: Type) -> None:
    ann = ("--officer", "Ann Ash", "--key", "ann.pem", *PASS)
    assert "quarantine.unknown" in smki("quarantine", "show", "nothing")[2]
    assert smki("quarantine", "release")[0] == smki("quarantine", "release", desk.pattern)[0] == 2
    assert "quarantine.reason" in smki("quarantine", "reject", desk.pattern, *ann)[2]
    smki("quarantine", "draft", desk.pattern, "--officer", "Ann Ash", "--reason", "x", "--out", "text")
    smki("quarantine", "confirm", "text", "--key", "ann.pem", *PASS, "--out", "ann.p7m")
    assert "quarantine.decision" in smki("quarantine", "reject", "--confirmation", "ann.p7m")[2]
    assert "officer.key-in-clear" not in smki("quarantine", "confirm", "text", "--key", "ann.pem", *PASS)[2]
    digest = desk.waiting[0].digest.hex()[:16]
    code, out, _ = smki("quarantine", "reject", digest, *ann, "--reason", "nobody asked")
    assert (code, out) == (0, "Ann Ash, for the originator: reject 1 command\n")
    assert "quarantine.rejected" in smki("quarantine", "release", "--confirmation", "ann.p7m")[2]
    assert smki("quarantine", "hand-out")[0] == 2


def test_who_signs_sees_what_stands_behind_the_first_lines(desk: Desk, smki: Type) -> None:
    smki("quarantine", "draft", desk.pattern, "--officer", "Ann Ash", "--reason", "x", "--out", "text")
    text = Path("text").read_text()
    harmless, line = (
        text.splitlines()[-1],
        "{:064x} ECS43 Open the Load Switch in ESME, 00-DB-12-34-56-78-90-A0, counter {}",
    )
    Path("many").write_text(text + "".join(f"{line.format(number, number)}\n" for number in range(1, 41)))
    assert "ECS44" in harmless
    _, out, _ = smki("quarantine", "confirm", "many", "--key", "ann.pem", *PASS, "--out", "many.p7m")
    assert "  40 ECS43 Open the Load Switch in ESME" in out.splitlines()
    assert "    ... and 23 more, in many" in out.splitlines()


def test_the_watch_the_acknowledgement_and_the_figures(desk: Desk, smki: Type) -> None:
    code, _, err = smki("watch", "--once")
    held = next(json.loads(line) for line in err.splitlines() if "broker.held" in line)
    assert (code, held["news"], held["waiting"], held["level"]) == (6, "new", 3, "critical")
    assert held["hint"] == f"smki broker quarantine show '{desk.pattern}'"
    assert smki("quarantine", "acknowledge", desk.pattern)[1].startswith(f"{desk.pattern}: 3 commands known")
    assert smki("watch", "--once")[0] == 0
    code, out, _ = smki("stats", "--json")
    assert (code, json.loads(out)["total"]) == (0, {"admitted": 0, "held": 3, "refused": 0})
    code, out, _ = smki("stats", "--user", str(desk.supplier.entity))
    assert "█" in out or "#" in out
    assert str(desk.supplier.entity) in out


def test_thresholds_are_drafted_signed_set_and_shown(desk: Desk, smki: Type) -> None:
    user = ("--user", str(desk.supplier.entity))
    assert smki("thresholds", "draft", *user, "--out", "own.toml")[0] == 0
    assert smki("thresholds", "draft", "--out", "all.toml")[0] == 0
    assert smki("thresholds", "draft", *user, "--campaign", "--out", "peak.toml")[0] == 0
    assert smki("thresholds", "draft", "--campaign", "--out", "none.toml")[0] == 2
    for file, officer, key in (
        ("own", "Ann Ash", "ann.pem"),
        ("all", "alice", "alice.pem"),
        ("peak", "Ann Ash", "ann.pem"),
    ):
        words = ("--officer", officer, "--key", key, *PASS, "--out", f"{file}.p7m")
        assert smki("thresholds", "sign", f"{file}.toml", *words)[0] == 0
    words = ("--officer", "alice", "--key", "alice.pem", *PASS, "--out", "peak-2.p7m")
    assert smki("thresholds", "sign", "peak.toml", *words)[0] == 0
    code, out, _ = smki("thresholds", "set", "own.p7m")
    assert (code, out.splitlines()[1].split(" of ")[0]) == (0, "signed by Ann Ash")
    assert smki("thresholds", "set", "all.p7m")[0] == 0
    assert "thresholds.signatures" in smki("thresholds", "set", "peak.p7m")[2]
    assert smki("thresholds", "set", "peak.p7m", "peak-2.p7m", "--json")[0] == 0
    assert "thresholds.serial" in smki("thresholds", "set", "own.p7m")[2]
    data = json.loads(smki("thresholds", "show", *user, "--json")[1])
    assert [one["owner"] for one in data["files"]] == [str(desk.supplier.entity), "global"]
    assert [one["name"] for one in data["campaigns"]] == ["tariff change"]
    assert {"each", "all"} == {one["of"] for one in data["policy"]}
    code, out, _ = smki("thresholds", "show")
    assert "disconnections a day" in out
    assert "transitionalCoS" in out
    bad = Path("bad.toml")
    bad.write_text("nothing")
    assert "settings" in smki("thresholds", "sign", bad, "--officer", "x", "--key", "ann.pem", *PASS, "--out", "o")[2]
    assert not os.path.exists("o")  # noqa: PTH110
