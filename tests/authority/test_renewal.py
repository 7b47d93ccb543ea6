"""What becomes of certificates: renewed, put in and out of use, found again."""

from datetime import timedelta
from pathlib import Path

import pytest

from smki.authority.certificates import Wanted, find, one, renewal, set_status
from smki.authority.hierarchy import pem
from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.pki.kind import Kind
from smki.pki.status import Status
from tests.authority.desk import DEVICE, Desk, code_of, codes, organisation_csr


def test_a_renewal_keeps_the_entity_and_takes_over_in_one_act(desk: Desk) -> None:
    (outcome,) = desk.issue(desk.order(), desk.device_csr())
    old = outcome.certificate
    assert old is not None
    set_status(desk.workspace, old, Status.IN_USE)
    old = one(desk.workspace, str(DEVICE))
    (refused,) = desk.issue(desk.order(), desk.device_csr())
    assert codes(refused) == {"entity.in-use"}
    wanted = renewal(desk.workspace, old)
    outcomes = desk.issue(
        wanted,
        desk.device_csr(EntityId.parse("00-DB-12-00-00-00-00-02")),
        desk.device_csr(usage=KeyUsage.KEY_AGREEMENT),
        desk.device_csr(),
    )
    assert [codes(item) for item in outcomes] == [{"renewal.entity"}, {"renewal.entity"}, set()]
    new = outcomes[2].certificate
    assert new is not None
    assert new.status is Status.PENDING
    assert [item.serial for item in set_status(desk.workspace, new, Status.IN_USE)] == [old.serial]
    states = {item.serial: item.status for item in find(desk.workspace, Wanted(entity=str(DEVICE)))}
    assert states == {old.serial: Status.NOT_IN_USE, new.serial: Status.IN_USE}


@pytest.mark.parametrize("status", [Status.PENDING, Status.EXPIRED, Status.REVOKED])
def test_no_status_is_set_that_has_an_act_of_its_own_or_comes_by_itself(desk: Desk, status: Status) -> None:
    (outcome,) = desk.issue(desk.order(), desk.device_csr())
    record = outcome.certificate
    assert record is not None
    assert code_of(lambda: set_status(desk.workspace, record, status)) in {"status.transition", "status.revoke"}


def test_nothing_comes_back_into_use(desk: Desk) -> None:
    (outcome,) = desk.issue(desk.order(), desk.device_csr())
    assert outcome.certificate is not None
    set_status(desk.workspace, outcome.certificate, Status.NOT_IN_USE)
    record = one(desk.workspace, str(outcome.certificate.serial))
    assert code_of(lambda: set_status(desk.workspace, record, Status.IN_USE)) == "status.transition"
    assert code_of(lambda: set_status(desk.workspace, outcome.certificate, Status.IN_USE)) == "status.moved-on"  # type: ignore[arg-type]


def test_certificates_are_found_by_whatever_is_known_of_them(desk: Desk, tmp_path: Path) -> None:
    desk.enrol("North Supply", RemotePartyRole.SUPPLIER)
    csr = organisation_csr()
    (outcome,) = desk.issue(desk.order(Kind.ORGANISATION, "North Supply"), csr)
    record = outcome.certificate
    assert record is not None
    desk.issue(desk.order(), desk.device_csr())
    (tmp_path / "its.csr").write_bytes(csr)
    (tmp_path / "its.pem").write_bytes(pem(record.der))
    for wanted in (
        Wanted(serial=str(record.serial)),
        Wanted(entity="90b3d51f30010000"),
        Wanted(key=tmp_path / "its.csr"),
        Wanted(key=tmp_path / "its.pem"),
        Wanted(organisation="North Supply"),
        Wanted(organisation="North Supply", status="in-use", usage="digitalSignature"),
        Wanted(organisation="North Supply", since="2026-11-21", until="2026-11-21"),
    ):
        assert [item.serial for item in find(desk.workspace, wanted)] == [record.serial], wanted
    assert list(find(desk.workspace, Wanted(organisation="North Supply", expiring="90d"))) == []
    desk.workspace.clock = lambda: record.not_after - timedelta(days=30)
    assert [item.serial for item in find(desk.workspace, Wanted(expiring="90d", organisation="North Supply"))] == [
        record.serial
    ]
    desk.workspace.clock = lambda: record.not_after + timedelta(days=1)
    assert [item.serial for item in find(desk.workspace, Wanted(status="expired", organisation="North Supply"))] == [
        record.serial
    ]
