"""A backup that was lost, or a journal's disk: what whoever finds it can use."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from smki.authority.contingency import open_contingency
from smki.errors import SmkiError
from smki.pki.serial import Serial
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


def forge(path: Path, serial: Serial) -> bool:
    """Write an act anew, its digest too, without its rows about one certificate's revocation; its entries stay."""
    data, out, digest, changed = path.read_bytes(), b"", hashlib.sha256(), False
    while data:
        length = int.from_bytes(data[:4])
        frame = msgspec.msgpack.decode(data[4 : 4 + length])
        data = data[4 + length :]
        if frame[0] == "in" and frame[1] == "revocation" and any(serial.octets in row for row in frame[3]):
            changed = True
            continue
        if frame[0] == "end":
            frame[-1] = digest.digest()
        octets = msgspec.msgpack.encode(frame)
        out += len(octets).to_bytes(4) + octets
        digest.update(len(octets).to_bytes(4) + octets)
    path.write_bytes(out)
    return changed


def test_whoever_writes_on_the_journals_disk_unrevokes_nothing(drill: Drill, tmp_path: Path) -> None:
    """The log tells of it: what an act did must be what its entries say."""
    drill.take()
    serial = drill.issue()
    drill.revoke(serial)
    journal = tmp_path / "journal"
    kept = {path: path.read_bytes() for path in journal.iterdir()}
    assert sum(forge(path, serial) for path in kept if path.name != MARK) == 1
    drill.lose()
    with pytest.raises(SmkiError) as refused:
        drill.restore(journal=journal)
    assert refused.value.code == "backup.contradiction"
    for path, octets in kept.items():
        path.write_bytes(octets)
    drill.restore(journal=journal)
