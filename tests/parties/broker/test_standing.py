"""What a broker believes of certificates that its lists, or its register, do not name."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from smki.authority.lists_intake import take_in
from smki.entity import RemotePartyRole
from smki.pki.public_key import spki_of
from smki.store.records import Act, AuthorityRecord
from tests.house import NOW, founded, opened
from tests.parties.broker.world import World, codes
from tests.parties.lists import made_list
from tests.parties.people import issuing, root


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with founded(tmp_path / "home", kind="user") as house:
        built = World(house, [NOW])
        yield built
        built.house.workspace.close()  # it may have been opened anew


def test_where_a_list_is_asked_for_no_list_is_a_no(world: World) -> None:
    path = world.house.home / "policies" / "revocation.toml"
    path.write_text(path.read_text().replace('unknown = "take"', 'unknown = "refuse"'))
    workspace = world.house.workspace
    workspace.__dict__.pop("policies", None)
    supplier = world.user(RemotePartyRole.SUPPLIER)
    given = supplier.arming(5, world.device(supplier))
    (refused,) = world.submit(given)
    assert (refused.result, refused.message, "broker.status-unknown" in codes(refused)) == ("refused", b"", True)
    take_in(workspace, made_list(1))
    take_in(workspace, made_list(1, signer=root()))
    (done,) = world.submit(given)
    assert (done.result, codes(done)) == ("admitted", [])


def test_what_an_authority_of_this_workspace_did_not_issue_admits_nothing(world: World) -> None:
    """Its key signed something that is not in the register: it was used behind everybody's back."""
    supplier = world.user(RemotePartyRole.SUPPLIER)
    meter = world.device(supplier)
    (before,) = world.submit(supplier.arming(5, meter))
    settings = world.house.home / "smki.toml"
    settings.write_text(settings.read_text().replace('kind = "user"', 'kind = "authority"'))
    world.house.workspace.close()
    world.house = opened(world.house.home, lambda: NOW)
    own = AuthorityRecord(
        number=1, name="issuing-oca", hierarchy="organisation", tier="issuing", state="making", issuing=False,
        profile="p", subject="s", token="t", key_id=b"id", public_key=None, issuer=None, serial=None, not_after=None,
    )  # fmt: skip
    with world.house.workspace.store.act(Act("test", "tester", NOW)) as tx:
        tx.put_authority(own)
        tx.set_authority_key(own.name, spki_of(issuing().key.public_key()))
    (after,) = world.submit(supplier.arming(6, meter))
    assert before.result == "admitted"
    assert (after.result, after.message, "broker.unregistered" in codes(after)) == ("refused", b"", True)
