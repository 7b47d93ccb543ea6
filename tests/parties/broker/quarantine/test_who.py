"""Who may let go: officers of either side, two people, and no stolen key."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.registration import dismiss, set_active
from smki.entity import RemotePartyRole
from tests.parties.broker.deciders import ALICE, BOB, Officer, officer_of, organisation, put_roll
from tests.parties.broker.holding import code_of, hand_out, hold, state
from tests.parties.broker.world import User, World


def test_the_organisation_s_signing_key_releases_nothing(world: World, supplier: User, ann: Officer) -> None:
    """The stolen key: neither as it is, nor where somebody has it appointed as an officer's."""
    workspace = world.house.workspace
    held = hold(world, supplier)
    thief = Officer("Ann Ash", supplier.key)
    assert code_of(lambda: thief.decides(workspace, held)) == "quarantine.signer"
    world.register_certificate(supplier)
    owner = workspace.store.organisations.owner_of(supplier.entity)
    officer_of(workspace, owner, "Mal Ory", supplier.key)
    assert code_of(lambda: Officer("Mal Ory", supplier.key).decides(workspace, held)) == "quarantine.signer"


@pytest.mark.requirement("R-LEA-7")
def test_only_officers_of_those_it_is_from_or_on_the_roll(world: World, supplier: User, ann: Officer) -> None:
    workspace = world.house.workspace
    other = world.user(RemotePartyRole.SUPPLIER)
    neighbour = officer_of(workspace, organisation(workspace, other.role, other.entity), "Neil Orr")
    held = hold(world, supplier)
    both = [*held, *hold(world, other)]
    stranger = Officer("Ann Ash", ec.generate_private_key(ec.SECP256R1()))
    misnamed = Officer("Neil Orr", ann.key)
    for officer, records in ((stranger, held), (neighbour, held), (misnamed, held), (ann, both), (neighbour, both)):
        assert code_of(lambda officer=officer, records=records: officer.decides(workspace, records)) == (  # type: ignore[misc]
            "quarantine.signer"
        )
    assert ALICE.decides(workspace, both).items == 2, "the broker's officers speak of everybody's"


def test_who_is_an_officer_no_more_releases_nothing(world: World, supplier: User, ann: Officer) -> None:
    workspace = world.house.workspace
    owner = workspace.store.organisations.owner_of(supplier.entity)
    held = hold(world, supplier)
    for officer in (ann, ALICE):
        officer.decides(workspace, held)
    put_roll(workspace, BOB)
    assert hand_out(world) == [] or state(world, held[0]) == "waiting"
    assert state(world, held[0]) == "waiting", "alice left the roll after she had signed"
    put_roll(workspace)
    dismiss(workspace, owner, "Ann Ash")
    hand_out(world)
    assert state(world, held[0]) == "waiting", "and so did Ann Ash leave"
    again = officer_of(workspace, owner, "Ann Ash", ann.key)
    set_active(workspace, owner, False, "left the trade")
    hand_out(world)
    assert state(world, held[0]) == "waiting"
    assert code_of(lambda: again.decides(workspace, held)) == "quarantine.signer"
    set_active(workspace, owner, True, "is back")
    assert [one.result for one in hand_out(world)] == ["admitted"]


@pytest.mark.requirement("R-SPC-6")
def test_one_person_is_not_two(world: World, supplier: User) -> None:
    workspace = world.house.workspace
    owner = organisation(workspace, supplier.role, supplier.entity)
    held = hold(world, supplier)
    by_name = officer_of(workspace, owner, "Alice")
    by_key = officer_of(workspace, owner, "Bea Toll", BOB.key)
    ALICE.decides(workspace, held)
    assert code_of(lambda: by_name.decides(workspace, held)) == "quarantine.same-person"
    BOB.decides(workspace, held)
    assert code_of(lambda: by_key.decides(workspace, held)) == "quarantine.same-person"
    assert hand_out(world) == []


def test_one_name_written_twice_is_one_person(world: World, supplier: User) -> None:
    workspace = world.house.workspace
    owner = organisation(workspace, supplier.role, supplier.entity)
    put_roll(workspace, Officer("Jos\u00e9 Ash", ALICE.key), BOB)
    held = hold(world, supplier)
    Officer("Jos\u00e9 Ash", ALICE.key).decides(workspace, held)
    for name in ("Jose\u0301 Ash", "JOS\u00c9  ASH", "\uff2aos\u00e9 Ash"):
        again = officer_of(workspace, owner, name)
        assert code_of(lambda again=again: again.decides(workspace, held)) == "quarantine.same-person"  # type: ignore[misc]


def test_who_handed_it_in_does_not_decide(world: World, supplier: User) -> None:
    workspace = world.house.workspace
    owner = organisation(workspace, supplier.role, supplier.entity)
    held = hold(world, supplier)
    assert held[0].decisions == ({"submitted_by": "tester"},)
    tester = officer_of(workspace, owner, "Tester")
    assert code_of(lambda: tester.decides(workspace, held)) == "quarantine.submitter"
