"""What is held, and who may let it go: two people of two sides, each with a key of their own, for exactly these."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, settings
from hypothesis import given as drawn
from hypothesis import strategies as st

from smki.authority.auditing import verify_log
from smki.authority.registration import dismiss, set_active
from smki.entity import KeyUsage, RemotePartyRole
from smki.errors import InvalidInput, SmkiError
from smki.gbcs.message import read_message
from smki.parties.anomaly.limits import Limit, Limits
from smki.parties.broker.confirmation import Confirmation, read_confirmation
from smki.parties.broker.officers import sign_as_officer
from smki.parties.broker.quarantine import acknowledge, chosen, confirm, decide, draft
from smki.parties.broker.showing import patterns, shown
from smki.parties.intake import Given
from smki.parties.outcome import Outcome
from smki.pki.serial import Serial
from smki.pki.status import Status
from smki.store.admission_records import Capacity, ConfirmationRecord, QuarantineRecord
from smki.store.estate_records import DeviceStatus
from smki.store.records import Act, CertificateRecord
from tests.parties.broker.deciders import ALICE, BOB, Officer, officer_of, organisation, put_roll
from tests.parties.broker.world import User, World, codes, run

_counters = count(1000)
_SIDES: tuple[tuple[int, Capacity], ...] = ((1, "originator"), (2, "broker"))


@pytest.fixture
def world(shared: World) -> World:
    """Its time only goes forward here: what is counted is not counted back."""
    shared.limits = World.limits
    workspace = shared.house.workspace
    put_roll(workspace)
    left = [one.digest for one in workspace.store.quarantine.in_state("waiting", 10_000)]
    with workspace.store.act(Act("test", "tester", shared.moments[0])) as tx:
        tx.close_quarantine(left, "rejected")
    return shared


@pytest.fixture
def ann(world: World, supplier: User) -> Officer:
    """The supplier's officer."""
    return officer_of(world.house.workspace, organisation(world.house.workspace, supplier.role, supplier.entity))


def hold(world: World, user: User, number: int = 1) -> list[QuarantineRecord]:
    """Commands that are held, whatever they are."""
    world.limits = Limits(own={user.entity: (Limit("none", None, 0, timedelta(hours=1)),)})
    sent = [user.arming(next(_counters), meter) for meter in world.devices(number, user)]
    assert {one.result for one in world.submit(*sent)} == {"held"}
    octets = {one.octets for one in sent}
    waiting = world.house.workspace.store.quarantine.in_state("waiting", 10_000)
    return [one for one in waiting if one.octets in octets]


def hand_out(world: World) -> list[Outcome]:
    return run(world.desk(), lambda desk: desk.hand_out())


def state(world: World, record: QuarantineRecord) -> str:
    found = world.house.workspace.store.quarantine.one(record.digest)
    assert found is not None
    return found.state


def code_of(work: Callable[[], object]) -> str:
    with pytest.raises(SmkiError) as caught:
        work()
    assert caught.value.remedy
    return caught.value.code


# The way


@pytest.mark.requirement("R-ANO-4")
def test_two_words_of_two_sides_let_it_go_once(world: World, supplier: User, ann: Officer) -> None:
    workspace = world.house.workspace
    held = hold(world, supplier, 3)
    first = ann.decides(workspace, held)
    assert (first.capacity, first.items, first.ready) == ("originator", 3, 0)
    assert hand_out(world) == []
    second = ALICE.decides(workspace, held[:2])
    assert (second.capacity, second.items, second.ready) == ("broker", 2, 2)
    done = hand_out(world)
    assert [one.result for one in done] == ["admitted"] * 2
    assert all(world.holds_for_device(one.message) for one in done)
    assert [state(world, one) for one in held] == ["released", "released", "waiting"]
    assert hand_out(world) == []
    (row,) = workspace.store.admissions.tallies_of(supplier.entity, 2, 0)
    assert (row.admitted, row.held, row.refused) == (2, 1, 0)
    entries = [json.loads(entry.body) for entry in workspace.store.audit_entries()]
    confirmed = [entry["facts"] for entry in entries if entry["act"] == "quarantine.confirmed"][-2:]
    assert [(one["officer"], one["capacity"], one["items"]) for one in confirmed] == [
        ("Ann Ash", "originator", 3),
        ("alice", "broker", 2),
    ]
    assert all(len(bytes.fromhex(one["signature"])) > 64 for one in confirmed)
    (released,) = [entry["facts"] for entry in entries if entry["facts"].get("released")][-1:]
    assert released["released"] == 2
    assert set(released["confirmations"]) == {one["file_sha256"] for one in confirmed}
    assert not verify_log(workspace.store).faults


def test_the_originator_may_hand_it_in_again_instead(world: World, supplier: User, ann: Officer) -> None:
    (held,) = hold(world, supplier)
    given = Given("again", held.octets)
    assert [one.result for one in world.submit(given)] == ["held"]
    ann.decides(world.house.workspace, [held])
    ALICE.decides(world.house.workspace, [held])
    assert [one.result for one in world.submit(given)] == ["admitted"]
    assert hand_out(world) == []


def test_several_for_one_device_go_out_by_their_counters(world: World, supplier: User, ann: Officer) -> None:
    world.limits = Limits(own={supplier.entity: (Limit("none", None, 0, timedelta(hours=1)),)})
    meter = world.device(supplier)
    world.submit(*(supplier.arming(next(_counters), meter) for _ in range(12)))
    waiting = world.house.workspace.store.quarantine.in_state("waiting", 10_000)
    held = [one for one in waiting if one.target == meter]
    ann.decides(world.house.workspace, held)
    ALICE.decides(world.house.workspace, held)
    done = hand_out(world)
    numbers = [read_message(one.message).header.counter for one in done]
    assert (len(numbers), numbers) == (12, sorted(numbers))


def test_the_same_word_again_changes_nothing(world: World, supplier: User, ann: Officer) -> None:
    workspace = world.house.workspace
    held = hold(world, supplier)
    word = ann.word(workspace, held)
    assert decide(workspace, word).fresh
    size = workspace.store.audit_size()
    assert not decide(workspace, word).fresh
    assert workspace.store.audit_size() == size
    assert hand_out(world) == [], "and counts once"


@pytest.mark.requirement("R-ANO-4")
def test_one_of_either_side_rejects_for_good(world: World, supplier: User, ann: Officer) -> None:
    workspace = world.house.workspace
    held = hold(world, supplier, 2)
    for officer in (ann, ALICE):
        officer.decides(workspace, held)
    ann.decides(workspace, held[:1], "reject")
    BOB.decides(workspace, held[1:], "reject")
    assert hand_out(world) == []
    assert [state(world, one) for one in held] == ["rejected"] * 2
    assert code_of(lambda: chosen(workspace, [held[0].digest.hex()])) == "quarantine.rejected"
    late = ALICE.signs(replace(draft(workspace, held, "release", "alice", "late")))
    assert code_of(lambda: decide(workspace, late)) == "quarantine.rejected"
    (row,) = workspace.store.admissions.tallies_of(supplier.entity, 2, 0)
    assert (row.admitted, row.held, row.refused) == (0, 0, 2)


def test_what_went_out_is_not_rejected(world: World, supplier: User, ann: Officer) -> None:
    workspace = world.house.workspace
    held = hold(world, supplier)
    late = BOB.word(workspace, held, "reject")
    for officer in (ann, ALICE):
        officer.decides(workspace, held)
    hand_out(world)
    assert code_of(lambda: decide(workspace, late)) == "quarantine.released"
    assert code_of(lambda: chosen(workspace, [held[0].digest.hex()])) == "quarantine.released"


# Who


def test_the_organisation_s_signing_key_releases_nothing(world: World, supplier: User, ann: Officer) -> None:
    """The stolen key: neither as it is, nor where somebody has it appointed as an officer's."""
    workspace = world.house.workspace
    held = hold(world, supplier)
    thief = Officer("Ann Ash", supplier.key)
    assert code_of(lambda: thief.decides(workspace, held)) == "quarantine.signer"
    _register(world, supplier)
    owner = workspace.store.organisations.owner_of(supplier.entity)
    officer_of(workspace, owner, "Mal Ory", supplier.key)
    assert code_of(lambda: Officer("Mal Ory", supplier.key).decides(workspace, held)) == "quarantine.signer"


def _register(world: World, user: User, status: Status = Status.IN_USE) -> None:
    """The register knows the user's signing certificate."""
    one = user.certificate
    record = CertificateRecord(
        issuer=1,
        serial=Serial(one.certificate.serial_number.to_bytes(16)),
        key_hash=one.key_hash,
        entity=user.entity,
        profile="organisation",
        not_before=one.certificate.not_valid_before_utc,
        not_after=one.certificate.not_valid_after_utc,
        der=one.octets,
        usage=KeyUsage.DIGITAL_SIGNATURE,
        role=user.role,
        status=status,
    )
    with world.house.workspace.store.act(Act("test", "tester", world.moments[0])) as tx:
        tx.reserve_serials(1, [record.serial], "test")
        tx.store_certificates([record])


@pytest.mark.requirement("R-LEA-7")
def test_only_officers_of_those_it_is_from_or_on_the_roll(world: World, supplier: User, ann: Officer) -> None:
    workspace = world.house.workspace
    other = world.user(RemotePartyRole.SUPPLIER)
    neighbour = officer_of(workspace, organisation(workspace, other.role, other.entity), "Neil Orr")
    held = hold(world, supplier)
    both = [*held, *hold(world, other)]
    stranger = Officer("Ann Ash", ec.generate_private_key(ec.SECP256R1()))
    misnamed = Officer("Neil Orr", ann.key)
    for officer, records in ((stranger, held), (neighbour, held), (misnamed, held), (ann, both), (neighbour, both)):
        assert code_of(lambda officer=officer, records=records: officer.decides(workspace, records)) == (  # type: ignore[misc]
            "quarantine.signer"
        )
    assert ALICE.decides(workspace, both).items == 2, "the broker's officers speak of everybody's"


def test_who_is_an_officer_no_more_releases_nothing(world: World, supplier: User, ann: Officer) -> None:
    workspace = world.house.workspace
    owner = workspace.store.organisations.owner_of(supplier.entity)
    held = hold(world, supplier)
    for officer in (ann, ALICE):
        officer.decides(workspace, held)
    put_roll(workspace, BOB)
    assert hand_out(world) == [] or state(world, held[0]) == "waiting"
    assert state(world, held[0]) == "waiting", "alice left the roll after she had signed"
    put_roll(workspace)
    dismiss(workspace, owner, "Ann Ash")
    hand_out(world)
    assert state(world, held[0]) == "waiting", "and so did Ann Ash leave"
    again = officer_of(workspace, owner, "Ann Ash", ann.key)
    set_active(workspace, owner, False, "left the trade")
    hand_out(world)
    assert state(world, held[0]) == "waiting"
    assert code_of(lambda: again.decides(workspace, held)) == "quarantine.signer"
    set_active(workspace, owner, True, "is back")
    assert [one.result for one in hand_out(world)] == ["admitted"]


@pytest.mark.requirement("R-SPC-6")
def test_one_person_is_not_two(world: World, supplier: User) -> None:
    workspace = world.house.workspace
    owner = organisation(workspace, supplier.role, supplier.entity)
    held = hold(world, supplier)
    by_name = officer_of(workspace, owner, "Alice")
    by_key = officer_of(workspace, owner, "Bea Toll", BOB.key)
    ALICE.decides(workspace, held)
    assert code_of(lambda: by_name.decides(workspace, held)) == "quarantine.same-person"
    BOB.decides(workspace, held)
    assert code_of(lambda: by_key.decides(workspace, held)) == "quarantine.same-person"
    assert hand_out(world) == []


def test_who_handed_it_in_does_not_decide(world: World, supplier: User) -> None:
    workspace = world.house.workspace
    owner = organisation(workspace, supplier.role, supplier.entity)
    held = hold(world, supplier)
    assert held[0].decisions == ({"submitted_by": "tester"},)
    tester = officer_of(workspace, owner, "Tester")
    assert code_of(lambda: tester.decides(workspace, held)) == "quarantine.submitter"


# What exactly, and when


def test_a_word_is_about_what_it_names(world: World, supplier: User, ann: Officer) -> None:
    workspace = world.house.workspace
    held = hold(world, supplier, 2)
    said = draft(workspace, held[:1], "release", ann.name, "one")
    ann.decides(workspace, held[:1])
    ALICE.decides(workspace, held[1:])
    assert hand_out(world) == [], "each has one word"

    def tried(**changes: object) -> str:
        return code_of(lambda: decide(workspace, ann.signs(replace(said, **changes))))  # type: ignore[arg-type]

    assert tried(workspace="00" * 16) == "quarantine.workspace"
    assert tried(items=((bytes(32), "ECS44"),)) == "quarantine.unknown"
    assert tried(items=((held[1].digest, said.items[0][1]),)) == "quarantine.words"
    late, early = timedelta(hours=24), timedelta(minutes=-6)
    assert tried(made_at=said.made_at - late) == tried(made_at=said.made_at - early) == "quarantine.age"
    changed = bytearray(ann.signs(said))
    place = changed.index(b"release")
    changed[place : place + 7] = b"rejects"[:7]
    assert code_of(lambda: decide(workspace, bytes(changed))) == "cms.digest"


def test_a_word_expires(world: World, supplier: User, ann: Officer) -> None:
    workspace = world.house.workspace
    held = hold(world, supplier)
    ann.decides(workspace, held)
    world.moments[0] += timedelta(hours=23)
    assert ALICE.decides(workspace, held).ready == 1
    world.moments[0] += timedelta(hours=1)
    assert hand_out(world) == []
    assert state(world, held[0]) == "waiting"
    assert ann.decides(workspace, held).ready == 1, "a new word, and the other one still counts"
    assert [one.result for one in hand_out(world)] == ["admitted"]


@pytest.mark.requirement("R-VER-4")
def test_texts_of_another_form_are_not_signed_and_not_read(world: World, supplier: User, ann: Officer) -> None:
    workspace = world.house.workspace
    (held,) = hold(world, supplier)
    good = draft(workspace, [held], "release", ann.name, "asked").content()
    lines = good.decode().splitlines()
    bad = [
        b"",
        b"\xff" + good,
        good.replace(b"v1", b"v2"),
        good.rstrip(b"\n"),
        good + good.splitlines(keepends=True)[-1],
        good.replace(b"decision release", b"decision perhaps"),
        good.replace(b"made-at 2", b"made-at x"),
        good.replace(b"reason asked", b"reason "),
        good.replace(b"reason asked", b"reason " + b"x" * 1001),
        good.replace(held.digest.hex().encode(), b"abc"),
        "\n".join(lines[:-1]).encode() + b"\n",
        "\n".join([lines[0], lines[2], lines[1], *lines[3:]]).encode() + b"\n",
    ]
    for content in bad:
        assert code_of(lambda content=content: confirm(content, ann.key, 10)) == "quarantine.form"  # type: ignore[misc]
        signed = sign_as_officer(content, "Ann Ash", ann.key, world.moments[0])
        assert code_of(lambda signed=signed: decide(workspace, signed)) == "quarantine.form"  # type: ignore[misc]
    assert code_of(lambda: read_confirmation(good, 0)) == "quarantine.form"
    assert decide(workspace, confirm(good, ann.key, 10)).items == 1
    assert code_of(lambda: draft(workspace, [held], "release", ann.name, " ")) == "quarantine.reason"
    assert code_of(lambda: draft(workspace, [held], "release", "two\nlines", "x")) == "quarantine.form"
    assert code_of(lambda: sign_as_officer(b"x", "", ann.key, world.moments[0])) == "officer.name"


@settings(max_examples=50)
@drawn(st.binary(max_size=200), st.sampled_from([b"", b"smki quarantine confirmation v1\n"]))
def test_whatever_is_handed_in_is_read_or_refused(octets: bytes, start: bytes) -> None:
    with suppress(InvalidInput):
        assert isinstance(read_confirmation(start + octets, 10), Confirmation)


def test_things_are_named_by_pattern_or_digest(world: World, supplier: User) -> None:
    workspace = world.house.workspace
    held = hold(world, supplier, 2)
    assert {one.digest for one in chosen(workspace, [held[0].pattern])} == {one.digest for one in held}
    assert chosen(workspace, [held[0].digest.hex()[:16].upper(), held[0].digest.hex()]) == [held[0]]
    for name in ("", "abcdef", "no such pattern", "00" * 32, "0" * 65):
        assert code_of(lambda name=name: chosen(workspace, [name])) == "quarantine.unknown"  # type: ignore[misc]
    assert code_of(lambda: chosen(workspace, [])) == "quarantine.count"


def test_a_pattern_larger_than_a_batch_is_decided_in_parts(
    world: World, supplier: User, ann: Officer, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = world.house.workspace
    held = hold(world, supplier, 5)
    pattern = held[0].pattern
    monkeypatch.setitem(workspace.policies.__dict__, "broker", replace(workspace.policies.broker, largest_batch=2))
    seen: set[bytes] = set()
    for left in (5, 3, 1):
        assert workspace.store.quarantine.count("waiting") == left
        part = chosen(workspace, [pattern])
        assert len(part) == min(2, left)
        assert seen.isdisjoint(one.digest for one in part)
        seen |= {one.digest for one in part}
        ann.decides(workspace, part, "reject")
    assert code_of(lambda: chosen(workspace, [pattern])) == "quarantine.rejected"
    assert len(chosen(workspace, [pattern], None)) == 2


def test_a_rejection_outlasts_what_the_store_says(world: World, supplier: User, ann: Officer) -> None:
    workspace = world.house.workspace
    held = hold(world, supplier, 2)
    for officer in (ann, ALICE):
        officer.decides(workspace, held)
    BOB.decides(workspace, held[:1], "reject")
    workspace.store._engine.execute("UPDATE quarantine SET state = 0 WHERE digest = ?", (held[0].digest,))
    done = {one.reference: one.result for one in hand_out(world)}
    assert done == {held[0].reference: "held", held[1].reference: "admitted"}


def test_one_name_written_twice_is_one_person(world: World, supplier: User) -> None:
    workspace = world.house.workspace
    owner = organisation(workspace, supplier.role, supplier.entity)
    put_roll(workspace, Officer("Jos\u00e9 Ash", ALICE.key), BOB)
    held = hold(world, supplier)
    Officer("Jos\u00e9 Ash", ALICE.key).decides(workspace, held)
    for name in ("Jose\u0301 Ash", "JOS\u00c9  ASH", "\uff2aos\u00e9 Ash"):
        again = officer_of(workspace, owner, name)
        assert code_of(lambda again=again: again.decides(workspace, held)) == "quarantine.same-person"  # type: ignore[misc]


# At release every other rule is asked again


@pytest.mark.requirement("R-ANO-4")
def test_what_changed_since_is_seen_at_release(world: World, supplier: User, ann: Officer) -> None:
    workspace = world.house.workspace
    withdrawn, overtaken, fine = held = hold(world, supplier, 3)
    for officer in (ann, ALICE):
        officer.decides(workspace, held)
    world.limits = Limits()
    newer = supplier.arming(next(_counters), overtaken.target)
    assert [one.result for one in world.submit(newer)] == ["admitted"]
    found = workspace.store.estate.device(withdrawn.target)
    assert found is not None
    with workspace.store.act(Act("test", "tester", world.moments[0])) as tx:
        tx.change_device(found, DeviceStatus.WITHDRAWN, found.meter_point)
    would = dict(shown(workspace, held, world.others).would)
    assert would == {"refused: broker.device-state": 1, "refused: broker.counter": 1, "admitted": 1}
    done = {read_target(one, held): (one.result, codes(one)) for one in hand_out(world)}
    assert done == {
        withdrawn.reference: ("refused", ["broker.device-state"]),
        overtaken.reference: ("refused", ["broker.counter"]),
        fine.reference: ("admitted", []),
    }
    assert [state(world, one) for one in held] == ["waiting", "waiting", "released"]


def read_target(outcome: Outcome, held: list[QuarantineRecord]) -> str:
    assert outcome.reference in {one.reference for one in held}
    return outcome.reference


def test_the_signing_key_s_revocation_is_seen_at_release(world: World, supplier: User, ann: Officer) -> None:
    workspace = world.house.workspace
    held = hold(world, supplier)
    for officer in (ann, ALICE):
        officer.decides(workspace, held)
    _register(world, supplier, Status.REVOKED)
    assert [codes(done) for done in hand_out(world)] == [["broker.revoked"]]
    assert state(world, held[0]) == "waiting"


@pytest.mark.requirement("R-SPC-7")
def test_a_forged_state_in_the_store_releases_nothing(world: World, supplier: User) -> None:
    """Words are believed for their signatures: not because a row says released, or names an officer."""
    workspace = world.house.workspace
    named, called = hold(world, supplier, 2)
    now = world.moments[0]
    forged = [
        ConfirmationRecord(bytes([n]) * 32, "release", side, "alice", "", 1, now, now + timedelta(days=1), b"x")
        for n, side in _SIDES
    ]
    with workspace.store.act(Act("test", "tester", now)) as tx:
        for one in forged:
            tx.put_confirmation(one, [named.digest])
        tx.close_quarantine([called.digest], "released")
    assert [one.result for one in hand_out(world)] == ["held"]
    assert [one.result for one in world.submit(Given("again", called.octets))] == ["held"]


# What a person is shown


def test_patterns_are_shown_with_what_was_decided(world: World, supplier: User, ann: Officer) -> None:
    workspace = world.house.workspace
    held = hold(world, supplier, 3)
    ann.decides(workspace, held[:2])
    (line,) = (one for one in patterns(workspace, "waiting") if one.name == held[0].pattern)
    assert (line.count, line.confirmed, line.known) == (3, (2, 0), False)
    assert str(supplier.entity) in line.originator
    assert acknowledge(workspace, [line.name]) == {line.name: 3}
    (line,) = (one for one in patterns(workspace, "waiting") if one.name == held[0].pattern)
    assert line.known
    data = shown(workspace, held, world.others).as_json()
    assert data["states"] == {"waiting": 3}
    assert data["release_would"] == {"judged": 3, "admitted": 3}
    assert data["submitted_by"] == ["tester"]
    assert "54 (remote supply arm)" in data["values"].values()
    assert [(one["officer"], one["count"]) for one in data["confirmations"]] == [("Ann Ash", 2)]
    assert code_of(lambda: acknowledge(workspace, ["nothing"])) == "quarantine.unknown"


# No order of anything lets one out without two


_STEPS = st.lists(st.sampled_from(["ann", "alice", "other", "reject", "hours", "hand out"]), min_size=1, max_size=9)


@pytest.fixture
def endless(world: World, supplier: User, ann: Officer) -> tuple[World, User, Officer]:
    return world, supplier, ann


@pytest.mark.requirement("R-ANO-4")
@pytest.mark.slow(8)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@drawn(_STEPS)
def test_no_order_lets_a_command_out_without_two_words(
    endless: tuple[World, User, Officer], steps: list[str]
) -> None:
    world, supplier, ann = endless
    workspace = world.house.workspace
    held, other = hold(world, supplier, 2)
    words: dict[str, object] = {}
    over = ""
    for step in steps:
        now = world.moments[0]
        match step:
            case "hours":
                world.moments[0] += timedelta(hours=13)
            case "hand out":
                out = held.digest in _handed(world, held)
                lasting = {side for side, at in words.items() if now < at + timedelta(hours=24)}  # type: ignore[operator]
                assert out == (not over and lasting == {"ann", "alice"})
                over = "released" if out else over
            case "other":
                ann.decides(workspace, [other])  # a word about another command
            case "reject":
                if over:
                    assert code_of(lambda: ALICE.decides(workspace, [held], "reject")) == f"quarantine.{over}"
                else:
                    ALICE.decides(workspace, [held], "reject")
                    over = "rejected"
            case _:
                officer = ann if step == "ann" else ALICE
                if over:
                    assert code_of(lambda officer=officer: officer.decides(workspace, [held])) == (  # type: ignore[misc]
                        f"quarantine.{over}"
                    )
                else:
                    officer.decides(workspace, [held])
                    words[step] = now
    ALICE.decides(workspace, [other] if over else [held, other], "reject")


def _handed(world: World, held: QuarantineRecord) -> set[bytes]:
    done = [read_message(one.message).header for one in hand_out(world) if one.result == "admitted"]
    return {held.digest for header in done if (header.target, header.counter) == (held.target, held.counter)}
