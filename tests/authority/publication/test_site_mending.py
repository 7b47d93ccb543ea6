"""The public folder: what is damaged is made good, and it never goes back."""

import json
import shutil
import sqlite3
import stat
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from smki.authority.log import act
from smki.authority.publication.act import publish_lists
from smki.authority.publication.manifest import MANIFEST
from smki.authority.publication.site import is_behind, refresh_site
from tests.authority.desk import code_of
from tests.authority.publication.conftest import revoke
from tests.authority.publication.folder import at, faults_of, folder_of, manifest_of
from tests.house import House, copy_of, opened
from tests.prefork import Prefork


def test_what_did_not_change_is_left_alone(publisher: House) -> None:
    certificate = folder_of(publisher) / "ca" / "oca-root.pem"
    before = certificate.stat()
    at(publisher, 1)
    done = refresh_site(publisher.workspace)
    assert set(done.written) == {"index.html", "index.json", "SHA256SUMS", "manifest"}
    assert (certificate.stat().st_ino, certificate.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_is_damaged_missing_or_a_link_is_written_anew(publisher: House, tmp_path: Path) -> None:
    ca = folder_of(publisher) / "ca"
    wanted = {path.name: path.read_bytes() for path in ca.iterdir()}
    (ca / "oca-root.pem").write_bytes(b"changed")
    (ca / "oca-root.cer").unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(wanted["dca-root.pem"])
    (ca / "dca-root.pem").unlink()
    (ca / "dca-root.pem").symlink_to(elsewhere)
    (ca / "dca-root.cer").chmod(0o600)
    refresh_site(publisher.workspace)
    assert {path.name: path.read_bytes() for path in ca.iterdir()} == wanted
    assert not (ca / "dca-root.pem").is_symlink()
    assert stat.S_IMODE((ca / "dca-root.cer").stat().st_mode) == 0o644
    assert faults_of(publisher) == []


def test_a_list_that_is_not_the_one_on_record_is_not_signed_for(publisher: House) -> None:
    path = folder_of(publisher) / "crl" / "oca-root.crl"
    octets = path.read_bytes()
    for changed in (octets[:-1] + bytes((octets[-1] ^ 1,)), octets + b"\0", octets[:-1], None):
        path.unlink()
        if changed is not None:
            path.write_bytes(changed)
            path.chmod(0o644)
        else:
            path.touch(mode=0o644)
        done = refresh_site(publisher.workspace)
        assert done.behind == ("crl/oca-root.crl",)
        assert "crl/oca-root.crl" not in done.manifest.files
        assert any(line.startswith("file.unlisted: crl/oca-root.crl") for line in faults_of(publisher))
    path.write_bytes(octets)
    assert refresh_site(publisher.workspace).behind == ()
    assert faults_of(publisher) == []


def test_a_publisher_that_died_before_the_manifest_is_noticed(publisher: House) -> None:
    assert not is_behind(publisher.workspace)
    kept = (folder_of(publisher) / MANIFEST).read_bytes()
    at(publisher, 1)
    publish_lists(publisher.workspace, even_if_not_due=True)
    assert not is_behind(publisher.workspace)
    (folder_of(publisher) / MANIFEST).write_bytes(kept)
    assert is_behind(publisher.workspace)
    # Nothing is due: whoever looks next makes it good all the same.
    assert publish_lists(publisher.workspace).faults == ()
    assert not is_behind(publisher.workspace)
    (folder_of(publisher) / MANIFEST).unlink()
    assert is_behind(publisher.workspace)
    refresh_site(publisher.workspace)
    assert faults_of(publisher) == []


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_database_put_back_to_an_earlier_day_publishes_nothing(publisher: House, tmp_path: Path) -> None:
    earlier = copy_of(publisher.home, tmp_path / "old")
    revoke(publisher, "oca-issuing-1", 1)
    at(publisher, 1)
    publish_lists(publisher.workspace, even_if_not_due=True)
    publisher.workspace.close()
    old = opened(earlier)
    # The checkpoint alone would tell as much; here only the manifest was kept.
    shutil.copy(folder_of(publisher) / MANIFEST, folder_of(old) / MANIFEST)
    before = snapshot(folder_of(old))
    assert code_of(lambda: refresh_site(old.workspace)) == "audit.forked"
    for number in range(20):  # another past, as long as the first
        with act(old.workspace, "test.other", number=number):
            pass
    assert code_of(lambda: refresh_site(old.workspace)) == "audit.forked"
    after = snapshot(folder_of(old))
    assert {path for path in before if before[path] != after[path]} <= {"audit/checkpoint"}
    old.workspace.close()


@pytest.mark.parametrize(
    "sql", ["DELETE FROM crl", "DELETE FROM revocation", "UPDATE revocation SET number = number - 1"]
)
def test_a_table_that_lost_what_was_published_publishes_nothing(publisher: House, sql: str) -> None:
    before = snapshot(folder_of(publisher))
    with sqlite3.connect(publisher.home / "smki.db") as database:
        database.execute(sql)
    assert code_of(lambda: refresh_site(publisher.workspace)) == "published.newer"
    assert snapshot(folder_of(publisher)) == before


def test_a_manifest_that_was_changed_is_not_written_over(publisher: House) -> None:
    path = folder_of(publisher) / MANIFEST
    path.write_bytes(path.read_bytes().replace(b"2026", b"2016", 1))
    changed = path.read_bytes()
    assert code_of(lambda: refresh_site(publisher.workspace)) == "published.changed"
    assert path.read_bytes() == changed
    path.unlink()
    refresh_site(publisher.workspace)
    assert faults_of(publisher) == []


@pytest.mark.parametrize("name", ["../../up", "<b>", ".hidden", "a/b", "a\nb", "x" * 41, ""])
def test_a_name_no_ceremony_gave_reaches_no_path_and_no_page(publisher: House, name: str) -> None:
    before = snapshot(folder_of(publisher))
    for column in ("name", "hierarchy"):
        with sqlite3.connect(publisher.home / "smki.db") as database:
            (old,) = database.execute(f"SELECT {column} FROM authority WHERE name = 'dca-root'").fetchone()
            database.execute(f"UPDATE authority SET {column} = ? WHERE name = 'dca-root'", (name,))
        assert code_of(lambda: refresh_site(publisher.workspace)) == "published.name"
        with sqlite3.connect(publisher.home / "smki.db") as database:
            database.execute(f"UPDATE authority SET {column} = ? WHERE {column} = ?", (old, name))
    assert snapshot(folder_of(publisher)) == before


KILLS = 12


def test_refreshers_killed_at_any_moment_leave_whole_files(publisher: House) -> None:
    publisher.workspace.close()
    folder = folder_of(publisher)
    told = set()
    with Prefork("tests.authority.publication.refreshing") as prefork:
        for number in range(KILLS):
            pair = [prefork.start("tests.authority.publication.refreshing:refresh_on", publisher.home) for _ in "ab"]
            time.sleep(0.15 + 0.031 * number)
            assert [child.kill() for child in pair] == [True, True]
            told.add(manifest_of(publisher).made_at)
            json.loads((folder / "index.json").read_bytes())
            ET.fromstring((folder / "feed.atom").read_bytes())  # noqa: S314 - our own
            assert (folder / "index.html").read_text(encoding="utf-8").endswith("</html>\n")
    assert len(told) > 1, "they died before they did anything"
    refresh_site(publisher.workspace)
    assert faults_of(publisher) == []
