"""A folder that somebody changed, and a list on record that somebody damaged: told, mended where it can be."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from smki.authority.publication.folder import held
from tests.authority.publication.test_lists import HOUR, NAME, ROOT, Desk, serials
from tests.authority.publication.test_watch import Watched
from tests.house import copy_of


@pytest.fixture
def desk(complete: Path, tmp_path: Path) -> Iterator[Watched]:
    made = Watched(copy_of(complete, tmp_path / "authority"))
    yield made
    made.house.workspace.close()


def to_link(path: Path) -> None:
    path.symlink_to(path.rename(path.parents[3] / "elsewhere"))


def to_private(path: Path) -> None:
    path.chmod(0o600)


def to_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def to_giant(path: Path) -> None:
    os.truncate(path, 1 << 40)


def to_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def to_unlinkable(path: Path) -> None:
    """What is taken for the remains of a writer."""
    (path.parent / f".{path.name}.0123456789ab").mkdir()


@pytest.mark.parametrize("suffix", [".crl", ".pem"])
@pytest.mark.parametrize("change", [to_link, to_private, to_pipe, to_giant])
def test_a_file_is_put_right(desk: Desk, change: Callable[[Path], None], suffix: str) -> None:
    desk.made()
    path = desk.file(suffix)
    good = path.read_bytes()
    change(path)
    assert desk.one().written == (path.name,)
    assert path.read_bytes() == good
    assert not path.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o644


def test_the_number_of_a_list_behind_a_link_counts(desk: Desk) -> None:
    """Somebody moved the folder's lists away and left links: none is replaced by an older, and no number is free."""
    desk.made()
    to_link(desk.file())
    (there,) = held(desk.house.workspace, desk.lists().authority)
    assert there.number == 1


@pytest.mark.parametrize("change", [to_folder, to_unlinkable])
def test_what_cannot_be_put_right_is_told_and_stops_nothing(desk: Watched, change: Callable[[Path], None]) -> None:
    desk.look()
    change(desk.file())
    desk.revoke(*serials(1))
    assert ("crl.failed", NAME) in desk.look(timedelta(seconds=3)), "and the watch goes on"
    assert ("crl.late", NAME) not in desk.look(timedelta(seconds=3))
    issuing, root = desk.publish(NAME, ROOT, everything=True).outcomes
    assert issuing.fault is not None
    assert issuing.fault.code in {"file.read", "file.write"}
    assert str(desk.file().parent) in issuing.fault.message
    assert (root.record is None) == (change is to_unlinkable), "where the list of the other can be written"


def test_a_list_that_was_damaged_on_record_does_not_stop_the_next(desk: Desk) -> None:
    desk.made()
    with closing(sqlite3.connect(desk.home / "smki.db")) as connection, connection:
        assert connection.execute("UPDATE crl_piece SET octets = x'00'").rowcount == 1
    desk.file().unlink()
    told = desk.one()
    assert told.fault is not None
    assert told.fault.code == "crl.damaged"
    desk.now += 12 * HOUR
    record = desk.made()
    assert (record.number, desk.one().fault) == (2, None)
    assert desk.listed() == []


def test_what_to_do_about_a_damaged_list_helps(desk: Desk) -> None:
    desk.made()
    with closing(sqlite3.connect(desk.home / "smki.db")) as connection, connection:
        connection.execute("UPDATE crl_piece SET octets = x'00'")
    desk.file().unlink()
    assert desk.made(everything=True).number == 2, "as `smki crl publish --all`"
    assert desk.file().exists()
