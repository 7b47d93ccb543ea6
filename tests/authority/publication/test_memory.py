"""How much memory a long list takes: its own octets, and little more."""

import subprocess
import sys
from pathlib import Path

import pytest

from smki.pki.serial import Serial
from tests.authority.publication.killed import NAME
from tests.authority.publication.leaves import revoke_serials
from tests.house import copy_of, opened

COUNT = 100_000
MOST = 60  # octets an entry, above a list of one entry and the file itself


@pytest.mark.slow(10)
def test_a_long_list_takes_little_more_than_its_own_octets(complete: Path, tmp_path: Path) -> None:
    alone, _ = weighed(copy_of(complete, tmp_path / "one"), 1)
    long, size = weighed(copy_of(complete, tmp_path / "many"), COUNT)
    assert size > 49 * COUNT
    assert (long - alone - size) / COUNT < MOST


def weighed(home: Path, count: int) -> tuple[int, int]:
    """The most memory of a process that publishes so many, and the size of the list."""
    house = opened(home)
    revoke_serials(house, NAME, *(Serial(b"\1" * 8 + number.to_bytes(8)) for number in range(count)))
    house.workspace.close()
    done = subprocess.run(
        [sys.executable, "-m", "tests.authority.publication.weighed", home],
        capture_output=True,
        text=True,
        check=True,
    )
    memory, size = map(int, done.stdout.split())
    return memory, size
