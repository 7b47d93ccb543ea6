"""Revoking: who may ask for what, what waits for a second officer, what is on record; and that it is for good."""

from datetime import timedelta
from typing import Any

import pytest

from smki.authority.auditing import verify_log
from smki.authority.certificates import as_json, renewal, revocations_of, set_status
from smki.authority.issuance.admission import decide_batch
from smki.authority.log import act
from smki.authority.registration import appoint, named, officers_in_force
from smki.authority.revocation.consequences import consequences
from smki.authority.revocation.policy import Requester
from smki.device.cells import CellName
from smki.entity import DeviceType, EntityId, KeyUsage, RemotePartyRole
from smki.pki.holder import load_certificate
from smki.pki.keyid import KeyIdentifier
from smki.pki.kind import Kind
from smki.pki.reason import Reason
from smki.pki.serial import Serial
from smki.pki.status import Status
from smki.store.estate_records import Believed, DeviceRecord, DeviceStatus
from tests.authority.desk import code_of, organisation_csr
from tests.authority.revocation.world import BROKER, BROKERS, NORTH, SUPPLIER, World, entries, status_of
from tests.house import NOW, OFFICERS

HOUR = timedelta(hours=1)


@pytest.mark.requirement("R-REV-4")
def test_a_revocation_is_on_record_and_in_the_log_with_its_reason(world: World) -> None:
    record = world.organisation()
    world.at(NOW + 2 * HOUR)
    since = NOW + HOUR
    (done,) = world.revoke(record, compromised_at=since)
    assert (done.number, done.reason, done.compromised_at) == (1, Reason.KEY_COMPROMISE, since)
    assert world.workspace.store.revocations.one(record.issuer, record.serial) == done
    assert status_of(world, record.serial) is Status.REVOKED
    (entry,) = entries(world, "certificate.revoked")
    assert (entry["serial"], entry["number"], entry["reason"]) == (str(record.serial), 1, "key-compromise")
    (ground,) = entries(world, "revocation.asked")
    assert (ground["requested_by"], ground["capacity"], ground["signed"]) == ("alice", "authority", False)
    assert ground["evidence"] == "stolen from the office"
    assert entry["ground"] == ground["ground"] == done.ground.hex()
    assert not verify_log(world.workspace.store).faults
    (record,) = world.workspace.store.certificates.of_serial(record.serial)
    told = as_json(world.workspace, record, NORTH, revocations_of(world.workspace, [record]))
    assert (told["status"], told["revoked_at"], told["revocation_reason"]) == (
        "revoked", NOW + 2 * HOUR, "key-compromise",
    )  # fmt: skip
    assert told["compromised_at"] == since


def test_revoking_twice_is_told_and_changes_nothing(world: World) -> None:
    record = world.organisation()
    (done,) = world.revoke(record)
    again = world.plan(record, reason=Reason.SUPERSEDED, requested_by="bob")
    assert again.before == (done,)
    assert (again.revoke, again.held_for) == ((), ())
    assert not world.revoke(record, reason=Reason.SUPERSEDED)
    assert world.workspace.store.revocations.one(record.issuer, record.serial) == done
    assert len(entries(world, "certificate.revoked")) == len(entries(world, "revocation.asked")) == 1


@pytest.mark.requirement("R-REV-2")
def test_nothing_comes_back(world: World) -> None:
    record = world.organisation()
    world.revoke(record)
    (record,) = world.workspace.store.certificates.of_serial(record.serial)
    for status in (Status.IN_USE, Status.NOT_IN_USE, Status.PENDING):
        assert code_of(lambda status=status: set_status(world.workspace, record, status)) == "status.transition"  # type: ignore[misc]
    assert code_of(lambda: set_status(world.workspace, record, Status.REVOKED)) == "status.revoke"
    assert code_of(lambda: renewal(world.workspace, record)) == "renewal.revoked"


# Who may ask


@pytest.mark.requirement("R-REV-4")
def test_whoever_asks_is_on_record_or_not_heard(world: World) -> None:
    record, device_officer = world.organisation(), "mallory"
    assert code_of(lambda: world.revoke(record, requested_by=device_officer)) == "revoke.requester"
    assert code_of(lambda: world.revoke(record, requested_by="Ann Ash")) == "revoke.requester"
    world.officer("Ann Ash", of=BROKERS)
    assert code_of(lambda: world.revoke(record, requested_by="Ann Ash")) == "revoke.requester", "of another"
    assert code_of(lambda: world.revoke(record, capacity=Requester.SUBSCRIBER)) == "revoke.requester"
    assert status_of(world, record.serial) is Status.IN_USE


@pytest.mark.requirement("R-REV-4")
def test_an_officer_of_the_subscriber_asks_for_the_reasons_that_are_its_own(world: World) -> None:
    record = world.organisation()
    world.officer("Ann Ash")
    withdrawn = Reason.PRIVILEGE_WITHDRAWN
    assert code_of(lambda: world.revoke(record, requested_by="Ann Ash", reason=withdrawn)) == "revoke.reason"
    found = world.plan(record, requested_by="Ann Ash")
    assert (found.asker.capacity, found.asker.organisation) == (Requester.SUBSCRIBER, NORTH)
    assert len(world.revoke(record, requested_by="Ann Ash")) == 1


@pytest.mark.requirement("R-LEA-7")
def test_one_officer_does_not_ask_for_two_organisations(world: World) -> None:
    ours, theirs = world.organisation(), world.device()
    world.officer("Ann Ash")
    assert code_of(lambda: world.plan(ours, theirs, requested_by="Ann Ash")) == "revoke.requester"


def test_a_name_with_two_capacities_says_which(world: World) -> None:
    record = world.organisation()
    world.officer("alice")
    assert code_of(lambda: world.plan(record)) == "revoke.requester"
    assert world.plan(record, capacity=Requester.AUTHORITY).asker.organisation == ""


def test_the_policy_authority_is_whom_the_file_names(world: World) -> None:
    record = world.organisation()
    assert code_of(lambda: world.plan(record, requested_by="The PMA")) == "revoke.requester"
    world.policy("names = {}", 'names = { "The PMA" = "" }')
    assert world.plan(record, requested_by="The PMA").asker.capacity is Requester.POLICY_AUTHORITY


def test_an_officer_whose_certificate_is_revoked_speaks_no_longer(world: World) -> None:
    record, officer = world.organisation(), world.officer("Ann Ash")
    world.revoke(officer)
    found = consequences(world.workspace, world.workspace.store.revocations.targets([officer.serial]))
    assert found.officers == ((NORTH, "Ann Ash"),)
    assert not officers_in_force(world.workspace, named(world.workspace, NORTH))
    assert code_of(lambda: world.revoke(record, requested_by="Ann Ash")) == "revoke.requester"
    (officer,) = world.workspace.store.certificates.of_serial(officer.serial)
    assert code_of(lambda: appoint(world.workspace, NORTH, "SRO", officer)) == "org.officer-revoked"


# What can be revoked


def test_what_is_not_known_or_not_revocable_stops_all_of_it(world: World) -> None:
    record, device = world.organisation(), world.device()
    unknown = Serial.parse("4A07BC01D9253B51FAF01F7EC7DA5B2F")
    assert code_of(lambda: world.revoke(record, unknown)) == "revoke.unknown"
    assert code_of(lambda: world.revoke(record, device)) == "revoke.kind"
    assert status_of(world, record.serial) is Status.IN_USE
    world.policy("[kinds.device]\nrevocable = false", "[kinds.device]\nrevocable = true")
    assert len(world.revoke(record, device)) == 2
    assert status_of(world, device.serial) is Status.REVOKED


@pytest.mark.requirement("R-REV-5")
def test_a_root_is_never_revoked(world: World) -> None:
    root = next(one for one in world.workspace.store.authorities() if one.tier == "root")
    serial = root.serial
    assert serial is not None
    assert code_of(lambda: world.plan(serial)) == "revoke.root"


@pytest.mark.parametrize(
    ("reason", "hierarchy", "code"),
    [
        (Reason.CA_COMPROMISE, None, "revoke.reason"),
        (Reason.AA_COMPROMISE, None, "revoke.reason"),
        (Reason.AA_COMPROMISE, "device", "revoke.reason"),
    ],
)
def test_reasons_fit_their_kind(world: World, reason: Reason, hierarchy: str | None, code: str) -> None:
    record = world.organisation() if hierarchy is None else world.authority(hierarchy)
    assert code_of(lambda: world.plan(record, reason=reason)) == code


def test_the_time_of_compromise_is_possible(world: World) -> None:
    record = world.organisation()
    for at in (NOW + HOUR, record.not_before - HOUR):
        assert code_of(lambda at=at: world.plan(record, compromised_at=at)) == "revoke.compromised-at"  # type: ignore[misc]
    superseded = Reason.SUPERSEDED
    assert code_of(lambda: world.plan(record, reason=superseded, compromised_at=NOW)) == "revoke.compromised-at"


def test_what_has_expired_is_left(world: World) -> None:
    record = world.organisation()
    world.at(record.not_after + HOUR)
    found = world.plan(record)
    assert (found.revoke, dict(found.left)) == ((), {"expired": 1})
    assert not world.revoke(record)


def test_a_burnt_number_can_be_revoked_once(world: World) -> None:
    record = world.organisation()
    burnt = Serial.parse("4A07BC01D9253B51FAF01F7EC7DA5B2F")
    with act(world.workspace, "test.burnt") as tx:
        tx.reserve_serials(record.issuer, [burnt], "batch test")
    assert code_of(lambda: world.plan(burnt)) == "revoke.unknown", "it may yet become a certificate"
    with act(world.workspace, "test.burnt") as tx:
        tx.burn_serials(record.issuer, [burnt])
    first, second = world.revoke(burnt, record)
    assert {first.not_after, second.not_after} == {None, record.not_after}
    assert {first.number, second.number} == {1, 2}
    assert len(world.plan(burnt).before) == 1
    assert not world.revoke(burnt)


# The second officer


@pytest.mark.requirement("R-SPC-5")
def test_what_reaches_every_home_waits_for_a_second_officer(world: World) -> None:
    csr = organisation_csr(RemotePartyRole.ACCESS_CONTROL_BROKER, BROKER)
    order = world.desk.order(Kind.ORGANISATION, BROKERS)
    assert code_of(lambda: world.desk.issue(order, csr)) == "approve.needed"
    (batch,) = (one for one in world.workspace.store.organisations.batches() if one.state == "waiting")
    decide_batch(world.workspace, batch, "bob", OFFICERS["bob"], True, "")
    (outcome,) = world.desk.issue(order, csr)
    assert outcome.certificate is not None
    record = outcome.certificate
    assert code_of(lambda: world.revoke(record)) == "approve.needed"
    found = world.plan(record)
    world.grant(found, "alice")
    assert code_of(lambda: world.revoke(record)) == "approve.same-person"
    assert status_of(world, record.serial) is Status.IN_USE
    assert code_of(lambda: world.revoke(record, requested_by="carol")) == "approve.needed", "asked by another anew"
    world.grant(world.plan(record, requested_by="carol"))
    (done,) = world.revoke(record, requested_by="carol")
    assert world.workspace.store.revocations.ground(done.ground)["granted"]


@pytest.mark.requirement("R-REV-5")
def test_an_authority_waits_for_a_second_officer_and_takes_all_below_it_away(world: World) -> None:
    record, authority = world.organisation(), world.authority("organisation")
    assert code_of(lambda: world.revoke(authority, reason=Reason.CA_COMPROMISE)) == "approve.needed"
    found = world.plan(authority, reason=Reason.CA_COMPROMISE)
    world.grant(found)
    under_way = world.desk.order(Kind.ORGANISATION, NORTH)
    (done,) = world.revoke(authority, reason=Reason.CA_COMPROMISE)
    request = organisation_csr(usage=KeyUsage.KEY_AGREEMENT)
    assert code_of(lambda: world.desk.issue(under_way, request)) == "authority.revoked", "a run under way stops"
    root = next(one for one in world.workspace.store.authorities() if one.number == done.issuer)
    assert (root.tier, done.number) == ("root", 1)
    assert consequences(world.workspace, found.whole).authorities
    assert status_of(world, record.serial) is Status.IN_USE, "its own standing; its path is broken"
    assert code_of(lambda: world.desk.order(Kind.ORGANISATION, NORTH)) == "authority.revoked"


def test_what_an_officer_refused_is_not_done(world: World) -> None:
    authority = world.authority("device")
    assert code_of(lambda: world.revoke(authority)) == "approve.needed"
    world.grant(world.plan(authority), grant=False)
    assert code_of(lambda: world.revoke(authority)) == "approve.refused"
    (record,) = world.workspace.store.certificates.of_serial(authority.serial)
    assert record.status is Status.IN_USE


def many(world: World, count: int) -> list[Any]:
    devices = [world.desk.device_csr(EntityId((0x00DB120000001000 + n).to_bytes(8))) for n in range(count)]
    made = world.desk.issue(world.desk.order(), *devices)
    return [one.certificate for one in made if one.certificate is not None]


def test_many_wait_for_a_second_officer_and_so_do_many_one_by_one(world: World) -> None:
    world.policy(
        "[kinds.device]\nrevocable = false\nsigned_only = []\napprove_above = 100",
        "[kinds.device]\nrevocable = true\nsigned_only = []\napprove_above = 3",
    )
    devices = many(world, 10)
    assert len(world.revoke(*devices[:2])) == 2
    assert len(world.revoke(devices[2])) == 1
    assert code_of(lambda: world.revoke(devices[3])) == "approve.needed", "slices count together"
    assert code_of(lambda: world.revoke(*devices[4:])) == "approve.needed"
    world.grant(world.plan(*devices[4:]))
    assert len(world.revoke(*devices[4:])) == 6
    world.at(NOW + timedelta(days=2))
    assert len(world.revoke(devices[3])) == 1, "what was granted does not count, nor what is long past"


def test_all_of_an_organisation(world: World) -> None:
    first, second = world.organisation(), world.organisation(usage=KeyUsage.KEY_AGREEMENT)
    officer = world.officer("Ann Ash")
    reason = Reason.CESSATION_OF_OPERATION
    done = world.revoke(organisation=NORTH, reason=reason)
    assert {one.serial for one in done} == {first.serial, second.serial, officer.serial}
    assert len(world.plan(organisation=NORTH, reason=reason).before) == 3
    world.device()
    assert code_of(lambda: world.plan(organisation="Meter Works")) == "revoke.nothing"
    assert code_of(lambda: world.plan(organisation="Nobody")) == "org.unknown"


def test_a_request_has_a_largest_size(world: World) -> None:
    record = world.organisation()
    world.policy("largest_request = 500_000", "largest_request = 1")
    assert code_of(lambda: world.plan(record, Serial.parse("4A" + "07" * 15))) == "revoke.count"
    world.organisation(usage=KeyUsage.KEY_AGREEMENT)
    reason = Reason.CESSATION_OF_OPERATION
    assert code_of(lambda: world.plan(organisation=NORTH, reason=reason)) == "revoke.count", "nor one by a name"


# What follows


def test_devices_that_hold_a_revoked_certificate_are_counted(world: World) -> None:
    record, other = world.organisation(), world.organisation(usage=KeyUsage.KEY_AGREEMENT)
    key = KeyIdentifier.of(load_certificate(record.der, "it").public_key()).octets  # type: ignore[arg-type]
    cell = CellName.parse("supplier digitalSignature")
    by_serial = Believed(SUPPLIER, key, record.serial, NOW)
    by_key = Believed(SUPPLIER, key, None, NOW)
    another = Believed(SUPPLIER, bytes(8), other.serial, NOW)
    records = [
        DeviceRecord(
            EntityId((0x00DB120000000000 + n).to_bytes(8)), DeviceType.ESME, DeviceStatus.COMMISSIONED, None,
            {cell: held}, {},
        )
        for n, held in enumerate((by_serial, by_key, another))
    ]  # fmt: skip
    with act(world.workspace, "test.devices") as tx:
        tx.put_devices(records)
    assert consequences(world.workspace, world.plan(record).revoke).devices == 2
