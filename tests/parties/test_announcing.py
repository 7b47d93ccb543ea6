"""A user announces what it signed: all of it, by its own record, each once, and the same again after a kill."""

import hashlib
import json
import random
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.auditing import verify_log
from smki.entity import EntityId
from smki.errors import IntegrityFailure, SmkiError
from smki.parties import announcing
from smki.parties.announcement import Announcement, read_announcement
from smki.parties.announcing import announce, announcer, announcing_key, handed_out, repeat
from smki.parties.outcome import Outcome
from smki.parties.signing_rules import Shown
from smki.pki.public_key import spki_of
from smki.store.announcement_records import AnnouncementRecord, SignedRecord
from smki.store.note import Checkpoint
from smki.store.records import Act, SignatureRecord
from tests.house import NOW, House, founded, opened
from tests.parties.announced import CHUNK, COUNT, digest, prepare
from tests.parties.people import METER, SUPPLIER, User, arming, given
from tests.postgres import shared
from tests.prefork import Prefork

_ANNOUNCE = "tests.parties.announced:announce"
SOUTH = EntityId.parse("90-B3-D5-1F-30-01-00-10")


def sign(user: User, *counters: int) -> list[Outcome]:
    messages = (arming(number, originator=user.entity) for number in counters)
    return [*user.desk.sign(user.desk.judge(map(given, messages), None), Shown.SEEN)]


def announced(house: House, **more: object) -> AnnouncementRecord:
    record = announce(house.workspace, SUPPLIER, **more)  # type: ignore[arg-type]
    assert record is not None
    handed_out(house.workspace, record)
    return record


def said(house: House, record: AnnouncementRecord) -> Announcement:
    assert record.file is not None
    found = read_announcement(record.file).signed_by(announcing_key(house.workspace))
    assert found is not None
    return found


def hashes(outcomes: list[Outcome]) -> set[bytes]:
    return {hashlib.sha256(one.message).digest() for one in outcomes}


def test_all_that_was_signed_is_announced_once(house: House, user: User) -> None:
    """By the digest of just what was handed out; what was not signed is not in it."""
    outcomes = sign(user, 5, 6, 7)
    refused = sign(user, 4)
    assert [one.result for one in refused] == ["refused"]
    first = said(house, announced(house))
    assert set(first.digests) == hashes(outcomes)
    assert (first.originator, first.after, first.at) == (SUPPLIER, 0, NOW)
    assert [one.result for one in sign(user, 5)] == ["signed before"]
    assert announce(house.workspace, SUPPLIER) is None
    assert announcer(house.workspace, None) is None
    second = said(house, announced_after(house, sign(user, 8)))
    assert (second.after, second.number) == (first.number, first.number + 1), "ever higher, in the same second too"
    acts = [json.loads(entry.body)["act"] for entry in house.workspace.store.audit_entries()]
    assert [act for act in acts if act.startswith("announcement")] == [
        f"announcement.{word}" for word in ("made", "signed", "handed-out")
    ] * 2
    assert not verify_log(house.workspace.store).faults


def announced_after(house: House, outcomes: list[Outcome]) -> AnnouncementRecord:
    record = announced(house)
    assert set(said(house, record).digests) == hashes(outcomes)
    return record


def test_it_is_signed_by_the_audit_key_and_no_other(house: House, user: User) -> None:
    sign(user, 1)
    record = announced(house)
    assert record.file is not None
    unchecked = read_announcement(record.file)
    for other in (user.certificate.holder.public_key, ec.generate_private_key(ec.SECP256R1()).public_key()):
        assert unchecked.signed_by(spki_of(other)) is None
    assert unchecked.signed_by(announcing_key(house.workspace)) is not None
    assert replace(unchecked, originator=SOUTH).signed_by(announcing_key(house.workspace)) is None


def test_numbers_go_by_the_clock_so_that_an_old_backup_goes_on_above(house: House, user: User) -> None:
    sign(user, 1)
    assert announced(house).number == int(NOW.timestamp())


def test_what_nobody_had_is_given_again_the_same(house: House, user: User) -> None:
    """Died before the file had its name: it comes again, octet for octet, whatever was signed since."""
    sign(user, 1)
    first = announce(house.workspace, SUPPLIER)
    sign(user, 2)
    again = announce(house.workspace, SUPPLIER, NOW + timedelta(days=1))
    assert first is not None
    assert again is not None
    assert (again.file, again.number) == (first.file, first.number)
    handed_out(house.workspace, again)
    handed_out(house.workspace, first)
    later = announced(house)
    assert (said(house, later).after, later.items) == (first.number, 1)
    assert repeat(house.workspace, SUPPLIER).file == later.file, "and once more, where the file was lost on its way"
    assert house.workspace.store.announcements.waiting() == {}


def test_one_that_died_before_it_was_signed_is_signed_then(house: House, user: User) -> None:
    sign(user, 1)
    record = announcing._left_or_made(house.workspace, SUPPLIER, None)
    assert record is not None
    assert record.file is None
    with pytest.raises(SmkiError, match="announced nothing here"):
        repeat(house.workspace, SUPPLIER)
    assert said(house, announced(house)).text() == record.text


@pytest.mark.parametrize("change", ["checkpoint", "other number", "one more", "nothing"])
def test_no_text_is_signed_that_somebody_wrote_into_the_store(house: House, user: User, change: str) -> None:
    """Whoever writes there without the token's PIN: the key that signs announcements vouches for the log."""
    one = Announcement(SUPPLIER, 7, 0, NOW, (digest(1),))
    texts = {
        "checkpoint": Checkpoint("smki.example/log", 3, bytes(32)).text(),
        "other number": replace(one, number=8).text(),
        "one more": replace(one, digests=(digest(1), digest(2))).text(),
        "nothing": one.text().replace(digest(1).hex(), ""),
    }
    with house.workspace.store.act(Act("test", "tester", NOW)) as tx:
        tx.put_announcement(AnnouncementRecord(SUPPLIER, 7, NOW, 1, texts[change]), [])
    with pytest.raises(IntegrityFailure) as caught:
        announce(house.workspace, SUPPLIER)
    assert caught.value.code == "announcement.stored"
    last = house.workspace.store.announcements.last(SUPPLIER)
    assert last is not None
    assert last.file is None


def test_since_leaves_the_older_ones_for_another_time(tmp_path: Path) -> None:
    moments = [NOW]
    with founded(tmp_path / "home", lambda: moments[0], kind="user") as house:
        user = User(house)
        old = sign(user, 1)
        moments[0] += timedelta(hours=1)
        new = sign(user, 2)
        assert set(said(house, announced(house, since=moments[0])).digests) == hashes(new)
        assert announce(house.workspace, SUPPLIER, moments[0]) is None
        assert set(said(house, announced(house)).digests) == hashes(old)


def test_a_file_holds_so_many_and_the_rest_waits(house: House, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcing, "CHUNK", 2)
    outcomes = sign(user, *range(1, 6))
    files = [announced(house) for _ in range(3)]
    assert [one.items for one in files] == [2, 2, 1]
    assert set().union(*(said(house, one).digests for one in files)) == hashes(outcomes)
    assert [said(house, one).after for one in files] == [0, *(one.number for one in files[:2])]


def test_each_originator_of_a_workspace_announces_for_itself(house: House, user: User) -> None:
    other = User(house, entity=SOUTH, label="south")
    sign(user, 1)
    south = sign(other, 2)
    with pytest.raises(SmkiError) as caught:
        announcer(house.workspace, None)
    assert caught.value.code == "announcement.originator"
    assert announcer(house.workspace, SOUTH) == SOUTH
    announced(house)
    assert announcer(house.workspace, None) == SOUTH
    record = announce(house.workspace, SOUTH)
    assert record is not None
    assert announcer(house.workspace, None) == SOUTH, "nobody has it yet"
    assert set(said(house, record).digests) == hashes(south)
    handed_out(house.workspace, record)
    assert announcer(house.workspace, None) is None
    with pytest.raises(SmkiError):
        announcer(house.workspace, None, again=True)


def test_two_runs_that_sign_the_same_announce_it_once(house: House, user: User) -> None:
    """Where one was slow after the key had signed, the first signature on record is the one, and is announced."""
    kept = []
    for place in (1, 2):
        made = SignedRecord(b"d" * 32, bytes([place]) * 64, digest(place), SUPPLIER, NOW)
        with house.workspace.store.act(Act("test", "tester", NOW)) as tx:
            if place == 1:
                tx.put_signatures([SignatureRecord(made.digest, b"k" * 16, 1, METER, 0x51, NOW)])
            kept += tx.complete_signatures(b"k" * 16, [made])
    assert kept == [b"\1" * 64] * 2
    assert said(house, announced(house)).digests == (digest(1),)


# Killed, and many at once


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def store_url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "sqlite" else shared().fresh()


def read(house: House, files: list[Path]) -> dict[int, set[bytes]]:
    """What each number was announced as: the same octets, however often."""
    octets: dict[int, set[bytes]] = {}
    for path in files:
        octets.setdefault(read_announcement(path.read_bytes()).number, set()).add(path.read_bytes())
    assert {len(found) for found in octets.values()} == {1}, "one number, one file"
    key = announcing_key(house.workspace)
    found = {number: read_announcement(next(iter(one))).signed_by(key) for number, one in octets.items()}
    return {number: set(one.digests) for number, one in found.items() if one is not None}


@pytest.mark.slow(6)
def test_killed_anywhere_nothing_is_left_out_and_nothing_announced_as_two_things(
    tmp_path: Path, store_url: str | None, prefork: Prefork
) -> None:
    home = tmp_path / "home"
    prepare(home, store_url)
    draw = random.Random(20261121)  # noqa: S311
    killed = 0
    for attempt in range(24):
        process = prefork.start(_ANNOUNCE, home, tmp_path / f"out-{attempt:03}")
        time.sleep(draw.random() * 0.1)
        killed += process.kill()
    assert killed, "no run was killed"
    for attempt in range(24, 60):
        code = prefork.start(_ANNOUNCE, home, tmp_path / f"out-{attempt:03}").wait(60)
        if code == 1:
            break
        assert code == 0
    house = opened(home)
    found = read(house, sorted(tmp_path.glob("out-*")))
    assert sum(map(len, found.values())) == COUNT, "each in one of them"
    assert set().union(*found.values()) == {digest(number) for number in range(COUNT)}
    assert {len(one) for one in found.values()} == {CHUNK}
    assert not verify_log(house.workspace.store).faults
    house.workspace.close()


@pytest.mark.slow(4)
def test_many_at_once_announce_each_command_in_one_file(
    tmp_path: Path, store_url: str | None, prefork: Prefork
) -> None:
    home = tmp_path / "home"
    prepare(home, store_url)
    for turn in range(COUNT // CHUNK):
        running = [prefork.start(_ANNOUNCE, home, tmp_path / f"out-{turn}-{place}") for place in range(3)]
        if {one.wait(60) for one in running} == {1}:
            break
    house = opened(home)
    found = read(house, sorted(tmp_path.glob("out-*")))
    assert sum(map(len, found.values())) == COUNT
    assert house.workspace.store.announcements.waiting() == {}
    house.workspace.close()
