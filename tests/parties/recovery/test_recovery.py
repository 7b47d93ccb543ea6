"""Recovery on real tokens and a real store: who may, what is refused, what homes hold at the end."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smki.authority.auditing import verify_log
from smki.authority.log import act
from smki.authority.officers import approvals_path
from smki.authority.policies import load_policies
from smki.device.cells import CellName
from smki.device.modes import ROOT_CELL, SUPPLIER_CELLS
from smki.entity import DeviceType, KeyUsage
from smki.errors import SmkiError
from smki.gbcs.message import Protection, read_message
from smki.parties.keys import certified
from smki.parties.recovery.approval import approve_plan, quorate
from smki.parties.recovery.draft import WantedPut
from smki.parties.recovery.file import read_plan_file
from smki.parties.recovery.plan import Plan
from smki.parties.recovery.report import notification, progress, read_progress, report
from smki.parties.recovery.rules import read_plan
from smki.parties.recovery.run import rehearse_plan, run_plan
from smki.parties.recovery.words import show
from smki.pki.status import Status
from smki.store.certificates import Query
from smki.store.records import CertificateRecord
from tests.authority.desk import code_of
from tests.house import NOW, OFFICERS, House, copy_of, opened
from tests.parties.recovery.world import (
    BROKER,
    COS,
    DS,
    KA,
    NORTH,
    OPERATOR,
    ROLE,
    SOUTH,
    World,
    another_root,
)

SUPPLIER_DS = CellName(ROLE.SUPPLIER, DS)


def entries(house: House, kind: str) -> list[dict[str, Any]]:
    bodies = (json.loads(entry.body) for entry in house.workspace.store.audit_entries())
    return [body for body in bodies if body["act"] == kind]


def faults_of(plan: Plan) -> set[str]:
    return {fault.code for fault in plan.faults}


@pytest.mark.requirement("R-REC-1")
def test_a_stolen_key_is_replaced_in_every_home_that_held_it(world: World, plan: Plan) -> None:
    lost, new = plan.affected[0], world.certificate(NORTH, DS)
    assert (plan.faults, plan.devices.count) == ((), 3)
    world.approve(plan, "alice", "bob")
    told = world.run(plan)
    assert [one.result for one in told] == ["signed"] * 3
    for one in told:
        assert read_message(one.message).protection is Protection.SIGNATURE
        assert world.homes[one.device].take(one.message) == "accepted"
        cells = world.homes[one.device].state.cells
        assert cells[SUPPLIER_DS].certificate == new.der != lost.der
        assert len({cells[name].entity for name in SUPPLIER_CELLS}) == 1
    assert len(entries(world.house, "message.signing")) == 3
    assert world.workspace.store.orders.counts(plan.file.sha256) == {"signed": 3}
    again = world.run(plan)
    assert [one.result for one in again] == ["signed before"] * 3
    assert [one.message for one in again] == [one.message for one in told]
    assert len(entries(world.house, "message.signing")) == 3
    assert not verify_log(world.workspace.store).faults


@pytest.mark.requirement("R-REC-1")
def test_the_broker_stands_in_until_the_home_is_handed_over(world: World, lost: CertificateRecord) -> None:
    plan = world.draft(serials=(str(lost.serial),), method="2")
    assert plan.faults == ()
    world.approve(plan, "bob", "carol")
    for one in world.run(plan):
        assert world.homes[one.device].take(one.message) == "accepted"
        held = world.homes[one.device].state.cells
        assert {held[name].entity for name in SUPPLIER_CELLS} == {BROKER}


@pytest.mark.requirement("R-REC-1")
def test_a_subscriber_uses_its_own_key_where_that_is_good(world: World) -> None:
    world.add_homes(2)
    lost = world.certificate(NORTH, KA)
    world.withdraw(lost)
    world.reissue(NORTH, ROLE.SUPPLIER, KeyUsage.KEY_AGREEMENT)
    own = certified(world.certificate(NORTH, DS).der, "its own")
    said: dict[str, Any] = {"what": "organisation key agreement key", "serials": (str(lost.serial),), "method": "1"}
    said |= {"signer": own, "token": None, "key": None, "first_counter": 700}
    plan = world.draft(**said)
    assert plan.faults == ()
    world.approve(plan, "alice", "carol")
    told = world.run(plan)
    assert [(one.result, one.counter) for one in told] == [("made", 700), ("made", 701)]
    assert all(read_message(one.message).protection is Protection.NONE for one in told)
    assert not entries(world.house, "message.signing"), "nobody has signed here"
    assert [one.result for one in world.run(plan)] == ["made before"] * 2


def test_other_homes_are_left_alone(world: World) -> None:
    world.add_homes(2)
    others = world.add_homes(3, SOUTH)
    lost = world.stolen(SOUTH)
    plan = world.draft(serials=(str(lost.serial),))
    assert [device for device, _ in plan.devices] == others
    assert dict(show(plan, NOW).homes) == {"ESME": "3"}


# Who may


@pytest.mark.requirement("R-SPC-2")
def test_enough_custodians_each_once(world: World, plan: Plan) -> None:
    assert code_of(lambda: world.run(plan)) == "recovery.quorum"
    world.approve(plan, "alice", "alice")
    assert len(quorate(world.workspace, plan.file).judged) == 1, "an approval given anew replaces the one before"
    path = approvals_path(plan.file.path)
    path.write_text(path.read_text() * 2)
    found = quorate(world.workspace, plan.file)
    assert [item.fault for item in found.judged] == [None, "the same officer approved before"]
    assert code_of(lambda: world.run(plan)) == "recovery.quorum"
    assert not entries(world.house, "recovery.started")
    world.approve(plan, "carol")
    assert len(world.run(plan)) == 3


@pytest.mark.requirement("R-REC-3")
def test_a_changed_plan_needs_new_approvals(world: World, plan: Plan) -> None:
    world.approve(plan, "alice", "bob")
    text = plan.file.path.read_text()
    plan.file.path.write_text(text.replace("stolen keys", "stolen  keys"))
    changed = read_plan(world.workspace, read_plan_file(plan.file.path))
    assert code_of(lambda: world.run(changed)) == "recovery.quorum"
    faults = {item.fault for item in quorate(world.workspace, changed.file).judged}
    assert faults == {"the file was changed since it was approved"}
    assert code_of(lambda: approve_plan(world.workspace, changed, "bob", OFFICERS["bob"], "00" * 32))
    plan.file.path.write_text(text)
    plan.file.path.with_name("plan.devices").write_text("00-DB-12-34-00-00-00-09 ESME\n")
    assert code_of(lambda: read_plan(world.workspace, read_plan_file(plan.file.path))) == "plan.devices-changed"


@pytest.mark.requirement("R-REC-3")
def test_approvals_expire(prepared: Path, tmp_path: Path) -> None:
    now = [NOW]
    world = World(opened(copy_of(prepared, tmp_path / "authority"), lambda: now[0]))
    world.add_homes(1)
    plan = world.draft(serials=(str(world.stolen().serial),))
    world.approve(plan, "alice")
    now[0] = NOW + timedelta(hours=72, seconds=1)
    world.approve(plan, "bob")
    assert code_of(lambda: world.run(plan)) == "recovery.quorum"
    faults = [item.fault for item in quorate(world.workspace, plan.file).judged if item.fault]
    assert "has expired" in str(faults)
    world.approve(plan, "alice")
    assert quorate(world.workspace, plan.file).reached
    now[0] = NOW
    assert not quorate(world.workspace, plan.file).counted, "given in a time to come"
    world.workspace.close()


def test_an_officer_who_is_no_custodian(world: World, plan: Plan) -> None:
    policy = world.house.home / "policies" / "recovery.toml"
    policy.write_text(policy.read_text().replace('"alice", ', "", 1))
    world.workspace.__dict__.pop("policies")
    assert code_of(lambda: world.approve(plan, "alice")) == "recovery.no-custodian"
    key = OFFICERS["alice"]
    assert code_of(lambda: approve_plan(world.workspace, plan, "mallory", key, "")) == "recovery.no-custodian"
    assert (
        code_of(lambda: approve_plan(world.workspace, plan, "bob", key, plan.file.sha256.hex()))
        == "officer.other-key"
    )
    world.approve(plan, "bob")
    line = json.loads(approvals_path(plan.file.path).read_text())
    approvals_path(plan.file.path).write_text(
        json.dumps(line) + "\n" + json.dumps({**line, "officer": "alice"}) + "\n"
    )
    found = quorate(world.workspace, plan.file)
    assert [item.fault for item in found.judged] == [None, "not a key custodian"]
    assert code_of(lambda: world.run(plan)) == "recovery.quorum"


@pytest.mark.requirement("R-SPC-2")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("approvals = 2", "approvals = 1"),
        ("approvals = 3", "approvals = 2"),
        ("approvals = 3", "approvals = 4"),
        ("hours = 72", "hours = 169"),
        ("hours = 72", "hours = 0"),
        ('["alice", "bob", "carol"]', '["alice", "alice", "carol"]'),
        ("first_counter = 1", "first_counter = -1"),
        ("70-B3-D5-1F-30-00-17-FF", "00-00-00-00-00-00-00-00"),
    ],
)
def test_a_policy_that_asks_for_less_is_refused(world: World, old: str, new: str) -> None:
    policy = world.house.home / "policies" / "recovery.toml"
    assert old in policy.read_text()
    policy.write_text(policy.read_text().replace(old, new, 1))
    with pytest.raises(SmkiError) as caught:
        load_policies(world.house.home / "policies").read_all()
    assert caught.value.code in {"policy.recovery", "policy.custodians"}


# What is refused


def test_a_root_is_not_replaced_by_recovery_without_proof(world: World) -> None:
    world.add_homes(2)
    another_root(world.house)
    root = str(certified_root(world, "oca-root").serial)
    said: dict[str, Any] = {"what": "contingency key", "serials": (root,)}
    good = world.draft("good", **said)
    assert good.faults == (), "the link proves it"
    assert {put.cell for put in good.puts} == {ROOT_CELL}
    issuing = certified_root(world, "oca-issuing-2").der
    bad = world.draft("bad", **said, path=(issuing,))
    assert faults_of(bad) == {"recovery.abnormal-root"}
    assert code_of(lambda: world.approve(bad, "alice")) == "recovery.abnormal-root"
    assert code_of(lambda: world.run(bad)) == "recovery.abnormal-root"
    world.approve(good, "alice", "bob")
    new = certified_root(world, "oca-root-2").der
    for one in world.run(good):
        assert world.homes[one.device].take(one.message) == "accepted"
        assert world.homes[one.device].state.cells[ROOT_CELL].certificate == new


def test_a_link_that_was_revoked_proves_nothing(world: World) -> None:
    world.add_homes(1)
    another_root(world.house)
    store = world.house.workspace.store
    links = [one for one in store.certificates.find(Query(now=NOW)) if one.profile == "link-oca"]
    assert links
    with act(world.house.workspace, "test.revoked") as tx:
        for link in links:
            tx.set_status(link, Status.REVOKED)
    found = world.draft("revoked", what="contingency key", serials=(str(certified_root(world, "oca-root").serial),))
    assert faults_of(found) == {"recovery.abnormal-root"}


def certified_root(world: World, name: str) -> CertificateRecord:
    from smki.authority.hierarchy import certificate_of, named

    return certificate_of(world.workspace, named(world.workspace, name))


def test_what_leaves_a_home_worse_is_refused(world: World, lost: CertificateRecord) -> None:
    serials = (str(lost.serial),)
    put = WantedPut
    ka, ds = world.certificate(NORTH, KA).der, world.certificate(NORTH, DS).der
    for name, puts, code in (
        ("part", (put(SUPPLIER_DS, ds, NORTH),), "credentials.set"),
        (
            "same",
            tuple(put(name, lost.der if name == SUPPLIER_DS else ka) for name in SUPPLIER_CELLS),
            "recovery.same-key",
        ),
        ("operators", tuple(put(name, world.certificate(OPERATOR, name.use).der) for name in SUPPLIER_CELLS[:2]), ""),
        ("nobody", (put(SUPPLIER_DS, ds, SOUTH),), "recovery.idle"),
    ):
        plan = world.draft(name, serials=serials, puts=puts)
        assert plan.faults, name
        assert code in faults_of(plan) or not code, (name, faults_of(plan))
        assert code_of(lambda plan=plan: world.run(plan)) == plan.faults[0].code  # type: ignore[misc]
    wrong_use = (put(SUPPLIER_DS, ka, NORTH),)
    assert code_of(lambda: world.draft("use", serials=serials, puts=wrong_use)) == "cell.usage"


def test_a_method_that_does_not_fit_the_case_is_refused(world: World, lost: CertificateRecord) -> None:
    serials = (str(lost.serial),)
    own = certified(world.certificate(NORTH, DS).der, "its own")
    first = world.draft("one", serials=serials, method="1", signer=own, token=None, key=None)
    assert "recovery.method" in faults_of(first)
    assert "recovery.affected" in faults_of(world.draft("two", serials=serials, what="CoS key", method="3"))
    other = world.draft("three", serials=serials, signer=own)
    assert "recovery.signer" in faults_of(other)
    assert "recovery.signer" in faults_of(world.draft("four", serials=serials, token=None))
    assert code_of(lambda: world.draft("five", serials=serials, what="the cat")) == "plan.case"
    assert code_of(lambda: world.draft("six", serials=("4" * 32,))) == "plan.affected"


def test_the_keys_of_cos_and_broker_are_replaced_everywhere(world: World) -> None:
    world.add_homes(1)
    world.add_homes(1, SOUTH, DeviceType.GSME)
    lost = world.certificate(COS, DS)
    world.withdraw(lost)
    world.reissue(COS, ROLE.TRANSITIONAL_COS, KeyUsage.DIGITAL_SIGNATURE)
    plan = world.draft(serials=(str(lost.serial),), what="CoS key")
    assert (plan.faults, plan.devices.count, len(plan.puts)) == ((), 2, 1)


def test_everyone_below_a_lost_issuing_authority_is_replaced(world: World) -> None:
    world.add_homes(1)
    world.add_homes(1, SOUTH, DeviceType.GSME)
    serial = str(certified_root(world, "oca-issuing-1").serial)
    world.house.hold(world.house.write("below.toml", "2", name="oca-issuing-2", subject="Z2"))
    world.renew_all()
    said: dict[str, Any] = {"what": "issuing OCA key", "serials": (serial,)}
    name = CellName(ROLE.TRANSITIONAL_COS, DS)
    old = WantedPut(name, next(iter(world.homes.values())).state.cells[name].certificate)
    assert "recovery.same-key" in faults_of(world.draft("old", **said, puts=(old,)))
    plan = world.draft(**said)
    assert (plan.faults, plan.devices.count) == ((), 2)
    assert {put.where for put in plan.puts} == {None, NORTH, SOUTH, OPERATOR}
    assert ROOT_CELL not in {put.cell for put in plan.puts}
    world.approve(plan, "alice", "bob")
    for one in world.run(plan):
        before = dict(world.homes[one.device].state.cells)
        assert world.homes[one.device].take(one.message) == "accepted"
        after = world.homes[one.device].state.cells
        assert [name for name in before if after[name] == before[name]] == [ROOT_CELL]


# One after another


def test_one_plan_at_a_time_with_a_key(world: World, plan: Plan) -> None:
    world.approve(plan, "alice", "bob")
    work = run_plan(world.workspace, plan)
    begun = next(work)
    work.close()
    lost = world.stolen()
    other = world.draft("other", serials=(str(lost.serial), str(plan.affected[0].serial)))
    world.approve(other, "alice", "bob")
    assert code_of(lambda: world.run(other)) == "recovery.under-way"
    instead = world.draft("instead", serials=(str(lost.serial), str(plan.affected[0].serial)),
                          supersedes=plan.file.sha256.hex())  # fmt: skip
    world.approve(instead, "alice", "bob")
    told = world.run(instead)
    assert [one.result for one in told] == ["signed"] * 3
    assert min(one.counter for one in told) > begun.counter + 2
    assert code_of(lambda: world.run(plan)) == "recovery.superseded"


@pytest.mark.requirement("R-REC-5")
def test_a_rehearsal_does_everything_but_sign(world: World, plan: Plan) -> None:
    assert code_of(lambda: list(rehearse_plan(world.workspace, plan))) == "recovery.quorum"
    world.approve(plan, "alice", "bob")
    told = list(rehearse_plan(world.workspace, plan))
    assert [(one.result, one.message) for one in told] == [("rehearsed", b"")] * 3
    assert not entries(world.house, "message.signing")
    assert world.workspace.store.orders.counts(plan.file.sha256) == {}
    (entry,) = entries(world.house, "recovery.rehearsed")
    assert entry["facts"]["commands"] == 3
    assert not entries(world.house, "recovery.started")


# How far it came


@pytest.mark.requirement("R-REC-4")
def test_only_what_devices_say_of_their_cells_completes_a_plan(world: World, plan: Plan, tmp_path: Path) -> None:
    world.approve(plan, "alice", "bob")
    told = world.run(plan)
    assert progress(world.workspace, plan).readings == {"not read": 3}
    for one in told:
        world.homes[one.device].take(one.message)
        assert world.answer(one.device) == "done"
    found = progress(world.workspace, plan)
    assert (found.commands, found.readings, found.is_complete) == ({"done": 3}, {"not read": 3}, False)
    for one in told[:2]:
        world.read_back(one.device, 10)
    found = report(world.workspace, plan, tmp_path)
    assert (found.readings, found.is_complete) == ({"recovered": 2, "not read": 1}, False)
    assert [device for device, _ in found.outstanding] == [told[2].device]
    heard = read_progress(tmp_path / "plan.progress.json", plan)
    assert heard["outstanding"] == 1
    world.read_back(told[2].device, 10)
    found = report(world.workspace, plan, tmp_path)
    assert (found.is_complete, found.completed_at) == (True, "2026-11-21T12:00:00Z")
    assert len(entries(world.house, "recovery.completed")) == 1
    report(world.workspace, plan, tmp_path)
    assert len(entries(world.house, "recovery.completed")) == 1
    assert json.loads((tmp_path / "plan.notification.json").read_text()) == notification(plan)


def test_a_device_that_holds_something_else_is_outstanding(world: World, plan: Plan) -> None:
    world.approve(plan, "alice", "bob")
    told = world.run(plan)
    world.read_back(told[0].device, 10)
    assert progress(world.workspace, plan).readings == {"other": 1, "not read": 2}


@pytest.mark.parametrize("text", ["", "{}", "[" * 100_000, '{"form": 1}'])
def test_what_is_no_progress_file_is_refused(world: World, plan: Plan, tmp_path: Path, text: str) -> None:
    path = tmp_path / "heard.json"
    path.write_text(text)
    assert code_of(lambda: read_progress(path, plan)) == "progress.form"
