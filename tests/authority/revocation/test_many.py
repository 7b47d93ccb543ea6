"""Many revocations: at random among other changes, by two processes at once, by a process that is killed."""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from smki.authority.auditing import verify_log
from smki.authority.certificates import set_status
from smki.authority.log import act
from smki.errors import Refused
from smki.pki.reason import Reason
from smki.pki.serial import Serial
from smki.pki.status import Status
from tests.authority.revocation.killed import allow_devices, fill, write
from tests.authority.revocation.world import World
from tests.house import House, founded, opened
from tests.postgres import shared

ROOT = Path(__file__).parent.parent.parent.parent


def found(house: House, serials: list[Serial]) -> None:
    """Each of these is revoked once, its number without a gap, its entry in the log."""
    store = house.workspace.store
    bodies = (json.loads(entry.body) for entry in store.audit_entries())
    entries = [body["facts"] for body in bodies if body["act"] == "certificate.revoked"]
    assert Counter(entry["serial"] for entry in entries) == Counter(map(str, serials))
    numbers: dict[str, list[int]] = {}
    for entry in entries:
        numbers.setdefault(entry["authority"], []).append(entry["number"])
    for each in numbers.values():
        assert each == list(range(1, len(each) + 1))
    records = {target.serial: target.status for target in store.revocations.targets(serials)}
    assert set(records.values()) <= {Status.REVOKED}
    assert len(records) == len(serials)
    assert not verify_log(store).faults


@pytest.mark.requirement("R-REV-2")
@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_happens_a_revoked_one_never_comes_back(world: World, seed: int) -> None:
    allow_devices(world.desk.house)
    dice = random.Random(seed)  # noqa: S311 - a sequence to be had again
    workspace, store = world.workspace, world.workspace.store
    issuer = next(one.number for one in store.authorities() if one.hierarchy == "device" and one.tier == "issuing")
    known: list[Serial] = []
    revoked: list[Serial] = []

    def issue() -> None:
        known.extend(fill(workspace, dice.randint(1, 5)))

    def burn() -> None:
        serial = Serial(bytes((0x44,)) + dice.randbytes(15))
        with act(workspace, "test.burnt") as tx:
            tx.reserve_serials(issuer, [serial], "batch test")
            tx.burn_serials(issuer, [serial])
        known.append(serial)

    def change() -> None:
        (*_, record) = store.certificates.of_serial(dice.choice(known)) or (None,)
        if record is None:
            return
        wanted = dice.choice([Status.IN_USE, Status.NOT_IN_USE, Status.PENDING, Status.REVOKED])
        with suppress(Refused):
            set_status(workspace, record, wanted)
            assert record.serial not in revoked

    def revoke() -> None:
        some = dice.sample(known, dice.randint(1, min(4, len(known))))
        done = {
            one.serial for one in world.revoke(*some, reason=dice.choice([Reason.KEY_COMPROMISE, Reason.SUPERSEDED]))
        }
        assert done == set(some) - set(revoked)
        revoked.extend(done)

    issue()
    for _ in range(50):
        dice.choice([issue, burn, change, revoke, revoke])()
    found(world.desk.house, revoked)
    assert store.revocations.last_number(issuer) == len(revoked)


def process(home: Path, file: Path, piece: int) -> "subprocess.Popen[str]":
    code = "from tests.authority.revocation.killed import run_again; import sys; run_again(*sys.argv[1:])"
    return subprocess.Popen(
        [sys.executable, "-c", code, str(home), str(file), str(piece)], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.postgresql
def test_two_at_once_revoke_each_once(tmp_path: Path) -> None:
    with founded(tmp_path / "authority", store_url=shared().fresh()) as house:
        house.enrol()
        for number in "34":
            house.hold(house.shipped(number))
        house.enrol_works()
        allow_devices(house)
        serials = fill(house.workspace, 500)
        write(tmp_path / "serials", serials)
        both = [process(house.home, tmp_path / "serials", 20) for _ in range(2)]
        told = [one.communicate(timeout=120) for one in both]
        assert [one.returncode for one in both] == [0, 0], told
        assert sum(int(out) for out, _ in told) == 500
        found(house, serials)


def test_killed_and_run_again_none_is_revoked_twice(world: World, tmp_path: Path) -> None:
    house = world.desk.house
    allow_devices(house)
    serials = fill(house.workspace, 900)
    write(tmp_path / "serials", serials)
    dice, kills = random.Random(7), 0  # noqa: S311 - moments of death
    issuer = next(
        one.number for one in house.workspace.store.authorities()
        if one.hierarchy == "device" and one.tier == "issuing"
    )  # fmt: skip
    while kills < 3:
        before = house.workspace.store.revocations.last_number(issuer)
        child = process(house.home, tmp_path / "serials", 5)
        while house.workspace.store.revocations.last_number(issuer) == before and child.poll() is None:
            time.sleep(0.002)
        time.sleep(dice.random() * 0.02)
        child.kill()
        child.communicate()
        kills += 1
    reached = house.workspace.store.revocations.last_number(issuer)
    assert 0 < reached < len(serials)
    last = process(house.home, tmp_path / "serials", 500)
    out, err = last.communicate(timeout=120)
    assert (last.returncode, int(out)) == (0, len(serials) - reached), err
    again = opened(house.home)
    found(again, serials)
    again.workspace.close()
