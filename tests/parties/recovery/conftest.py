"""Workspaces in which everyone is certified, before and after a root was lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from smki.parties.recovery.plan import Plan
from smki.store.records import CertificateRecord
from tests.house import copy_of, founded, opened
from tests.parties.recovery.world import World, prepare, prepare_another_root


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed workspace in which everyone is certified, to be copied."""
    home = tmp_path_factory.mktemp("recovery") / "authority"
    with founded(home) as house:
        house.enrol()
        house.stand_up()
    prepare(home)
    return home


@pytest.fixture
def world(prepared: Path, tmp_path: Path) -> Iterator[World]:
    house = opened(copy_of(prepared, tmp_path / "authority"))
    yield World(house)
    house.workspace.close()


@pytest.fixture
def lost(world: World) -> CertificateRecord:
    """Three homes of North, whose signing key is stolen."""
    world.add_homes(3)
    return world.stolen()


@pytest.fixture
def plan(world: World, lost: CertificateRecord) -> Plan:
    return world.draft(serials=(str(lost.serial),))


@pytest.fixture(scope="session")
def rooted(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with homes, after the root was lost: another one, and everyone certified under it."""
    home = copy_of(prepared, tmp_path_factory.mktemp("contingency") / "authority")
    prepare_another_root(home)
    return home


@pytest.fixture
def other(rooted: Path, tmp_path: Path) -> Iterator[World]:
    house = opened(copy_of(rooted, tmp_path / "authority"))
    yield World.with_homes(house)
    house.workspace.close()
