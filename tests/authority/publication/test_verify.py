"""A stranger's judgement of a folder: every way it can be wrong, each with its code."""

import dataclasses
import hashlib
import os
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smki.authority.hierarchy import pem
from smki.authority.publication.act import publish_lists
from smki.authority.publication.manifest import (
    MANIFEST,
    SUMS,
    Listed,
    Manifest,
    read_manifest,
    sign_manifest,
    sums_of,
)
from smki.authority.publication.verify import Judgement, verify_published
from smki.pki.public_key import spki_of
from smki.store.note import read_verifier_key, sign_checkpoint
from tests.authority.publication.conftest import revoke
from tests.house import NOW, House

CHECKPOINT = "audit/checkpoint"
KEY = ec.generate_private_key(ec.SECP256R1())
SPKI = spki_of(KEY.public_key())


def sign(data: bytes) -> bytes:
    return KEY.sign(data, ec.ECDSA(hashes.SHA256()))


def judged(folder: Path, issued: Path, at: datetime = NOW) -> Judgement:
    log, spki = read_verifier_key((issued / "published" / "audit" / "verifier-key").read_text())
    return verify_published(folder, log, spki, at)


def codes(verdict: Judgement) -> set[str]:
    assert all(fault.message and fault.remedy for fault in verdict.faults)
    return {fault.code for fault in verdict.faults}


def test_a_good_copy_has_no_fault(mirror: Path, issued: Path) -> None:
    verdict = judged(mirror, issued)
    assert (verdict.faults, verdict.certificates, len(verdict.lists)) == ((), 6, 6)
    (mirror / ".index.html.0123456789ab").write_text("left by a kill; no server gives it out")
    assert judged(mirror, issued).faults == ()


def test_lists_that_lapsed_are_told(mirror: Path, issued: Path) -> None:
    later = judged(mirror, issued, NOW + timedelta(days=3))
    assert codes(later) == {"list.lapsed"}
    assert len(later.lists) == 6
    assert codes(judged(mirror, issued, NOW - timedelta(minutes=1))) == {"list.lapsed"}


@pytest.mark.requirement("R-DIS-1")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_no_octet_of_any_file_can_change(mirror: Path, issued: Path, data: st.DataObject) -> None:
    files = sorted(path.relative_to(mirror).as_posix() for path in mirror.rglob("*") if path.is_file())
    path = mirror / data.draw(st.sampled_from(files))
    kept = path.read_bytes()
    changed = bytearray(kept)
    # A note's last line end is no part of what is signed.
    place = data.draw(st.integers(0, len(kept) - 2))
    changed[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(changed))
    try:
        assert codes(judged(mirror, issued))
    finally:
        path.write_bytes(kept)


@pytest.mark.requirement("R-DIS-1")
def test_what_is_missing_added_or_no_plain_file_is_told(mirror: Path, issued: Path, tmp_path: Path) -> None:
    (mirror / "ca" / "oca-root.pem").unlink()
    assert codes(judged(mirror, issued)) == {"file.missing"}
    (tmp_path / "same").write_bytes((issued / "published" / "ca" / "oca-root.pem").read_bytes())
    (mirror / "ca" / "oca-root.pem").symlink_to(tmp_path / "same")
    assert codes(judged(mirror, issued)) == {"file.missing"}
    (mirror / "ca" / "oca-root.pem").unlink()
    (mirror / "ca" / "oca-root.pem").mkdir()
    assert codes(judged(mirror, issued)) == {"file.missing"}
    (mirror / "ca" / "oca-root.pem").rmdir()
    shutil.copy(tmp_path / "same", mirror / "ca" / "oca-root.pem")
    (mirror / "crl" / "other.crl").write_bytes(b"")
    assert codes(judged(mirror, issued)) == {"file.unlisted"}
    (mirror / "crl" / "other.crl").unlink()
    (mirror / "more").symlink_to(tmp_path)
    assert codes(judged(mirror, issued)) == {"file.unlisted"}, "a server would give out what it leads to"


def test_a_pipe_or_a_link_in_place_of_a_file_is_told_at_once(mirror: Path, issued: Path) -> None:
    """Whoever made the mirror does not get to keep its judge waiting, nor to read elsewhere."""
    os.mkfifo(mirror / "crl" / "oca-root-delta.crl")
    assert codes(judged(mirror, issued)) == {"file.unreadable"}
    (mirror / "crl" / "oca-root-delta.crl").unlink()
    (mirror / "crl" / "oca-root-delta.crl").symlink_to("/dev/zero")
    assert codes(judged(mirror, issued)) == {"file.unreadable"}
    (mirror / "crl" / "oca-root-delta.crl").unlink()
    (mirror / CHECKPOINT).unlink()
    os.mkfifo(mirror / CHECKPOINT)
    assert codes(judged(mirror, issued)) == {"checkpoint.unreadable"}
    (mirror / MANIFEST).unlink()
    os.mkfifo(mirror / MANIFEST)
    assert codes(judged(mirror, issued)) == {"manifest.unreadable"}


def test_a_folder_without_a_manifest_is_judged_no_further(mirror: Path, issued: Path) -> None:
    (mirror / MANIFEST).unlink()
    verdict = judged(mirror, issued)
    assert (verdict.manifest, codes(verdict)) == (None, {"manifest.unreadable"})


def test_another_logs_key_is_no_key(mirror: Path, issued: Path) -> None:
    log, spki = read_verifier_key((issued / "published" / "audit" / "verifier-key").read_text())
    assert codes(verify_published(mirror, "smki/other", spki, NOW)) == {"manifest.log"}
    assert codes(verify_published(mirror, log, SPKI, NOW)) == {"manifest.signature"}


Change = Callable[[Manifest], Manifest]


def resigned(folder: Path, change: Change = lambda manifest: manifest, sums: bytes | None = None) -> set[str]:
    """What is told of the folder as it lies, if the log's key had signed it: here, a key of our own."""
    original = _read(folder)
    digests = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).as_posix() not in {MANIFEST, CHECKPOINT, SUMS}
    }
    (folder / SUMS).write_bytes(sums_of(digests) if sums is None else sums)
    digests[SUMS] = hashlib.sha256((folder / SUMS).read_bytes()).hexdigest()
    manifest = change(dataclasses.replace(original, files=digests))
    (folder / MANIFEST).write_bytes(sign_manifest(manifest, SPKI, sign))
    (folder / CHECKPOINT).write_text(sign_checkpoint(original.checkpoint, SPKI, sign), encoding="utf-8")
    return codes(verify_published(folder, manifest.workspace, SPKI, NOW))


def _read(folder: Path) -> Manifest:
    _, spki = read_verifier_key((folder / "audit" / "verifier-key").read_text())
    return read_manifest((folder / MANIFEST).read_bytes(), spki)


def test_signing_anew_changes_nothing(mirror: Path) -> None:
    assert resigned(mirror) == set()


def test_a_certificate_of_nobody_here_is_told(mirror: Path) -> None:
    for ending in ("pem", "cer"):
        (mirror / "ca" / f"oca-root.{ending}").unlink()
    assert resigned(mirror) == {"certificate.signature", "trust.unknown", "list.signature"}


def test_two_forms_of_one_certificate_are_one(mirror: Path) -> None:
    (mirror / "ca" / "oca-root.pem").write_bytes(pem((mirror / "ca" / "dca-root.cer").read_bytes()))
    assert resigned(mirror) == {"certificate.pem"}


def test_what_is_no_certificate_is_told(mirror: Path) -> None:
    (mirror / "ca" / "extra.cer").write_bytes(b"\x30\x00")
    assert {code.partition(".")[0] for code in resigned(mirror)} == {"path"}


def test_a_bundle_holds_nothing_of_its_own(mirror: Path) -> None:
    for name in ("dca-root", "dca-issuing-1"):
        for ending in ("cer", "pem"):
            (mirror / "ca" / f"{name}.{ending}").unlink()
        (mirror / "crl" / f"{name}.crl").unlink()
        (mirror / "crl" / f"{name}.pem").unlink()
    assert resigned(mirror, without("dca-root", "dca-issuing-1")) == {"trust.unknown"}


def without(*names: str) -> Change:
    def change(manifest: Manifest) -> Manifest:
        left = {name: listed for name, listed in manifest.lists.items() if name not in names}
        return dataclasses.replace(manifest, lists=left)

    return change


def numbered(name: str, number: int) -> Change:
    return lambda manifest: dataclasses.replace(manifest, lists={**manifest.lists, name: Listed(number, 0)})


def test_a_list_under_anothers_name_is_told(mirror: Path) -> None:
    shutil.copy(mirror / "crl" / "dca-root.crl", mirror / "crl" / "oca-root.crl")
    assert resigned(mirror) == {"list.signature"}


def test_a_list_newer_than_the_manifest_knows_is_told(mirror: Path) -> None:
    assert resigned(mirror, numbered("oca-root", 0)) == {"list.number"}


def test_a_list_that_is_numbered_and_not_there_is_told(mirror: Path) -> None:
    (mirror / "crl" / "oca-root.crl").unlink()
    assert resigned(mirror) == {"list.missing"}


def test_what_is_no_list_is_told(mirror: Path) -> None:
    (mirror / "crl" / "oca-root.crl").write_bytes(b"\x30\x00")
    assert {code.partition(".")[0] for code in resigned(mirror)} == {"path"}


def test_a_delta_that_was_overtaken_is_believed_for_its_own_signature(publisher: House) -> None:
    policy = publisher.home / "policies" / "publication.toml"
    before, _, after = policy.read_text().partition("[organisation.issuing]")
    policy.write_text(before + "[organisation.issuing]" + after.replace('"off"', '"1h"', 1))
    folder = publisher.home / "published"
    delta = folder / "crl" / "oca-issuing-1-delta.crl"
    revoke(publisher, "oca-issuing-1", 1)
    for hours, even_if_not_due in ((2, False), (3, True)):
        publisher.workspace.clock = lambda hours=hours: NOW + timedelta(hours=hours)  # type: ignore[misc]
        assert publish_lists(publisher.workspace, even_if_not_due=even_if_not_due).faults == ()
        listed = "crl/oca-issuing-1-delta.crl" in _read(folder).files
        assert listed is not even_if_not_due
        assert judged(folder, publisher.home, NOW + timedelta(hours=hours)).faults == ()
    assert delta.is_file()
    octets = delta.read_bytes()
    delta.write_bytes(octets[:-1] + bytes((octets[-1] ^ 1,)))
    assert codes(judged(folder, publisher.home, NOW + timedelta(hours=3))) == {"list.signature"}
    delta.rename(folder / "crl" / "dca-root-delta.crl")
    assert codes(judged(folder, publisher.home, NOW + timedelta(hours=3))) == {"list.signature"}


def test_sums_that_say_something_else_are_told(mirror: Path) -> None:
    assert resigned(mirror, sums=b"0" * 64 + b"  index.html\n") == {"sums.differ"}


def test_a_checkpoint_of_less_or_of_another_log_is_told(mirror: Path) -> None:
    resigned(mirror)
    manifest = read_manifest((mirror / MANIFEST).read_bytes(), SPKI)

    def with_checkpoint(**changes: object) -> set[str]:
        checkpoint = dataclasses.replace(manifest.checkpoint, **changes)  # type: ignore[arg-type]
        (mirror / CHECKPOINT).write_text(sign_checkpoint(checkpoint, SPKI, sign), encoding="utf-8")
        return codes(verify_published(mirror, manifest.workspace, SPKI, NOW))

    assert with_checkpoint() == set()
    assert with_checkpoint(size=manifest.log_size + 1, root=bytes(32)) == set()
    assert with_checkpoint(size=manifest.log_size - 1) == {"checkpoint.older"}
    assert with_checkpoint(origin="smki/other") == {"checkpoint.older"}
    assert with_checkpoint(root=bytes(32)) == {"checkpoint.forked"}
    (mirror / CHECKPOINT).write_text("nothing\n", encoding="utf-8")
    assert codes(verify_published(mirror, manifest.workspace, SPKI, NOW)) == {"checkpoint.form"}
    (mirror / CHECKPOINT).unlink()
    assert codes(verify_published(mirror, manifest.workspace, SPKI, NOW)) == {"checkpoint.unreadable"}
