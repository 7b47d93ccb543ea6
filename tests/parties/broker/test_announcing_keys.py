"""Keys that announce: registered by people who may, taken away by anyone who may, and no others."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.log import audit_key
from smki.errors import SmkiError
from smki.parties.broker.announced import take
from smki.parties.broker.officers import sign_as_officer
from smki.parties.intake import Given
from smki.pki.keyid import key_hash
from smki.pki.public_key import spki_of
from smki.store.admission_records import ThresholdRecord
from smki.store.announcement_records import TakenRecord
from smki.store.records import Act
from tests.house import NOW, opened
from tests.parties.broker.announcers import Announcer, hash_of, limit, put, refusal, results, signed_by, submit
from tests.parties.broker.deciders import ALICE
from tests.parties.broker.world import World, codes

KEY = ec.generate_private_key(ec.SECP256R1())


def test_what_loosens_announcements_needs_two_people(north: Announcer) -> None:
    """To begin, or to name fewer keys, one is enough; to end it, or to name another key, a second one looks."""
    mine, other, third = (spki_of(key.public_key()) for key in (audit_key(north.workspace), KEY, _third()))
    put(north.workspace, north.thresholds(mine, other), north.ann)
    put(north.workspace, north.thresholds(mine), north.ann)
    for keys in ((), (other,), (mine, other), (mine, third)):
        content = north.thresholds(*keys, more=limit(5))
        with pytest.raises(SmkiError) as caught:
            put(north.workspace, content, north.ann)
        assert caught.value.code == "thresholds.signatures"
        put(north.workspace, content, north.ann, ALICE)
        put(north.workspace, north.thresholds(mine, more=limit(5)), north.ann, ALICE)


def _third() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize("change", ["global", "campaign", "no key", "text", "curve", "many"])
def test_a_file_that_registers_no_key_of_a_user_is_refused(known: Announcer, change: str) -> None:
    curve = spki_of(ec.generate_private_key(ec.SECP384R1()).public_key())
    keys = {"curve": (curve,), "text": (b"no key",), "many": tuple(spki_of(_third().public_key()) for _ in range(9))}
    content = known.thresholds(*keys.get(change, (known.key,)))
    if change == "global":
        content = content.replace(str(known.entity), "global")
    if change == "no key":
        content = content.partition("keys")[0] + "keys = []\n"
    if change == "campaign":
        content += '[[campaign]]\nname = "c"\nuse_cases = ["ECS44"]\ncount = 1\n'
        content += "since = 2026-11-21T12:00:00Z\nuntil = 2026-11-22T12:00:00Z\n"
    with pytest.raises(SmkiError) as caught:
        put(known.workspace, content, known.ann, ALICE)
    assert caught.value.code == "thresholds.form"


def test_nobody_relies_on_announcements_where_no_detector_asks_for_them(world: World, north: Announcer) -> None:
    path = world.house.home / "policies" / "anomaly.toml"
    whole = path.read_text()
    head, found, tail = whole.partition('kind = "unannounced"\nuse_cases = ["critical"]\naction = "hold"\n')
    for less in ('use_cases = ["ECS44"]\naction = "hold"\n', 'use_cases = ["critical"]\naction = "warn"\n'):
        try:
            path.write_text(f'{head}kind = "unannounced"\n{less}{tail}')
            vars(north.workspace).pop("policies", None)
            with pytest.raises(SmkiError) as caught:
                north.register()
            assert caught.value.code == "thresholds.announcements"
        finally:
            path.write_text(whole)
            vars(north.workspace).pop("policies", None)
    assert found
    north.register()


def test_no_policy_changes_what_an_officer_signed_for(world: World, north: Announcer) -> None:
    """What turns supply off is held where the detector that was there is gone since."""
    north.register()
    sent = north.stolen(*(north.opens(1, meter) for meter in north.meters(2)))
    path = world.house.home / "policies" / "anomaly.toml"
    whole = path.read_text()
    head, found, tail = whole.partition('kind = "unannounced"\nuse_cases = ["critical"]\naction = "hold"\n')
    assert found
    for one, less in zip(sent, ('["ECS44"]\naction = "hold"\n', '["critical"]\naction = "warn"\n'), strict=True):
        try:
            path.write_text(f'{head}kind = "unannounced"\nuse_cases = {less}{tail}')
            vars(north.workspace).pop("policies", None)
            (told,) = submit(world, one)
            assert (told.result, {*codes(told)}) == ("held", {"anomaly.unannounced"})
        finally:
            path.write_text(whole)
            vars(north.workspace).pop("policies", None)


def test_a_key_that_is_taken_away_while_its_signature_is_checked_announces_nothing(
    world: World, north: Announcer
) -> None:
    north.register()
    (sent,) = north.stolen(north.opens(1, north.meters(1)[0]))
    file = signed_by(audit_key(north.workspace), north.says(sent, number=1))
    other = north.thresholds(spki_of(KEY.public_key())).encode()
    signed = [sign_as_officer(other, one.name, one.key, NOW) for one in (north.ann, ALICE)]

    def taken() -> str:
        """At another broker."""
        second = opened(world.house.home)
        try:
            take(second.workspace, file)
        except SmkiError as error:
            return error.code
        finally:
            second.workspace.close()
        return "taken"

    with ThreadPoolExecutor(1) as pool:
        with north.workspace.store.act(Act("test", "tester", NOW)) as tx:
            tx.lock()
            taking = pool.submit(taken)
            time.sleep(0.3)  # it has believed the key by then, and waits
            assert not taking.done()
            for one in signed:
                tx.put_threshold(ThresholdRecord(str(north.entity), NOW, hash_of(Given("", one)), one))
        assert taking.result(30) == "announcement.signature"


def test_whoever_writes_into_the_store_announces_nothing(world: World, north: Announcer) -> None:
    """Rows without a file, a file that a thief signed, a file whose rows are others: each is no announcement."""
    north.register()
    sent = north.stolen(*(north.opens(1, meter) for meter in north.meters(3)))
    files = {
        1: None,
        2: signed_by(north.signing_key, north.says(sent[1], number=2)),
        3: signed_by(audit_key(north.workspace), north.says(sent[0], number=1)),
    }
    for (number, file), one in zip(files.items(), sent, strict=True):
        key = key_hash(north.key)
        record = TakenRecord(north.entity, key, number, NOW, NOW + timedelta(days=1), 1, bytes(32), file)
        with north.workspace.store.act(Act("test", "tester", NOW)) as tx:
            tx.take_announcement(record, [hash_of(one)])
    assert {code for one in submit(world, *sent) for code in codes(one)} == {"anomaly.unannounced"}


def test_a_key_that_was_written_into_the_store_is_no_key(world: World, north: Announcer) -> None:
    """Thresholds without the signatures they need hold, and let nothing through."""
    sent = north.stolen(*(north.opens(1, meter) for meter in north.meters(2)))
    forged = sign_as_officer(north.thresholds(spki_of(KEY.public_key())).encode(), "Ann Ash", KEY, NOW)
    with north.workspace.store.act(Act("test", "tester", NOW)) as tx:
        tx.put_threshold(ThresholdRecord(str(north.entity), NOW, hash_of(Given("", forged)), forged))
    assert refusal(world, signed_by(KEY, north.says(sent[0], number=1))) == "announcement.nobody"
    assert codes(submit(world, sent[0])[0]) == ["anomaly.unannounced"]
    put(north.workspace, north.thresholds(north.key), north.ann, ALICE)  # the forged one holds: two people end it
    take(north.workspace, signed_by(audit_key(north.workspace), north.says(sent[1], number=1)))
    assert results(submit(world, sent[1])) == ["admitted"]
