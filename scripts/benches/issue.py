"""How fast certificates are issued, against what the arithmetic allows and against `openssl ca` on the same token."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scripts.benches.arithmetic import compile_loop, module, sign_rate, verify_rate, without_bytecode_switch
from scripts.benches.fill import fill
from scripts.benches.report import Row
from smki.entity import EntityRange
from smki.pki.kind import Kind
from tests.house import House, founded

SMKI = [sys.executable, "-m", "smki"]
WORKS = "Meter Works"
_ENTITIES = 0x00DB_1200_0000_0000


@dataclass(frozen=True)
class Bounds:
    """What the machine can do, all cores together, in the moment of the measurement."""

    verify: float
    sign: float

    @property
    def bound(self) -> float:
        """Check the request, sign, check the signature: no issuing does less."""
        return 1 / (2 / self.verify + 1 / self.sign)


class Bench:
    """One workspace, and what is measured with it."""

    def __init__(self, house: House, folder: Path, processes: int) -> None:
        self.house = house
        self.folder = folder
        self.processes = processes
        self._made = 0
        self._loop = compile_loop(folder)
        self._environment = {**without_bytecode_switch(folder), "SMKI_HOME": str(house.home)}

    # The bound

    def bounds(self) -> Bounds:
        sign = sign_rate(self._loop, self.house.home, "dca-issuing", self.processes)
        return Bounds(verify_rate(self.processes), sign)

    # Ours

    def requests(self, count: int) -> Path:
        """Requests of devices that never asked before, two each."""
        first = f"{_ENTITIES + self._made:016X}"
        self._made += count
        path = self.folder / f"requests-{self._made}.jsonl"
        self._smki("device", "request", first, "--count", str(count // 2), "--out", str(path))
        return path

    def issue(self, requests: Path, count: int) -> tuple[float, float]:
        """Certificates a second from the first octet read to the last result written, and megabytes at most."""
        out = requests.with_suffix(".results")
        begin = time.monotonic()
        memory = self._smki(
            "device", "issue", "--org", WORKS, "--from", str(requests), "--out", str(out),
            "--workers", str(self.processes),
        )  # fmt: skip
        rate = count / (time.monotonic() - begin)
        issued = out.read_bytes().count(b'"result":"issued"')
        assert issued == count, f"{issued} of {count} issued"
        return rate, memory

    def _smki(self, *arguments: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        subprocess.run([*SMKI, *arguments], env=self._environment, check=True, capture_output=True)
        return max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024

    def start_up(self) -> float:
        """Seconds a run of one device takes: what a short run pays, and a long one does not notice."""
        requests = self.requests(2)
        begin = time.monotonic()
        self.issue(requests, 2)
        return time.monotonic() - begin

    # Theirs

    def openssl_ca(self, count: int) -> float:
        """`openssl ca -infiles` with the same key in the same token."""
        folder = self.folder / "openssl"
        folder.mkdir()
        home = self.house.home
        self._smki("device", "request", f"{_ENTITIES + (1 << 36):016X}", "--count", str(count // 2), "--out",
                   str(folder / "asked"))  # fmt: skip
        names = []
        for csr in sorted((folder / "asked" / "requests").iterdir()):
            pem = csr.with_suffix(".pem")
            names.append(str(pem))
            subprocess.run(["openssl", "req", "-inform", "DER", "-in", csr, "-out", pem], check=True)
        self._smki("ca", "export", "dca-issuing-1", "--out", str(folder / "ca.pem"))
        (folder / "index").write_text("")
        (folder / "serial").write_text("1000\n")
        (folder / "new").mkdir()
        (folder / "conf").write_text(_OPENSSL_CONF.format(folder=folder, module=module(), home=home))
        pin = (home / "pins" / "dca-issuing").read_text().strip()
        environment = {
            **os.environ,
            "SOFTHSM2_CONF": str(home / "softhsm2.conf"),
            "OPENSSL_CONF": str(folder / "conf"),
        }
        command = [
            "openssl", "ca", "-batch", "-notext", "-engine", "pkcs11", "-keyform", "engine",
            "-keyfile", f"pkcs11:token=dca-issuing;type=private;pin-value={pin}", "-config", str(folder / "conf"),
            "-cert", str(folder / "ca.pem"), "-preserveDN", "-infiles", *names,
        ]  # fmt: skip
        begin = time.monotonic()
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        seconds = time.monotonic() - begin
        made = len(list((folder / "new").iterdir()))
        if made != count:
            raise RuntimeError(f"openssl ca made {made} of {count}: {done.stderr[-400:]}")
        return count / seconds


_OPENSSL_CONF = """\
openssl_conf = init
[init]
engines = engines
[engines]
pkcs11 = pkcs11
[pkcs11]
engine_id = pkcs11
MODULE_PATH = {module}
init = 0
[ca]
default_ca = ours
[ours]
database = {folder}/index
serial = {folder}/serial
new_certs_dir = {folder}/new
default_md = sha256
default_days = 3650
policy = any
unique_subject = no
copy_extensions = copy
email_in_dn = no
[any]
commonName = optional
"""


def run(count: int, stored: int, processes: int) -> list[Row]:
    """Everything there is to know of the speed of issuing."""
    with (
        tempfile.TemporaryDirectory(prefix="smki-bench-") as name,
        founded(Path(name) / "authority", lambda: datetime.now(UTC)) as house,
    ):
        house.enrol()
        house.stand_up()
        enrol_works(house)
        bench = Bench(house, Path(name), processes)
        return list(_rows(bench, count, stored))


def enrol_works(house: House) -> None:
    from smki.authority.registration import Enrolment, enrol

    enrol(
        house.workspace,
        Enrolment(WORKS, (), (Kind.DEVICE,), (EntityRange.parse("00-DB-12"),), 100_000_000),
    )


def _rows(bench: Bench, count: int, stored: int) -> Iterator[Row]:
    bench.start_up()  # the first one compiles the modules
    start_up = bench.start_up()
    rate, memory, bounds = _measure(bench, count)
    processes = f"{bench.processes} processes"
    yield Row("verify", bounds.verify, "1/s", f"openssl speed, {processes}")
    yield Row("C_Sign", bounds.sign, "1/s", f"C loop on the token, {processes}")
    yield Row("start of a run", start_up, "s", "the command with one device")
    yield Row("issue", rate, "1/s", "1/(2 t_verify + t_C_Sign)", bounds.bound)
    steady = count / (count / rate - start_up)
    yield Row("issue, start taken off", steady, "1/s", "1/(2 t_verify + t_C_Sign)", bounds.bound)
    yield Row("issue", rate, "1/s", "C_Sign", bounds.sign)
    theirs = bench.openssl_ca(min(count, 2000))
    yield Row("issue", rate, "1/s", "openssl ca -infiles, same token", theirs)
    yield Row("memory of the largest process", memory, "MB", f"{count} requests")
    if stored:
        fill(bench.house.workspace, stored)
        full, memory, later = _measure(bench, count)
        yield Row(f"issue with {stored} stored", full, "1/s", "1/(2 t_verify + t_C_Sign)", later.bound)
        # The machine is not the same from minute to minute: each rate counts against the bound of its own moment.
        yield Row(
            "the same, against an empty store", full / later.bound, "", "share of the bound", rate / bounds.bound
        )
        yield Row("memory of the largest process", memory, "MB", f"{count} requests, {stored} stored")


def _measure(bench: Bench, count: int) -> tuple[float, float, Bounds]:
    """A run, with the bounds measured before and after it."""
    requests = bench.requests(count)
    before = bench.bounds()
    rate, memory = bench.issue(requests, count)
    after = bench.bounds()
    return rate, memory, Bounds((before.verify + after.verify) / 2, (before.sign + after.sign) / 2)
