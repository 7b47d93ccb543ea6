"""What a revoked authority issued is believed nowhere: no officer, no bundle, no key of a party or device."""

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from smki.authority.bundles import Installation, Signer, _device_issuers, export
from smki.authority.certificates import set_status
from smki.authority.registration import named, officers_in_force
from smki.entity import DeviceType, KeyUsage
from smki.parties.broker.parties import DeviceKey, Parties
from smki.parties.keys import Doubts, certified, known_to, refuse_unless_in_use
from smki.parties.outcomes import _issued
from smki.pki.holder import load_certificate
from smki.pki.reason import Reason
from smki.pki.status import Status
from smki.pki.verdict import Fault
from smki.store.records import CertificateRecord
from tests.authority.desk import code_of
from tests.authority.revocation.world import NORTH, SUPPLIER, World


def take_away(world: World, hierarchy: str) -> None:
    authority = world.authority(hierarchy)
    assert code_of(lambda: world.revoke(authority, reason=Reason.CA_COMPROMISE)) == "approve.needed"
    world.grant(world.plan(authority, reason=Reason.CA_COMPROMISE))
    assert len(world.revoke(authority, reason=Reason.CA_COMPROMISE)) == 1


@pytest.mark.requirement("R-REV-5")
def test_no_officer_speaks_and_no_bundle_is_signed(world: World) -> None:
    record, officer = world.organisation(), world.officer("Ann Ash")

    def bundle() -> object:
        signer = Signer(load_certificate(officer.der, "it"), world.officers_key)
        entity = world.device().entity
        assert entity is not None
        return export(world.workspace, Installation(entity, DeviceType.ESME, {}, {}, 0), signer)

    assert world.plan(record, requested_by="Ann Ash").asker.organisation == NORTH
    assert code_of(bundle) == "bundle.cells"
    take_away(world, "infrastructure")
    assert not officers_in_force(world.workspace, named(world.workspace, NORTH))
    assert code_of(lambda: world.plan(record, requested_by="Ann Ash")) == "revoke.requester"
    assert code_of(bundle) == "key.revoked"


def test_no_party_is_known_without_it_being_told(world: World) -> None:
    record = world.organisation()
    (known,) = known_to(world.workspace, SUPPLIER, KeyUsage.DIGITAL_SIGNATURE)
    doubts = Doubts(world.workspace)
    assert known.against is None
    assert doubts.of(known).against is None
    take_away(world, "organisation")
    doubts.forget()
    (later,) = known_to(world.workspace, SUPPLIER, KeyUsage.DIGITAL_SIGNATURE)
    for one in (later, doubts.of(known)):
        assert one.against is not None
        assert one.against.code == "key.revoked"
    it = certified(record.der, "it")
    assert code_of(lambda: refuse_unless_in_use(world.workspace, it, KeyUsage.DIGITAL_SIGNATURE)) == "key.revoked"


def in_use(world: World) -> CertificateRecord:
    csr = world.desk.device_csr(usage=KeyUsage.KEY_AGREEMENT)
    (outcome,) = world.desk.issue(world.desk.order(), csr)
    device = outcome.certificate
    assert device is not None, outcome.faults
    set_status(world.workspace, device, Status.IN_USE)
    return device


@pytest.mark.parametrize("given", [False, True])
def test_the_broker_adds_no_mac_for_a_device(world: World, *, given: bool) -> None:
    device = in_use(world)
    assert device.entity is not None
    entity = device.entity
    one = certified(device.der, "it")
    point = one.holder.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    parties = Parties(world.workspace, [one] if given else [])
    (found,) = parties.device_keys([entity]).values()
    assert isinstance(found, DeviceKey)
    assert found.point == point
    take_away(world, "device")
    (found,) = parties.device_keys([entity]).values()
    assert isinstance(found, Fault)
    assert found.code == "broker.revoked"


def test_the_broker_takes_no_revoked_certificate_that_came_along(world: World) -> None:
    world.policy("[kinds.device]\nrevocable = false", "[kinds.device]\nrevocable = true")
    device = in_use(world)
    assert device.entity is not None
    parties = Parties(world.workspace, [certified(device.der, "it")])
    world.revoke(device)
    (found,) = parties.device_keys([device.entity]).values()
    assert isinstance(found, Fault)
    assert found.code == "broker.revoked"


def test_devices_are_told_of_no_revoked_authority_for_devices(world: World) -> None:
    assert len(_device_issuers(world.workspace)) == 1
    take_away(world, "device")
    assert not _device_issuers(world.workspace)


def test_what_a_device_below_it_answers_is_not_believed(world: World) -> None:
    device = in_use(world)
    assert device.entity is not None
    (known,) = _issued(world.workspace, device.entity)
    assert known.against is None
    take_away(world, "device")
    (known,) = _issued(world.workspace, device.entity)
    assert known.against is not None
    assert known.against.code == "key.revoked"
