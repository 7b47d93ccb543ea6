"""What an attacker with a good key of somebody's tries against the cells of a home."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.device import verdict as rules
from smki.device.bundle import Bundle
from smki.device.cells import Cell, CellName, CellUse
from smki.device.credentials import advance
from smki.device.holders import apply_bundle
from smki.device.modes import BROKER_CELL, ROOT_CELL, SUPPLIER_CELLS
from smki.device.receive import Received
from smki.device.update import CredentialUpdate, Floors, Put
from smki.gbcs.header import Cra, Header, MessageCode
from smki.gbcs.message import Message
from smki.gbcs.payload.credentials import Mode, StatusCode
from smki.gbcs.payload.declared import write_declared
from smki.gbcs.payload.joins import UnjoinCommand
from smki.pki.keyid import KeyIdentifier
from smki.pki.name import authority_name, organisation_name
from tests.device.home import (
    AT,
    BROKER,
    COS,
    FIRST,
    NORTH,
    PARTIES,
    RECOVERY,
    ROLE,
    SECOND,
    SOUTH,
    Home,
    Party,
    authority,
    supplier_set,
    update,
)
from tests.device.test_credentials import change_of_supplier, statuses
from tests.parties.people import METER

SIGNS = CellUse.DIGITAL_SIGNATURE


def own_root(name: x509.Name, key: ec.EllipticCurvePrivateKey) -> bytes:
    """A root that somebody made of a key of their own."""
    public = key.public_key()
    usage = [bit in {5, 6} for bit in range(9)]
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(0x4300112233445566)
        .not_valid_before(AT - timedelta(days=1))
        .not_valid_after(AT + timedelta(days=9000))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(*usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier(KeyIdentifier.of(public).octets), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )


@pytest.mark.requirement("R-SPC-3")
@pytest.mark.parametrize("name", ["a party's", "a root's"])
def test_no_party_makes_itself_the_root(name: str) -> None:
    """Its certificate below the root is no link, whatever name the root it made itself has."""
    issuing = authority(FIRST).issuing
    for who, mode, mac in (
        (NORTH, Mode.ROOT_BY_SUPPLIER, True),
        (RECOVERY, Mode.ANY_EXCEPT_ABNORMAL_ROOT_BY_RECOVERY, False),
    ):
        own_name = organisation_name(who.role, who.entity, None)
        subject = own_name if name == "a party's" else authority_name(ROLE.ROOT, FIRST)
        root = own_root(subject, who.key(SIGNS))
        path = (issuing.der, who.certificate(SIGNS), root)
        home = Home()
        found = home.order(who, update(mode, 1, [Put.into(ROOT_CELL, root)], path=path), mac=mac)
        assert statuses(found) != [StatusCode.SUCCESS]
        assert home.state.cells[ROOT_CELL].certificate == authority(FIRST).root.der


@pytest.mark.requirement("R-SPC-3")
def test_no_issuing_authority_makes_itself_the_root() -> None:
    issuing = authority(FIRST).issuing
    for subject in (issuing.name, authority_name(ROLE.ROOT, FIRST)):
        root = own_root(subject, issuing.key)
        home = Home()
        found = home.order(
            NORTH, update(Mode.ROOT_BY_SUPPLIER, 1, [Put.into(ROOT_CELL, root)], path=(issuing.der, root))
        )
        assert statuses(found) != [StatusCode.SUCCESS]


def test_a_stolen_broker_key_has_put_off_nothing_that_outlives_it() -> None:
    home = Home()
    stolen = update(
        Mode.ACCESS_CONTROL_BROKER_BY_ACB, 1, [BROKER.put(BROKER_CELL)], authorising=None, at=AT + timedelta(days=1)
    )
    assert home.send(home.protect(stolen.command(BROKER.entity, METER))).verdict.accepted
    renewed = Party(BROKER.entity, ROLE.ACCESS_CONTROL_BROKER)
    home.order(RECOVERY, update(Mode.ANY_EXCEPT_ABNORMAL_ROOT_BY_RECOVERY, 1, [renewed.put(BROKER_CELL)]), mac=False)
    assert not home.state.pending
    home.state = advance(home.state, home.keys, AT + timedelta(days=2)).state
    assert home.state.cells[BROKER_CELL].certificate == renewed.certificate(CellUse.KEY_AGREEMENT)


@pytest.mark.requirement("R-ROL-5")
def test_a_mode_is_ordered_in_its_role_and_in_no_other_of_the_same_party() -> None:
    """A broker with a cell for its signatures may not speak for a supplier whose cells it is not in."""
    home = Home()
    name = CellName(ROLE.ACCESS_CONTROL_BROKER, SIGNS)
    home.state = replace(home.state, cells={**home.state.cells, name: Cell.of(BROKER.certificate(SIGNS), name)})
    found = home.order(BROKER, update(Mode.SUPPLIER_BY_SUPPLIER, 1, supplier_set(SOUTH)))
    assert found.verdict.code == rules.ROLE.code


@pytest.mark.requirement("R-CTR-2")
def test_the_broker_has_one_counter_in_all_its_roles() -> None:
    """While it stands in for a supplier, and after, nothing that it sent before is obeyed again."""
    home = Home()
    unjoin = write_declared(UnjoinCommand(payload=bytes(8)))
    header = Header(Cra.COMMAND, 500, BROKER.entity, METER, MessageCode(0x0010))
    old = home.protect(Message(header, unjoin))
    stand_in = tuple(Put.into(name, BROKER.certificate(name.use)) for name in SUPPLIER_CELLS)
    assert home.send(old).verdict.step.name == "ACT"
    recovery = update(
        Mode.ANY_EXCEPT_ABNORMAL_ROOT_BY_RECOVERY, 1, stand_in, other_floors=((ROLE.SUPPLIER, Floors(0, 0)),)
    )
    assert set(statuses(home.order(RECOVERY, recovery, mac=False))) == {StatusCode.SUCCESS}
    assert home.send(old).verdict.code == rules.REPLAY.code
    handover = update(Mode.SUPPLIER_BY_SUPPLIER, 1300, supplier_set(SOUTH), own_floor=0, own_top_up_floor=0)
    assert home.order(BROKER, handover).verdict.accepted
    assert home.state.counters[ROLE.ACCESS_CONTROL_BROKER] == 1300


# A newer bundle


def bundle(home: Home, supplier: Party) -> Bundle:
    """As it is exported: counters of every party, and none of the root."""
    puts = {put.name: put.certificate for put in supplier_set(supplier)}
    cells = {name: Cell.of(puts[name], name) if name in puts else cell for name, cell in home.state.cells.items()}
    return Bundle(
        version=home.state.bundle + 1,
        device=METER,
        kind=home.state.kind,
        cells=cells,
        counters=dict.fromkeys(PARTIES, 0),
        top_up_floor=0,
        own=home.state.own,
        certificates=(),
        crls=(),
        use_cases=home.state.use_cases,
        joins=home.state.network.rules,
        manifest={},
    )


@pytest.mark.requirement("R-CTR-2")
def test_a_bundle_takes_no_counter_back() -> None:
    first = authority(FIRST)
    home = Home()
    what = update(Mode.ANY_BY_CONTINGENCY, 7, supplier_set(SOUTH), symmetric_key=first.symmetric)
    assert home.contingency(what, first.contingency).verdict.accepted
    assert home.command(SOUTH, 500).verdict.accepted
    home.state = apply_bundle(home.state, bundle(home, NORTH), home.keys)
    assert home.contingency(what, first.contingency).verdict.code == rules.REPLAY.code
    assert home.command(NORTH, 1).verdict.accepted
    home.order(COS, change_of_supplier(1, SOUTH))
    assert home.command(SOUTH, 500).verdict.code == rules.REPLAY.code


def test_a_bundle_voids_what_those_it_removes_had_put_off() -> None:
    home = Home()
    renewed = Party(NORTH.entity, ROLE.SUPPLIER)
    home.order(NORTH, update(Mode.SUPPLIER_BY_SUPPLIER, 5, supplier_set(renewed), at=AT + timedelta(days=1)))
    assert home.state.pending
    home.state = apply_bundle(home.state, bundle(home, SOUTH), home.keys)
    assert not home.state.pending


# The broker's key agreement key, which speaks to every home by its MAC alone


def by_mac(home: Home, what: CredentialUpdate) -> Received:
    return home.send(home.protect(what.command(BROKER.entity, METER)))


@pytest.mark.requirement("R-SPC-4")
def test_a_stolen_broker_key_takes_no_cell_of_anothers() -> None:
    for mode, puts in (
        (Mode.ACCESS_CONTROL_BROKER_BY_ACB, supplier_set(SOUTH)),
        (Mode.SUPPLIER_BY_SUPPLIER, supplier_set(SOUTH)),
        (Mode.SUPPLIER_BY_TRANS_COS, supplier_set(SOUTH)),
        (Mode.ANY_EXCEPT_ABNORMAL_ROOT_BY_RECOVERY, supplier_set(SOUTH)),
        (Mode.ROOT_BY_SUPPLIER, [Put.into(ROOT_CELL, authority(SECOND).root.der)]),
    ):
        home = Home()
        before = home.state.cells
        found = by_mac(home, update(mode, 1, puts, authorising=None))
        assert not found.verdict.accepted, mode
        assert home.state.cells == before, mode


@pytest.mark.requirement("R-SPC-4")
def test_a_stolen_broker_key_puts_nobody_unknown_in_its_place() -> None:
    """Only what a believed authority issued to a broker: so the thief needs that authority's key too."""
    thief = Party(BROKER.entity, ROLE.ACCESS_CONTROL_BROKER)
    stranger = BROKER_CELL, own_root(organisation_name(thief.role, thief.entity, None), thief.key(BROKER_CELL.use))
    for put, path in (
        (Put.into(*stranger), ()),
        (Put.into(BROKER_CELL, thief.certificate(BROKER_CELL.use, SECOND)), (authority(SECOND).issuing.der,)),
        (Put.into(BROKER_CELL, NORTH.certificate(BROKER_CELL.use)), (authority(FIRST).issuing.der,)),
    ):
        home = Home()
        before = home.state.cells
        what = update(Mode.ACCESS_CONTROL_BROKER_BY_ACB, 1, [put], path=path, authorising=None)
        assert statuses(by_mac(home, what)) != [StatusCode.SUCCESS]
        assert home.state.cells == before
