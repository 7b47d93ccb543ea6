"""Announcements: a stolen key of a small user gets nothing through, and what its user announced passes, once each."""

import json
import random
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.log import audit_key
from smki.errors import SmkiError
from smki.parties.announcement import MAX_OCTETS, MOST
from smki.parties.broker.announced import take, take_all
from smki.parties.broker.desk import BrokerDesk
from smki.parties.broker.quarantine import chosen
from smki.parties.broker.requests import signed_requests
from smki.parties.broker.showing import shown
from smki.pki.keyid import key_hash
from smki.pki.public_key import spki_of
from tests.house import NOW
from tests.parties.broker.announcers import (
    Announcer,
    announcer,
    hash_of,
    limit,
    malleated,
    put,
    refusal,
    resigned,
    results,
    signed_by,
    submit,
)
from tests.parties.broker.deciders import ALICE
from tests.parties.broker.world import World, codes, run

WORDS = "not announced: this user announces what it signs, and did not announce this"
KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.requirement("R-ANO-7")
def test_a_thief_s_first_command_is_held_and_what_its_user_announced_passes(world: World, north: Announcer) -> None:
    """Without any habit, and within every count: what nobody announced is held by that alone."""
    meters = north.meters(12)
    north.register()
    own = north.signs(*(north.opens(number, meter) for number, meter in enumerate(meters[:10], 1)))
    assert take(north.workspace, north.announces()).record.items == 10
    (held,) = submit(world, *north.stolen(north.opens(50, meters[10])))
    assert (held.result, codes(held)) == ("held", ["anomaly.unannounced"])
    assert [fault.message for fault in held.faults] == [WORDS]
    random.Random(1).shuffle(own)  # noqa: S311
    assert results(submit(world, *own[:6])) == ["admitted"] * 6
    assert results(submit(world, *own)) == ["admitted before"] * 6 + ["admitted"] * 4
    assert north.workspace.store.announcements.left(north.entity, NOW) == 0
    facts = [json.loads(entry.body)["facts"] for entry in north.workspace.store.audit_entries()]
    assert [one["announced"] for one in facts if "announced" in one][-2:] == [6, 4]


def test_however_many_of_the_thief_s_wait_the_announced_ones_do_not(world: World, north: Announcer) -> None:
    """Where five wait the next waits with them, unless those five wait only for want of an announcement."""
    meters = north.meters(40)
    north.register()
    theft = north.stolen(*(north.opens(number, meter) for number, meter in enumerate(meters[:12], 1)))
    own = north.signs(*(north.opens(number, meter) for number, meter in enumerate(meters[12:14], 20)))
    take(north.workspace, north.announces())
    mixed = submit(world, *theft[:6], own[0], *theft[6:])
    assert results(mixed) == ["held"] * 6 + ["admitted"] + ["held"] * 6
    assert results(submit(world, own[1])) == ["admitted"]
    put(north.workspace, north.thresholds(north.key, more=limit(2)), north.ann)
    more = north.signs(*(north.opens(number, meter) for number, meter in enumerate(meters[14:21], 40)))
    take(north.workspace, north.announces())
    assert {code for one in submit(world, *more[:5]) for code in codes(one)} == {"anomaly.threshold"}
    assert codes(submit(world, more[5])[0]) == ["anomaly.threshold", "anomaly.waiting"], "five that were announced"


def test_the_thief_s_signature_over_an_announced_pre_command_is_not_announced(world: World, north: Announcer) -> None:
    """Announced is the signed pre-command, signature and all: and a rejected theft of it is not let through."""
    north.register()
    (own,) = north.signs(north.opens(1, north.meters(1)[0]))
    take(north.workspace, north.announces())
    copy = resigned(own, north.signing_key)
    assert results(submit(world, own)) == ["admitted"]
    assert copy.octets != own.octets
    (again,) = submit(world, copy)
    assert (again.result, again.message[:-12].endswith(own.octets)) == ("admitted before", True), "the same as before"


@pytest.mark.parametrize("other", ["malleated", "resigned"])
def test_another_signature_over_it_does_not_have_what_its_user_announced_held(
    world: World, north: Announcer, other: str
) -> None:
    """Who saw the command on its way needs no key for one. What waits stays for a person; nothing passes by it."""
    north.register()
    own, late = north.signs(*(north.opens(number, meter) for number, meter in enumerate(north.meters(2), 1)))
    key = north.signing_key
    copies = [malleated(one) if other == "malleated" else resigned(one, key) for one in (own, late)]
    assert [codes(one) for one in submit(world, *copies)] == [["anomaly.unannounced"]] * 2
    take(north.workspace, north.announces())
    assert codes(submit(world, copies[0])[0]) == ["broker.held"]
    (told,) = submit(world, own)
    assert (told.result, told.message[:-12].endswith(own.octets)) == ("admitted", True)
    assert results(submit(world, *copies)) == ["admitted before", "held"]
    put(north.workspace, north.thresholds(north.key, more=limit(0)), north.ann)
    assert codes(submit(world, late)[0]) == ["broker.held"], "every other rule is asked"


def test_who_announces_nothing_is_asked_for_nothing(world: World, north: Announcer) -> None:
    sent = north.signs(north.opens(1, north.meters(1)[0]))
    assert results(submit(world, *sent)) == ["admitted"]


def test_what_is_not_critical_needs_no_announcement(world: World, north: Announcer) -> None:
    """Nobody signs it: only the request is signed, and nothing in a store says so."""
    north.register()
    meter = north.meters(1)[0]
    payload = "d92000000900010100080000010000ff020100"
    line = {"use_case": "ECS17b", "target": str(meter), "counter": "9", "payload": payload}
    asked = signed_requests(json.dumps(line).encode(), (north.user.certificate, north.signing_key), NOW)
    desk = BrokerDesk(north.workspace, world.broker.holder.entity, world.agreement(), world.others)
    (told,) = run(desk, lambda desk: desk.ask(asked))
    assert told.result == "admitted", told.faults


def test_an_announcement_is_taken_once_and_numbers_only_go_up(north: Announcer) -> None:
    north.register()
    key, meters = audit_key(north.workspace), north.meters(3)
    sent = north.stolen(*(north.opens(1, meter) for meter in meters))
    first, second, third = (
        signed_by(key, north.says(one, number=number, after=number - 1))
        for number, one in zip((7, 8, 9), sent, strict=True)
    )
    done = take_all(north.workspace, [second, first])
    assert [(one.said.number, one.again, one.missing) for one in done] == [(7, False, True), (8, False, False)]
    size = north.workspace.store.audit_size()
    for again in (first, second, signed_by(key, north.says(sent[1], number=8, after=7))):
        assert take(north.workspace, again).again, "the same again, whatever its signature"
    assert north.workspace.store.audit_size() == size
    other = signed_by(key, north.says(sent[2], number=8, after=7))
    assert refusal(north.world, other) == "announcement.number"
    assert refusal(north.world, signed_by(key, north.says(sent[2], number=6))) == "announcement.number"
    assert not take(north.workspace, third).missing
    assert north.workspace.store.announcements.left(north.entity, NOW) == 3
    assert take(north.workspace, signed_by(key, north.says(sent[0], number=20, after=19))).missing


def test_who_may_announce(world: World, north: Announcer) -> None:
    """The key that an officer registered, in its user's name: no other, and least of all what signs commands."""
    key, (sent,) = audit_key(north.workspace), north.stolen(north.opens(1, north.meters(1)[0]))
    said = north.says(sent, number=1)
    assert refusal(world, signed_by(key, said)) == "announcement.nobody"
    north.register()
    for thief in (north.signing_key, KEY):
        assert refusal(world, signed_by(thief, said)) == "announcement.signature"
    assert refusal(world, signed_by(key, said, name="90-B3-D5-1F-30-01-00-00")) == "announcement.signature"
    good = signed_by(key, said)
    assert refusal(world, good.replace(hash_of(sent).hex().encode(), bytes(64).replace(b"\0", b"0"))) == (
        "announcement.signature"
    )
    assert results(submit(world, sent)) == ["held"], "nothing of all that was taken"


@pytest.mark.requirement("R-ANO-7")
def test_the_command_signing_key_announces_nothing_even_if_it_is_registered(world: World, north: Announcer) -> None:
    """An officer who mistook the key has gained nothing, and let nobody through."""
    north.register(spki_of(north.signing_key.public_key()))
    (sent,) = north.stolen(north.opens(1, north.meters(1)[0]))
    take(north.workspace, signed_by(north.signing_key, north.says(sent, number=1)))
    assert codes(submit(world, sent)[0]) == ["anomaly.unannounced"]


@pytest.mark.parametrize(
    ("code", "old", "new"),
    [
        ("announcement.form", "smki-announcement/1", "smki-announcement/2"),
        ("announcement.form", "number 5", "number 05"),
        ("announcement.form", "number 5", "number " + "9" * 16),
        ("announcement.form", "number 5", "number 5\nnumber 5"),
        ("announcement.form", "after 0", "after 5"),
        ("announcement.form", "at 2026-11-21", "at 2026-02-31"),
        ("announcement.form", "HASH", "HASH0"),
        ("announcement.form", "HASH\n", ""),
        ("announcement.form", "HASH", "HASH\nHASH"),
        ("announcement.form", "HASH", "hash in letters that are not hexadecimal " + "z" * 23),
        ("announcement.form", "\n\n", "\r\n\n"),
        ("announcement.time", "at 2026-11-21T12:00:00Z", "at 2026-11-21T13:00:01Z"),
        ("announcement.time", "at 2026-11-21T12:00:00Z", "at 2026-11-14T11:59:59Z"),
    ],
)
def test_what_is_no_announcement_is_refused_though_the_right_key_signed_it(
    world: World, known: Announcer, code: str, old: str, new: str
) -> None:
    name = bytes(range(32)).hex()
    said = known.says(number=5, digests=(bytes(range(32)),))
    text = f"{said.text()}\n".replace(old.replace("HASH", name), new.replace("HASH", name)).removesuffix("\n")
    assert text != said.text()
    assert refusal(world, signed_by(audit_key(known.workspace), said, text=text)) == code


def test_what_is_too_large_is_not_looked_at(world: World, known: Announcer) -> None:
    assert refusal(world, bytes(MAX_OCTETS + 1)) == "announcement.size"
    assert refusal(world, b"\xff\xfe") == "announcement.form"
    assert refusal(world, b"") == "announcement.form"
    digests = tuple(number.to_bytes(32) for number in range(MOST + 1))
    key, most = audit_key(known.workspace), known.says(number=1, digests=digests[1:])
    assert refusal(world, signed_by(key, known.says(number=1, digests=digests))) == "announcement.form"
    assert take(known.workspace, signed_by(key, most)).record.items == MOST


def test_what_came_before_its_announcement_stays_for_a_person(world: World, north: Announcer) -> None:
    """And is used up by the release: who is late gains no second one."""
    north.register()
    (own,) = north.signs(north.opens(1, north.meters(1)[0]))
    assert results(submit(world, own)) == ["held"]
    take(north.workspace, north.announces())
    assert results(submit(world, own)) == ["held"]
    (pattern,) = {
        one[0] for one in north.workspace.store.quarantine.patterns("waiting") if str(north.entity) in one[0]
    }
    records = [*chosen(north.workspace, [pattern])]
    assert shown(north.workspace, records, world.others).would == (("admitted, and it was announced since", 1),)
    north.ann.decides(north.workspace, records)
    ALICE.decides(north.workspace, records)
    assert results(submit(world, own)) == ["admitted"]
    assert north.workspace.store.announcements.left(north.entity, NOW) == 0


def test_a_key_that_was_taken_away_lets_nothing_through_that_it_announced(world: World, north: Announcer) -> None:
    """Two people change keys; then old announcements count for nothing, and the new key has numbers of its own."""
    north.register()
    own = north.signs(*(north.opens(number, meter) for number, meter in enumerate(north.meters(2), 1)))
    take(north.workspace, north.announces())
    other = north.thresholds(spki_of(KEY.public_key()))
    with pytest.raises(SmkiError, match="loosens: the announcing keys of serial 1"):
        put(north.workspace, other, north.ann)
    assert put(north.workspace, other, north.ann, ALICE).looser == ("the announcing keys of serial 1",)
    assert codes(submit(world, own[0])[0]) == ["anomaly.unannounced"]
    take(north.workspace, signed_by(KEY, north.says(own[1], number=1)))
    assert results(submit(world, own[1])) == ["admitted"]


def test_one_user_s_announcement_says_nothing_of_another_s_commands(world: World, north: Announcer) -> None:
    """Nor does it take another's announcement's place."""
    south = announcer(world)
    for one in (north, south):
        one.register(spki_of(KEY.public_key()))
    (sent,) = north.stolen(north.opens(1, north.meters(1)[0]))
    take(north.workspace, signed_by(KEY, south.says(sent, number=1)))
    assert codes(submit(world, sent)[0]) == ["anomaly.unannounced"]
    (other,) = north.stolen(north.opens(1, north.meters(1)[0]))
    take(north.workspace, signed_by(KEY, north.says(other, number=1)))
    take(north.workspace, signed_by(KEY, south.says(other, number=2, after=1)))
    assert results(submit(world, other)) == ["admitted"]


def test_an_announcement_is_over_after_a_while(world: World, north: Announcer) -> None:
    """The last of these tests: time does not go back."""
    north.register()
    sent = north.stolen(*(north.opens(1, meter) for meter in north.meters(2)))
    file = signed_by(audit_key(north.workspace), north.says(*sent, number=1))
    until = take(north.workspace, file).record.until
    assert until == NOW + timedelta(days=7)
    world.moments[0] = until - timedelta(seconds=1)
    assert results(submit(world, sent[0])) == ["admitted"]
    world.moments[0] = until
    assert codes(submit(world, sent[1])[0]) == ["anomaly.unannounced"]
    assert take(north.workspace, file).again, "and does not come back"
    (later,) = north.stolen(north.opens(1, north.meters(1)[0]))
    take(north.workspace, signed_by(audit_key(north.workspace), north.says(later, number=2, after=1)))
    record = north.workspace.store.announcements.taken(north.entity, key_hash(north.key), 1)
    assert record is not None
    assert record.file is None, "nothing is kept of it but that it was"
