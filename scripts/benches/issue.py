"""How fast certificates are issued and found: against what arithmetic allows, beside others, and in a full house."""

import os
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from scripts.benches.arithmetic import Arithmetic, without_bytecode_switch
from scripts.benches.fill import fill
from scripts.benches.peers import LABEL, PEERS, TOKEN, Desk, Peer, as_pem
from scripts.benches.report import Row, missing
from smki.entity import EntityId, EntityRange
from smki.pki.kind import Kind
from smki.store.store import Store
from tests.house import House, founded

SMKI = [sys.executable, "-m", "smki"]
WORKS = "Meter Works"
_ENTITIES = 0x00DB_1200_0000_0000
_AIM = 0.8
_FLAT = 0.9
_BOUND = "1/(2 t_verify + t_C_Sign)"
_LOOKED_UP, _TURNS = 20_000, 4
_PROCESS_EACH = 100
"""Certificates of peers that need a process for each: their rate is the same for any number."""


@dataclass(frozen=True)
class Bounds:
    """What the machine can do, all cores together, in the moment of the measurement."""

    verify: float
    sign: float

    @property
    def bound(self) -> float:
        """Check the request, sign, check the signature: no issuing does less."""
        return 1 / (2 / self.verify + 1 / self.sign)


@dataclass(frozen=True)
class Issued:
    """One run of so many."""

    rate: float
    memory: float
    """Megabytes of the largest process."""
    bounds: Bounds

    @property
    def share(self) -> float:
        return self.rate / self.bounds.bound


class Bench:
    """One workspace, and what is measured with it."""

    def __init__(self, house: House, folder: Path, arithmetic: Arithmetic) -> None:
        self.house = house
        self.folder = folder
        self.arithmetic = arithmetic
        self._made = 0
        environment = os.environ if arithmetic.brief else without_bytecode_switch(folder)
        self._environment = {**environment, "SMKI_HOME": str(house.home)}

    def bounds(self) -> Bounds:
        return Bounds(self.arithmetic.verify(), self.arithmetic.sign(self.house.home, TOKEN))

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
            "--workers", str(self.arithmetic.processes),
        )  # fmt: skip
        rate = count / (time.monotonic() - begin)
        issued = out.read_bytes().count(b'"result":"issued"')
        assert issued == count, f"{issued} of {count} issued"
        return rate, memory

    def measure(self, count: int) -> Issued:
        """A run, with the bounds measured before and after it."""
        requests = self.requests(count)
        before = self.bounds()
        rate, memory = self.issue(requests, count)
        after = self.bounds()
        return Issued(rate, memory, Bounds((before.verify + after.verify) / 2, (before.sign + after.sign) / 2))

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

    # Others

    def desks(self, count: int) -> Callable[[Peer], Desk]:
        """What each peer is given."""
        self._smki("device", "request", f"{_ENTITIES + (1 << 36):016X}", "--count", str(count // 2), "--out",
                   str(self.folder / "asked"))  # fmt: skip
        authority = self.folder / "authority.pem"
        self._smki("ca", "export", LABEL, "--out", str(authority))
        requests = as_pem(self.folder / "pem", sorted((self.folder / "asked" / "requests").iterdir()))

        def desk(peer: Peer) -> Desk:
            folder = self.folder / peer.key
            folder.mkdir()
            return Desk(folder, self.house.home, authority, requests[: None if peer.at_once else _PROCESS_EACH])

        return desk


def run(count: int, stored: Sequence[int], processes: int, beside: int, *, brief: bool = False) -> Iterator[Row]:
    """Everything there is to know of the speed of issuing."""
    with (
        tempfile.TemporaryDirectory(prefix="smki-bench-") as name,
        founded(Path(name) / "authority", lambda: datetime.now(UTC)) as house,
    ):
        house.enrol()
        house.stand_up()
        enrol_works(house)
        bench = Bench(house, Path(name), Arithmetic(Path(name), processes, brief))
        if not brief:
            bench.start_up()  # the first one compiles the modules
        start_up, first = bench.start_up(), bench.measure(count)
        yield from _rows(bench, first, start_up, count)
        yield from _beside(bench, first.rate, beside)
        yield from _growth(bench, first, count, sorted(stored))


def enrol_works(house: House) -> None:
    from smki.authority.registration import Enrolment, enrol

    enrol(
        house.workspace,
        Enrolment(WORKS, (), (Kind.DEVICE,), (EntityRange.parse("00-DB-12"),), 100_000_000),
    )


def _rows(bench: Bench, issued: Issued, start_up: float, count: int) -> Iterator[Row]:
    rate, bounds = issued.rate, issued.bounds
    processes = f"{bench.arithmetic.processes} processes"
    yield Row("verify", "verify", bounds.verify, "1/s", f"openssl speed, {processes}")
    yield Row("c_sign", "C_Sign", bounds.sign, "1/s", f"C loop on the token, {processes}")
    yield Row("start", "start of a run", start_up, "s", "the command with one device")
    bar = "issue device certificates, all rules, store and log"
    yield Row(
        "all", f"issue {count:,}, end to end", rate, "1/s", _BOUND, bounds.bound, _AIM, bar, of={"count": count}
    )
    steady = count / max(count / rate - start_up, 1e-9)
    yield Row("steady", "issue, start taken off", steady, "1/s", _BOUND, bounds.bound, _AIM)
    yield Row("of_c_sign", "issue", rate, "1/s", "C_Sign", bounds.sign)
    yield Row("memory", "memory of the largest process", issued.memory, "MB", f"{count:,} requests")


def _beside(bench: Bench, rate: float, count: int) -> Iterator[Row]:
    """Others, at the same number; those that cannot do many, at fewer."""
    if not count:
        return
    desk = bench.desks(count)
    for peer in PEERS:
        of = {"name": peer.name, "less": peer.less}
        program = peer.name.strip("`")
        bar, against = f"issue, beside {program}", f"{program} ({peer.less})"
        row = Row(f"peers.{peer.key}.issue", "issue", rate, "1/s", against, None, None, bar, beside=True, of=of)
        if not peer.is_here:
            yield missing(row)
            continue
        given = desk(peer)
        yield replace(row, bound=len(given.requests) / peer.issue(given))


# A full house


def _growth(bench: Bench, first: Issued, count: int, stored: Sequence[int]) -> Iterator[Row]:
    """The machine is not the same from minute to minute, so each figure stands against one of its own moment: issuing
    against the bound, looking up against the same in a copy of the store as it was in the beginning."""
    small, there = bench.folder / "small.db", 0
    _copy(bench.house.home / "smki.db", small)
    for many in [0, *stored] if stored else []:
        fill(bench.house.workspace, many - there)
        there, now = many, bench.measure(count) if many else first
        key, of = f"stored.{many}", {"stored": many}
        flat = None if many == 0 else _FLAT
        bar = f"issue with {many:,} stored" if many else ""
        yield Row(
            f"{key}.issue", f"issue with {many:,} stored", now.rate, "1/s", _BOUND, now.bounds.bound, _AIM, of=of
        )
        yield Row(
            f"{key}.flat", "  its share of the bound", now.share, "", "with an empty store", first.share, flat, bar
        )
        yield Row(f"{key}.memory", "  memory of the largest process", now.memory, "MB", f"{count:,} requests")
        full, empty = look_up(bench.house.home / "smki.db", small)
        bar = f"look a certificate up in {many:,}" if many else ""
        what = f"look up by EUI-64, {many:,} stored"
        yield Row(f"{key}.look_up", what, full, "1/s", "in the empty store", empty, flat, bar)


def _copy(file: Path, to: Path) -> None:
    with closing(sqlite3.connect(file)) as one, closing(sqlite3.connect(to)) as other:
        one.backup(other)


def look_up(full: Path, small: Path) -> tuple[float, float]:
    """Entities found a second in both stores, by turns, each once: nothing is warm because it was asked before."""
    with closing(Store.open(f"sqlite:{full}")) as one, closing(Store.open(f"sqlite:{small}")) as other:
        samples = [(store, _sample(file)) for store, file in ((one, full), (other, small))]
        turns = [[_found(store, asked[n::_TURNS]) for store, asked in samples] for n in range(_TURNS)]
    return sum(rate for rate, _ in turns) / _TURNS, sum(rate for _, rate in turns) / _TURNS


def _sample(file: Path) -> list[EntityId]:
    """Of the whole store, in no order."""
    with closing(sqlite3.connect(file)) as database:
        (most,) = database.execute("SELECT MAX(rowid) FROM certificate WHERE entity IS NOT NULL").fetchone()
        rows = [(random.randint(1, most),) for _ in range(_LOOKED_UP)]  # noqa: S311
        found = (database.execute("SELECT entity FROM certificate WHERE rowid = ?", row).fetchone() for row in rows)
        return [EntityId(row[0]) for row in found if row and row[0]]


def _found(store: Store, asked: Sequence[EntityId]) -> float:
    begin = time.perf_counter()
    if not all(store.certificates.of_entity(entity) for entity in asked):
        raise RuntimeError("a certificate that is there was not found")
    return len(asked) / (time.perf_counter() - begin)
