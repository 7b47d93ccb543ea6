"""Ceremonies on a real token and a real store: what they make, what they refuse, and what a death leaves."""

import base64
import random
import shutil
import subprocess
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from smki.authority.auditing import verify_log
from smki.authority.ceremony.approval import approve_ceremony
from smki.authority.ceremony.check import check_ceremony
from smki.authority.ceremony.file import read_ceremony
from smki.authority.contingency import open_contingency, rehearse
from smki.authority.founding import found
from smki.authority.hierarchy import branches, certificate_of, export_certificates, named
from smki.authority.officers import approvals_path, make_officer_key_in, officer_key_in
from smki.authority.workspace import SHIPPED, Person, Workspace
from smki.errors import SmkiError
from smki.pki.lint import Severity, lint
from smki.pki.public_key import spki_of
from smki.store.store import Store
from tests.house import NOW, House, copy_of, no_prompt, roll
from tests.pki.hierarchy import POLICY
from tests.postgres import shared
from tests.prefork import SMKI, Child, Prefork


def code_of(work: object) -> str:
    with pytest.raises(SmkiError) as refusal:
        work()  # type: ignore[operator]
    assert refusal.value.remedy
    return refusal.value.code


def test_founding_again_harms_nothing(house: House) -> None:
    before = {path: path.stat().st_mtime_ns for path in (house.home / "policies").rglob("*.toml")}
    house.workspace.close()
    assert list(found(house.home, lambda: NOW, no_prompt, Person("tester"))) == []
    assert before == {path: path.stat().st_mtime_ns for path in (house.home / "policies").rglob("*.toml")}


@pytest.mark.requirement("R-NTK-2")
@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("smki.db", 0o640),
        ("pins", 0o750),
        ("pins/audit", 0o640),
        ("policies", 0o770),
        ("policies/profiles/device.toml", 0o666),
        (".", 0o770),
    ],
)
def test_a_workspace_with_loose_modes_does_not_open(empty: House, name: str, mode: int) -> None:
    path = empty.home / name
    path.chmod(mode)
    assert code_of(lambda: Workspace(empty.home, lambda: NOW, no_prompt, Person("t"))) == "workspace.loose-mode"


def test_every_hierarchy_stands_and_strangers_accept_it(house: House, tmp_path: Path) -> None:
    for start in "123456":
        house.hold(house.shipped(start))
    for record in house.workspace.store.authorities():
        der = certificate_of(house.workspace, record).der
        profile = house.workspace.policies.profiles[record.profile]
        assert [f for f in lint(der, profile) if f.severity >= Severity.WARNING] == []
    for root, issuing in (
        ("oca-root", "oca-issuing-1"),
        ("dca-root", "dca-issuing-1"),
        ("infra-root", "infra-issuing-1"),
    ):
        for name in (root, issuing):
            pem = export_certificates(house.workspace, name, chain=False, links=False, der=False)
            (tmp_path / f"{name}.pem").write_bytes(pem)
        moment = str(int((NOW + timedelta(days=1)).timestamp()))
        command = ["openssl", "verify", "-x509_strict", "-policy_check", "-explicit_policy", "-attime", moment]
        files = ["-policy", POLICY, "-CAfile", f"{tmp_path}/{root}.pem", f"{tmp_path}/{issuing}.pem"]
        assert subprocess.run([*command, *files], capture_output=True).returncode == 0
    verdict = verify_log(house.workspace.store)
    assert (verdict.faults, verdict.sealed) == ((), verdict.entries)
    assert house.workspace.store.certificates.reservations() == ()
    assert (house.home / "published" / "ca" / "oca-root.pem").is_file()


@pytest.mark.requirement("R-NTK-6")
def test_the_roots_contingency_keys_can_be_used(house: House) -> None:
    house.hold(house.shipped("1"))
    told = rehearse(house.workspace, "oca-root")
    assert told["opens"]
    secret = open_contingency(house.workspace, "oca-root").secret
    assert len(secret) == 32
    assert secret.hex() not in str(told) + "".join(e.body.decode() for e in house.workspace.store.audit_entries())


def test_a_second_issuing_authority_takes_over_and_the_first_still_signs(house: House) -> None:
    for start in "12":
        house.hold(house.shipped(start))
    house.hold(house.write("second.toml", "2", name="oca-issuing-2", subject="Z2"))
    issuing = {s.name: s.issuing for s in branches(house.workspace) if s.tier == "issuing"}
    assert issuing == {"oca-issuing-1": False, "oca-issuing-2": True}
    first = named(house.workspace, "oca-issuing-1")
    certificate = x509.load_der_x509_certificate(certificate_of(house.workspace, first).der)
    key = house.workspace.open_token(first.token).find_key(key_id=first.key_id)
    builder = x509.CertificateRevocationListBuilder().issuer_name(certificate.subject).last_update(NOW)
    crl = builder.next_update(NOW + timedelta(days=2)).sign(key, hashes.SHA256())
    assert crl.is_signature_valid(certificate.public_key())  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["oca-root-delta", "x-delta", "link-0123456789abcdef"])
def test_no_authority_takes_the_place_of_anothers_files(house: House, name: str) -> None:
    """crl/X-delta.crl is the delta of X."""
    path = house.write("named.toml", "1", name=name)
    house.approve(path, "alice", "bob")
    assert code_of(lambda: house.run(path)) == "ceremony.rule"
    assert house.workspace.store.authority(name) is None
    checked = check_ceremony(house.workspace, path)
    assert any("under published/" in obstacle for obstacle in checked.obstacles)


@pytest.mark.requirement("R-DIS-3")
def test_a_root_succeeds_another_with_a_link_each_way(house: House, tmp_path: Path) -> None:
    house.hold(house.shipped("3"))
    house.hold(house.shipped("4"))
    alone = house.write("alone.toml", "3", name="dca-root-2", subject="DB")
    house.approve(alone, "alice", "bob")
    assert code_of(lambda: house.run(alone)) == "ceremony.rule"
    house.hold(house.write("next.toml", "3", name="dca-root-2", subject="DB", succeeds="dca-root"))
    old = export_certificates(house.workspace, "dca-root", chain=False, links=False, der=False)
    issuing = export_certificates(house.workspace, "dca-issuing-1", chain=False, links=False, der=False)
    new = export_certificates(house.workspace, "dca-root-2", chain=False, links=False, der=False)
    links = export_certificates(house.workspace, "dca-root-2", chain=False, links=True, der=False)[len(new) :]
    back = export_certificates(house.workspace, "dca-root", chain=False, links=True, der=False)[len(old) :]
    for anchor, path, leaf in ((old, links, new), (new, back, issuing)):
        (tmp_path / "anchor.pem").write_bytes(anchor)
        (tmp_path / "links.pem").write_bytes(path)
        (tmp_path / "leaf.pem").write_bytes(path if leaf is new else leaf)
        done = subprocess.run(
            ["openssl", "verify", "-x509_strict", "-attime", str(int(NOW.timestamp())), "-CAfile",
             tmp_path / "anchor.pem", "-untrusted", tmp_path / "links.pem", tmp_path / "leaf.pem"],
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


@pytest.mark.requirement("R-SPC-1")
def test_too_few_approvals_or_a_changed_file_are_refused(house: House) -> None:
    path = house.shipped("1")
    assert code_of(lambda: house.run(path)) == "ceremony.quorum"
    house.approve(path, "alice")
    house.approve(path, "alice")
    assert code_of(lambda: house.run(path)) == "ceremony.quorum"
    house.approve(path, "bob")
    lines = path.read_text()
    path.write_text(lines.replace("valid_years = 50", "valid_years = 49"))
    assert code_of(lambda: house.run(path)) == "ceremony.changed"
    path.write_text(lines)
    text = approvals_path(path).read_text()
    approvals_path(path).write_text(text.replace('"bob"', '"carol"'))
    assert code_of(lambda: house.run(path)) == "ceremony.quorum"
    approvals_path(path).write_text("junk\n")
    assert code_of(lambda: house.run(path)) == "approvals.form"
    approvals_path(path).write_text(text)
    assert house.run(path)
    assert "nothing is made twice" in house.run(path)[0]
    assert len(house.workspace.store.authorities()) == 1


def test_an_approval_serves_one_workspace_only(house: House, tmp_path: Path) -> None:
    path = house.shipped("1")
    house.approve(path, "alice", "bob")
    store = house.workspace.store
    with store._engine.transaction():
        store._set_meta("workspace", b"another authority")
    assert code_of(lambda: house.run(path)) == "ceremony.quorum"


@pytest.mark.requirement("R-LAY-4")
def test_a_file_cannot_ask_for_fewer_approvals_than_policy(house: House) -> None:
    path = house.write("few.toml", "1", approvals=1)
    house.approve(path, "alice")
    assert code_of(lambda: house.run(path)) == "ceremony.quorum"
    quorum = house.home / "policies" / "quorum.toml"
    quorum.write_text("officers = 3\napprovals = 1\n")
    fresh = Workspace(house.home, lambda: NOW, no_prompt, Person("t"))
    assert code_of(lambda: fresh.policies) == "policy.quorum"


@pytest.mark.parametrize(
    ("base", "changes"),
    [
        ("1", {"profile": "root-dca"}),
        ("1", {"signed_by": "oca-root"}),
        ("2", {"signed_by": "nobody"}),
        ("1", {"subject": "FIVES"}),
        ("1", {"token": "nowhere"}),
        ("1", {"token": "contingency"}),
        ("1", {"valid_years": 51}),
        ("1", {"hierarchy": "postal"}),
        ("1", {"wrap": "rot13"}),
        ("3", {"succeeds": "dca-root"}),
    ],
)
def test_what_policy_forbids_is_refused_before_anything_is_made(
    house: House, base: str, changes: dict[str, object]
) -> None:
    path = house.write("wrong.toml", base, **changes)
    assert check_ceremony(house.workspace, path).obstacles
    house.approve(path, "alice", "bob")
    assert code_of(lambda: house.run(path)).split(".")[0] in {"ceremony", "name", "workspace", "profile", "policy"}
    assert house.workspace.store.authorities() == ()


def test_a_root_token_taken_away_is_asked_for_and_only_when_needed(house: House, tmp_path: Path) -> None:
    house.hold(house.shipped("1"))
    info = house.workspace.hsm.find(house.workspace.token_ref("oca-root"))
    assert info is not None
    assert info.folder is not None
    info.folder.rename(tmp_path / "safe")
    second = house.shipped("2")
    house.approve(second, "alice", "bob")
    assert code_of(lambda: house.run(second)) == "hsm.unavailable"
    assert house.workspace.store.ceremony(b"") is None
    assert len(house.workspace.store.authorities()) == 1
    house.hold(house.shipped("3"))
    (tmp_path / "safe").rename(info.folder)
    assert house.run(second)


@pytest.mark.requirement("R-SPC-1")
def test_the_first_roll_needs_every_member_and_the_next_a_quorum(empty: House) -> None:
    path = empty.home / "ceremonies" / "roll.toml"
    path.write_text(roll(["alice", "bob", "carol"]))
    empty.approve(path, "alice", "bob")
    assert code_of(lambda: empty.run(path)) == "ceremony.quorum"
    empty.hold(path, "carol")
    short = empty.home / "ceremonies" / "short.toml"
    short.write_text(roll(["alice", "bob"]))
    empty.approve(short, "alice", "carol")
    assert code_of(lambda: empty.run(short)) == "officers.roll"


@pytest.mark.parametrize("trick", ["a\\u001b[2Jb", "a\\u202eb", "a\\nb", ""])
def test_a_purpose_that_could_deceive_the_reader_is_refused(trick: str, house: House) -> None:
    path = house.write("trick.toml", "1", purpose=trick)
    assert code_of(lambda: check_ceremony(house.workspace, path)) == "settings.value"


def test_an_officers_key_may_live_in_a_token(empty: House) -> None:
    """Three officers, one of them with a key in a token of the workspace."""
    token = empty.workspace.open_token("infra-issuing")
    public_key = make_officer_key_in(token)
    encoded = base64.b64encode(spki_of(public_key)).decode()
    text = roll(["alice", "bob"]) + f'[[officers]]\nname = "Carol C."\npublic_key = "{encoded}"\n'
    path = empty.home / "ceremonies" / "roll.toml"
    path.write_text(text)
    empty.approve(path, "alice", "bob")
    ceremony = read_ceremony(path)
    approve_ceremony(empty.workspace, ceremony, "Carol C.", officer_key_in(token), ceremony.sha256.hex())
    assert empty.run(path)[-1] == "enrolled alice, bob, Carol C."


@pytest.mark.postgresql
def test_the_whole_way_on_postgresql(tmp_path: Path) -> None:
    home = tmp_path / "authority"
    home.mkdir(mode=0o700)
    settings = (SHIPPED / "policies" / "workspace.toml").read_text(encoding="utf-8")
    (home / "smki.toml").write_text(settings.replace("sqlite:smki.db", shared().fresh()))
    (home / "smki.toml").chmod(0o600)
    assert "store postgresql" in list(found(home, lambda: NOW, no_prompt, Person("tester")))
    house = House(Workspace(home, lambda: NOW, no_prompt, Person("tester")))
    path = home / "ceremonies" / "0-officers.toml"
    path.write_text(roll(["alice", "bob", "carol"]))
    house.hold(path, "alice", "bob", "carol")
    for start in "12":
        house.hold(house.shipped(start))
    verdict = verify_log(house.workspace.store)
    assert (verdict.faults, verdict.sealed) == ((), verdict.entries)
    assert [s.state for s in branches(house.workspace)] == ["active", "active"]
    house.workspace.close()


def test_check_shows_what_will_be_signed(house: House) -> None:
    result = check_ceremony(house.workspace, house.shipped("1"))
    assert result.obstacles == ("0 of 2 approvals",)
    assert dict(result.certificate)["subject"] == "OU=00 (root), CN=ZA"
    assert dict(result.certificate)["valid until"] == "2076-11-20T23:59:59Z"
    assert "??" in result.to_be_signed
    assert result.as_json()["sha256"] == result.sha256


@pytest.mark.slow(12)
def test_fifty_kills_leave_nothing_half_done(house: House, tmp_path: Path, prefork: Prefork) -> None:
    """A ceremony killed at random moments: the log stays whole, and the ceremony can be finished."""
    path = house.shipped("1")
    house.approve(path, "alice", "bob")
    house.workspace.close()
    dice = random.Random(50)  # noqa: S311 - moments of death, not secrets
    home = tmp_path / "home"
    finished = 0

    def start(home: Path) -> Child:
        return prefork.start(SMKI, "--home", home, "ceremony", "run", _inside(path, home))

    started = time.monotonic()
    assert start(copy_of(house.home, tmp_path / "timed")).wait() == 0
    whole = time.monotonic() - started
    copy_of(house.home, home)
    for _ in range(50):
        child = start(home)
        with suppress(subprocess.TimeoutExpired):
            child.wait(whole * dice.uniform(0.1, 1.05))
        child.kill()
        store = Store.open(f"sqlite:{home / 'smki.db'}")
        assert verify_log(store).faults == ()
        done = [a for a in store.authorities() if a.state == "active"]
        for record in done:
            assert record.serial is not None
            assert store.certificates.get(record.number, record.serial) is not None
        store.close()
        if done:
            finished += 1
            shutil.rmtree(home)
            copy_of(house.home, home)
    with (tmp_path / "said").open("wb") as said:
        code = prefork.start(SMKI, "--home", home, "ceremony", "run", _inside(path, home), out=said).wait()
    assert code == 0, (tmp_path / "said").read_text()
    store = Store.open(f"sqlite:{home / 'smki.db'}")
    verdict = verify_log(store)
    assert (verdict.faults, verdict.sealed) == ((), verdict.entries)
    assert all(reservation.burnt for reservation in store.certificates.reservations())
    store.close()
    assert finished < 50


def _inside(path: Path, home: Path) -> str:
    return str(home / "ceremonies" / path.name)
