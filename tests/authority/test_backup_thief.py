"""A backup that was lost, or a journal's disk: what whoever finds it can use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from smki.authority.contingency import open_contingency
from smki.store.journal import MARK
from tests.authority.backups import Drill, make
from tests.house import copy_of, opened
from tests.once import once


@pytest.fixture
def drill(tmp_path: Path) -> Iterator[Drill]:
    """With a journal from the beginning of what is looked at."""
    journal = tmp_path / "journal"
    journal.mkdir(mode=0o700)
    (journal / MARK).touch()
    home = copy_of(once("drill", make), tmp_path / "authority")
    settings = home / "smki.toml"
    settings.write_text(settings.read_text().replace("[store]\n", f'[store]\njournal = "{journal}"\n'))
    made = Drill(opened(home))
    yield made
    made.house.workspace.close()


@pytest.mark.requirement("R-NTK-6")
def test_neither_backup_nor_journal_holds_a_key_or_a_pin(drill: Drill, tmp_path: Path) -> None:
    house = drill.house
    serial = drill.issue()
    drill.publish()
    drill.take()
    journal = b"".join(path.read_bytes() for path in (tmp_path / "journal").iterdir())
    found = drill.backup.read_bytes(), journal
    assert all(serial.octets in octets for octets in found), "they can be read, and what was done stands in them"
    contingency = open_contingency(house.workspace, "oca-root").secret
    pins = [path.read_bytes().strip() for path in (house.home / "pins").iterdir()]
    assert all(len(pin) >= 8 for pin in pins)
    tokens = [path.read_bytes() for path in (house.home / "tokens").rglob("*.object")]
    assert tokens
    for octets in found:
        for secret in (contingency, *pins, *tokens):
            assert secret not in octets
            assert secret.hex().encode() not in octets.lower()
