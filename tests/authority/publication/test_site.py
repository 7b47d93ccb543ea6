"""The public folder: what is in it, and what strangers' tools make of it."""

import dataclasses
import hashlib
import json
import sqlite3
import stat
import subprocess
import uuid
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.hierarchy import branches, named
from smki.authority.log import act
from smki.authority.publication.act import publish_lists
from smki.authority.publication.site import refresh_site
from smki.pki.status import Status
from tests.authority.desk import code_of
from tests.authority.publication.conftest import revoke
from tests.authority.publication.folder import at, faults_of, folder_of, manifest_of
from tests.house import NOW, House, copy_of, founded, opened
from tests.postgres import shared

ATOM = "{http://www.w3.org/2005/Atom}"


def openssl(*arguments: str | Path) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_ceremonies_publish_what_they_made(standing: House) -> None:
    names = [item.name for item in branches(standing.workspace)]
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


@pytest.mark.requirement("R-DIS-3")
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
    publisher.workspace.clock = lambda: NOW + timedelta(hours=60)
    last = publisher.workspace.store.crls.all(named(publisher.workspace, "oca-root").number)[-1]
    with act(publisher.workspace, "test.many") as tx:  # as many lists as months make; the feed tells of them, no more
        for number in range(1, 61):
            made = dataclasses.replace(last, number=last.number + number, this_update=NOW + timedelta(hours=number))
            tx.reserve_crl(dataclasses.replace(made, sha256=None))
            tx.put_crl(made, iter(()))
    refresh_site(publisher.workspace)
    later = ET.fromstring((folder_of(publisher) / "feed.atom").read_bytes())  # noqa: S314 - our own
    entries = later.findall(f"{ATOM}entry")
    assert len(entries) == 50
    ids = [entry.findtext(f"{ATOM}id", "") for entry in entries]
    assert len(set(ids)) == 50
    assert all(uuid.UUID(name) for name in ids)
    updated = [entry.findtext(f"{ATOM}updated", "") for entry in entries]
    assert updated == sorted(updated, reverse=True)
    assert later.findtext(f"{ATOM}updated") == updated[0] == "2026-11-24T00:00:00Z"
    assert later.findtext(f"{ATOM}id") == first.findtext(f"{ATOM}id")
    for entry in entries:
        link = entry.find(f"{ATOM}link")
        assert link is not None
        assert (folder_of(publisher) / link.attrib["href"]).is_file()
