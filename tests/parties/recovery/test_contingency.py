"""The contingency: another root in every home, three custodians, a secret that is in commands and nowhere else."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from smki.authority.contingency import open_contingency
from smki.device.cells import CellUse
from smki.device.modes import ROOT_CELL
from smki.device.update import read_update
from smki.gbcs.message import read_message
from smki.gbcs.words import as_json, read, tree_of
from smki.parties.credentials_words import words_of
from smki.parties.intake import Given
from smki.parties.outcome import Outcome
from smki.parties.recovery.approval import quorate
from smki.parties.recovery.draft import WantedPut
from smki.parties.recovery.plan import Plan
from smki.parties.recovery.report import progress
from smki.parties.recovery.run import rehearse_plan
from smki.parties.recovery.words import show
from smki.parties.signing_rules import Fit
from smki.parties.supplier import vocabulary
from tests.authority.desk import code_of
from tests.house import NOW, OFFICERS
from tests.parties.recovery.test_recovery import certified_root, entries, faults_of
from tests.parties.recovery.world import NORTH, SOUTH, World


def said(world: World) -> dict[str, Any]:
    serial = str(certified_root(world, "oca-root").serial)
    return {"what": "root OCA key", "serials": (serial,), "method": "contingency", "signer": None, "token": None,
            "key": None}  # fmt: skip


@pytest.fixture
def plan(other: World) -> Plan:
    return other.draft(**said(other))


@pytest.mark.requirement("R-REC-2")
def test_every_cell_of_every_home_is_put_under_the_new_root(other: World, plan: Plan) -> None:
    assert plan.faults == ()
    assert dict(show(plan, NOW).homes) == {"ESME": "2", "GSME": "1", "PPMID": "1"}
    other.approve(plan, *OFFICERS)
    told = other.run(plan)
    assert {one.result for one in told} == {"signed"}
    root = certified_root(other, "oca-root-2").der
    for one in told:
        home = other.homes[one.device]
        before = dict(home.state.cells)
        assert home.take(one.message) == "accepted"
        after = home.state.cells
        assert after[ROOT_CELL].certificate == root
        assert all(after[name].certificate != before[name].certificate for name in before)
        assert all(after[name].entity == before[name].entity for name in before)
    (entry,) = entries(other.house, "contingency.revealed")
    assert entry["facts"]["plan"] == plan.file.sha256.hex()
    assert all(one.message == again.message for one, again in zip(told, other.run(plan), strict=True))
    for one in told:
        assert other.answer(one.device) == "done"
    assert progress(other.workspace, plan).readings == {"not read": len(told)}


@pytest.mark.requirement("R-SPC-2")
def test_two_custodians_are_not_three(other: World, plan: Plan) -> None:
    other.approve(plan, "alice", "bob", "alice")
    found = quorate(other.workspace, plan.file)
    assert (len(found.counted), found.needed) == (2, 3)
    assert code_of(lambda: other.run(plan)) == "recovery.quorum"
    assert code_of(lambda: list(rehearse_plan(other.workspace, plan))) == "recovery.quorum"
    assert not entries(other.house, "contingency.revealed")


@pytest.mark.requirement("R-NTK-6")
def test_the_symmetric_key_is_in_the_commands_and_nowhere_else(other: World, plan: Plan) -> None:
    other.approve(plan, *OFFICERS)
    told = other.run(plan)
    secret = open_contingency(other.workspace, "oca-root").secret
    assert {read_update(read_message(one.message).payload).symmetric_key for one in told} == {secret}
    assert secret.hex() not in repr(plan) + repr(plan.changes(secret)) + repr(open_contingency)
    assert repr(secret) not in repr(plan.changes(secret))
    other.workspace.close()
    for octets in written(other.house.home):
        assert secret not in octets
        assert secret.hex().encode() not in octets.lower()
    assert any(secret.hex() in one.message.hex() for one in told)


def test_the_symmetric_key_is_in_no_words(other: World, plan: Plan) -> None:
    """Not in what a log, a traceback or a person at a screen has of a command: only in its octets."""
    other.approve(plan, *OFFICERS)
    told = other.run(plan)
    secret = open_contingency(other.workspace, "oca-root").secret
    message, words = read_message(told[0].message), vocabulary(other.workspace)
    update, reading = read_update(message.payload), read(message, words)
    cut = read(replace(message, payload=message.payload[:-1]), words)
    assert cut.fault is not None
    outcome, given = Outcome("it", "signed", told[0].message), Given("it", told[0].message)
    fit = Fit("it", message.grouped, b"", 1, reading, None)
    shown = [repr(one) for one in (*told, message, update, reading, cut, outcome, given, fit)]
    for one in (reading, cut):
        shown += [json.dumps(as_json(one, words)), str(tree_of(one, words)), str(one.values)]
    shown.append(json.dumps(words_of(message, words).as_json()))
    for text in shown:
        assert secret.hex() not in text.lower()
        assert repr(secret)[2:-1] not in text
    another = replace(update, symmetric_key=bytes(32)).command(message.header.originator, message.header.target)
    assert read(another, words).values != reading.values, "whoever compares sees that it is another"


def written(home: Path) -> Iterator[bytes]:
    for path in home.rglob("*"):
        if path.is_file():
            yield path.read_bytes()


@pytest.mark.requirement("R-REC-5")
def test_a_rehearsal_reveals_nothing(other: World, plan: Plan) -> None:
    other.approve(plan, *OFFICERS)
    told = list(rehearse_plan(other.workspace, plan))
    assert {(one.result, one.message) for one in told} == {("rehearsed", b"")}
    assert len(entries(other.house, "contingency.rehearsed")) == 2, "of the keys, and of the plan"
    assert not entries(other.house, "contingency.revealed")
    assert not entries(other.house, "message.signing")


@pytest.mark.requirement("R-REC-2")
def test_a_contingency_leaves_no_cell_behind(other: World, plan: Plan) -> None:
    puts = tuple(WantedPut(put.cell, put.certificate, put.where) for put in plan.puts)
    some = tuple(put for put in puts if put.where != SOUTH)
    assert faults_of(other.draft("south", **said(other), puts=some)) >= {"recovery.cell-left"}
    rootless = tuple(put for put in puts if put.cell.use is not CellUse.KEY_CERT_SIGN)
    assert "recovery.cell-left" in faults_of(other.draft("rootless", **said(other), puts=rootless))
    assert {put.where for put in puts} >= {NORTH, SOUTH, None}


def test_a_contingency_is_for_roots(other: World) -> None:
    wrong = other.draft("wrong", **{**said(other), "what": "contingency key"})
    assert "recovery.method" in faults_of(wrong)
    assert json.dumps(show(wrong, NOW).as_json())
