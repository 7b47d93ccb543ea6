"""The commands as a person meets them: errors, exit codes, secrets, and the time a cold one takes."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import House

SMKI = [sys.executable, "-m", "smki"]


def smki(*arguments: str | Path, home: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **more}
    if home is not None:
        environment["SMKI_HOME"] = str(home)
    return subprocess.run([*SMKI, *arguments], env=environment, capture_output=True, text=True, check=False)


def test_what_is_no_workspace_is_told(tmp_path: Path) -> None:
    done = smki("--home", tmp_path, "ca", "tree")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert "[workspace.none]\nhint: make one: smki init" in done.stderr


@pytest.mark.parametrize(
    "arguments", [["ca", "show", "x"], ["nonsense"], ["audit", "prove", "99999"], ["hsm", "info", "x"]]
)
def test_an_error_is_two_lines_and_no_traceback(arguments: list[str], house: House) -> None:
    house.workspace.close()
    done = smki(*arguments, home=house.home)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_reader_that_leaves_early_is_no_error(house: House) -> None:
    for start in "34":
        house.hold(house.shipped(start))
    house.workspace.close()
    line = f"set -o pipefail; {sys.executable} -m smki --home {house.home} audit list --json | head -n 1"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow(9)
def test_a_story_by_the_commands_alone(tmp_path: Path) -> None:
    home = tmp_path / "authority"
    assert smki("init", home).returncode == 0
    assert json.loads(smki("init", home, "--json").stdout)["made"] == []
    officers = 'kind = "officers"\npurpose = "Enrol"\n'
    for name in ("alice", "bob", "carol"):
        done = smki(
            "officer", "key", name, "--out", tmp_path / name, "--passphrase", "env:PASS", PASS="a long enough one"
        )
        assert done.returncode == 0, done.stderr
        officers += done.stdout
    path = home / "ceremonies" / "officers.toml"
    path.write_text(officers)
    path.chmod(0o600)

    def approve(file: Path, name: str) -> None:
        sha256 = json.loads(smki("ceremony", "check", file, "--json", home=home).stdout)["sha256"]
        key = ["--key", str(tmp_path / name), "--passphrase", "env:PASS", "--sha256", sha256]
        done = smki("ceremony", "approve", file, "--officer", name, *key, home=home, PASS="a long enough one")
        assert done.returncode == 0, done.stderr

    for name in ("alice", "bob", "carol"):
        approve(path, name)
    assert smki("ceremony", "run", path, home=home).returncode == 0
    names = [
        officer["name"] for officer in json.loads(smki("officer", "list", "--json", home=home).stdout)["officers"]
    ]
    assert names == ["alice", "bob", "carol"]
    root = home / "ceremonies" / "1-root-oca.toml"
    assert smki("ceremony", "check", root, home=home).returncode == 1
    assert smki("ceremony", "run", root, home=home).returncode == 3
    approve(root, "alice")
    approve(root, "carol")
    assert smki("ceremony", "run", root, "--json", home=home).returncode == 0
    (authority,) = json.loads(smki("ca", "tree", "--json", home=home).stdout)["authorities"]
    assert (authority["name"], authority["token_present"]) == ("oca-root", True)
    assert "wrapped contingency key" in smki("ca", "show", "oca-root", home=home).stdout
    assert smki("ca", "export", "oca-root", home=home).stdout.startswith("-----BEGIN CERTIFICATE-----")
    assert smki("ca", "contingency", "oca-root", home=home).returncode == 0
    assert smki("hsm", "check", "oca-issuing", home=home).returncode == 0
    assert "CKM_ECDSA " in smki("hsm", "info", "oca-root", home=home).stdout
    assert smki("hsm", "list", home=home).stdout.count("present") == 9
    assert smki("audit", "list", "--last", "2", home=home).stdout.count("\n") == 3
    assert smki("audit", "verify", home=home).returncode == 0
    _no_secret_shows(home, tmp_path)


def _no_secret_shows(home: Path, tmp_path: Path) -> None:
    """No PIN and no passphrase stands in the database, in what is published, or in the ceremony files."""
    secrets = [path.read_bytes().strip() for path in (home / "pins").iterdir()] + [b"a long enough one"]
    assert len(secrets) == 10
    files = [path for path in home.rglob("*") if path.is_file() and path.parent.name != "pins"]
    files += [path for path in tmp_path.iterdir() if path.is_file()]
    for path in files:
        data = path.read_bytes()
        assert not any(secret in data for secret in secrets), path


@pytest.mark.requirement("R-NTK-1")
def test_no_pin_shows_in_the_process_list_or_in_output(house: House) -> None:
    house.workspace.close()
    pins = [path.read_text().strip() for path in (house.home / "pins").iterdir()]
    child = subprocess.Popen(
        [*SMKI, "hsm", "check", "audit"], env={**os.environ, "SMKI_HOME": str(house.home)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    seen = ""
    while child.poll() is None:
        try:
            seen += Path(f"/proc/{child.pid}/cmdline").read_text() + Path(f"/proc/{child.pid}/environ").read_text()
        except OSError:
            break
    output, _ = child.communicate()
    assert seen
    assert not any(pin in seen + output for pin in pins)
    (house.home / "pins" / "audit").write_text("0000 wrong\n")
    done = smki("hsm", "check", "audit", home=house.home)
    assert done.returncode == 3
    assert "[hsm.pin-incorrect]" in done.stderr
    assert "0000 wrong" not in done.stderr


def test_a_cold_tree_is_quick(house: House) -> None:
    house.hold(house.shipped("1"))
    house.workspace.close()
    times = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert smki("ca", "tree", home=house.home, COVERAGE_PROCESS_START="").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert min(times) < 0.4
