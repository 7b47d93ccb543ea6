"""Every reader is attacked, and every target stands its examples and a few hundred changes of them."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from types import CodeType, FrameType
from typing import Any

import pytest

from scripts.fuzzing.mutations import mutated
from scripts.fuzzing.readers import HOUSE, readers
from scripts.fuzzing.target import MOST_SECONDS
from scripts.fuzzing.targets import TARGETS
from scripts.fuzzing.trusted import FOUNDING, TRUSTED
from tests.vectors_folder import vectors

pytestmark = pytest.mark.vectors
_CHANGES = 120
_FEWER = {
    "policy-use-cases": 12,
    "policy-names-zigbee": 12,
    "policy-names-cosem": 20,
    "state": 25,
    "bundle": 30,
    **dict.fromkeys(("policy-signing", "policy-hierarchy", "policy-quorum", "policy-issuance", "lists"), 40),
}
"""Of what is long, and takes long to write again or to read."""
_EXAMPLES = 70  # of a target, for finding out what it reaches: they are alike


@pytest.fixture(autouse=True)
def examples() -> None:
    vectors("gbcs"), vectors("malformed"), vectors("pkits-p256")


@contextmanager
def _entered() -> Iterator[set[CodeType]]:
    """Every function that is called inside."""
    found: set[CodeType] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            found.add(frame.f_code)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(before)


def _name(code: CodeType) -> str:
    module = code.co_filename.removeprefix(f"{HOUSE.parent}/").removesuffix(".py").replace("/", ".")
    return f"{module.removesuffix('.__init__')}:{code.co_qualname}"


@pytest.mark.slow(8)
def test_every_reader_is_attacked() -> None:
    with _entered() as entered:
        for target in TARGETS.values():
            run = target.runner()
            seeds = list(target.seeds())
            for octets in seeds[:: 1 + len(seeds) // _EXAMPLES]:
                run(octets)
    reached, found = {_name(code) for code in entered}, readers().keys()
    free = sorted(found - reached - TRUSTED.keys())
    assert free == [], "give each a target in scripts/fuzzing, or say in trusted.py why not"
    assert sorted(TRUSTED.keys() - found) == [], "named as trusted, and no reader"
    assert sorted((TRUSTED.keys() & reached) - FOUNDING) == [], "named as trusted, and attacked: take the name out"


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_stands_its_examples_and_changes_of_them(name: str) -> None:
    target, random = TARGETS[name], Random(name)  # noqa: S311 - the same every time
    run, seeds = target.runner(), list(target.seeds())
    assert seeds, "no example"
    for number in range(_FEWER.get(name, _CHANGES)):
        octets = mutated(random.choice(seeds), seeds, random)
        before = time.process_time()
        try:
            run(octets)
        except Exception as error:  # whatever it is: the input is worth knowing
            error.add_note(f"change {number}: {octets[:2000]!r}")
            raise
        assert time.process_time() - before < MOST_SECONDS, octets[:2000]
