"""What somebody tries who knows the rules: each way in that once stood open, or nearly."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.device.cells import CellName, CellUse
from smki.entity import DeviceType, EntityId, RemotePartyRole
from smki.errors import InvalidInput, Refused
from smki.gbcs.header import Cra, Header, MessageCode
from smki.gbcs.message import Message
from smki.gbcs.payload.credentials import (
    CellIdentifier,
    CellUsage,
    Control,
    Mode,
    Replacement,
    TimeChecks,
    Update,
    UpdateCommand,
)
from smki.gbcs.payload.declared import write_declared
from smki.gbcs.protection import ORDER
from smki.parties.anomaly.limits import Limit, Limits
from smki.parties.broker import consents, rules
from smki.parties.intake import Given
from smki.pki.signed_data import make_signed_data
from smki.store.admission_records import ConsentRecord
from smki.store.estate_records import Believed
from smki.store.records import Act
from tests.house import NOW
from tests.parties.broker.deciders import both_release
from tests.parties.broker.test_requests import asked
from tests.parties.broker.test_rules import _register, refused
from tests.parties.broker.world import User, World, codes, run
from tests.parties.people import arming

SUPPLIES = CellName(RemotePartyRole.SUPPLIER, CellUse.KEY_AGREEMENT)
ECS43, ECS44, TARIFF = MessageCode(0x0050), MessageCode(0x0051), MessageCode(0x0019)
HOUR = timedelta(hours=1)


def _believes(world: World, meter: EntityId, holder: EntityId) -> None:
    """The inventory says whom a meter knows as its supplier."""
    store = world.house.workspace.store
    one = Believed(holder, bytes(8), None, NOW)
    with store.act(Act("test", "tester", NOW)) as tx:
        tx.put_cells([(meter, {SUPPLIES: one})])


def test_the_same_request_stays_the_same_command_whoever_the_device_knows_since(world: World, supplier: User) -> None:
    meter, other = world.device(supplier), world.user(RemotePartyRole.SUPPLIER)
    request = supplier.asking([asked(meter, 900_000)])
    (done,) = world.ask(request)
    _believes(world, meter, other.entity)
    (again,) = world.ask(request)
    assert (again.result, again.message) == ("admitted before", done.message)

    second = supplier.asking([asked(meter, 900_001)])
    (done,) = world.ask(second)
    with world.house.workspace.store.act(Act("test", "tester", NOW)) as tx:
        tx.drop_cells(meter, [SUPPLIES])
    (again,) = world.ask(second)
    assert (again.result, again.message) == ("admitted before", done.message)


def test_another_signature_over_the_same_is_no_other_command(world: World, supplier: User) -> None:
    meter = world.device(supplier)
    first = supplier.arming(5, meter)
    r, s = first.octets[-64:-32], int.from_bytes(first.octets[-32:])
    twin = Given("twin", first.octets[:-32] + (ORDER - s).to_bytes(32))
    assert twin.octets[-64:-32] == r
    (done,), (again,) = world.submit(first), world.submit(twin)
    assert (again.result, again.message) == ("admitted before", done.message)
    tallies = world.house.workspace.store.admissions.tallies_of(supplier.entity, 2, 0)
    assert [(row.admitted, row.held, row.refused) for row in tallies] == [(1, 0, 0)]


@pytest.mark.requirement("R-LAY-2")
def test_a_file_of_line_ends_is_no_large_file_of_requests(world: World, supplier: User) -> None:
    one = supplier.certificate.certificate
    for end in (b"\n", b"\r", b"\r\n"):
        data = make_signed_data(
            b"{}" + end * 200_002, one, supplier.key, NOW, certificates=[one.public_bytes(Encoding.DER)]
        )
        with pytest.raises(InvalidInput) as told:
            world.ask(data)
        assert told.value.code == "message.count", end


@pytest.mark.requirement("R-ROL-2")
def test_a_forged_certificate_makes_no_name_for_another(world: World, supplier: User) -> None:
    key, real = ec.generate_private_key(ec.SECP256R1()), supplier.certificate.certificate
    builder = x509.CertificateBuilder(
        real.issuer, real.subject, key.public_key(), real.serial_number, real.not_valid_before_utc,
        real.not_valid_after_utc, list(real.extensions),
    )  # fmt: skip
    forged = builder.sign(key, hashes.SHA256())
    head = json.dumps({"form": "smki-broker-requests/1", "user": str(supplier.entity)})
    meter = world.device(supplier)
    content = "\n".join((head, asked(meter, 5), asked(meter, 6))).encode()
    data = make_signed_data(content, forged, key, NOW, certificates=[forged.public_bytes(Encoding.DER)])
    done = world.ask(data)
    assert [one.result for one in done] == ["refused"] * 2
    assert not world.house.workspace.store.admissions.tallies_of(supplier.entity, 2, 0)


def test_another_broker_s_key_signs_no_more_than_the_broker_s(world: World, supplier: User) -> None:
    other = world.user(RemotePartyRole.ACCESS_CONTROL_BROKER)
    meter = world.device(supplier, kind=DeviceType.PPMID)
    header = Header(Cra.COMMAND, 5, other.entity, meter, MessageCode(0x00AF))
    assert "broker.own" in refused(world, other.signed(Message(header, b"")))
    (asked_for,) = world.ask(other.asking([asked(meter, 5)]))
    assert "broker.own" in codes(asked_for)


def test_no_user_has_the_broker_change_its_own_credentials(world: World, supplier: User) -> None:
    """By its MAC alone: with a customer's consent to read, one could have taken all devices of the home."""
    other = world.user(RemotePartyRole.OTHER)
    meter = world.device(supplier)
    consents.add(world.house.workspace, other.entity, [str(meter)], NOW, None)
    one = other.certificate.certificate.public_bytes(Encoding.DER)
    control = Control(
        mode=Mode.ACCESS_CONTROL_BROKER_BY_ACB,
        symmetric_key=None,
        time_checks=TimeChecks.APPLY,
        authorising_cell=None,
        originator_counter=0,
        new_floor=None,
        new_special_floors=None,
        other_floors=None,
    )
    cell = CellIdentifier(
        role=RemotePartyRole.ACCESS_CONTROL_BROKER,
        key_usage=asn1.BitString(data=b"\x08", padding_bits=3),
        cell_usage=CellUsage.MANAGEMENT,
    )
    new = [Replacement(certificate=asn1.decode_der(asn1.TLV, one), cell=cell)]
    update = Update(control=control, replacements=new, path_certificates=[], execution_date_time=None)
    payload = write_declared(UpdateCommand(payload=update)).hex()
    for user in (other, supplier):
        (done,) = world.ask(user.asking([asked(meter, 0, "0x0104", payload=payload)]))
        assert (done.result, done.message) == ("refused", b"")
        assert "broker.role" in codes(done)


def test_off_on_and_off_again_is_seen_however_slowly_it_comes(world: World, supplier: User) -> None:
    meter = world.device(supplier)
    done = []
    for counter, code in enumerate((ECS43, ECS44, ECS43), 1):
        (one,) = world.submit(supplier.signed(arming(counter, code=code, target=meter, originator=supplier.entity)))
        done.append(one)
        world.moments[0] += timedelta(minutes=2)
    assert [one.result for one in done] == ["admitted", "admitted", "held"], done[-1]
    assert "off, on and off again" in str(done[-1].faults)


def test_a_request_is_released_by_the_key_that_signed_it(world: World) -> None:
    entity = EntityId.parse("90-B3-D5-1F-30-77-00-00")
    first = world.user(RemotePartyRole.SUPPLIER, entity)
    hub = world.device(first, kind=DeviceType.CHF)
    second = world.user(RemotePartyRole.SUPPLIER, entity)
    world.limits = Limits(own={entity: (Limit("none", None, 0, HOUR),)})
    assert [one.result for one in world.ask(second.asking([asked(hub, 5, "0x0001")]))] == ["held"]
    store = world.house.workspace.store
    waiting = [item for item in store.quarantine.in_state("waiting", 99) if item.originator == entity]
    both_release(world.house.workspace, waiting)
    world.others.remove(second.certificate)
    (done,) = run(world.desk(), lambda desk: desk.release(waiting))
    assert done.result == "refused", "its key is not known any more, and another's is not asked"
    world.others.append(second.certificate)
    world.others.remove(first.certificate)
    (done,) = run(world.desk(), lambda desk: desk.release(waiting))
    assert done.result == "admitted"


@pytest.mark.requirement("R-ROL-3")
def test_what_is_done_at_once_is_not_judged_by_a_later_date_beside_it(world: World, supplier: User) -> None:
    after = world.user(RemotePartyRole.SUPPLIER)
    meter = world.device(supplier)
    _register(world, meter, (datetime(2027, 1, 1, tzinfo=NOW.tzinfo), after))
    later, at_once, never = "07eb0201ff000000ff8000ff", "00" * 12, "ff" * 12

    def tariff(counter: int, *dates: str) -> Given:
        # Activation of the passive calendar, and of the unit charges of a charge.
        objects = [("0014", "00000d0000ff", "0a"), ("0071", "00001314" + "00ff", "07")]
        chosen = objects[: len(dates)]
        specs = "".join(f"02{cls}{name}{member}" for cls, name, member in chosen)
        data = "".join(f"090c{date}" for date in dates)
        number = f"{len(chosen):02x}"
        octets = bytes.fromhex(f"d920{counter.to_bytes(8)[-3:].hex()}00" + number + specs + number + data)
        return after.signed(Message(Header(Cra.COMMAND, counter, after.entity, meter, TARIFF), octets))

    assert world.submit(tariff(1, later, later))[0].faults == ()
    assert refused(world, tariff(2, later, at_once)) == ["broker.responsible"]
    assert refused(world, tariff(3, at_once, later)) == ["broker.responsible"]
    assert refused(world, tariff(4, at_once, at_once)) == ["broker.responsible"]
    assert refused(world, tariff(5, never, never)) == ["broker.responsible"], "to cancel is done now"
    assert refused(world, tariff(6, later, never)) == ["broker.responsible"]


@pytest.mark.requirement("R-CRT-3")
def test_nobody_asks_unsigned_for_what_is_critical_under_another_name(world: World, supplier: User) -> None:
    meter = world.device(supplier)
    balance = "d920000005000103007000001" + "30a00ff01010580000000"
    assert "broker.operation" in codes(world.ask(supplier.asking([asked(meter, 5, payload=balance)]))[0])


@pytest.mark.parametrize("method", ["0070" + "0000130a00ff" + "01", "0070" + "0000130a00ff" + "02"])
def test_a_balance_is_changed_under_its_own_name_only(world: World, supplier: User, method: str) -> None:
    """Else no bound, and no count of those, would see it."""
    meter = world.device(supplier)

    def changing(code: int, counter: int) -> Given:
        octets = bytes.fromhex(f"d920{counter:06x}000103{method}010500002710")
        header = Header(Cra.COMMAND, counter, supplier.entity, meter, MessageCode(code))
        return supplier.signed(Message(header, octets))

    assert refused(world, changing(0x0051, 5)) == ["broker.operation"]
    (done,) = world.submit(changing(0x001C if method.endswith("01") else 0x00B3, 6))
    assert (done.result, codes(done)) == ("admitted", [])


def test_one_request_too_large_does_not_stop_the_others(world: World, supplier: User) -> None:
    first, second = world.devices(2, supplier)
    large = asked(first, 5, payload="d9" * 65_536)
    done = world.ask(supplier.asking([large, asked(second, 5)]))
    assert [(one.result, codes(one)) for one in done] == [("refused", ["broker.form"]), ("admitted", [])]


def test_what_a_killed_run_had_admitted_is_not_handed_out_for_a_thief(world: World, supplier: User) -> None:
    other = world.user(RemotePartyRole.SUPPLIER)
    fine, moved = world.devices(2, supplier)
    world.submit()
    killed = list(world.desk().submit([supplier.arming(5, fine), supplier.arming(5, moved)]))
    assert [one.result for one in killed] == ["admitted", "admitted"]
    _register(world, moved, (NOW - HOUR, other))
    resumed = run(world.desk(), lambda desk: desk.admission.resume())
    assert [(one.result, codes(one)) for one in resumed] == [
        ("admitted before", []),
        ("refused", ["broker.responsible"]),
    ]
    world.others.remove(supplier.certificate)
    (again,) = run(world.desk(), lambda desk: desk.admission.resume())
    assert (again.result, codes(again)) == ("refused", ["broker.originator"]), "still there, and still not given"


def test_who_takes_a_consent_back_takes_back_what_would_begin_later(world: World, supplier: User) -> None:
    other, meter = world.user(RemotePartyRole.OTHER), world.device(supplier)
    workspace, day = world.house.workspace, timedelta(days=1)
    consents.add(workspace, other.entity, [str(meter)], NOW - 2 * day, NOW + day)
    consents.add(workspace, other.entity, [str(meter)], NOW + day, None)
    consents.add(workspace, other.entity, [str(meter)], NOW - 9 * day, NOW - 8 * day)
    ended = consents.end(workspace, other.entity, [str(meter)], NOW)
    assert [(one.since, one.until) for one in ended] == [(NOW - 2 * day, NOW), (NOW + day, NOW + day)]
    known = workspace.store.quarantine.consents([str(meter)])
    assert not any(one.holds_at(NOW + days * day) for one in known for days in (0, 1, 2, 300))
    with pytest.raises(Refused, match=r"consent\.none"):
        consents.end(workspace, other.entity, [str(meter)], NOW)


def test_a_clock_that_is_ahead_takes_nothing_away_that_was_counted(world: World, supplier: User) -> None:
    meter, store = world.device(supplier), world.house.workspace.store
    world.submit(supplier.arming(5, meter))
    before = store.admissions.tallies(2, 0)
    world.moments[0] = NOW + timedelta(days=200)
    assert refused(world, Given("nobody's", replace_signature(supplier.arming(6, meter).octets))) == [
        "broker.signature"
    ]
    assert store.admissions.tallies(2, 0) == before


def replace_signature(octets: bytes) -> bytes:
    return octets[:-1] + bytes((octets[-1] ^ 1,))


@pytest.mark.requirement("R-NTK-4")
@pytest.mark.parametrize("users", [(), ("ES",), ("IS", "ES")])
def test_no_file_lets_a_consent_stand_for_a_registration(
    world: World, supplier: User, users: tuple[str, ...]
) -> None:
    thief, meter = world.user(RemotePartyRole.SUPPLIER), world.device(supplier)
    policies = world.house.workspace.policies
    row = replace(policies.use_cases[ECS43], users=users)
    roles = tuple(replace(one, enrolled=None) for one in policies.broker.user_roles)
    policy = replace(policies.broker, user_roles=roles)
    place = world.house.workspace.store.estate.places([meter])[meter]
    assert place.meter_point is not None
    given = [ConsentRecord(thief.entity, place.meter_point.digits, NOW - HOUR)]
    history = world.house.workspace.store.registrations.histories([place.meter_point])[place.meter_point.digits]
    facts = rules.Facts(NOW, place, history, given)
    found = [
        [fault.code for fault in rules.of_right(rules.Speaker(one.entity, one.role), row, facts, meter, (), policy)]
        for one in (thief, supplier)
    ]
    assert found == [["broker.responsible"], []]
