"""Publishing while everything dies: never a torn list, an older number, or one number twice."""

import hashlib
import random
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.auditing import verify_log
from smki.authority.hierarchy import named
from smki.authority.officers import read_public_key
from smki.authority.publication.act import publish_lists
from smki.authority.publication.lists import published_lists
from smki.pki.crl_reading import read_list
from smki.pki.serial import Serial
from tests.authority.publication.killed import NAME
from tests.authority.publication.leaves import revoke_serials
from tests.house import House, copy_of, founded, opened
from tests.postgres import Server, shared
from tests.prefork import Prefork

Open = Callable[[Path], House]
MODULE = "tests.authority.publication.killed"
KILLS = 30
LONGEST = 1.2  # seconds until a publisher dies: its first list is out after some 0.2, or 0.6 on a busy machine
LATE_KILLS = 8  # on PostgreSQL


def key_of(house: House) -> ec.EllipticCurvePublicKey:
    record = named(house.workspace, NAME)
    assert record.public_key is not None
    return read_public_key(record.public_key, NAME)


@dataclass
class Witness:
    """Someone who fetches a list again and again, and remembers all that was ever seen."""

    path: Path
    key: ec.EllipticCurvePublicKey
    seen: list[tuple[int, bytes]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def look(self) -> None:
        try:
            octets = self.path.read_bytes()
        except FileNotFoundError:
            return
        if self.seen and self.seen[-1][1] == octets:
            return
        try:
            found = read_list(octets, self.key)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a torn list
            self.faults.append(f"torn: {error}")
            return
        self.seen.append((found.number, octets))

    @contextmanager
    def looking(self) -> Iterator[None]:
        done = Event()

        def look_on() -> None:
            while not done.is_set():
                self.look()
                time.sleep(0.002)

        thread = Thread(target=look_on)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            self.look()

    def check(self) -> None:
        assert self.faults == []
        numbers = [number for number, _ in self.seen]
        assert numbers == sorted(set(numbers)), "each newer than the one before it, and never one number twice"
        assert numbers, "there was something to see"


def witness(house: House) -> Witness:
    return Witness(house.home / "published" / "crl" / f"{NAME}.crl", key_of(house))


def kill_often(home: Path, prefork: Prefork, watcher: Witness, kills: int, said: Path) -> None:
    dice = random.Random(50)  # noqa: S311 - moments of death, not secrets
    with watcher.looking(), said.open("wb") as out:
        for _ in range(kills):
            child = prefork.start(f"{MODULE}:publish_on", home, out=out)
            time.sleep(dice.uniform(0.02, LONGEST))
            assert child.kill()
    assert said.read_text() == ""


def account(house: House, watcher: Witness) -> None:
    """After all of it: the next run goes on above every number, and nothing is left behind."""
    watcher.check()
    (outcome,) = publish_lists(house.workspace, (NAME,), even_if_not_due=True).outcomes
    assert outcome.fault is None
    assert outcome.record is not None
    watcher.look()
    watcher.check()
    assert watcher.seen[-1][0] == outcome.record.number
    crls = house.workspace.store.crls.all(outcome.record.issuer)
    assert [one.number for one in crls] == list(range(1, len(crls) + 1)), "every number is on record"
    assert {number for number, _ in watcher.seen} <= {one.number for one in crls if one.sha256 is not None}
    folder = watcher.path.parent
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    assert watcher.path.with_suffix(".pem").exists()
    assert verify_log(house.workspace.store).faults == ()


@pytest.fixture
def open_house() -> Iterator[Open]:
    """Open a workspace by the real clock, and close it whatever happens: a process has one at a time."""
    with ExitStack() as stack:

        def open_(home: Path) -> House:
            house = opened(home, lambda: datetime.now(UTC))
            stack.callback(house.workspace.close)
            return house

        yield open_


@pytest.fixture(scope="module")
def server() -> Server:
    return shared()


def on_postgresql(home: Path, url: str) -> Path:
    with founded(home, store_url=url) as house:
        house.enrol()
        house.stand_up_for_devices()
    return home


@pytest.mark.requirement("R-DIS-4")
@pytest.mark.slow(25)
def test_kills_tear_nothing(complete: Path, tmp_path: Path, prefork: Prefork, open_house: Open) -> None:
    house = open_house(copy_of(complete, tmp_path / "authority"))
    revoke_serials(house, NAME, *(Serial(b"\1" * 8 + number.to_bytes(8)) for number in range(3000)))
    watcher = witness(house)
    kill_often(house.home, prefork, watcher, KILLS, tmp_path / "said")
    assert len(watcher.seen) > 5
    account(house, watcher)


@pytest.mark.postgresql
def test_kills_on_postgresql_tear_nothing(server: Server, tmp_path: Path, prefork: Prefork, open_house: Open) -> None:
    house = open_house(on_postgresql(tmp_path / "authority", server.fresh()))
    watcher = witness(house)
    kill_often(house.home, prefork, watcher, LATE_KILLS, tmp_path / "said")
    assert len(watcher.seen) > 1
    account(house, watcher)


@pytest.mark.requirement("R-DIS-4")
@pytest.mark.postgresql
def test_two_publishers_give_no_number_twice(
    server: Server, tmp_path: Path, prefork: Prefork, open_house: Open
) -> None:
    """Each with a folder of its own, one store between them."""
    one = open_house(on_postgresql(tmp_path / "one", server.fresh()))
    watchers = [witness(one)]
    homes = [one.home, copy_of(one.home, tmp_path / "two")]
    watchers.append(Witness(homes[1] / "published" / "crl" / f"{NAME}.crl", watchers[0].key))
    one.workspace.close()
    with watchers[0].looking(), watchers[1].looking(), (tmp_path / "said").open("wb") as out:
        children = [prefork.start(f"{MODULE}:publish_on", home, out=out) for home in homes]
        end = time.monotonic() + 30
        while min(len(watcher.seen) for watcher in watchers) < 8 and time.monotonic() < end:
            time.sleep(0.05)
        assert [child.kill() for child in children] == [True, True]
    assert (tmp_path / "said").read_text() == ""
    for watcher in watchers:
        watcher.check()
    octets: dict[int, bytes] = {}
    for number, seen in (item for watcher in watchers for item in watcher.seen):
        assert octets.setdefault(number, seen) == seen, "one number, one list, whoever published it"
    for home in homes:
        child = prefork.start(f"{MODULE}:publish_due", home)
        assert child.wait(30) == 0, "each brings its folder up, with nothing due"
    assert watchers[0].path.read_bytes() == watchers[1].path.read_bytes()
    (newest,) = published_lists(open_house(homes[0]).workspace)
    assert newest.sha256 == hashlib.sha256(watchers[0].path.read_bytes()).digest()


def test_no_room_on_the_disk_harms_nothing(complete: Path, tmp_path: Path, open_house: Open) -> None:
    """Files may not grow past a limit (RLIMIT_FSIZE): the list is refused whole, and made when there is room."""
    house = open_house(copy_of(complete, tmp_path / "authority"))
    watcher = witness(house)
    assert not publish_lists(house.workspace, (NAME,)).faults
    watcher.look()
    revoke_serials(house, NAME, *(Serial(b"\1" * 8 + number.to_bytes(8)) for number in range(30_000)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        for limit in (200_000, 1_300_000, 1_500_000):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            (outcome,) = publish_lists(house.workspace, (NAME,)).outcomes
            assert outcome.fault is not None, limit
            assert outcome.fault.code in {"crl.file", "store.disk", "store.full", "file.write"}, outcome.fault
            watcher.look()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert len(watcher.seen) == 1, "nothing that is not whole is ever seen"
    account(house, watcher)
    assert len(watcher.seen) == 2
    assert len(list(watcher.path.parent.iterdir())) == 2
