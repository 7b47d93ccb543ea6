"""A workspace whose lists were published, and the folder the world reads."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from smki.authority.hierarchy import named
from smki.authority.log import act
from smki.authority.publication.act import publish_lists
from smki.pki.reason import Reason
from smki.pki.serial import Serial
from smki.store.records import RevocationRecord
from tests.house import NOW, House, copy_of, opened
from tests.once import once


def revoke(house: House, authority: str, count: int, reason: Reason = Reason.KEY_COMPROMISE) -> None:
    """As many numbers as are asked for, on record as revoked."""
    issuer = named(house.workspace, authority).number
    with act(house.workspace, "test.revoked", authority=authority) as tx:
        tx.put_ground(b"\1" * 32, "{}")
        first = tx.next_revocation(issuer)
        tx.put_revocations(
            [
                RevocationRecord(number, issuer, Serial(b"\1" * 8 + number.to_bytes(8)), NOW, reason, b"\1" * 32)
                for number in range(first, first + count)
            ]
        )


@pytest.fixture(scope="session")
def issued(complete: Path) -> Path:
    """A closed workspace that published a list of every authority, one of them with entries; to be copied."""

    def make(home: Path) -> None:
        house = opened(copy_of(complete, home))
        revoke(house, "oca-issuing-1", 3)
        assert not publish_lists(house.workspace, even_if_not_due=True).faults
        house.workspace.close()

    return once("issued", make)


@pytest.fixture
def publisher(issued: Path, tmp_path: Path) -> Iterator[House]:
    """The same, open and our own."""
    house = opened(copy_of(issued, tmp_path / "authority"))
    yield house
    house.workspace.close()


@pytest.fixture
def mirror(issued: Path, tmp_path: Path) -> Path:
    """A stranger's copy of the folder."""
    return Path(shutil.copytree(issued / "published", tmp_path / "mirror"))
