"""Issuing as an administrator means it: organisations enrolled, requests answered, rules held, nothing done twice."""

import io
import json
import os
import sqlite3
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.auditing import verify_log
from smki.authority.certificates import Wanted, find, one, renewal, set_status
from smki.authority.hierarchy import export_certificates, pem
from smki.authority.issuance.admission import decide_batch
from smki.authority.issuance.crew import Alone
from smki.authority.issuance.intake import Asked, Intake, take_in
from smki.authority.issuance.issue import Hands, issuing
from smki.authority.issuance.order import Order, Outcome, order
from smki.authority.issuance.patience import Patience
from smki.authority.issuance.run import Run
from smki.authority.issuance.worker import Check, Sign, Worker
from smki.authority.registration import (
    Enrolment,
    appoint,
    dismiss,
    enrol,
    named,
    officers_in_force,
    set_active,
)
from smki.authority.requesting import make_device_requests
from smki.authority.second_officer import find_waiting
from smki.entity import EntityId, EntityRange, KeyUsage, RemotePartyRole
from smki.errors import InvalidInput, Refused, SmkiError
from smki.pki.device_request import device_request
from smki.pki.kind import Kind
from smki.pki.lint import lint_profile
from smki.pki.name import organisation_name
from smki.pki.status import Status
from smki.pki.template import key_usage
from tests.house import NOW, OFFICERS, WORKS, House

DEVICE = EntityId.parse("00-DB-12-00-00-00-00-01")
SUPPLIER = EntityId.parse("90-B3-D5-1F-30-01-00-00")
POLICY = "1.2.826.0.1.8641679.1.2.1.4"


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


class Desk:
    """Where requests are handed in, in this process."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.workspace = house.workspace

    def order(self, kind: Kind = Kind.DEVICE, name: str = WORKS) -> Order:
        workspace = self.workspace
        return order(workspace, named(workspace, name), workspace.policies.issuance.rule(kind))

    def issue(self, wanted: Order, *ders: bytes, dry_run: bool = False) -> list[Outcome]:
        data = b"".join(
            json.dumps({"request": _base64(der), "reference": f"no. {number}"}).encode() + b"\n"
            for number, der in enumerate(ders, 1)
        )
        with self.intake(data) as intake:
            return self.answer(wanted, intake, dry_run=dry_run)

    @contextmanager
    def intake(self, data: bytes) -> Iterator[Intake]:
        with take_in(None, io.BytesIO(data), self.house.home, 1000) as intake:
            yield intake

    def answer(
        self, wanted: Order, intake: Intake, *, dry_run: bool = False, manifest: Path | None = None
    ) -> list[Outcome]:
        hands = Hands(self.workspace, wanted, 0)
        with issuing(self.workspace, wanted, intake, hands, dry_run=dry_run, manifest=manifest) as outcomes:
            return list(outcomes)

    def device_csr(
        self, entity: EntityId = DEVICE, usage: KeyUsage = KeyUsage.DIGITAL_SIGNATURE,
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> bytes:  # fmt: skip
        profile = self.workspace.policies.issuance.rule(Kind.DEVICE).profile
        return device_request(profile, entity, usage, key or new_key())

    def enrol(self, name: str, *roles: RemotePartyRole, entity: EntityId = SUPPLIER) -> None:
        kinds = (Kind.ORGANISATION, Kind.DEVICE)
        enrol(self.workspace, Enrolment(name, roles, kinds, (EntityRange(entity, entity),), 1000))


def _base64(der: bytes) -> str:
    import base64

    return base64.b64encode(der).decode()


def organisation_csr(
    role: RemotePartyRole = RemotePartyRole.SUPPLIER,
    entity: EntityId = SUPPLIER,
    usage: KeyUsage = KeyUsage.DIGITAL_SIGNATURE,
    common_name: str | None = None,
) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(organisation_name(role, entity, common_name))
    builder = builder.add_extension(key_usage(usage), critical=True)
    return builder.sign(new_key(), hashes.SHA256()).public_bytes(Encoding.DER)


def codes(outcome: Outcome) -> set[str]:
    return {fault.code for fault in outcome.faults}


def code_of(work: Callable[[], object]) -> str:
    with pytest.raises(SmkiError) as caught:
        work()
    return caught.value.code


@pytest.fixture
def desk(standing: House) -> Desk:
    return Desk(standing)


# Form


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


def test_a_suspension_while_signing_holds(desk: Desk) -> None:
    """Judged before, signed, and suspended meanwhile: not stored, its number burnt."""
    suspend = partial(set_active, desk.workspace, WORKS, False, "caught")
    (outcome,) = while_signing(desk, desk.order(), suspend, desk.device_csr())
    assert codes(outcome) == {"subscriber.suspended"}
    assert [item.burnt for item in desk.workspace.store.certificates.reservations()] == [True]


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


# Batches that wait, and manifests


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


def change_policy(desk: Desk, old: str, new: str) -> None:
    path = desk.house.home / "policies" / "issuance.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    desk.workspace.__dict__.pop("policies", None)


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


def officer_of(desk: Desk, folder: Path, name: str) -> tuple[Path, Path]:
    """An officer with a key of their own and an infrastructure certificate."""
    key = new_key()
    subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, name)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    (outcome,) = desk.issue(desk.order(Kind.INFRASTRUCTURE), csr.public_bytes(Encoding.DER))
    assert outcome.certificate is not None, outcome.faults
    appoint(desk.workspace, WORKS, "ARO", outcome.certificate)
    ((officer, _),) = officers_in_force(desk.workspace, named(desk.workspace, WORKS))
    assert (officer.name, officer.function) == (name, "ARO")
    certificate, key_file = folder / "officer.pem", folder / "officer.key"
    certificate.write_bytes(pem(outcome.certificate.der))
    form = serialization.PrivateFormat.PKCS8
    key_file.write_bytes(key.private_bytes(Encoding.PEM, form, serialization.NoEncryption()))
    return certificate, key_file


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


# Renewal and status


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


# Organisations


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


def test_an_officer_of_one_organisation_is_none_of_another(desk: Desk, tmp_path: Path) -> None:
    desk.enrol("North Supply", RemotePartyRole.SUPPLIER)
    officer_of(desk, tmp_path, "Ann Ash")
    (officer,) = named(desk.workspace, WORKS).officers
    certificate = one(desk.workspace, str(officer.serial))
    assert code_of(lambda: appoint(desk.workspace, "North Supply", "ARO", certificate)) == "org.officer-certificate"
    set_active(desk.workspace, WORKS, False, "left")
    assert code_of(lambda: appoint(desk.workspace, WORKS, "ARO", certificate)) == "org.state"


# Intake


def forms(ders: list[bytes], folder: Path) -> Iterator[tuple[str, Path]]:
    """The same requests in every form in which they may come."""
    texts = [x509.load_der_x509_csr(der).public_bytes(Encoding.PEM) for der in ders]
    (folder / "folder").mkdir()
    for number, der in enumerate(ders):
        (folder / "folder" / f"{number}.csr").write_bytes(texts[number] if number % 2 else der)
    yield "folder", folder / "folder"
    with zipfile.ZipFile(folder / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number, der in enumerate(ders):
            archive.writestr(f"{number}.csr", texts[number] if number % 2 else der)
    yield "zip", folder / "all.zip"
    with tarfile.open(folder / "all.tar", "w") as tar:
        for number, der in enumerate(ders):
            info = tarfile.TarInfo(f"{number}.csr")
            info.size = len(der)
            tar.addfile(info, io.BytesIO(der))
    yield "tar", folder / "all.tar"
    (folder / "all.pem").write_bytes(b"subject=whatever\n" + b"\n".join(texts))
    yield "pem", folder / "all.pem"
    lines = [json.dumps({"reference": str(number), "request": _base64(der)}) for number, der in enumerate(ders)]
    (folder / "all.jsonl").write_text("\n".join(lines) + "\n")
    yield "json", folder / "all.jsonl"


def test_every_form_of_batch_holds_the_same_requests(desk: Desk, tmp_path: Path) -> None:
    ders = [desk.device_csr(EntityId.parse(f"00-DB-12-00-00-00-00-{n:02X}")) for n in range(5)]
    digests = set()
    for name, path in forms(ders, tmp_path):
        with take_in(path, io.BytesIO(), tmp_path, 10) as intake:
            assert [asked.der for asked in intake] == ders, name
            assert [asked.der for asked in intake] == ders, f"{name}, a second time"
            digests.add(intake.digest)
        if path.is_file():
            with take_in(None, io.BytesIO(path.read_bytes()), tmp_path, 10) as piped:
                assert [asked.der for asked in piped] == ders, f"{name} from a pipe"
    assert len(digests) == 1, "a batch is its requests, not their wrapping"


def test_more_than_the_largest_batch_is_refused_while_reading(desk: Desk, tmp_path: Path) -> None:
    ders = [desk.device_csr(EntityId.parse(f"00-DB-12-00-00-00-00-{n:02X}")) for n in range(3)]
    for _, path in forms(ders, tmp_path):
        with pytest.raises(Refused) as caught:
            take_in(path, io.BytesIO(), tmp_path, 2)
        assert caught.value.code == "intake.count"


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04 and nothing more",
        b"x" * 257 + b"ustar" + b"x" * 300,
        b"{" * 100_000,
        b"-----BEGIN CERTIFICATE REQUEST-----\n" + b"A" * 100_000,
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        b"\x30" * 100_000,
        b'{"request": "AAAA", "more": 1}\n{"request": 5}\n{}\n',
        b"\x00",
        b'{"request": ' + b"[" * 16_000,
        b"-----BEGIN CERTIFICATE REQUEST-----\n" + b"\n" * 300_000,
        b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n" * 3,
    ],
)
def test_rubbish_is_refused_or_becomes_requests_that_are(data: bytes, desk: Desk, tmp_path: Path) -> None:
    archive = data.startswith(b"PK") or b"ustar" in data
    refused = pytest.raises(InvalidInput, match="broken") if archive else nullcontext()
    with refused, take_in(None, io.BytesIO(data), tmp_path, 10_000) as intake:
        outcomes = desk.answer(desk.order(), intake, dry_run=True)
        assert outcomes
        assert all(outcome.faults for outcome in outcomes)


def test_a_bomb_in_an_archive_is_read_no_further_than_a_request_goes(desk: Desk, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(50_000_000))
    with take_in(tmp_path / "bomb.zip", io.BytesIO(), tmp_path, 10) as intake:
        (asked,) = intake
        assert len(asked.der) < 20_000
        (outcome,) = desk.answer(desk.order(), intake, dry_run=True)
        assert codes(outcome) == {"request.size"}


def long_header(kind: bytes, size: int) -> bytes:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def folder_header(number: int) -> bytes:
    info = tarfile.TarInfo(f"folder-{number}")
    info.type = tarfile.DIRTYPE
    return info.tobuf()


@pytest.mark.parametrize(
    "data",
    [
        long_header(tarfile.GNUTYPE_LONGNAME, 1 << 33),
        long_header(tarfile.XHDTYPE, 1 << 33),
        (long_header(tarfile.GNUTYPE_LONGNAME, 512) + b"a".ljust(512, b"\x00")) * 2000,
        b"".join(map(folder_header, range(10_001))),
    ],
    ids=["long name", "long attributes", "chained", "folders"],
)
def test_a_tar_is_bounded_before_it_is_believed(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="broken tar"):
        take_in(None, io.BytesIO(data), tmp_path, 10)


def test_a_zips_list_is_bounded_before_it_is_read(tmp_path: Path) -> None:
    end = b"PK\x05\x06" + bytes(6) + b"\xff\xff" + (1 << 25).to_bytes(4, "little") + bytes(6)
    with pytest.raises(Refused) as caught:
        take_in(None, io.BytesIO(b"PK\x03\x04" + bytes(100) + end), tmp_path, 10)
    assert caught.value.code == "intake.zip-size"


def test_requests_that_say_much_do_not_stop_the_crew(desk: Desk, tmp_path: Path) -> None:
    """Jobs and answers larger than what fits between two processes."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    for number in range(150):
        oid = x509.ObjectIdentifier(f"1.3.6.1.4.1.99999.{number}")
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, b"\x05\x00"), critical=False)
    line = json.dumps({"request": _base64(builder.sign(new_key(), hashes.SHA256()).public_bytes(Encoding.DER))})
    wanted = desk.order()
    data = io.BytesIO(f"{line}\n".encode() * 3000)
    with (
        Hands(desk.workspace, wanted, 1) as hands,
        take_in(None, data, tmp_path, 3000, hands.start) as intake,
        issuing(desk.workspace, wanted, intake, hands, dry_run=True) as outcomes,
    ):
        refused = list(outcomes)
    assert len(refused) == 3000
    assert all("request.extension" in codes(outcome) for outcome in refused)
    assert all(len(fault.message) < 500 for outcome in refused for fault in outcome.faults)


def test_a_reference_cannot_move_the_cursor(tmp_path: Path) -> None:
    data = json.dumps({"request": "AAAA", "reference": "\x1b[2Jevil\n" + "x" * 500}).encode()
    with take_in(None, io.BytesIO(data), tmp_path, 10) as intake:
        (asked,) = intake
        assert asked.reference.isprintable()
        assert len(asked.reference) <= 200
