"""Waking a person: at once, again while nobody knows, and of the next one after all were rejected."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from smki.errors import IntegrityFailure, Unavailable
from smki.parties.broker.alarm import Alarm, Doubts, look
from smki.parties.broker.officers import sign_as_officer
from smki.parties.broker.quarantine import acknowledge
from smki.parties.broker.threshold_file import EXAMPLES
from smki.store.admission_records import ThresholdRecord
from smki.store.quarantine import Quarantine
from smki.store.records import Act
from tests.house import NOW, opened
from tests.parties.broker.deciders import ALICE, put_roll
from tests.parties.broker.holding import hold
from tests.parties.broker.world import User, World

AGAIN = timedelta(minutes=5)


@pytest.mark.requirement("R-ANO-6")
def test_it_tells_what_is_new_what_grows_and_what_nobody_knows(world: World, supplier: User) -> None:
    workspace, alarm = world.house.workspace, Alarm(AGAIN)
    put_roll(workspace)
    look(workspace, alarm)
    held = hold(world, supplier, 3)
    (alert,) = look(workspace, alarm)
    assert (alert.news, alert.pattern, alert.waiting, alert.more) == ("new", held[0].pattern, 3, 3)
    assert "the limit is 0" in alert.why[0]
    assert look(workspace, alarm) == []
    hold(world, supplier, 2)
    (alert,) = look(workspace, alarm)
    assert (alert.news, alert.waiting, alert.more) == ("grown", 5, 2)
    world.moments[0] += AGAIN
    (alert,) = look(workspace, alarm)
    assert (alert.news, alert.waiting, alert.more) == ("still waiting", 5, 0)
    acknowledge(workspace, [alert.pattern])
    world.moments[0] += 3 * AGAIN
    assert look(workspace, alarm) == []
    assert look(workspace, Alarm(AGAIN)) == [], "nor does a watch that was started again"
    waiting = [one for one in workspace.store.quarantine.of_pattern(alert.pattern, 10) if one.state == "waiting"]
    ALICE.decides(workspace, waiting, "reject")
    assert look(workspace, alarm) == []
    hold(world, supplier)
    (alert,) = look(workspace, alarm)
    assert (alert.news, alert.waiting, alert.more) == ("grown", 1, 1), "one more than somebody knew of"


@given(
    st.lists(
        st.tuples(st.sampled_from(["come", "know", "wait", "decide"]), st.integers(1, 1000)), max_size=30
    )
)  # fmt: skip
def test_nothing_that_nobody_knows_is_kept_quiet(steps: list[tuple[str, int]]) -> None:
    alarm, now, ever, waiting, known, told_at = Alarm(AGAIN), NOW, 0, 0, 0, NOW
    for step, number in steps:
        match step:
            case "come":
                ever, waiting = ever + number, waiting + number
            case "know":
                known = ever
            case "wait":
                now += timedelta(seconds=number)
            case _:
                waiting = max(0, waiting - number)
        patterns = [("one", waiting, ever, NOW, NOW)] if waiting else []
        alerts = alarm.step(now, patterns, {"one": known} if known else {})
        if not waiting or ever <= known:
            assert alerts == []
        elif step == "come":
            assert len(alerts) == 1
        elif not alerts:
            assert now - told_at < AGAIN
        told_at = now if alerts or not waiting or ever <= known else told_at


def test_the_service_runs_until_it_is_stopped(world: World, supplier: User, tmp_path: Path) -> None:
    hold(world, supplier)
    house = world.house
    program = [sys.executable, "-m", "smki", "--home", str(house.home), "broker", "watch", "--every", "0.2"]
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(program, stderr=said, env={**os.environ, "COLUMNS": "80"})
        try:
            _until(lambda: b"broker.held" in (tmp_path / "said").read_bytes())
            more = hold(world, supplier, 2)
            told = f'"grown", "pattern": "{more[0].pattern}"'.encode()
            _until(lambda: told in (tmp_path / "said").read_bytes())
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
    lines = [json.loads(line) for line in (tmp_path / "said").read_text().splitlines()]
    assert [line["event"] for line in lines][:: len(lines) - 1] == ["broker.watching", "broker.watch-ended"]
    grown = [line for line in lines if line.get("news") == "grown"]
    assert grown[-1]["pattern"] == more[0].pattern
    assert grown[-1]["level"] == "critical"
    assert opened(house.home).workspace.store.quarantine.count("waiting") >= 3


def test_a_watch_that_sees_nothing_says_so_and_sees_what_is_put_in_its_place(
    world: World, supplier: User, tmp_path: Path
) -> None:
    hold(world, supplier)
    home, said = tmp_path / "home", tmp_path / "said"
    shutil.copytree(world.house.home, home)
    away = [(path, path.with_name(f"away-{path.name}")) for path in home.glob("smki.db*")]
    for path, elsewhere in away:
        path.rename(elsewhere)
    program = [sys.executable, "-m", "smki", "--home", str(home), "broker", "watch"]
    once = subprocess.run([*program, "--once"], capture_output=True, check=False)
    assert (once.returncode not in {0, 6}, b"broker.watch-blind" in once.stderr) == (True, True)
    with said.open("wb") as out:
        process = subprocess.Popen([*program, "--every", "0.2"], stderr=out)
        try:
            _until(lambda: b'"code": "store.missing"' in said.read_bytes())
            for path, elsewhere in away:
                elsewhere.rename(path)
            _until(lambda: b"broker.held" in said.read_bytes())
            (home / "smki.db").rename(home / "gone.db")  # under its hands
            seen = len(said.read_bytes())
            _until(lambda: b"broker.watch-blind" in said.read_bytes()[seen:])
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()


def test_what_nobody_heard_of_is_told_again(world: World, supplier: User, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, alarm = world.house.workspace, Alarm(AGAIN)
    look(workspace, alarm)
    held = hold(world, supplier)
    with monkeypatch.context() as broken:
        broken.setattr(Quarantine, "of_pattern", _lost)
        with pytest.raises(Unavailable):
            look(workspace, alarm)
    assert [one.pattern for one in look(workspace, alarm)] == [held[0].pattern]
    world.moments[0] -= timedelta(days=1)
    assert [one.news for one in look(workspace, alarm) if one.pattern == held[0].pattern] == ["still waiting"]


def test_a_row_that_somebody_spoilt_does_not_end_the_watch(world: World, supplier: User) -> None:
    workspace, alarm = world.house.workspace, Alarm(AGAIN)
    (held,) = hold(world, supplier)
    said = json.dumps(list(held.findings))
    write = "UPDATE quarantine SET findings = ? WHERE digest = ?"
    for spoilt in ("[", "[{}]", '["x"]'):
        workspace.store._engine.execute(write, (spoilt, held.digest))
        with pytest.raises(IntegrityFailure, match=r"quarantine\.stored"):
            look(workspace, alarm)
    workspace.store._engine.execute(write, (said, held.digest))
    assert held.pattern in {one.pattern for one in look(workspace, alarm)}


def _lost(*_: object) -> object:
    raise Unavailable("store.unreachable", "the connection was lost", "check the server")


def test_thresholds_that_nobody_signed_wake_somebody(world: World) -> None:
    workspace, doubts = world.house.workspace, Doubts()
    put_roll(workspace)
    doubts.look(workspace)
    content = EXAMPLES["global"].format(since="2026-11-21T12:00:00Z", until="2027-11-21T12:00:00Z")
    stranger = ec.generate_private_key(ec.SECP256R1())
    file = sign_as_officer(content.encode(), "alice", stranger, NOW)
    with workspace.store.act(Act("test", "tester", NOW)) as tx:
        tx.put_threshold(ThresholdRecord("global", NOW, hashlib.sha256(file).digest(), file))
    assert doubts.look(workspace) == [("global", 1)]
    assert doubts.look(workspace) == []


def _until(done: object) -> None:
    end = time.monotonic() + 30
    while not done():  # type: ignore[operator]
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
