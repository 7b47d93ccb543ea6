"""Batches that wait for a second officer, and the manifests officers sign for them."""

import io
import json
import sqlite3
import subprocess
from pathlib import Path

import pytest

from smki.authority.issuance.admission import decide_batch
from smki.authority.issuance.intake import take_in
from smki.authority.registration import (
    Enrolment,
    dismiss,
    enrol,
    set_active,
)
from smki.authority.requesting import make_device_requests
from smki.authority.second_officer import find_waiting
from smki.entity import EntityId, EntityRange, RemotePartyRole
from smki.errors import Refused
from smki.pki.kind import Kind
from tests.authority.desk import (
    DEVICE,
    Desk,
    change_policy,
    code_of,
    codes,
    officer_of,
    organisation_csr,
)
from tests.house import OFFICERS, WORKS


@pytest.mark.requirement("R-SPC-5")
def test_more_than_agreed_waits_for_an_officer(desk: Desk) -> None:
    enrolment = Enrolment("Tiny Works", (), (Kind.DEVICE,), (EntityRange.parse("00-DB-99"),), 2)
    enrol(desk.workspace, enrolment)
    csrs = [desk.device_csr(EntityId.parse(f"00-DB-99-00-00-00-00-{n:02X}")) for n in range(1, 5)]
    wanted = desk.order(Kind.DEVICE, "Tiny Works")
    assert [item.result for item in desk.issue(wanted, *csrs[:2])] == ["issued"] * 2
    assert code_of(lambda: desk.issue(wanted, *csrs[2:])) == "approve.needed"
    assert code_of(lambda: desk.issue(wanted, *csrs[2:])) == "approve.needed"
    assert [item.result for item in desk.issue(wanted, *csrs[:2])] == ["issued before"] * 2, "let in before"
    (batch,) = (item for item in desk.workspace.store.organisations.batches() if item.state == "waiting")
    assert find_waiting(desk.workspace, batch.digest.hex()[:8]) == batch
    for name, key in (("mallory", OFFICERS["alice"]), ("alice", OFFICERS["bob"])):
        with pytest.raises(Refused, match=r"approve\.officer"):
            decide_batch(desk.workspace, batch, name, key, True, "")
    decide_batch(desk.workspace, batch, "alice", OFFICERS["alice"], True, "ordered")
    assert [item.result for item in desk.issue(wanted, *csrs[2:])] == ["issued"] * 2
    code = code_of(lambda: decide_batch(desk.workspace, batch, "bob", OFFICERS["bob"], False, "no"))
    assert code == "approve.decided"


@pytest.mark.requirement("R-SPC-5")
def test_keys_that_reach_every_home_wait_for_an_officer_and_a_no_is_final(desk: Desk) -> None:
    desk.enrol("The Broker", RemotePartyRole.ACCESS_CONTROL_BROKER)
    wanted = desk.order(Kind.ORGANISATION, "The Broker")
    der = organisation_csr(RemotePartyRole.ACCESS_CONTROL_BROKER)
    assert code_of(lambda: desk.issue(wanted, der)) == "approve.needed"
    (batch,) = desk.workspace.store.organisations.batches()
    assert batch.reasons == ("certificates of role accessControlBroker",)
    decide_batch(desk.workspace, batch, "carol", OFFICERS["carol"], False, "not agreed")
    assert code_of(lambda: desk.issue(wanted, der)) == "approve.refused"
    assert code_of(lambda: find_waiting(desk.workspace, "")) == "approve.unknown"


def test_a_batch_let_in_under_other_policies_is_looked_at_again(desk: Desk) -> None:
    desk.enrol("The Broker", RemotePartyRole.ACCESS_CONTROL_BROKER)
    der = organisation_csr(RemotePartyRole.ACCESS_CONTROL_BROKER)
    strict = 'approve_roles = ["accessControlBroker", "transitionalCoS", "recovery"]'
    change_policy(desk, strict, "approve_roles = []")
    set_active(desk.workspace, "The Broker", False, "not yet")
    (refused,) = desk.issue(desk.order(Kind.ORGANISATION, "The Broker"), der)
    assert codes(refused) == {"subscriber.suspended"}
    set_active(desk.workspace, "The Broker", True, "now")
    change_policy(desk, "approve_roles = []", strict)
    assert code_of(lambda: desk.issue(desk.order(Kind.ORGANISATION, "The Broker"), der)) == "approve.needed"


@pytest.mark.requirement("R-SPC-7")
def test_a_grant_is_believed_for_its_signature(desk: Desk) -> None:
    """Somebody who can write to the database says that alice granted it."""
    desk.enrol("The Broker", RemotePartyRole.ACCESS_CONTROL_BROKER)
    wanted = desk.order(Kind.ORGANISATION, "The Broker")
    der = organisation_csr(RemotePartyRole.ACCESS_CONTROL_BROKER)
    assert code_of(lambda: desk.issue(wanted, der)) == "approve.needed"
    (batch,) = desk.workspace.store.organisations.batches()
    decide_batch(desk.workspace, batch, "alice", OFFICERS["alice"], False, "no")
    database = sqlite3.connect(desk.house.home / "smki.db")
    with database:
        database.execute("UPDATE batch SET state = 'granted'")
    database.close()
    assert code_of(lambda: desk.issue(wanted, der)) == "approve.officer"


def test_an_officer_signs_for_a_batch_with_openssl(desk: Desk, tmp_path: Path) -> None:
    officer = officer_of(desk, tmp_path, "Ann Ash")
    requests = tmp_path / "requests"
    make_device_requests(desk.order().rule.profile, DEVICE, 2, tmp_path / "meter", None)
    (tmp_path / "meter" / "requests").rename(requests)
    manifest = sign_manifest(tmp_path, officer, requests)
    wanted = desk.order()
    with take_in(requests, io.BytesIO(), desk.house.home, 10) as intake:
        assert [item.result for item in desk.answer(wanted, intake, manifest=manifest)] == ["issued"] * 4
    entries = [json.loads(entry.body) for entry in desk.workspace.store.audit_entries()]
    (admitted,) = (entry for entry in entries if entry["act"] == "batch.received" and entry["facts"]["signed_by"])
    assert admitted["facts"]["signed_by"] == "Ann Ash"

    with take_in(next(requests.iterdir()), io.BytesIO(), desk.house.home, 10) as fewer:
        assert code_of(lambda: desk.answer(wanted, fewer, manifest=manifest)) == "manifest.files"
    (requests / "another.csr").write_bytes(desk.device_csr())
    with take_in(requests, io.BytesIO(), desk.house.home, 10) as more:
        assert code_of(lambda: desk.answer(wanted, more, manifest=manifest)) == "manifest.files"
    dismiss(desk.workspace, WORKS, "Ann Ash")
    with take_in(requests, io.BytesIO(), desk.house.home, 10) as intake:
        assert code_of(lambda: desk.answer(desk.order(), intake, manifest=manifest)) == "manifest.signer"


def sign_manifest(folder: Path, officer: tuple[Path, Path], requests: Path) -> Path:
    names = sorted(path.name for path in requests.iterdir())
    listed = subprocess.run(["sha256sum", *names], cwd=requests, capture_output=True, check=True).stdout
    (folder / "list").write_bytes(listed)
    certificate, key = officer
    subprocess.run(
        ["openssl", "cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-in", "list", "-signer", certificate,
         "-inkey", key, "-out", "manifest"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return folder / "manifest"


def test_a_manifest_can_be_demanded(desk: Desk) -> None:
    path = desk.house.home / "policies" / "issuance.toml"
    path.write_text(path.read_text().replace('manifest = "optional"', 'manifest = "required"', 1))
    desk.workspace.__dict__.pop("policies", None)
    assert code_of(lambda: desk.issue(desk.order(), desk.device_csr())) == "manifest.missing"
    path.write_text(path.read_text().replace('manifest = "optional"', 'manifest = "required"'))
    desk.workspace.__dict__.pop("policies", None)
    assert code_of(desk.order) == "policy.manifest", "no officer could ever sign for the first officer"
