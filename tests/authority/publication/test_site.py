"""The public folder: what is in it, what strangers' tools make of it, and that it never goes back."""

import hashlib
import json
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
import uuid
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.hierarchy import named, standings
from smki.authority.log import act
from smki.authority.publication.act import publish_lists
from smki.authority.publication.manifest import MANIFEST, Manifest, read_manifest
from smki.authority.publication.site import is_behind, refresh_site
from smki.authority.publication.verify import verify_published
from smki.pki.status import Status
from tests.authority.desk import code_of
from tests.authority.publication.conftest import revoke
from tests.house import NOW, House, copy_of, founded, opened
from tests.postgres import shared

ATOM = "{http://www.w3.org/2005/Atom}"


def folder_of(house: House) -> Path:
    return house.home / "published"


def manifest_of(house: House) -> Manifest:
    spki = house.workspace.store.audit_key
    assert spki is not None
    return read_manifest((folder_of(house) / MANIFEST).read_bytes(), spki)


def faults_of(house: House) -> list[str]:
    store = house.workspace.store
    assert store.audit_key is not None
    verdict = verify_published(folder_of(house), store.origin, store.audit_key, house.workspace.clock())
    return [f"{fault.code}: {fault.message}" for fault in verdict.faults]


def at(house: House, hours: float) -> None:
    """The clock of this workspace, from now on."""
    house.workspace.clock = lambda: NOW + timedelta(hours=hours)


def openssl(*arguments: str | Path) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_ceremonies_publish_what_they_made(standing: House) -> None:
    names = [item.name for item in standings(standing.workspace)]
    assert len(names) == 6
    ca = {path.name for path in (folder_of(standing) / "ca").iterdir()}
    assert ca == {f"{name}.{ending}" for name in names for ending in ("pem", "cer")}
    assert manifest_of(standing).lists.keys() == set(names)
    assert faults_of(standing) == []


def test_every_file_is_for_everybody_to_read_and_listed(publisher: House) -> None:
    folder = folder_of(publisher)
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    for path in paths.values():
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path
    files = {name for name, path in paths.items() if path.is_file()}
    assert files - {"manifest", "audit/checkpoint"} == manifest_of(publisher).files.keys()
    assert {"index.html", "index.json", "feed.atom", "SHA256SUMS", "audit/verifier-key"} < files
    assert {"trust/authorities.pem", "trust/organisation.pem", "trust/device.pem", "trust/infrastructure.pem"} < files


def test_strangers_tools_believe_it(publisher: House) -> None:
    folder = folder_of(publisher)
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    trust = folder / "trust"
    for name, hierarchy in (("oca-issuing-1", "organisation"), ("infra-issuing-1", "infrastructure")):
        for bundle in (trust / "authorities.pem", trust / f"{hierarchy}.pem"):
            assert "OK" in openssl("verify", "-CAfile", bundle, folder / "ca" / f"{name}.pem")
    assert "verify OK" in openssl(
        "crl",
        "-inform",
        "DER",
        "-noout",
        "-CAfile",
        trust / "authorities.pem",
        "-in",
        folder / "crl/oca-issuing-1.crl",
    )
    der = openssl("x509", "-inform", "DER", "-noout", "-subject", "-in", folder / "ca" / "oca-root.cer")
    assert der == openssl("x509", "-noout", "-subject", "-in", folder / "ca" / "oca-root.pem")


def bundle(publisher: House, name: str) -> set[str]:
    """The names of the authorities in a bundle."""
    folder = folder_of(publisher)
    octets = (folder / "trust" / f"{name}.pem").read_bytes()
    held = {one.public_bytes(Encoding.DER) for one in x509.load_pem_x509_certificates(octets)} if octets else set()
    return {path.stem for path in (folder / "ca").glob("*.cer") if path.read_bytes() in held}


def test_bundles_hold_who_is_in_force(publisher: House) -> None:
    assert bundle(publisher, "device") == {"dca-root", "dca-issuing-1"}
    root, issuing = named(publisher.workspace, "oca-root"), named(publisher.workspace, "oca-issuing-1")
    assert issuing.serial is not None
    with sqlite3.connect(publisher.home / "smki.db") as database:
        database.execute(
            "UPDATE certificate SET status = ? WHERE issuer = ? AND serial = ?",
            (Status.REVOKED.number, root.number, issuing.serial.octets),
        )
    at(publisher, 26 * 366 * 24)  # the issuing authority of devices and the roots of infrastructure have ended
    refresh_site(publisher.workspace)
    assert bundle(publisher, "device") == {"dca-root"}
    assert bundle(publisher, "infrastructure") == set()
    assert bundle(publisher, "organisation") == {"oca-root"}
    assert bundle(publisher, "authorities") == {"dca-root", "oca-root"}
    assert len(list((folder_of(publisher) / "ca").glob("*.cer"))) == 6
    index = json.loads((folder_of(publisher) / "index.json").read_bytes())
    told = {row["name"]: row["status"] for row in index["authorities"]}
    assert (told["oca-issuing-1"], told["dca-issuing-1"], told["dca-root"]) == ("revoked", "expired", "in use")
    assert {line.partition(":")[0] for line in faults_of(publisher)} == {"list.lapsed"}


def test_links_between_roots_are_published_and_believed(publisher: House) -> None:
    publisher.hold(publisher.write("next.toml", "3", name="dca-root-2", subject="DB", succeeds="dca-root"))
    folder = folder_of(publisher)
    index = json.loads((folder / "index.json").read_bytes())
    assert len(index["links"]) == 2
    for row in index["links"]:
        assert "dca-root" not in row["pem"]
        ends = ("-CAfile", folder / "ca" / "dca-root.pem"), ("-CAfile", folder / "ca" / "dca-root-2.pem")
        done = [
            subprocess.run(["openssl", "verify", *end, folder / row["pem"]], capture_output=True, check=False)
            for end in ends
        ]
        assert sorted(one.returncode for one in done) == [0, 2]
    assert faults_of(publisher) == []
    assert b"from one root to the next" in (folder / "index.html").read_bytes()


def test_a_service_users_workspace_publishes_nothing(tmp_path: Path) -> None:
    with founded(tmp_path / "user", kind="user") as house:
        assert code_of(lambda: refresh_site(house.workspace)) == "published.kind"


@pytest.mark.postgresql
def test_nodes_of_one_store_keep_a_folder_each(tmp_path: Path) -> None:
    with founded(tmp_path / "one", store_url=shared().fresh()) as house:
        house.enrol()
        for number in "34":
            house.hold(house.shipped(number))
        other = copy_of(house.home, tmp_path / "two")
        at(house, 1)
        publish_lists(house.workspace)
        assert faults_of(house) == []
        here = manifest_of(house)
        house.workspace.close()
    node = opened(other, lambda: NOW + timedelta(hours=1))
    with closing(node.workspace):
        # What the other node made is published here too, under a manifest of the same log.
        assert publish_lists(node.workspace).faults == ()
        there = manifest_of(node)
        assert (there.lists, there.version) == (here.lists, here.version)
        lists = {path: digest for path, digest in here.files.items() if path.startswith("crl/")}
        assert len(lists) == 4
        assert lists.items() <= there.files.items()
        assert faults_of(node) == []


def test_the_manifest_tells_how_far_each_authority_has_come(publisher: House) -> None:
    before = manifest_of(publisher)
    assert before.lists["oca-issuing-1"].revocations == 3
    revoke(publisher, "oca-issuing-1", 2)
    at(publisher, 1)
    publish_lists(publisher.workspace, even_if_not_due=True)
    after = manifest_of(publisher)
    assert after.lists["oca-issuing-1"].revocations == 5
    assert after.lists["oca-issuing-1"].number > before.lists["oca-issuing-1"].number
    assert after.version == after.log_size > before.version
    assert after.log_root == publisher.workspace.store.audit_root(after.log_size)
    assert faults_of(publisher) == []


def test_the_index_says_what_the_certificates_and_lists_say(publisher: House) -> None:
    folder = folder_of(publisher)
    index = json.loads((folder / "index.json").read_bytes())
    assert (index["form"], index["made_at"]) == ("smki-published/1", "2026-11-21T12:00:00Z")
    assert index["workspace"] == publisher.workspace.store.origin
    assert len(index["authorities"]) == 6
    for row in (*index["authorities"], *index["links"]):
        der = (folder / row["der"]).read_bytes()
        assert hashlib.sha256(der).hexdigest() == row["sha256"]
        assert (folder / row["pem"]).is_file()
    assert len(index["lists"]) == 6
    for row in index["lists"]:
        octets = (folder / row["der"]).read_bytes()
        assert (hashlib.sha256(octets).hexdigest(), len(octets)) == (row["sha256"], row["size"])
        told = openssl("crl", "-inform", "DER", "-noout", "-crlnumber", "-in", folder / row["der"])
        assert told.strip() == f"crlNumber=0x{row['number']:02X}"
    by_name = {row["authority"]: row for row in index["lists"]}
    assert by_name["oca-issuing-1"]["entries"] == 3
    for hierarchy in index["hierarchies"]:
        assert (folder / hierarchy["trust"]).is_file()


def test_the_feed_has_an_entry_for_each_list_and_never_more_than_fifty(publisher: House) -> None:
    first = ET.fromstring((folder_of(publisher) / "feed.atom").read_bytes())  # noqa: S314 - our own
    assert first.tag == f"{ATOM}feed"
    for name in ("id", "title", "updated", "author"):
        assert first.find(f"{ATOM}{name}") is not None
    assert len(first.findall(f"{ATOM}entry")) == 6
    for round_ in range(1, 9):
        at(publisher, round_)
        publish_lists(publisher.workspace, even_if_not_due=True)
    later = ET.fromstring((folder_of(publisher) / "feed.atom").read_bytes())  # noqa: S314 - our own
    entries = later.findall(f"{ATOM}entry")
    assert len(entries) == 50
    ids = [entry.findtext(f"{ATOM}id", "") for entry in entries]
    assert len(set(ids)) == 50
    assert all(uuid.UUID(name) for name in ids)
    updated = [entry.findtext(f"{ATOM}updated", "") for entry in entries]
    assert updated == sorted(updated, reverse=True)
    assert later.findtext(f"{ATOM}updated") == updated[0] == "2026-11-21T20:00:00Z"
    assert later.findtext(f"{ATOM}id") == first.findtext(f"{ATOM}id")
    for entry in entries:
        link = entry.find(f"{ATOM}link")
        assert link is not None
        assert (folder_of(publisher) / link.attrib["href"]).is_file()


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


REFRESHER = """
import sys
from datetime import timedelta
from pathlib import Path
from smki.authority.publication.site import refresh_site
from tests.house import NOW, opened
house = opened(Path(sys.argv[1]))
second = 0
while True:
    second += 1
    house.workspace.clock = lambda: NOW + timedelta(seconds=second)
    refresh_site(house.workspace)
    print(second, flush=True)
"""


def test_refreshers_killed_at_any_moment_leave_whole_files(publisher: House) -> None:
    folder = folder_of(publisher)
    for number in range(6):
        pair = [
            subprocess.Popen([sys.executable, "-c", REFRESHER, str(publisher.home)], stdout=subprocess.PIPE)
            for _ in range(2)
        ]
        for process in pair:
            assert process.stdout is not None
            assert process.stdout.readline()
        time.sleep(0.002 * number)
        for process in pair:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            assert process.returncode == -signal.SIGKILL
        manifest_of(publisher)
        json.loads((folder / "index.json").read_bytes())
        ET.fromstring((folder / "feed.atom").read_bytes())  # noqa: S314 - our own
        assert (folder / "index.html").read_text(encoding="utf-8").endswith("</html>\n")
    refresh_site(publisher.workspace)
    assert faults_of(publisher) == []
