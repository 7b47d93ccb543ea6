"""Who may subscribe: organisations enrolled, their identifiers and their officers."""

from dataclasses import replace
from pathlib import Path

import pytest

from smki.authority.certificates import one
from smki.authority.registration import (
    Enrolment,
    appoint,
    dismiss,
    enrol,
    named,
    set_active,
)
from smki.entity import EntityRange, RemotePartyRole
from smki.pki.kind import Kind
from tests.authority.desk import Desk, code_of, officer_of
from tests.house import WORKS


@pytest.mark.requirement("R-UID-1")
def test_identifiers_belong_to_one_organisation(desk: Desk) -> None:
    for text in ("00-DB-12", "00-DB-12-00-00-00-00-01", "00-DB-11-00-00-00-00-00..00-DB-13-00-00-00-00-00"):
        enrolment = Enrolment("Another", (), (Kind.DEVICE,), (EntityRange.parse(text),), 10)
        assert code_of(lambda enrolment=enrolment: enrol(desk.workspace, enrolment)) == "org.range-taken"  # type: ignore[misc]
    assert desk.workspace.store.organisations.named("Another") is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": ""}, "org.name"),
        ({"name": "x" * 65}, "org.name"),
        ({"name": "two\nlines"}, "org.name"),
        ({"roles": (RemotePartyRole.ISSUING_AUTHORITY,)}, "org.role"),
        ({"roles": (), "kinds": (Kind.ORGANISATION,)}, "org.role"),
        ({"kinds": ()}, "org.kind"),
        ({"name": WORKS}, "org.exists"),
        ({"ranges": (EntityRange.parse("70-B3-D5"), EntityRange.parse("70-B3-D5-00-00-00-00-01"))}, "org.range"),
    ],
)
def test_what_cannot_be_enrolled_is_told(desk: Desk, change: dict[str, object], code: str) -> None:
    good = Enrolment("Another", (RemotePartyRole.SUPPLIER,), (Kind.DEVICE,), (EntityRange.parse("70-B3-D5"),), 10)
    assert code_of(lambda: enrol(desk.workspace, replace(good, **change))) == code  # type: ignore[arg-type]


def test_an_officer_needs_an_officers_certificate(desk: Desk) -> None:
    (outcome,) = desk.issue(desk.order(), desk.device_csr())
    assert outcome.certificate is not None
    record = outcome.certificate
    assert code_of(lambda: appoint(desk.workspace, WORKS, "ARO", record)) == "org.officer-certificate"
    assert code_of(lambda: dismiss(desk.workspace, WORKS, "nobody")) == "org.no-officer"


@pytest.mark.requirement("R-LEA-7")
def test_an_officer_of_one_organisation_is_none_of_another(desk: Desk, tmp_path: Path) -> None:
    desk.enrol("North Supply", RemotePartyRole.SUPPLIER)
    officer_of(desk, tmp_path, "Ann Ash")
    (officer,) = named(desk.workspace, WORKS).officers
    certificate = one(desk.workspace, str(officer.serial))
    assert code_of(lambda: appoint(desk.workspace, "North Supply", "ARO", certificate)) == "org.officer-certificate"
    set_active(desk.workspace, WORKS, False, "left")
    assert code_of(lambda: appoint(desk.workspace, WORKS, "ARO", certificate)) == "org.state"
