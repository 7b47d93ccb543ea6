"""Issuing while everything dies: processes killed, the token taken away, the disk full, the database gone."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509

from smki.authority.auditing import verify_log
from smki.authority.policies import load_policies
from smki.authority.requesting import make_device_requests
from smki.authority.workspace import SHIPPED
from smki.entity import EntityId
from smki.pki.kind import Kind
from smki.store.records import CertificateRecord
from smki.store.store import Store
from tests.house import WORKS, House, copy_of, founded, opened
from tests.once import once
from tests.postgres import running, shared
from tests.prefork import SMKI, Prefork

ISSUE = ("device", "issue", "--org", WORKS)
COLD = [sys.executable, "-m", "smki"]
SOFTHSM = next(
    path
    for pattern in ("softhsm/libsofthsm2.so", "*/softhsm/libsofthsm2.so")
    for path in Path("/usr/lib").glob(pattern)
)


def smki(home: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COLD, "--home", home, *arguments], capture_output=True, text=True, check=False)


def start(home: Path, *arguments: str | Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [*COLD, "--home", home, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )


def requests(number: int, devices: int) -> Path:
    """A file of requests, two of each device; whoever is in need of the same one has it again."""

    def make(path: Path) -> None:
        profile = load_policies(SHIPPED / "policies").issuance.rule(Kind.DEVICE).profile
        make_device_requests(profile, EntityId.parse(f"00DB12{number:04X}000000"), devices, path, None)

    return once(f"requests-{number}-{devices}.jsonl", make)


def workers(parent: int) -> list[int]:
    """The processes that a run started for the arithmetic."""
    try:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    except OSError:
        return []
    found = []
    for child in children:
        with suppress(OSError):  # it may end while it is looked at
            if b"smki.authority.issuance" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(int(child))
    return found


@pytest.fixture(scope="session")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The module that writes down what is signed."""
    library = tmp_path_factory.mktemp("counting") / "counting.so"
    source = Path(__file__).with_name("counting.c")
    # A library of its own: one process may use the token through this and another through the usual one.
    shutil.copy(SOFTHSM, library.with_name("softhsm.so"))
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library


def count_signatures(house: House, counting: Path) -> Path:
    """Reach the issuing DCA's token through the counting module."""
    signed = house.home / "signed"
    (house.home / "hsm").mkdir(mode=0o700)
    theirs = counting.with_name("softhsm.so")
    text = (
        f'title = "SoftHSM, counted"\nmodule = ["{counting}"]\nsession_copies = true\n'
        f'token_folders = "{{workspace}}/tokens"\n'
        f'environment = {{ SOFTHSM2_CONF = "{{workspace}}/softhsm2.conf", COUNTED_MODULE = "{theirs}",'
        f' COUNTED_FILE = "{signed}" }}\n'
    )
    house.keep("hsm/counted.toml", text)
    settings = (house.home / "smki.toml").read_text()
    before, after = settings.split("[tokens.dca-issuing]\n")
    house.keep("smki.toml", before + "[tokens.dca-issuing]\n" + after.replace('"softhsm"', '"counted"', 1))
    return signed


def for_devices(home: Path) -> None:
    """An authority for devices, its records on PostgreSQL, to be copied."""
    server = shared()
    server.create("for_devices")
    with founded(home, store_url=server.url("for_devices")) as house:
        house.enrol()
        house.stand_up_for_devices()
        house.enrol_works()


def on_postgresql(to: Path, counting: Path) -> Path:
    """A copy of it, whose device signatures are counted."""
    home, server = copy_of(once("for-devices", for_devices), to), shared()
    settings = home / "smki.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace(server.url("for_devices"), server.fresh("for_devices")), encoding="utf-8")
    house = opened(home)
    count_signatures(house, counting)
    house.workspace.close()
    return home


@pytest.fixture
def on_sqlite(complete: Path, tmp_path: Path, counting: Path) -> Path:
    """A whole authority, closed, whose device signatures are counted."""
    house = opened(copy_of(complete, tmp_path / "authority"))
    count_signatures(house, counting)
    house.workspace.close()
    return house.home


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def home(request: pytest.FixtureRequest, tmp_path: Path, counting: Path) -> Path:
    """The same on either engine."""
    if request.param == "postgresql":
        return on_postgresql(tmp_path / "authority", counting)
    on_sqlite: Path = request.getfixturevalue("on_sqlite")
    return on_sqlite


def reserved_ever(store: Store) -> set[str]:
    entries = (json.loads(entry.body) for entry in store.audit_entries())
    return {serial for entry in entries if entry["act"] == "serials.reserved" for serial in entry["facts"]["serials"]}


def account(home: Path, signed: Path) -> None:
    """Each signature the HSM made is a certificate on record, or its serial number is, as one that is not used."""
    house = opened(home)
    store = house.workspace.store
    verdict = verify_log(store)
    assert verdict.faults == ()
    stored = [x509.load_der_x509_certificate(record.der) for record in _device_certificates(store)]
    serials = [f"{certificate.serial_number:032X}" for certificate in stored]
    unused = {str(item.serial) for item in store.certificates.reservations()}
    assert len(set(serials)) == len(serials)
    assert set(serials).isdisjoint(unused)
    assert set(serials) | unused == reserved_ever(store)
    keys = [certificate.public_key().public_numbers() for certificate in stored]  # type: ignore[union-attr]
    assert len(set(keys)) == len(keys), "a key is certified once"
    digests = signed.read_bytes()
    made = {digests[at : at + 32] for at in range(0, len(digests), 32)}
    lost = made - {sha256(certificate.tbs_certificate_bytes).digest() for certificate in stored}
    assert len(lost) <= len(unused)
    assert len(made) >= len(stored), "what is stored was signed"
    house.workspace.close()


def _device_certificates(store: Store) -> Iterator[CertificateRecord]:
    from smki.store.certificates import Query

    return (record for record in store.certificates.find(Query()) if record.subscriber is not None)


def outputs_equal_the_store(home: Path, results: list[Path]) -> None:
    house = opened(home)
    handed_out = []
    for path in results:
        for line in path.read_bytes().splitlines():
            outcome = json.loads(line)
            assert outcome["result"] in {"issued", "issued before"}
            handed_out.append(outcome["serial"])
    stored = [str(record.serial) for record in _device_certificates(house.workspace.store)]
    assert sorted(handed_out) == sorted(stored)
    house.workspace.close()


@pytest.mark.requirement("R-SUB-7", "R-UID-3")
@pytest.mark.slow(30)
def test_forty_kills_lose_nothing(on_sqlite: Path, prefork: Prefork) -> None:
    killed_and_run_again(on_sqlite, prefork, 40)


@pytest.mark.slow(10)
@pytest.mark.postgresql
def test_kills_lose_nothing_on_postgresql(tmp_path: Path, counting: Path, prefork: Prefork) -> None:
    killed_and_run_again(on_postgresql(tmp_path / "authority", counting), prefork, 15)


def killed_and_run_again(home: Path, prefork: Prefork, kills: int) -> None:
    """Batch after batch is issued by runs of which so many are killed while they sign, or one of their workers is."""
    dice = random.Random(100)  # noqa: S311 - moments of death, not secrets
    signed = home / "signed"
    results: list[Path] = []
    batch, out = requests(0, 1000), home.parent / "results-0"
    with (home.parent / "said").open("w+b") as said:
        while kills:
            before = _size(signed)
            arguments = (*ISSUE, "--from", batch, "--out", out, "--workers", dice.choice("12"))
            child = prefork.start(SMKI, "--home", home, *arguments, out=said)
            # Most live until they have begun to sign: to die before that proves little.
            patient = dice.random() < 0.9
            while patient and child.poll() is None and _size(signed) == before:
                time.sleep(0.002)
            time.sleep(dice.uniform(0, 0.25))
            if child.poll() is None:
                with suppress(ProcessLookupError):  # whoever ended of itself in this moment was not killed
                    os.kill(dice.choice([child.pid, *workers(child.pid)]), signal.SIGKILL)
                    kills -= 1
            code = child.wait()
            if out.exists():  # the results appear whole, or not at all
                results.append(out)
                batch, out = requests(len(results), 1000), home.parent / f"results-{len(results)}"
            else:
                assert code in {-signal.SIGKILL, 4}
        said.seek(0)
        assert b"Traceback" not in said.read()
    done = smki(home, *ISSUE, "--from", batch, "--out", out)
    assert done.returncode == 0, done.stderr
    account(home, signed)
    outputs_equal_the_store(home, [*results, out])
    assert not list(home.parent.glob("*.part"))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@pytest.mark.slow(6)
def test_a_token_taken_away_is_waited_for(home: Path) -> None:
    batch, out = requests(0, 1500), home.parent / "results"
    (folder,) = (item for item in (home / "tokens").iterdir() if _holds(home, item, "dca-issuing"))
    child = start(home, *ISSUE, "--from", batch, "--out", out, "--workers", "2")
    _when_under_way(out.with_name("results.part"))
    folder.rename(home / "away")
    time.sleep(1.5)
    (home / "away").rename(folder)
    _, said = child.communicate()
    assert child.returncode == 0, said
    assert b"waiting: " in said
    account(home, home / "signed")
    outputs_equal_the_store(home, [out])


@pytest.mark.slow(6)
def test_a_token_that_stays_away_ends_the_run_cleanly(home: Path) -> None:
    batch, out = requests(0, 1500), home.parent / "results"
    arguments = (*ISSUE, "--from", batch, "--out", out, "--workers", "2", "--wait", "1")
    (folder,) = (item for item in (home / "tokens").iterdir() if _holds(home, item, "dca-issuing"))
    child = start(home, *arguments)
    _when_under_way(out.with_name("results.part"))
    folder.rename(home / "away")
    _, said = child.communicate()
    assert child.returncode == 4, said
    assert b"Traceback" not in said
    (home / "away").rename(folder)
    account(home, home / "signed")
    done = smki(home, *arguments)
    assert done.returncode == 0, done.stderr
    account(home, home / "signed")
    outputs_equal_the_store(home, [out])


def _holds(home: Path, folder: Path, token: str) -> bool:
    house = opened(home)
    info = house.workspace.hsm.find(house.workspace.token_ref(token))
    house.workspace.close()
    return info is not None and info.folder == folder


def _when_under_way(part: Path) -> None:
    """Some results are out, and more to come."""
    deadline = time.monotonic() + 30
    while not part.exists() or part.stat().st_size == 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow(6)
@pytest.mark.postgresql
def test_a_database_that_restarts_is_waited_for(complete: Path, tmp_path: Path, counting: Path) -> None:
    with running() as server:
        home = tmp_path / "authority"
        with founded(home, store_url=server.fresh()) as house:
            house.enrol()
            house.stand_up_for_devices()
            house.enrol_works()
            count_signatures(house, counting)
        batch, out = requests(0, 1500), home.parent / "results"
        child = start(home, *ISSUE, "--from", batch, "--out", out, "--workers", "2")
        _when_under_way(out.with_name("results.part"))
        server.stop()
        time.sleep(1)
        server.start()
        _, said = child.communicate()
        assert child.returncode == 0, said
        account(home, home / "signed")
        outputs_equal_the_store(home, [out])


@pytest.mark.slow(6)
@pytest.mark.postgresql
def test_two_administrators_at_once(tmp_path: Path, counting: Path) -> None:
    """Two nodes answer the same batch: each request has one certificate, and both hand out the same."""
    home = on_postgresql(tmp_path / "authority", counting)
    batch = requests(0, 1500)
    outs = [tmp_path / "one", tmp_path / "two"]
    nodes = [start(home, *ISSUE, "--from", batch, "--out", out, "--workers", "1") for out in outs]
    for node in nodes:
        _, said = node.communicate()
        assert node.returncode == 0, said
    account(home, home / "signed")
    first, second = (
        {item["request"]: item["serial"] for item in map(json.loads, out.read_bytes().splitlines())} for out in outs
    )
    assert first == second
    assert len(first) == 3000


@pytest.mark.slow(6)
def test_a_full_disk_ends_the_run_cleanly(complete: Path, tmp_path: Path, counting: Path) -> None:
    """The workspace lives on a small file system of its own, which somebody fills while the run is under way."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        house = opened(copy_of(complete, disk / "authority"))
        count_signatures(house, counting)
        house.workspace.close()
        home = disk / "authority"
        batch = requests(0, 3000)
        out = tmp_path / "results"
        arguments = (
            "device",
            "issue",
            "--org",
            WORKS,
            "--from",
            batch,
            "--out",
            out,
            "--workers",
            "2",
            "--wait",
            "1",
        )
        child = start(home, *arguments)
        _when_under_way(tmp_path / "results.part")
        subprocess.run(["dd", "if=/dev/zero", f"of={disk / 'rubbish'}", "bs=64k"], capture_output=True, check=False)
        _, said = child.communicate()
        assert child.returncode == 4, said
        assert b"Traceback" not in said
        (disk / "rubbish").unlink()
        done = smki(home, *arguments)
        assert done.returncode == 0, done.stderr
        account(home, home / "signed")
        outputs_equal_the_store(home, [out])
    finally:
        subprocess.run(["umount", str(disk)], check=True)
