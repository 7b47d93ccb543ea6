"""Officers of users who were enrolled elsewhere: named in broker.toml, with certificates that somebody believes."""

import base64
from collections.abc import Iterator

import pytest

from smki.authority.broker import BrokerFile
from smki.authority.registration import set_active
from smki.errors import SmkiError
from smki.parties.broker.officers import users_officers
from smki.settings import read_toml
from tests.parties.broker.deciders import ALICE, BOB, Officer, officer_of, organisation, put_roll
from tests.parties.broker.holding import hand_out, hold
from tests.parties.broker.world import User, World
from tests.pki.hierarchy import Made, make

POLICY = "policies/broker.toml"


@pytest.fixture
def restored(world: World) -> Iterator[World]:
    """As it is shipped, before and after."""
    path = world.house.home / POLICY
    before = path.read_text()
    yield world
    path.write_text(before)
    world.house.workspace.__dict__.pop("policies", None)


def name_officer(world: World, user: User, der: bytes) -> None:
    path = world.house.home / POLICY
    text = base64.b64encode(der).decode()
    table = f'[[officer]]\nname = "alice"\norganisation = "Far Supply"\nids = ["{user.entity}"]\n'
    path.write_text(f'{path.read_text()}\n{table}certificate = "{text}"\n')
    world.house.workspace.__dict__.pop("policies", None)


def believe(world: World, *authorities: Made) -> None:
    for number, one in enumerate(authorities):
        path = world.house.home / "anchors" / f"infrastructure-{number}.der"
        path.write_bytes(one.der)
        path.chmod(0o600)


def test_an_officer_of_another_authority_s_speaks_once_that_is_believed(restored: World, supplier: User) -> None:
    world, workspace = restored, restored.house.workspace
    put_roll(workspace)
    root = make("root-infrastructure", None)
    issuing = make("issuing-infrastructure", root)
    officer = make("officer", issuing)
    name_officer(world, supplier, officer.der)
    assert users_officers(workspace, supplier.entity) == (), "nobody believes that authority"
    believe(world, root, issuing)
    (voice,) = users_officers(workspace, supplier.entity)
    assert (voice.name, voice.capacity, voice.words) == ("alice", "originator", "alice of Far Supply")
    assert users_officers(workspace, world.user(supplier.role).entity) == ()
    held = hold(world, supplier)
    far = Officer("alice", officer.key)
    assert far.decides(workspace, held).capacity == "originator"
    with pytest.raises(SmkiError, match=r"quarantine\.same-person"):
        ALICE.decides(workspace, held)
    assert BOB.decides(workspace, held).ready == 1
    assert [one.result for one in hand_out(world)] == ["admitted"]


def test_no_file_speaks_for_who_was_enrolled_here(restored: World, supplier: User) -> None:
    """Nobody writes an officer beside those that were appointed, nor lets a suspended organisation speak."""
    world, workspace = restored, restored.house.workspace
    root = make("root-infrastructure", None)
    issuing = make("issuing-infrastructure", root)
    officer = make("officer", issuing)
    name_officer(world, supplier, officer.der)
    believe(world, root, issuing)
    assert [one.name for one in users_officers(workspace, supplier.entity)] == ["alice"]
    owner = organisation(workspace, supplier.role, supplier.entity)
    assert users_officers(workspace, supplier.entity) == ()
    officer_of(workspace, owner)
    assert [one.name for one in users_officers(workspace, supplier.entity)] == ["Ann Ash"]
    set_active(workspace, owner, False, "left the trade")
    assert users_officers(workspace, supplier.entity) == ()


def test_a_user_s_certificate_makes_no_officer(restored: World, supplier: User) -> None:
    """Not even where somebody writes it there."""
    name_officer(restored, supplier, supplier.certificate.octets)
    assert users_officers(restored.house.workspace, supplier.entity) == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('confirmed_for = "24h"', 'confirmed_for = "8d"'),
        ('confirmed_for = "24h"', 'confirmed_for = "24h"\n[[officer]]\nname = "a"\norganisation = "b"\n'
         'ids = ["90-B3-D5-1F-30-01-00-00"]\ncertificate = "?"'),
        ('confirmed_for = "24h"', 'confirmed_for = "24h"\n[[officer]]\nname = "a"\norganisation = "b"\n'
         'ids = []\ncertificate = "AAAA"'),
        ('confirmed_for = "24h"', 'confirmed_for = "24h"\n[[officer]]\nname = ""\norganisation = "b"\n'
         'ids = ["90-B3-D5-1F-30-01-00-00"]\ncertificate = "AAAA"'),
    ],
)  # fmt: skip
def test_what_the_policy_may_not_say(world: World, old: str, new: str) -> None:
    text = (world.house.home / POLICY).read_text()
    assert old in text
    with pytest.raises(SmkiError, match=r"policy\.(broker|stretch)"):
        read_toml(text.replace(old, new).encode(), "broker.toml", BrokerFile).value.checked()
