"""One responder's process for each file of tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.authority.ocsp.served import Served, make, start
from tests.house import House, copy_of, opened
from tests.once import once


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    found = start(copy_of(once("ocsp", make), folder / "authority"), folder)
    assert found.port, found.log.read_text()
    yield found
    assert found.stop() == 0
    assert "Traceback" not in found.log.read_text()
    assert "ocsp.defect" not in found.log.read_text()


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[House]:
    """The same world, open in this process and our own."""
    house = opened(copy_of(once("ocsp", make), tmp_path / "authority"))
    yield house
    house.workspace.close()
