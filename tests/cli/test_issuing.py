"""The commands around issuing, as a person types them: what they print, how they end, what they leave behind."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from smki.cli.main import run
from tests.cli.typing_hand import Type, typing_in
from tests.house import WORKS, House


@pytest.fixture
def smki(
    standing: House, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Type:
    """Type a command in this process; gives its exit code, and what it printed where."""
    standing.officer_file("alice")
    standing.workspace.close()
    monkeypatch.chdir(tmp_path)
    return typing_in(standing.home, capsys, monkeypatch)


@pytest.fixture
def alice(standing: House) -> list[str]:
    home = standing.home
    return ["--officer", "alice", "--key", str(home / "alice.pem"), "--passphrase", f"file:{home / 'passphrase'}"]


def data(printed: tuple[int, str, str]) -> Any:
    assert printed[0] == 0, printed
    return json.loads(printed[1])


def test_a_supplier_from_enrolment_to_renewal(smki: Type, tmp_path: Path) -> None:
    entity = "90-B3-D5-1F-30-01-00-00"
    made = data(smki("org", "add", "North", "--role", "supplier", "--id", entity, "--may", "organisation", "--json"))
    assert made["roles"] == ["supplier"]
    assert smki("org", "add", "North", "--role", "supplier", "--id", entity, "--may", "organisation")[0] == 3
    assert "North" in smki("org", "list")[1]
    assert data(smki("org", "show", "North", "--json"))["ranges"] == [entity]
    assert smki("org", "request", entity, "--role", "supplier", "--name", "North", "--out", "keys")[0] == 0
    assert smki("org", "request", entity, "--role", "supplier", "--out", "keys")[0] == 3
    for key in (tmp_path / "keys" / "keys").iterdir():
        assert key.stat().st_mode & 0o777 == 0o600
    code, _, said = smki("org", "issue", "North", "--csr", f"keys/requests/{entity}-ds.csr", "--out", "ds.pem")
    assert (code, said.startswith("issued: ")) == (0, True)
    assert smki("org", "issue", "North", "--csr", f"keys/requests/{entity}-ds.csr", "--out", "ds.pem")[0] == 3
    code, printed, _ = smki("org", "issue", "North", "--csr", f"keys/requests/{entity}-ka.csr")
    assert printed.startswith("-----BEGIN CERTIFICATE-----")
    found = data(smki("cert", "find", "--org", "North", "--json"))["certificates"]
    assert [item["usage"] for item in sorted(found, key=lambda item: item["usage"])] == [
        "digitalSignature",
        "keyAgreement",
    ]
    (serial,) = (item["serial"] for item in found if item["usage"] == "digitalSignature")
    shown = data(smki("cert", "show", serial, "--json"))
    assert (shown["organisation"], shown["status"], shown["status_letter"]) == ("North", "in use", "I")
    assert "status in use" in " ".join(smki("cert", "show", serial)[1].split())
    assert smki("cert", "show", entity)[0] == 2, "two certificates fit"

    assert smki("org", "request", entity, "--role", "supplier", "--usage", "digitalSignature", "--out", "new")[0] == 0
    assert smki("org", "issue", "North", "--csr", f"new/requests/{entity}-ds.csr")[0] == 3
    code, _, said = smki("cert", "renew", serial, "--csr", f"new/requests/{entity}-ds.csr", "--out", "new.pem")
    assert code == 0, said
    (pending,) = data(smki("cert", "find", "--status", "pending", "--json"))["certificates"]
    code, printed, _ = smki("cert", "status", pending["serial"], "--to", "in-use")
    assert printed == f"{pending['serial']} is in use\n{serial} is not in use\n"
    assert smki("cert", "status", serial, "--to", "in-use")[0] == 3
    assert smki("cert", "status", serial, "--to", "nonsense")[0] == 2
    assert smki("cert", "export", "--org", "North", "--out", "all")[0] == 0
    assert len(list((tmp_path / "all").glob("*.pem"))) == 3
    assert smki("cert", "export", "--org", "North", "--out", "all")[0] == 3
    assert smki("cert", "export", "--serial", serial, "--chain", "--out", "chain.pem")[0] == 0
    assert (tmp_path / "chain.pem").read_text().count("BEGIN") == 3
    assert smki("cert", "export", "--org", "North", "--chain", "--out", "chain2.pem")[0] == 2
    assert smki("cert", "export", "--org", "North", "--chain", "--der", "--out", "x")[0] == 2
    assert smki("cert", "find", "--entity", "00-00-00-00-00-00-00-09")[0] == 1
    assert smki("cert", "find", "--since", "yesterday")[0] == 2
    assert smki("cert", "find", "--expiring", "soon")[0] == 2
    assert smki("cert", "find", "--key", "nothing.pem")[0] == 2


def test_devices_one_and_many_with_every_exit_code(smki: Type, tmp_path: Path) -> None:
    assert smki("device", "request", "00-DB-12-00-00-00-00-01", "--count", "2", "--out", "meters")[0] == 0
    requests = tmp_path / "meters" / "requests"
    code, printed, said = smki("device", "issue", "--org", WORKS, "--from", requests, "--dry-run")
    assert (code, said) == (0, "4 requests: 4 would issue\n")
    assert [json.loads(line)["result"] for line in printed.splitlines()] == ["would issue"] * 4
    (requests / "wrong.csr").write_bytes(b"nonsense")
    code, _, said = smki("device", "issue", "--org", WORKS, "--from", requests, "--out", "results")
    assert (code, said) == (1, "5 requests: 4 issued, 1 refused\n")
    lines = [json.loads(line) for line in (tmp_path / "results").read_text().splitlines()]
    assert [item["number"] for item in lines] == [1, 2, 3, 4, 5]
    assert lines[-1]["faults"][0]["code"] == "request.form"
    assert lines[0]["reference"] == "00-DB-12-00-00-00-00-01-ds.csr"
    assert smki("device", "issue", "--org", WORKS, "--from", requests, "--out", "results")[0] == 3
    assert smki("device", "issue", "--org", WORKS, "--csr", requests / "wrong.csr")[0] == 3
    assert smki("device", "issue", "--org", WORKS, "--csr", "absent.csr")[0] == 2
    assert smki("device", "issue", "--org", WORKS)[0] == 2
    assert smki("device", "issue", "--org", "nobody", "--csr", "absent.csr")[0] == 2
    (tmp_path / "empty").mkdir()
    assert smki("device", "issue", "--org", WORKS, "--from", "empty")[0] == 2
    shown = data(
        smki("device", "issue", "--org", WORKS, "--csr", f"{requests}/00-DB-12-00-00-00-00-01-ds.csr", "--json")
    )
    assert shown["result"] == "issued before"
    assert smki("device", "request", "00-DB-12-00-00-00-00-07", "--out", "in-token", "--token", "contingency")[0] == 0
    assert list((tmp_path / "in-token" / "keys").iterdir()) == []
    code, _, said = smki("device", "issue", "--org", WORKS, "--from", "in-token/requests", "--out", "tokens")
    assert (code, said) == (0, "2 requests: 2 issued\n")
    assert smki("device", "request", "00-DB-12-00-00-00-00-08", "--out", "x.jsonl", "--token", "contingency")[0] == 2


def test_a_result_half_written_is_no_result(smki: Type, tmp_path: Path) -> None:
    """What an interrupted run left is written anew; what another run is writing is left alone."""
    import fcntl

    assert smki("device", "request", "00-DB-12-00-00-00-00-01", "--out", "requests.jsonl")[0] == 0
    part = tmp_path / "results.part"
    part.write_text("half a li")
    with part.open("r+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert smki("device", "issue", "--org", WORKS, "--from", "requests.jsonl", "--out", "results")[0] == 2
    assert smki("device", "issue", "--org", WORKS, "--from", "requests.jsonl", "--out", "results")[0] == 0
    assert not part.exists()
    assert len((tmp_path / "results").read_text().splitlines()) == 2


def test_suspension_and_approval_from_the_terminal(smki: Type, alice: list[str]) -> None:
    assert smki("org", "add", "Broker", "--role", "accessControlBroker", "--id", "90-B3-D5-1F-30-00-00-02", "--may",
                "organisation")[0] == 0  # fmt: skip
    assert smki("org", "request", "90B3D51F30000002", "--role", "accessControlBroker", "--out", "broker")[0] == 0
    issue = ("org", "issue", "Broker", "--from", "broker/requests")
    assert smki(*issue)[0] == 3
    (batch,) = data(smki("approve", "list", "--json"))["batches"]
    assert batch["reasons"] == ["certificates of role accessControlBroker"]
    assert "accessControlBroker" in smki("approve", "show", batch["batch"][:12])[1]
    assert smki("approve", "grant", batch["batch"][:12], "--officer", "alice")[0] == 2
    code, printed, _ = smki("approve", "grant", batch["batch"][:12], *alice)
    assert (code, printed.startswith("alice granted ")) == (0, True)
    assert smki("approve", "refuse", batch["batch"][:12], "--reason", "late", *alice)[0] == 3
    assert data(smki("approve", "list", "--json"))["batches"] == []
    assert len(data(smki("approve", "list", "--all", "--json"))["batches"]) == 1
    assert smki("org", "suspend", "Broker", "--reason", "lost its keys")[0] == 0
    assert smki(*issue)[0] == 3
    assert smki("org", "resume", "Broker", "--reason", "found them")[0] == 0
    code, printed, _ = smki(*issue)
    assert code == 0
    assert len(printed.splitlines()) == 2


def test_an_officer_is_appointed_and_dismissed(smki: Type, tmp_path: Path) -> None:
    os.system(  # noqa: S605 - as the document says it
        "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ann.key"
        " -subj '/CN=Ann Ash' -out ann.csr 2>/dev/null"
    )
    code, printed, _ = smki("org", "appoint", WORKS, "--as", "SRO", "--csr", "ann.csr", "--out", "ann.pem")
    assert (code, printed.startswith("Ann Ash is SRO of Meter Works")) == (0, True)
    assert "Ann Ash (SRO" in smki("org", "show", WORKS)[1]
    (tmp_path / "bad.csr").write_bytes(b"nonsense")
    assert smki("org", "appoint", WORKS, "--as", "ARO", "--csr", "bad.csr")[0] == 3
    assert smki("org", "appoint", WORKS, "--as", "ARO")[0] == 2
    serial = printed.split()[-1]
    assert smki("org", "appoint", WORKS, "--as", "ARO", "--certificate", serial)[0] == 0
    assert smki("org", "dismiss", WORKS, "Ann Ash")[0] == 0
    assert smki("org", "dismiss", WORKS, "Ann Ash")[0] == 3


def test_a_reader_that_leaves_is_told_of(standing: House, tmp_path: Path) -> None:
    """`| head -1` is no success: the rest was not handed out."""
    standing.workspace.close()
    base = [sys.executable, "-m", "smki", "--home", str(standing.home), "device"]
    subprocess.run(
        [*base, "request", "00DB120000000001", "--count", "400", "--out", "r.jsonl"], cwd=tmp_path, check=True
    )
    command = f"{shlex.join([*base, 'issue', '--org', WORKS, '--from', 'r.jsonl'])} | head -c 1"
    done = subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 4, done.stderr
    assert "[file.write]" in done.stderr
    assert "Traceback" not in done.stderr


def test_device_requests_need_no_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SMKI_HOME", raising=False)
    assert run(["device", "request", "00-DB-12-00-00-00-00-01", "--out", "meter"]) == 0
    assert run(["device", "request", "FF-FF-FF-FF-FF-FF-FF-FF", "--count", "2", "--out", "m"]) == 2
    assert len(list((tmp_path / "meter" / "requests").iterdir())) == 2
