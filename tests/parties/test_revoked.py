"""A revoked certificate serves for nothing: whatever would sign, MAC, verify or take it says that it is revoked.

The workspaces here are users', which hear of it by a list; those of an authority are asked in tests/authority.
"""

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from smki.authority.lists_intake import take_in
from smki.cli.reading import key_ring
from smki.cli.session import Session
from smki.cli.topup import _device_certificate
from smki.device.cells import CellName
from smki.entity import KeyUsage, RemotePartyRole
from smki.errors import Refused
from smki.gbcs.agreement import Agreement
from smki.gbcs.header import MessageCode
from smki.gbcs.protection import sign
from smki.gbcs.verdict import KeyRing, verify
from smki.parties import supplier
from smki.parties.asking import ask, install_key, read_cells
from smki.parties.broker import mac
from smki.parties.broker.mac import MacDesk, seal_all
from smki.parties.changes import Place
from smki.parties.han import agreement_certificate
from smki.parties.intake import Given
from smki.parties.keys import Certified, Doubts, certified, known_of, refuse_unless_in_use
from smki.parties.outcomes import OutcomeDesk
from smki.parties.read_back import take_read_backs
from smki.parties.replacements import Replacements
from smki.parties.signing_rules import Shown
from smki.parties.supplier import _Run as Run
from smki.parties.supplier import vocabulary
from smki.pki.holder import load_certificate
from tests.authority.desk import code_of
from tests.device.desk import own
from tests.house import NOW, House, founded, no_prompt
from tests.parties.changing import BATCH, COS, Meter, in_inventory
from tests.parties.cos.world import Party, codes, home, south
from tests.parties.lists import made_list, revoke
from tests.parties.people import BROKER, METER, SUPPLIER, User, arming, certificate, given, issuing, root

REVOKED = "key.revoked"
_ROLE = RemotePartyRole
KEY = ec.generate_private_key(ec.SECP256R1())


def made(role: RemotePartyRole | None, usage: KeyUsage, key: Any = KEY) -> Certified:
    return certificate(key.public_key(), METER if role is None else SUPPLIER, role, usage)


@pytest.mark.requirement("R-REV-1")
def test_nobody_signs_with_it(user: User) -> None:
    assert user.desk
    revoke(user.house.workspace, user.certificate)
    assert code_of(lambda: user.desk) == REVOKED


@pytest.mark.requirement("R-REV-1")
def test_a_run_of_signing_stops_when_it_is_revoked(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was signed before is on record and handed out; nothing is signed after."""
    monkeypatch.setattr(supplier, "CHUNK", 8)
    desk, count = user.desk, 8 * (3 * (os.cpu_count() or 1) + 8)
    judged = desk.judge((given(arming(number)) for number in range(1, count + 1)), None)
    signed: list[bytes] = []

    def run() -> None:
        with closing(desk.sign(judged, Shown.SEEN)) as outcomes:
            for outcome in outcomes:
                signed.append(outcome.message)
                if len(signed) == 1:
                    revoke(user.house.workspace, user.certificate)

    assert code_of(run) == REVOKED
    assert all(signed)
    assert 0 < len(signed) < count


def test_a_plan_of_recovery_stops_when_its_key_is_revoked(user: User) -> None:
    watch = refuse_unless_in_use(user.house.workspace, user.certificate, KeyUsage.DIGITAL_SIGNATURE)
    desk = user.desk
    (fit,) = desk.judge([given(arming(1))], None)
    key = user.house.workspace.open_token("keys").find_key(label="ds")
    revoke(user.house.workspace, user.certificate)
    run = Run(user.house.workspace, user.certificate, key, [fit], None, watch)  # type: ignore[list-item]
    assert code_of(lambda: list(run.outcomes())) == REVOKED


@pytest.mark.requirement("R-REV-5")
def test_an_authority_above_it_that_is_revoked_takes_it_along(user: User) -> None:
    serial = load_certificate(issuing().der, "it").serial_number
    take_in(user.house.workspace, made_list(serial, signer=root()))
    with pytest.raises(Refused) as caught:
        _ = user.desk
    assert caught.value.code == REVOKED
    assert "authority" in caught.value.message


# The broker


@pytest.fixture
def broker(house: House) -> Certified:
    key = house.workspace.open_token("keys").generate_key("broker", os.urandom(16), "agree")
    return certificate(key.public_key(), BROKER, RemotePartyRole.ACCESS_CONTROL_BROKER, KeyUsage.KEY_AGREEMENT)


def mac_desk(house: House, broker: Certified, *known: Certified) -> MacDesk:
    key = house.workspace.open_token("keys").find_key(label="broker", public_key=broker.holder.public_key)
    ring = KeyRing(one.known for one in known)
    watch = refuse_unless_in_use(house.workspace, broker, KeyUsage.KEY_AGREEMENT)
    return MacDesk(vocabulary(house.workspace), Agreement(key), ring.of, Doubts(house.workspace), watch)


@pytest.mark.requirement("R-REV-1")
def test_the_broker_lets_nothing_of_a_revoked_originator_pass(house: House, user: User, broker: Certified) -> None:
    key = house.workspace.open_token("keys").find_key(label="ds", public_key=user.certificate.holder.public_key)
    agrees, meter = made(RemotePartyRole.SUPPLIER, KeyUsage.KEY_AGREEMENT), made(None, KeyUsage.KEY_AGREEMENT)
    desk = mac_desk(house, broker, user.certificate, agrees, meter)
    signed, plain = given(sign(arming(5), key)), given(arming(6, code=MessageCode(0x0027)))
    assert [one.result for one in seal_all(house.workspace, desk, [signed, plain])] == ["MAC added"] * 2
    revoke(house.workspace, user.certificate)
    (first, second) = seal_all(house.workspace, desk, [signed, plain])
    assert ([fault.code for fault in first.faults], second.result) == ([REVOKED], "MAC added")
    revoke(house.workspace, user.certificate, agrees, number=2)
    (first, second) = seal_all(house.workspace, desk, [signed, plain])
    assert [fault.code for fault in (*first.faults, *second.faults)] == [REVOKED, REVOKED]


def test_the_broker_sends_nothing_to_a_revoked_device(house: House, user: User, broker: Certified) -> None:
    key = house.workspace.open_token("keys").find_key(label="ds", public_key=user.certificate.holder.public_key)
    meter = made(None, KeyUsage.KEY_AGREEMENT)
    desk = mac_desk(house, broker, user.certificate, meter)
    revoke(house.workspace, meter)
    (told,) = seal_all(house.workspace, desk, [given(sign(arming(5), key))])
    assert [fault.code for fault in told.faults] == [REVOKED]


def test_the_brokers_own_revocation_stops_its_run(
    house: House, user: User, broker: Certified, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = house.workspace.open_token("keys").find_key(label="ds", public_key=user.certificate.holder.public_key)
    desk = mac_desk(house, broker, user.certificate, made(None, KeyUsage.KEY_AGREEMENT))
    one = given(sign(arming(5), key))
    monkeypatch.setattr(mac, "CHUNK", 4)
    done: list[bytes] = []

    def run() -> None:
        for outcome in seal_all(house.workspace, desk, [one] * 8):
            done.append(outcome.message)
            if len(done) == 1:
                revoke(house.workspace, broker)

    assert (code_of(run), len(done)) == (REVOKED, 4)


# Verifying, and what comes back from devices


def test_a_signature_of_a_revoked_certificate_does_not_hold(house: House, user: User) -> None:
    key = house.workspace.open_token("keys").find_key(label="ds", public_key=user.certificate.holder.public_key)
    message = sign(arming(5), key)
    revoke(house.workspace, user.certificate)
    checks = verify(
        message, house.workspace.policies.use_cases, KeyRing([known_of(house.workspace, user.certificate)])
    )
    (signature,) = (one for one in checks if one.what == "signature")
    assert (signature.answer, signature.fault and signature.fault.code) == ("fails", REVOKED)


@pytest.mark.requirement("R-REV-1")
def test_what_a_revoked_device_answers_is_not_believed(house: House, user: User) -> None:
    meter = Meter()
    in_inventory(house, meter.state)
    asking = read_cells(house.workspace, (COS, _ROLE.TRANSITIONAL_COS), METER, 4, (_ROLE.SUPPLIER,))
    (asked,) = ask(house.workspace, [asking], BATCH)
    octets = meter.obey(asked.asking.message, _ROLE.TRANSITIONAL_COS, mac=False)
    its = [certified(one, "the meter's") for one in own().values()]

    def told() -> list[str]:
        ring = KeyRing(known_of(house.workspace, one) for one in its)
        (found,) = OutcomeDesk(house.workspace, ring).take([Given("it", octets)])
        return [fault.code for fault in found.faults]

    assert told() == []
    revoke(house.workspace, *its)
    assert told() == [REVOKED]
    ring = KeyRing(known_of(house.workspace, one) for one in its)
    (back,) = take_read_backs(house.workspace, ring, iter([Given("it", octets)]), NOW)
    assert back.fault is not None
    assert back.fault.code == REVOKED


# What is to go onto devices


@pytest.mark.requirement("R-REV-1")
def test_no_revoked_certificate_goes_onto_a_device(house: House, user: User) -> None:
    one = made(RemotePartyRole.SUPPLIER, KeyUsage.DIGITAL_SIGNATURE)
    place = Place(CellName.parse("supplier digitalSignature"), one.octets)
    assert not Replacements(house.workspace).read(place).faults
    own = made(None, KeyUsage.DIGITAL_SIGNATURE)
    assert not install_key(house.workspace, SUPPLIER, 1, own.octets).faults
    revoke(house.workspace, one, own)
    assert [fault.code for fault in Replacements(house.workspace).read(place).faults] == [REVOKED]
    assert [fault.code for fault in install_key(house.workspace, SUPPLIER, 1, own.octets).faults] == [REVOKED]


def test_no_device_is_told_of_another_that_is_revoked(house: House, user: User) -> None:
    meter = made(None, KeyUsage.KEY_AGREEMENT)
    revoke(house.workspace, meter)
    assert code_of(lambda: agreement_certificate(house.workspace, METER, [meter])) == REVOKED


def test_no_token_is_made_for_a_revoked_meter(house: House, user: User, tmp_path: Path) -> None:
    meter, path = made(None, KeyUsage.KEY_AGREEMENT), tmp_path / "meter.der"
    path.write_bytes(meter.octets)
    session = Session(lambda: NOW, no_prompt)
    session.home = house.home
    assert _device_certificate(session, METER, (path,)).serial == meter.serial
    revoke(house.workspace, meter)
    assert code_of(lambda: _device_certificate(session, METER, (path,))) == REVOKED
    session.close()


def test_no_token_is_made_for_a_meter_below_a_revoked_authority(house: House, user: User, tmp_path: Path) -> None:
    meter, path = made(None, KeyUsage.KEY_AGREEMENT), tmp_path / "meter.der"
    path.write_bytes(meter.octets)
    session = Session(lambda: NOW, no_prompt)
    session.home = house.home
    assert _device_certificate(session, METER, (path,)).serial == meter.serial
    above = load_certificate(issuing().der, "it")
    take_in(house.workspace, made_list(above.serial_number, signer=root()))
    assert code_of(lambda: _device_certificate(session, METER, (path,))) == REVOKED
    session.close()


def test_our_own_certificate_proves_nothing_once_it_is_revoked(house: House, user: User, tmp_path: Path) -> None:
    key, path = tmp_path / "own.key", tmp_path / "own.der"
    one = made(RemotePartyRole.SUPPLIER, KeyUsage.KEY_AGREEMENT)
    path.write_bytes(one.octets)
    key.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key.chmod(0o600)
    own = {"certificate": path, "token": None, "label": None, "key_file": key}

    def known() -> list[str]:
        session = Session(lambda: NOW, no_prompt)
        session.home = house.home
        ring = key_ring(session, (), own)
        found = [item.against.code for item in ring.of(SUPPLIER, KeyUsage.KEY_AGREEMENT) if item.against is not None]
        session.close()
        return found

    assert known() == []
    revoke(house.workspace, one)
    assert known() == [REVOKED]


# Change of supplier


@pytest.fixture
def party(tmp_path: Path) -> Iterator[Party]:
    with founded(tmp_path / "cos", kind="user") as found:
        party = Party(found)
        party.settle(range(1))
        yield party


def test_no_home_changes_hands_by_a_revoked_certificate(party: Party) -> None:
    request = south.request(home())
    judged = party.judge(request)
    assert not judged.faults
    revoke(party.workspace, south.signer)
    assert codes(party.judge(request)) == [REVOKED]
    assert not party.judge(request).believed
    revoke(party.workspace, certified(south.trio[1], "it"), number=2)
    assert f"{REVOKED}" in codes(party.judge(request))
    _, done = party.desk.run(judged, request)
    (told,) = done
    assert REVOKED in [fault.code for fault in told.faults], "judged before, and looked at again"
    revoke(party.workspace, party.certificate, number=3)
    assert code_of(lambda: party.desk) == REVOKED


# What is not known


@pytest.mark.requirement("R-REV-6")
def test_a_policy_says_what_is_taken_without_a_list(user: User) -> None:
    path = user.house.home / "policies" / "revocation.toml"
    path.write_text(path.read_text().replace('unknown = "take"', 'unknown = "refuse"'))
    workspace = user.house.workspace
    workspace.__dict__.pop("policies", None)
    assert code_of(lambda: user.desk) == "key.status-unknown"
    take_in(workspace, made_list(1))
    assert code_of(lambda: user.desk) == "key.status-unknown", "of the authority above it nothing is known"
    take_in(workspace, made_list(1, signer=root()))
    assert user.desk
    workspace.clock = lambda: NOW + timedelta(days=2)
    assert code_of(lambda: user.desk) == "key.status-unknown", "past its end a list says nothing good"


def test_an_old_list_still_says_what_is_revoked(user: User) -> None:
    workspace = user.house.workspace
    revoke(workspace, user.certificate)
    workspace.clock = lambda: NOW + timedelta(days=30)
    assert code_of(lambda: user.desk) == REVOKED
