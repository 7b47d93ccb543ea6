"""Every message of the Reference Test Data Set: admitted as it was published, or refused for its reason."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from smki.entity import EntityId
from tests.house import NOW, founded, opened
from tests.parties.broker.published import SUPPLIER, Published, is_same
from tests.parties.broker.world import World, codes
from tests.vectors_folder import read_json

pytestmark = pytest.mark.vectors
_ELSE = EntityId.parse("90b3d51f30030000")
Found = Counter[tuple[str, str, str, bool, tuple[str, ...]]]


def told(published: Published, vectors: list[dict[str, Any]]) -> tuple[Found, list[dict[str, Any]]]:
    """What became of each kind of message, and the commands that did not come out as published."""
    found: Found = Counter()
    others = []
    for item, outcome in published.run(vectors):
        same = bool(outcome.message) and is_same(item, outcome.message)
        found[item["kind"], item["protection"], outcome.result, same, tuple(codes(outcome))] += 1
        if item["kind"] == "command" and not same:
            others.append(item)
    return found, others


# Takes a few seconds: the set numbers many commands alike, and each of those needs a run of its own.
@pytest.mark.slow(6)
def test_the_reference_test_data_set_passes_or_is_refused_for_its_reason(tmp_path: Path) -> None:
    vectors = read_json("gbcs", "rtds.json")["vectors"]
    with founded(tmp_path / "home", lambda: NOW, kind="user") as house:
        found, others = told(Published(World(house, [NOW])), vectors)
    assert found == {
        # What was published came out: the same octets, where the broker does not draw a number of its own.
        ("command", "signature+mac", "admitted", True, ()): 94,
        ("command", "mac", "admitted", True, ()): 164,
        ("command", "signature", "admitted", True, ()): 2,  # credentials read by a signer: no MAC of the broker's
        # Asked of a device that knows the supplier, who so speaks for itself; see below.
        ("command", "mac", "admitted", False, ()): 4,
        # The supplier as export supplier or other user, which it is not here.
        ("command", "mac", "refused", False, ("broker.role",)): 6,
        # What one device of a home orders another.
        ("command", "mac", "refused", False, ("broker.kind",)): 1,
        # The year 2030 is too far ahead.
        ("command", "signature+mac", "refused", False, ("broker.execution-date",)): 13,
        ("pre-command", "none", "refused", False, ("broker.execution-date", "broker.unsigned")): 13,
        ("pre-command", "none", "refused", False, ("broker.unsigned",)): 89,
        ("response", "mac", "refused", False, ("broker.kind",)): 175,
        ("response", "signature", "refused", False, ("broker.kind", "broker.originator")): 110,
        ("alert", "mac", "refused", False, ("broker.kind",)): 7,
        ("alert", "signature", "refused", False, ("broker.kind", "broker.originator")): 43,
    }
    assert len(others) == 24


def test_where_the_policy_and_the_inventory_say_otherwise_the_rest_passes_too(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with founded(home, lambda: NOW, kind="user"):
        policy = home / "policies" / "broker.toml"
        text = policy.read_text().replace('furthest = "366d"', 'furthest = "3660d"')
        policy.write_text(text.replace("enrolled = []", f'enrolled = ["{SUPPLIER}"]', 1))
    house = opened(home)
    published = Published(World(house, [NOW]), holder=_ELSE)
    names = ("FUTURE_DATED", "CS03B_8.7.2_ERROR", "CS08_11.2_ERROR", "URP", "GCS61_4.17_SUCCESS", "ECS21c", "ECS39b")
    vectors = [
        item
        for item in read_json("gbcs", "rtds.json")["vectors"]
        if item["kind"] == "command" and any(name in item["name"] for name in names)
    ]
    found, _ = told(published, vectors)
    house.workspace.close()
    assert found == {
        ("command", "signature+mac", "admitted", True, ()): 13,
        ("command", "mac", "admitted", True, ()): 8,
    }


def test_what_was_altered_is_refused(tmp_path: Path) -> None:
    wanted = {
        "NEG0_SIG_BIT": "broker.signature",
        "NEG0_PAYLOAD": "broker.signature",
        "NEG0_COUNTER": "broker.signature",
        "NEG0_WRONG_SIGNER": "broker.signature",
        "NEG0_S_ZERO": "broker.signature",
        "NEG0_SIGN_WITH_DF": "broker.signature",
        "POS0_S_COMPLEMENT": "",
    }
    vectors = [
        item
        for item in read_json("gbcs", "derived.json")["vectors"]
        if item["kind"] == "command" and any(item["name"].startswith(name) for name in wanted)
    ]
    assert {item["name"][:9] for item in vectors} == {name[:9] for name in wanted}
    with founded(tmp_path / "home", lambda: NOW, kind="user") as house:
        for item, outcome in Published(World(house, [NOW])).run(vectors):
            (code,) = (code for name, code in wanted.items() if item["name"].startswith(name))
            assert (code in codes(outcome)) if code else (outcome.result == "admitted"), item["name"]
