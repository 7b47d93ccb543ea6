"""An officer's word: about exactly these commands, for a while, in one form."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from smki.errors import InvalidInput
from smki.parties.broker.confirmation import Confirmation, read_confirmation
from smki.parties.broker.officers import sign_as_officer
from smki.parties.broker.quarantine import confirm, decide, draft
from tests.parties.broker.deciders import ALICE, Officer
from tests.parties.broker.holding import code_of, hand_out, hold, state
from tests.parties.broker.world import User, World


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
