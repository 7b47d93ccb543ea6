"""What one person may revoke alone in a day: in slices, with the same words, by several at once."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.revocation.act import revoke
from smki.entity import KeyUsage
from smki.pki.holder import load_certificate
from smki.pki.public_key import spki_of
from smki.store.records import CertificateRecord, OfficerRecord
from tests.authority.desk import code_of
from tests.authority.revocation.killed import fill
from tests.authority.revocation.world import World
from tests.parties.recovery.world import another_root

FEW = 3


@pytest.fixture
def alone(world: World) -> World:
    world.policy(
        "[kinds.device]\nrevocable = false\nsigned_only = []\napprove_above = 100",
        f"[kinds.device]\nrevocable = true\nsigned_only = []\napprove_above = {FEW}",
    )
    return world


def test_one_that_was_revoked_before_does_not_begin_the_count_anew(alone: World) -> None:
    first, *more = fill(alone.workspace, FEW + 2)
    assert len(alone.revoke(first, *more[:2])) == FEW
    # The same words, and one of those that are gone: as if it were the rest of a run that was interrupted.
    assert code_of(lambda: alone.revoke(first, *more[2:])) == "approve.needed"


def test_two_plans_made_at_once_do_not_pass_together(alone: World) -> None:
    serials = fill(alone.workspace, FEW + 1)
    plans = [alone.plan(*serials[:2]), alone.plan(*serials[2:])]
    assert not any(one.held_for for one in plans)
    assert len([record for piece in revoke(alone.workspace, plans[0]) for record in piece]) == 2
    assert code_of(lambda: list(revoke(alone.workspace, plans[1]))) == "approve.needed"
    assert code_of(lambda: alone.revoke(*serials[2:])) == "approve.needed", "and it waits for an officer now"
    alone.grant(alone.plan(*serials[2:]))
    assert len(alone.revoke(*serials[2:])) == FEW - 1


def test_a_profile_file_makes_no_root_and_no_authority_of_less(world: World) -> None:
    folder = world.workspace.home / "policies" / "profiles"
    root = next(one.serial for one in world.workspace.store.authorities() if one.tier == "root")
    issuing = world.authority("organisation")
    assert root is not None
    plain = (folder / "organisation.toml").read_text()
    for name in ("root-oca", "issuing-oca"):
        (folder / f"{name}.toml").write_text(plain.replace('name = "organisation"', f'name = "{name}"'))
    world.workspace.__dict__.pop("policies", None)
    assert code_of(lambda: world.plan(root)) == "revoke.root"
    assert world.plan(issuing).held_for == ("1 of kind issuing",)


@pytest.mark.requirement("R-SPC-6")
def test_one_person_is_not_two_by_another_name(world: World) -> None:
    world.policy("approve_above = 10\n", "approve_above = 0\n")
    record = world.organisation()
    officer = world.officer("BOB")
    assert code_of(lambda: world.revoke(record, requested_by="BOB")) == "approve.needed"
    found = world.plan(record, requested_by="BOB")
    world.grant(found)
    assert code_of(lambda: world.revoke(record, requested_by="BOB")) == "approve.same-person"
    assert found.asker.key == spki_of(certificate_key(officer))
    bob, other = OfficerRecord("robert", found.asker.key), OfficerRecord("robert", b"another")
    assert (found.asker.is_officer(bob), found.asker.is_officer(other)) == (True, False), "by the key as well"


def certificate_key(officer: CertificateRecord) -> ec.EllipticCurvePublicKey:
    key = load_certificate(officer.der, "it").public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def test_what_passes_alone_is_not_had_again_from_the_next_authority(world: World) -> None:
    world.policy("approve_above = 10\n", "approve_above = 1\n")
    first = world.organisation()
    assert len(world.revoke(first)) == 1
    another_root(world.desk.house)
    second = world.organisation(usage=KeyUsage.KEY_AGREEMENT)
    assert second.issuer != first.issuer
    assert code_of(lambda: world.revoke(second)) == "approve.needed"
