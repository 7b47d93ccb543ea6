"""A device from its bundle to the command it obeys, as a person types it; and certification paths."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from smki.device.state import read_state
from smki.gbcs.agreement import agree
from smki.gbcs.protection import add_mac, sign
from smki.parties.keys import read_certified
from tests.cli.typing_hand import Type, typing_in
from tests.house import House
from tests.parties.people import arming
from tests.prefork import SMKI, Prefork

DEVICE = "00-DB-12-34-99-00-00-00"
PARTIES = {
    "supplier": "90-B3-D5-1F-30-01-00-00",
    "networkOperator": "90-B3-D5-1F-30-02-00-00",
    "accessControlBroker": "90-B3-D5-1F-30-00-00-02",
    "transitionalCoS": "90-B3-D5-1F-30-00-00-04",
    "recovery": "90-B3-D5-1F-30-00-00-01",
}


@pytest.fixture
def smki(
    standing: House, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Type:
    standing.officer_file("alice")
    standing.workspace.close()
    monkeypatch.chdir(tmp_path)
    return typing_in(standing.home, capsys, monkeypatch)


def good(printed: tuple[int, str, str]) -> str:
    assert printed[0] == 0, printed
    return printed[1]


@pytest.fixture
def bundle(smki: Type, standing: House) -> Callable[[str], Path]:
    """Everyone certified, and a way to export the meter's bundle."""
    alice = ["--officer", "alice", "--key", standing.home / "alice.pem"]
    alice += ["--passphrase", f"file:{standing.home / 'passphrase'}"]
    for role, entity in PARTIES.items():
        good(smki("org", "add", role, "--role", role, "--id", entity, "--may", "organisation"))
        wanted = [[role]] if role != "supplier" else [[role], ["top-up", "--usage", "keyAgreement"]]
        for name, *usage in wanted:
            good(smki("org", "request", entity, "--role", role, "--out", name, *usage))
            if smki("org", "issue", role, "--from", f"{name}/requests", "--out", f"{name}.jsonl")[0]:
                waiting = json.loads(good(smki("approve", "list", "--json")))["batches"][0]["batch"]
                good(smki("approve", "grant", waiting[:16], *alice))
                good(smki("org", "issue", role, "--from", f"{name}/requests", "--out", f"{name}.jsonl"))
    good(smki("device", "request", DEVICE, "--out", "meter"))
    good(smki("device", "issue", "--org", "Meter Works", "--from", "meter/requests", "--out", "meter.jsonl"))
    good(smki("officer", "request", "Bundle signer", "--token", "audit", "--label", "bundle", "--out", "signer.csr"))
    good(smki("org", "appoint", "Meter Works", "--as", "ARO", "--csr", "signer.csr", "--out", "signer.pem"))
    good(smki("ca", "export", "infra-root", "--out", "anchor.pem"))
    good(smki("cert", "export", "--entity", DEVICE, "--out", "meters"))

    def export(name: str, *more: str) -> Path:
        own = ["--certificate", "signer.pem", "--token", "audit", "--key", "bundle"]
        good(smki("bundle", "export", DEVICE, "--kind", "ESME", *own, "--out", name, *more))
        return Path(name)

    return export


def command(counter: int) -> str:
    """What the supplier signed and the broker let pass."""
    message = sign(
        arming(counter, target=read_state(Path("state").read_bytes())[0].device),
        _key(f"supplier/keys/{PARTIES['supplier']}-ds.key"),
    )
    (meter,) = [
        one
        for one in (read_certified(path) for path in Path("meters").iterdir())
        if one.holder.usage.value == "keyAgreement"
    ]
    broker = _key(f"accessControlBroker/keys/{PARTIES['accessControlBroker']}-ka.key")
    with agree(broker, meter.holder.public_key) as secret:
        return add_mac(message, secret).encode().hex()


def _key(path: str) -> Any:
    return load_pem_private_key(Path(path).read_bytes(), password=None)


def state_of(smki: Type, bundle: Path) -> None:
    keys = ["--signing-key", f"meter/keys/{DEVICE}-ds.key", "--agreement-key", f"meter/keys/{DEVICE}-ka.key"]
    good(smki("device", "state", "new", "--bundle", bundle, "--anchor", "anchor.pem", *keys, "--state", "state"))


@pytest.mark.requirement("R-E2E-6")
def test_a_device_from_bundle_to_command(smki: Type, bundle: Callable[..., Path]) -> None:
    first = bundle("first.bundle")
    opened = ["openssl", "cms", "-verify", "-inform", "DER", "-in", str(first), "-CAfile", "anchor.pem"]
    done = subprocess.run([*opened, "-purpose", "any"], capture_output=True, check=True)
    manifest = json.loads(done.stdout)
    assert (manifest["device"], manifest["device_type"], manifest["version"]) == (DEVICE, "ESME", "1")
    shown = json.loads(good(smki("bundle", "show", first, "--json")))
    assert len(shown["cells"]) == 9
    assert shown["cells"]["supplier digitalSignature"]["holder"] == PARTIES["supplier"]
    assert shown["cells"]["supplier keyAgreement"] != shown["cells"]["supplier prePaymentTopUp"]
    assert "is good: version 1" in good(smki("bundle", "verify", first, "--anchor", "anchor.pem"))
    state_of(smki, first)
    assert Path("state").stat().st_mode & 0o777 == 0o600
    lines = good(smki("device", "receive", "--state", "state", command(5)))
    told = json.loads(lines)
    assert (told["verdict"], told["step"], len(told["changes"])) == ("accepted", 9, 1)
    assert bytes.fromhex(told["answer"])[:2] == b"\xdf\x09"
    code, out, _ = smki("device", "receive", "--state", "state", command(5), command(6))
    assert code == 1
    assert [json.loads(line)["verdict"] for line in out.splitlines()] == ["receive.counter", "accepted"]
    state = json.loads(good(smki("device", "state", "show", "--state", "state", "--json")))
    assert state["counters"]["supplier"] == "6"
    assert [line["code"] for line in state["log"]] == ["accepted", "receive.counter", "accepted"]
    assert "PRIVATE" not in json.dumps(state)
    second = bundle("second.bundle", "--counter", "supplier=3")
    assert smki("bundle", "diff", first, second)[0] == 1
    good(smki("device", "state", "update", "--bundle", second, "--anchor", "anchor.pem", "--state", "state"))
    again = json.loads(good(smki("device", "state", "show", "--state", "state", "--json")))
    assert (again["bundle"], again["counters"]["supplier"]) == (2, "6"), "counters never go back"
    code, _, err = smki("device", "state", "update", "--bundle", first, "--anchor", "anchor.pem", "--state", "state")
    assert (code, "bundle.older" in err) == (3, True)


@pytest.mark.requirement("R-E2E-6")
def test_bundles_that_are_not_believed(smki: Type, bundle: Callable[..., Path], tmp_path: Path) -> None:
    octets = bundle("good.bundle").read_bytes()
    good(smki("ca", "export", "oca-root", "--out", "other.pem"))
    assert "bundle.signer" in smki("bundle", "verify", "good.bundle", "--anchor", "other.pem")[2]
    at = octets.index(b'"top_up_floor": "0"')
    for name, changed in (
        ("changed", octets[: at + 17] + b"9" + octets[at + 18 :]),
        ("cut", octets[:-10]),
        ("empty", b""),
        ("signature", octets[:-1] + bytes((octets[-1] ^ 1,))),
    ):
        (tmp_path / name).write_bytes(changed)
        code, _, err = smki("bundle", "verify", name, "--anchor", "anchor.pem")
        assert code in {2, 3}, name
        assert "bundle." in err, name
    own = ["--certificate", "signer.pem", "--token", "audit", "--key", "bundle", "--out", "x"]
    assert "bundle.device" in smki("bundle", "export", "00-DB-12-34-99-00-00-77", "--kind", "ESME", *own)[2]
    assert "bundle.cells" in smki("bundle", "export", DEVICE, "--kind", "SAPC", *own)[2]
    wrong = ["--certificate", "anchor.pem", "--key-file", f"meter/keys/{DEVICE}-ds.key", "--out", "x"]
    assert smki("bundle", "export", DEVICE, "--kind", "ESME", *wrong)[0] == 3
    keys = ["--signing-key", f"meter/keys/{DEVICE}-ka.key", "--agreement-key", f"meter/keys/{DEVICE}-ka.key"]
    made = smki("device", "state", "new", "--bundle", "good.bundle", "--anchor", "anchor.pem", *keys, "--state", "s")
    assert (made[0], "bundle.key" in made[2]) == (3, True)


def test_plain_files_for_firmware(bundle: Callable[..., Path]) -> None:
    folder = bundle("plain", "--plain")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert len(list((folder / "cells").iterdir())) == len(manifest["cells"]) == 9
    assert {path.name for path in (folder / "own").iterdir()} == {"digitalSignature.der", "keyAgreement.der"}


@pytest.mark.requirement("R-CTR-1")
@pytest.mark.slow(6)
def test_a_device_killed_at_any_moment_has_its_old_state_or_its_new(
    smki: Type, bundle: Callable[..., Path], prefork: Prefork
) -> None:
    """Kills with SIGKILL while commands are obeyed: the file is always whole, and nothing is obeyed twice."""
    state_of(smki, bundle("a.bundle"))
    Path("commands").write_text("".join(f"{command(number)}\n" for number in range(1, 400)))
    kept, highest = Path("state"), 0
    for attempt in range(6):
        before = kept.read_bytes()
        process = prefork.start(SMKI, "device", "receive", "--state", kept.absolute(), Path("commands").absolute())
        while process.poll() is None and kept.read_bytes() == before:
            time.sleep(0.002)  # until it has obeyed something
        time.sleep(0.02 * attempt)
        process.kill()
        state, _ = read_state(kept.read_bytes())
        counter = max(state.counters.values())
        assert counter >= highest
        accepted = [one.text for one in state.log if one.code == "accepted"]
        assert len(accepted) == counter, "each command was obeyed once"
        highest = counter
    assert highest > 0


def test_chains(smki: Type, bundle: Callable[..., Path]) -> None:
    bundle("b.bundle")
    for path in Path("meters").iterdir():
        told = json.loads(good(smki("chain", "verify", path, "--json")))
        assert (told["valid"], len(told["path"])) == (True, 2)
        code, out, _ = smki("chain", "verify", path, "--at", "2010-01-01T00:00:00Z")
        assert (code, "path.not-yet-valid" in out) == (3, True)
        assert smki("chain", "verify", path, "--at", "2010-01-01T00:00:00Z", "--disapply-time")[0] == 0
        assert "path.policy" in smki("chain", "verify", path, "--policy", "1.2.3")[1]
        good(smki("ca", "export", "oca-root", "--out", f"{path.name}.root"))
        assert "path.no-anchor" in smki("chain", "verify", path, "--anchor", f"{path.name}.root")[1]
    assert smki("chain", "verify", "anchor.pem")[0] == 2
    assert smki("chain", "verify", path, "--at", "now")[0] == 2
