"""Issuing as an administrator means it: requests answered, rules held, nothing done twice."""

import os
import subprocess
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509

from smki.authority.auditing import verify_log
from smki.authority.certificates import Wanted, find
from smki.authority.hierarchy import export_certificates, pem
from smki.authority.issuance.crew import AHEAD, Alone
from smki.authority.issuance.issue import Hands
from smki.authority.issuance.order import Order, Outcome
from smki.authority.issuance.patience import Patience
from smki.authority.issuance.request_files import Asked
from smki.authority.issuance.run import Run
from smki.authority.issuance.worker import Check, Sign, Worker
from smki.authority.registration import (
    set_active,
)
from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.errors import Unavailable
from smki.pki.kind import Kind
from smki.pki.lint import lint_profile
from smki.pki.name import organisation_name
from smki.pki.status import Status
from tests.authority.desk import DEVICE, POLICY, SUPPLIER, Desk, code_of, codes, new_key, organisation_csr
from tests.house import NOW, WORKS

# Form


@pytest.mark.requirement("R-SUB-6", "R-UID-2")
@pytest.mark.parametrize("usage", KeyUsage)
def test_a_device_certificate_is_what_strangers_accept(desk: Desk, tmp_path: Path, usage: KeyUsage) -> None:
    (outcome,) = desk.issue(desk.order(), desk.device_csr(usage=usage))
    assert outcome.result == "issued"
    record = outcome.certificate
    assert record is not None
    assert (record.entity, record.usage, record.status) == (DEVICE, usage, Status.PENDING)
    assert list(lint_profile(record.der, desk.order().rule.profile)) == []
    certificate = x509.load_der_x509_certificate(record.der)
    assert certificate.not_valid_after_utc.year == 9999
    assert certificate.not_valid_before_utc == NOW
    verified_by_openssl(desk, tmp_path, "dca", record.der)
    verdict = verify_log(desk.workspace.store)
    assert (verdict.faults, verdict.sealed) == ((), verdict.entries)


def test_an_organisation_certificate_is_what_strangers_accept(desk: Desk, tmp_path: Path) -> None:
    desk.enrol("North Supply", RemotePartyRole.SUPPLIER)
    (outcome,) = desk.issue(
        desk.order(Kind.ORGANISATION, "North Supply"), organisation_csr(common_name="North Supply")
    )
    record = outcome.certificate
    assert record is not None
    assert (record.entity, record.role, record.status) == (SUPPLIER, RemotePartyRole.SUPPLIER, Status.IN_USE)
    certificate = x509.load_der_x509_certificate(record.der)
    assert certificate.subject == organisation_name(RemotePartyRole.SUPPLIER, SUPPLIER, "North Supply")
    assert f"{certificate.not_valid_before_utc:%Y%m%d%H%M%S}" == "20261121000000"
    assert f"{certificate.not_valid_after_utc:%Y%m%d%H%M%S}" == "20361120235959"
    verified_by_openssl(desk, tmp_path, "oca", record.der)


def verified_by_openssl(desk: Desk, folder: Path, hierarchy: str, der: bytes) -> None:
    for name, data in (
        ("root.pem", export_certificates(desk.workspace, f"{hierarchy}-root", chain=False, links=False, der=False)),
        (
            "ca.pem",
            export_certificates(desk.workspace, f"{hierarchy}-issuing-1", chain=False, links=False, der=False),
        ),
        ("leaf.pem", pem(der)),
    ):
        (folder / name).write_bytes(data)
    command = [
        "openssl", "verify", "-x509_strict", "-policy_check", "-explicit_policy", "-policy", POLICY,
        "-attime", str(int((NOW + timedelta(days=1)).timestamp())), "-CAfile", "root.pem", "-untrusted", "ca.pem",
        "leaf.pem",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.stdout == "leaf.pem: OK\n", done.stderr
    command = ["certtool", "--verify", "--load-ca-certificate", "root.pem", "--infile", "chain.pem"]
    (folder / "chain.pem").write_bytes((folder / "leaf.pem").read_bytes() + (folder / "ca.pem").read_bytes())
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    assert "Verified. The certificate is trusted." in done.stdout + done.stderr


# Rules


@pytest.mark.requirement("R-SUB-3", "R-SUB-4", "R-UID-1")
def test_what_breaks_a_rule_is_refused_with_every_code(desk: Desk) -> None:
    key = new_key()
    outcomes = desk.issue(
        desk.order(),
        desk.device_csr(EntityId.parse("00-DB-13-00-00-00-00-01")),
        desk.device_csr(EntityId(bytes(8))),
        desk.device_csr(EntityId.parse("01-DB-12-00-00-00-00-01")),
        desk.device_csr(key=key),
        desk.device_csr(key=key, usage=KeyUsage.KEY_AGREEMENT),
        b"nonsense",
    )
    assert [codes(outcome) for outcome in outcomes] == [
        {"entity.not-allocated"},
        {"entity.reserved", "entity.not-allocated"},
        {"entity.reserved", "entity.not-allocated"},
        set(),
        {"key.certified"},
        {"request.form"},
    ]
    (again,) = desk.issue(desk.order(), desk.device_csr(EntityId.parse("00-DB-12-00-00-00-00-02"), key=key))
    assert codes(again) == {"key.certified"}, "in another batch too"


def test_a_key_of_another_profile_is_not_certified_again(desk: Desk) -> None:
    """The issuing authority's own key, in a request of a device: known by its certificate."""
    authority = desk.order().authority
    assert authority.public_key is not None
    known = desk.workspace.store.certificates.certified([_hash(authority.public_key)])
    assert len(known) == 1


def _hash(spki: bytes) -> bytes:
    from smki.pki.keyid import key_hash

    return key_hash(spki)


@pytest.mark.requirement("R-SUB-3")
def test_role_kind_and_standing_of_the_subscriber_count(desk: Desk) -> None:
    desk.enrol("North Supply", RemotePartyRole.SUPPLIER)
    wanted = desk.order(Kind.ORGANISATION, "North Supply")
    (outcome,) = desk.issue(wanted, organisation_csr(RemotePartyRole.NETWORK_OPERATOR))
    assert codes(outcome) == {"role.not-held"}
    (outcome,) = desk.issue(wanted, organisation_csr(common_name="South Supply"))
    assert codes(outcome) == {"subject.name"}
    (outcome,) = desk.issue(desk.order(Kind.ORGANISATION), organisation_csr())
    assert codes(outcome) == {"subscriber.kind", "entity.not-allocated", "role.not-held"}
    set_active(desk.workspace, "North Supply", False, "left")
    (outcome,) = desk.issue(desk.order(Kind.ORGANISATION, "North Supply"), organisation_csr())
    assert codes(outcome) == {"subscriber.suspended"}
    assert code_of(lambda: set_active(desk.workspace, "North Supply", False, "again")) == "org.state"
    set_active(desk.workspace, "North Supply", True, "came back")
    (outcome,) = desk.issue(desk.order(Kind.ORGANISATION, "North Supply"), organisation_csr())
    assert outcome.result == "issued"


@pytest.mark.requirement("R-SUB-5")
def test_one_certificate_in_use_for_each_usage_but_two_for_a_suppliers_agreement(desk: Desk) -> None:
    desk.enrol("North Supply", RemotePartyRole.SUPPLIER)
    wanted = desk.order(Kind.ORGANISATION, "North Supply")
    agree = KeyUsage.KEY_AGREEMENT
    outcomes = desk.issue(
        wanted,
        organisation_csr(),
        organisation_csr(),
        organisation_csr(usage=agree),
        organisation_csr(usage=agree),
        organisation_csr(usage=agree),
    )
    assert [codes(outcome) for outcome in outcomes] == [set(), {"entity.in-use"}, set(), set(), {"entity.in-use"}]
    (late,) = desk.issue(wanted, organisation_csr())
    assert codes(late) == {"entity.in-use"}


@pytest.mark.requirement("R-SUB-4")
def test_a_request_answered_before_gets_the_same_certificate(desk: Desk) -> None:
    der = desk.device_csr()
    (first,) = desk.issue(desk.order(), der)
    (second,) = desk.issue(desk.order(), der)
    assert (second.result, second.certificate) == ("issued before", first.certificate)
    desk.enrol("North Supply", RemotePartyRole.SUPPLIER, entity=EntityId.parse("90-B3-D5-1F-30-01-00-00"))
    (other,) = desk.issue(desk.order(Kind.DEVICE, "North Supply"), der)
    assert codes(other) >= {"key.certified"}, "another organisation does not get it"


def test_a_dry_run_judges_and_leaves_nothing_behind(desk: Desk) -> None:
    before = desk.workspace.store.audit_size()
    der = desk.device_csr()
    outcomes = desk.issue(desk.order(), der, der, b"nonsense", dry_run=True)
    assert [outcome.result for outcome in outcomes] == ["would issue", "refused", "refused"]
    assert desk.workspace.store.audit_size() == before
    assert desk.workspace.store.certificates.reservations() == ()


class Interleaved(Alone):
    """A crew during whose signing something else happens, once."""

    def __init__(self, worker: Worker, happens: Callable[[], object]) -> None:
        super().__init__(worker)
        self._happens: Callable[[], object] | None = happens

    def give(self, number: int, job: Check | Sign) -> None:
        if isinstance(job, Sign) and self._happens is not None:
            happens, self._happens = self._happens, None
            happens()
        super().give(number, job)


def while_signing(desk: Desk, wanted: Order, happens: Callable[[], object], *ders: bytes) -> list[Outcome]:
    """Issue, and let something happen after the judgement and before the storing."""
    hands = Hands(desk.workspace, wanted, 0)
    crew = Interleaved(hands.get()._worker, happens)  # type: ignore[union-attr]
    patience = Patience(0, lambda _: None)
    batch = os.urandom(32)
    run = Run(desk.workspace, wanted, batch, crew, with_store=patience, with_hsm=patience)
    return list(run.outcomes(Asked(f"no. {number}", der) for number, der in enumerate(ders)))


@pytest.mark.requirement("R-SUB-3")
def test_a_suspension_while_signing_holds(desk: Desk) -> None:
    """Judged before, signed, and suspended meanwhile: not stored, its number burnt."""
    suspend = partial(set_active, desk.workspace, WORKS, False, "caught")
    (outcome,) = while_signing(desk, desk.order(), suspend, desk.device_csr())
    assert codes(outcome) == {"subscriber.suspended"}
    assert [item.burnt for item in desk.workspace.store.certificates.reservations()] == [True]


class Returning(Patience):
    """Whoever waits, for the second time, brings the token back."""

    def __init__(self, away: Path, folder: Path) -> None:
        self.told: list[Unavailable] = []
        super().__init__(60, self.told.append)
        self._way, self.pauses = (away, folder), 0

    def wait(self, error: Unavailable) -> None:
        self.pauses += 1
        super().wait(error)
        if self.pauses == 2:
            self._way[0].rename(self._way[1])


def test_all_that_one_lost_token_failed_waits_together(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of many chunks is tried after each pause, and no other is given numbers that it would lose again."""
    monkeypatch.setattr("smki.authority.issuance.run.CHUNK", 2)
    workspace, wanted = desk.workspace, desk.order()
    info = workspace.hsm.find(workspace.token_ref(wanted.authority.token))
    assert info is not None
    assert info.folder is not None
    hands = Hands(workspace, wanted, 0)
    away, batch = workspace.home / "away", os.urandom(32)
    patience = Returning(away, info.folder)
    crew = Interleaved(hands.get()._worker, lambda: info.folder.rename(away))  # type: ignore[union-attr]
    run = Run(workspace, wanted, batch, crew, with_store=Patience(0, lambda _: None), with_hsm=patience)
    entities = [EntityId.parse(f"00-DB-12-00-00-00-00-{n:02X}") for n in range(16)]
    outcomes = list(run.outcomes(Asked(str(one), desk.device_csr(one)) for one in entities))
    assert {outcome.result for outcome in outcomes} == {"issued"}
    assert (patience.pauses, len(patience.told)) == (2, 1)
    burnt = [item for item in workspace.store.certificates.reservations() if item.burnt]
    assert len(burnt) <= 2 * (AHEAD + 1), "those on their way when it went, and one try in vain"
    assert len({outcome.certificate.serial for outcome in outcomes if outcome.certificate}) == len(entities)


def test_a_suspension_stops_every_chunk_that_follows(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smki.authority.issuance.run.CHUNK", 4)
    entities = [EntityId.parse(f"00-DB-12-00-00-00-00-{n:02X}") for n in range(40)]
    ders = [desk.device_csr(entity) for entity in entities]
    suspend = partial(set_active, desk.workspace, WORKS, False, "caught")
    outcomes = while_signing(desk, desk.order(), suspend, *ders)
    assert {frozenset(codes(outcome)) for outcome in outcomes} == {frozenset({"subscriber.suspended"})}
    assert list(find(desk.workspace, Wanted(organisation=WORKS))) == []


def test_the_same_request_answered_by_another_meanwhile_is_handed_out_once(desk: Desk) -> None:
    der, other = desk.device_csr(), desk.device_csr(EntityId.parse("00-DB-12-00-00-00-00-02"))
    meanwhile: list[Outcome] = []
    wanted = desk.order()
    first, second = while_signing(desk, wanted, lambda: meanwhile.extend(desk.issue(wanted, der)), der, other)
    assert (first.result, first.certificate) == ("issued before", meanwhile[0].certificate)
    assert second.result == "issued"
    assert [item.burnt for item in desk.workspace.store.certificates.reservations()] == [True]


@pytest.mark.requirement("R-SUB-5")
def test_an_eui_64_has_its_certificates_in_each_of_its_roles(desk: Desk) -> None:
    desk.enrol("North Supply", RemotePartyRole.SUPPLIER, RemotePartyRole.XML_SIGN)
    wanted = desk.order(Kind.ORGANISATION, "North Supply")
    roles = (RemotePartyRole.XML_SIGN, RemotePartyRole.SUPPLIER, RemotePartyRole.XML_SIGN)
    outcomes = [desk.issue(wanted, organisation_csr(role))[0] for role in roles]
    assert [codes(outcome) for outcome in outcomes] == [set(), set(), {"entity.in-use"}]


def test_the_limit_of_certificates_in_use_holds_against_another_administrator(desk: Desk) -> None:
    desk.enrol("North Supply", RemotePartyRole.SUPPLIER)
    wanted = desk.order(Kind.ORGANISATION, "North Supply")
    agree = KeyUsage.KEY_AGREEMENT
    mine = [organisation_csr(usage=agree), organisation_csr(usage=agree)]
    outcomes = while_signing(desk, wanted, lambda: desk.issue(wanted, organisation_csr(usage=agree)), *mine)
    assert [codes(outcome) for outcome in outcomes] == [set(), {"entity.in-use"}]
    in_use = find(desk.workspace, Wanted(entity=str(SUPPLIER), usage=agree.value, status="in use"))
    assert len(list(in_use)) == 2


def test_an_authority_that_would_end_first_issues_nothing(desk: Desk) -> None:
    desk.enrol("North Supply", RemotePartyRole.SUPPLIER)
    end = desk.order().authority.not_after
    assert end is not None
    desk.workspace.clock = lambda: end - timedelta(days=5)
    assert desk.order().authority.not_after == end, "a device has no end of its own"
    assert code_of(lambda: desk.order(Kind.ORGANISATION, "North Supply")) == "authority.too-old"
    desk.workspace.clock = lambda: end + timedelta(days=1)
    assert code_of(desk.order) == "authority.too-old"


def test_numbers_of_a_run_that_died_are_given_up_after_an_hour(desk: Desk) -> None:
    from smki.authority.log import act
    from smki.pki.serial import Serial

    authority = desk.order().authority
    with act(desk.workspace, "serials.reserved", batch="00", serials=["x"]) as tx:
        tx.reserve_serials(authority.number, [Serial.from_entropy(os.urandom)], "batch 0")
    desk.issue(desk.order(), desk.device_csr())
    assert [item.burnt for item in desk.workspace.store.certificates.reservations()] == [False]
    desk.workspace.clock = lambda: NOW + timedelta(hours=2)
    desk.issue(desk.order(), desk.device_csr(EntityId.parse("00-DB-12-00-00-00-00-02")))
    assert [item.burnt for item in desk.workspace.store.certificates.reservations()] == [True]
