"""When lists are made, what is on them, and what the folder has, whatever became of clock, token, store and node."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from smki.authority.hierarchy import named
from smki.authority.policies import load_policies
from smki.authority.publication.act import Outcome, Run, publish_lists
from smki.authority.publication.folder import bring_up, held
from smki.authority.publication.lists import published_lists
from smki.authority.publication.schedule import Lists, schedule
from smki.authority.workspace import SHIPPED
from smki.errors import SmkiError
from smki.pki.crl_reading import entries_of
from smki.pki.scope import Scope
from smki.pki.serial import Serial
from smki.store.records import CrlRecord
from tests.authority.publication.leaves import revoke_serials
from tests.house import NOW, House, copy_of, opened

NAME, ROOT = "dca-issuing-1", "dca-root"
HOUR = timedelta(hours=1)


def serials(first: int, count: int = 1) -> list[Serial]:
    return [Serial(b"\1" * 8 + number.to_bytes(8)) for number in range(first, first + count)]


class Desk:
    """A workspace whose clock we hold."""

    def __init__(self, home: Path) -> None:
        self.now = NOW
        self.home = home
        self.house: House = opened(home, lambda: self.now)

    def publish(self, *names: str, everything: bool = False) -> Run:
        return publish_lists(self.house.workspace, names or (NAME,), even_if_not_due=everything)

    def one(self, *, everything: bool = False) -> Outcome:
        (outcome,) = self.publish(everything=everything).outcomes
        return outcome

    def made(self, *, everything: bool = False) -> CrlRecord:
        """The list that must be made now."""
        outcome = self.one(everything=everything)
        assert outcome.fault is None
        assert outcome.record is not None
        return outcome.record

    def revoke(self, *numbers: Serial, not_after: datetime | None = None) -> None:
        revoke_serials(self.house, NAME, *numbers, at=self.now, not_after=not_after)

    def lists(self) -> Lists:
        (found,) = schedule(self.house.workspace, (NAME,))
        return found

    def file(self, suffix: str = ".crl") -> Path:
        return self.home / "published" / "crl" / f"{NAME}{suffix}"

    def listed(self, suffix: str = ".crl") -> list[bytes]:
        return [row[0] for row in entries_of(x509.load_der_x509_crl(self.file(suffix).read_bytes()))]

    def policy(self, old: str, new: str) -> None:
        path = self.home / "policies" / "publication.toml"
        before, mark, after = path.read_text().partition("[device.issuing]")
        assert old in after
        path.write_text(before + mark + after.replace(old, new, 1))
        self.house.workspace.__dict__.pop("policies", None)


@pytest.fixture
def desk(complete: Path, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(copy_of(complete, tmp_path / "authority"))
    yield made
    made.house.workspace.close()


# When


@pytest.mark.requirement("R-REV-3")
def test_every_authority_gets_its_list_and_is_left_alone_until_the_next_is_due(desk: Desk) -> None:
    run = desk.publish(*(one.name for one in desk.house.workspace.store.authorities()))
    assert run.faults == ()
    assert {item.name: (item.number, item.kind) for item in published_lists(desk.house.workspace)} == {
        outcome.authority.name: (1, "complete") for outcome in run.outcomes
    }
    assert len(run.outcomes) == 6
    assert desk.one().record is None
    desk.now += 12 * HOUR - timedelta(seconds=1)
    assert desk.one().record is None
    desk.now += timedelta(seconds=1)
    assert desk.made().number == 2


@pytest.mark.requirement("R-REV-3")
def test_a_revocation_is_on_a_list_at_the_next_look(desk: Desk) -> None:
    desk.made()
    desk.now += timedelta(minutes=5)
    desk.revoke(*serials(1))
    due = desk.lists().due
    assert (due.at, due.latest, due.why) == (desk.now, desk.now + HOUR, "a revocation")
    record = desk.made()
    assert (record.number, record.entries, record.covers) == (2, 1, 1)
    assert desk.listed() == [serials(1)[0].octets]
    assert desk.lists().due.why == "every 12h"


def test_a_list_is_made_again_when_the_policy_says_other_contents(desk: Desk) -> None:
    desk.made()
    desk.policy('contains = "all"', 'contains = "end-entities"')
    assert desk.lists().due.why == "it is to contain end-entities"
    desk.now += timedelta(seconds=1)
    assert desk.made().scope is Scope.END_ENTITIES


def test_alarms_before_a_list_lapses_and_after(desk: Desk) -> None:
    assert [alarm.code for alarm in desk.lists().alarms] == ["crl.missing"]
    desk.made()
    assert desk.lists().alarms == ()
    desk.now += 25 * HOUR
    assert {alarm.code for alarm in desk.lists().alarms} == {"crl.lapsing", "crl.late"}
    desk.now += 24 * HOUR
    assert {alarm.code for alarm in desk.lists().alarms} == {"crl.lapsed", "crl.late"}
    desk.now = NOW - HOUR
    assert {alarm.code for alarm in desk.lists().alarms} == {"crl.clock"}


def test_an_authority_that_ended_publishes_no_more(desk: Desk) -> None:
    desk.now = datetime(2060, 1, 1, tzinfo=UTC)
    assert desk.lists().has_ended
    assert desk.one(everything=True).record is None


def test_a_token_that_is_away_is_told_and_stops_nobody_else(desk: Desk) -> None:
    desk.house.workspace.close()
    settings = desk.home / "smki.toml"
    before, mark, after = settings.read_text().partition("[tokens.dca-root]\n")
    assert mark
    after = after.replace("\n", '\nserial = "0000000000000000"\n', 1)
    settings.write_text(before + mark + after)
    desk.house = opened(desk.home, lambda: desk.now)
    root, issuing = desk.publish(ROOT, NAME).outcomes
    assert root.record is None
    assert root.fault is not None
    assert root.fault.code.startswith(("hsm.", "token."))
    assert issuing.record is not None
    assert issuing.fault is None


# Numbers and clock


@pytest.mark.requirement("R-TIM-3")
def test_no_list_is_made_before_the_one_it_follows(desk: Desk) -> None:
    desk.made()
    before = desk.file().read_bytes()
    desk.now -= timedelta(seconds=1)
    outcome = desk.one(everything=True)
    assert outcome.fault is not None
    assert outcome.fault.code == "crl.clock"
    assert desk.file().read_bytes() == before
    desk.now += timedelta(seconds=1)
    assert desk.made(everything=True).number == 2, "nothing was set aside by the one that was refused"


def test_a_number_set_aside_by_a_run_that_died_is_spent(desk: Desk) -> None:
    desk.made()
    workspace = desk.house.workspace
    issuer = named(workspace, NAME).number
    from smki.authority.log import act

    with act(workspace, "crl.number-reserved", authority=NAME, number=2) as tx:
        tx.reserve_crl(CrlRecord(issuer, 2, None, desk.now, desk.now + HOUR, 0))
    assert desk.made(everything=True).number == 3
    assert [one.sha256 is None for one in workspace.store.crls.all(issuer)] == [False, True, False]
    assert [one.number for one in held(workspace, named(workspace, NAME))] == [3]


@pytest.mark.requirement("R-DIS-2")
def test_a_store_put_back_to_an_earlier_day_gives_no_number_again(desk: Desk, tmp_path: Path) -> None:
    desk.made()
    desk.house.workspace.close()
    shutil.copy2(desk.home / "smki.db", tmp_path / "old.db")
    desk.house = opened(desk.home, lambda: desk.now)
    for _ in range(3):
        desk.now += HOUR
        desk.made(everything=True)
    newest = desk.file().read_bytes()
    desk.house.workspace.close()
    for path in desk.home.glob("smki.db*"):
        path.unlink()
    shutil.copy2(tmp_path / "old.db", desk.home / "smki.db")
    desk.house = opened(desk.home, lambda: desk.now)
    bring_up(desk.house.workspace, named(desk.house.workspace, NAME))
    assert desk.file().read_bytes() == newest, "a newer number is never replaced by an older one"
    desk.now += 12 * HOUR
    refused = desk.one()
    assert refused.fault is not None
    assert refused.fault.code == "audit.forked"
    assert desk.file().read_bytes() == newest
    for name in ("audit/checkpoint", "manifest"):
        (desk.home / "published" / name).unlink(missing_ok=True)
    assert desk.made().number == 5, "the list that stands there is enough for that"


# The folder


def test_a_folder_that_lags_is_brought_up_from_the_store(desk: Desk) -> None:
    first = desk.made()
    octets, text = desk.file().read_bytes(), desk.file(".pem").read_bytes()
    for path in (desk.file(), desk.file(".pem")):
        path.unlink()
    (desk.file().parent / f".{NAME}.crl.0123456789ab").write_bytes(b"what a killed writer left")
    outcome = desk.one()
    assert outcome.written == (f"{NAME}.crl", f"{NAME}.pem")
    assert outcome.record is None
    assert (desk.file().read_bytes(), desk.file(".pem").read_bytes()) == (octets, text)
    assert len(list(desk.file().parent.iterdir())) == 2
    assert published_lists(desk.house.workspace)[0].sha256 == first.sha256


@pytest.mark.parametrize("damage", ["torn", "another's", "noise"])
def test_what_is_no_list_of_ours_is_written_over(desk: Desk, damage: str) -> None:
    desk.publish(NAME, ROOT)
    good = desk.file().read_bytes()
    other = (desk.home / "published" / "crl" / f"{ROOT}.crl").read_bytes()
    desk.file().write_bytes({"torn": good[:-9], "another's": other, "noise": b"noise" * 9}[damage])
    assert f"{NAME}.crl" in desk.one().written
    assert desk.file().read_bytes() == good


def test_pem_is_the_same_list(desk: Desk) -> None:
    desk.revoke(*serials(1, 2000))
    desk.made()
    crl = x509.load_pem_x509_crl(desk.file(".pem").read_bytes())
    assert len(crl) == 2000
    assert crl == x509.load_der_x509_crl(desk.file().read_bytes())
    assert desk.file().stat().st_mode & 0o777 == 0o644


# What is on them


def test_a_certificate_that_ended_leaves_one_list_later(desk: Desk) -> None:
    """RFC 5280 3.3: it stays until it has been on one list made after its end."""
    short, long = serials(1)[0], serials(2)[0]
    desk.revoke(short, not_after=desk.now + 2 * HOUR)
    desk.revoke(long, not_after=desk.now + 9999 * HOUR)
    seen = []
    for _ in range(4):
        desk.made(everything=True)
        seen.append(short.octets in desk.listed())
        assert long.octets in desk.listed()
        desk.now += 2 * HOUR - timedelta(minutes=30)
    assert seen == [True, True, True, False], "at 0h, 1h30, and once after its end, at 3h"


def test_a_revocation_recorded_after_the_list_of_its_certificates_last_moment_is_on_one(desk: Desk) -> None:
    """It was under way while that list was made, which has it not."""
    desk.now += 2 * HOUR
    desk.made()
    short = serials(1)[0]
    desk.revoke(short, not_after=desk.now - timedelta(seconds=1))
    desk.now += timedelta(seconds=1)
    desk.made()
    assert desk.listed() == [short.octets]
    desk.now += HOUR
    desk.made(everything=True)
    assert desk.listed() == []


def test_a_delta_has_what_came_since_its_base(desk: Desk) -> None:
    desk.policy('delta_every = "off"', 'delta_every = "1h"')
    desk.revoke(*serials(1, 3))
    desk.made()
    desk.now += timedelta(minutes=1)
    desk.revoke(*serials(10, 2))
    delta = desk.made()
    assert (delta.number, delta.base, delta.entries) == (2, 1, 2)
    assert desk.listed("-delta.crl") == [serial.octets for serial in serials(10, 2)]
    assert len(desk.listed()) == 3, "the complete list stays as it was"
    desk.now += HOUR
    assert (desk.made().number, desk.lists().due.delta) == (3, True)
    desk.now += 11 * HOUR
    complete = desk.made()
    assert (complete.number, complete.base, complete.entries) == (4, None, 5)
    desk.now += 2 * HOUR
    assert desk.made().is_delta
    assert [item.kind for item in published_lists(desk.house.workspace)] == ["complete", "delta"]


def test_a_delta_that_is_over_goes_when_the_complete_list_says_more(desk: Desk) -> None:
    desk.policy('delta_every = "off"', 'delta_every = "1h"')
    desk.made()
    desk.now += HOUR
    assert desk.made().is_delta
    desk.policy('delta_every = "1h"', 'delta_every = "off"')
    desk.made(everything=True)
    assert desk.file("-delta.crl").exists(), "still good"
    desk.now += 3 * HOUR
    desk.one()
    assert not desk.file("-delta.crl").exists()


def test_a_complete_and_a_delta_are_never_of_one_moment(desk: Desk) -> None:
    desk.policy('delta_every = "off"', 'delta_every = "1h"')
    desk.made()
    desk.revoke(*serials(1))
    assert desk.one().record is None
    desk.now += timedelta(seconds=1)
    assert desk.made().is_delta


# The policy


@pytest.mark.requirement("R-REV-3")
def test_every_revocation_is_to_be_out_within_the_hour(desk: Desk) -> None:
    """Also of an issuing authority, on its root's list."""
    standings = schedule(desk.house.workspace)
    assert {one.authority.tier for one in standings} == {"root", "issuing"}
    assert {one.rule.within for one in standings} == {HOUR}


@pytest.mark.requirement("R-LAY-4")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('within = "1h"', 'within = "25h"'),
        ('valid = "48h"', 'valid = "401d"'),
        ('valid = "48h"', 'valid = "12h"'),
        ('cry = "24h"', 'cry = "37h"'),
        ('delta_every = "off"', 'delta_every = "12h"'),
        ('contains = "all"', 'contains = "authorities"'),
        ('contains = "all"', 'contains = "some"'),
        ('every = "12h"', 'every = "often"'),
        ("[device.issuing]", "[devices.issuing]"),
        ("[device.issuing]", "[device.isuing]"),
    ],
)
def test_no_file_asks_for_less_than_the_code_holds(old: str, new: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(SHIPPED / "policies", tmp_path / "policies"))
    path = folder / "publication.toml"
    before, mark, after = path.read_text().partition("[device.issuing]")
    path.write_text(before + (mark + after).replace(old, new, 1))
    with pytest.raises(SmkiError, match=r"publication\.toml") as caught:
        _ = load_policies(folder).publication
    assert caught.value.remedy


def test_a_hierarchy_without_a_rule_is_no_policy(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(SHIPPED / "policies", tmp_path / "policies"))
    path = folder / "publication.toml"
    text = path.read_text()
    path.write_text(text[: text.index("[infrastructure.root]")])
    with pytest.raises(SmkiError, match="hierarchy infrastructure"):
        _ = load_policies(folder).publication
