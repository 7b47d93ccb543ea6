"""Every message of the Reference Test Data Set: admitted as it was published, or refused for the reason it gives."""

from pathlib import Path
from typing import Any

import pytest

from smki.entity import EntityId
from smki.gbcs.header import MessageCode
from smki.gbcs.message import read_message
from smki.gbcs.use_case import UseCase
from smki.parties.outcome import Outcome
from tests.house import NOW, founded, opened
from tests.parties.broker.published import SUPPLIER, Published, devices, is_same
from tests.parties.broker.world import World, codes
from tests.parties.people import BROKER
from tests.vectors_folder import read_json

pytestmark = pytest.mark.vectors
_ELSE = EntityId.parse("90b3d51f30030000")
_AS_SUPPLIER = {"IS", "GS"}
_FAR = "FUTURE"  # scenarios that take effect in the year 2030


def row(published: Published, item: dict[str, Any]) -> UseCase:
    return published.world.house.workspace.policies.use_cases[MessageCode.parse(item["header"]["message_code"])]


def user(item: dict[str, Any]) -> EntityId:
    header = item["header"]
    return EntityId.parse(header.get("supplementary_remote_party_eui64") or header["originator_eui64"])


def speaks_for(item: dict[str, Any]) -> bool:
    """Whether the broker was its originator, for a user that its device did not know."""
    return EntityId.parse(item["header"]["originator_eui64"]) == BROKER != user(item)


def reason(published: Published, item: dict[str, Any], *, as_exporter: bool = False) -> str:
    """Why a message is refused, by what the set says of it; empty: it is admitted."""
    if item["kind"] in {"response", "alert"} or user(item) in devices():
        return "broker.kind"
    if item["kind"] == "pre-command":
        return "broker.unsigned"
    users = set(row(published, item).users)
    if user(item) == SUPPLIER and users and not users & (_AS_SUPPLIER | ({"ES"} if as_exporter else set())):
        return "broker.role"
    return "broker.execution-date" if _FAR in item["scenario"] and not as_exporter else ""


def came_out(item: dict[str, Any], outcome: Outcome) -> bool:
    """As published; or asked of a device that is not known to hold somebody else, by the user in its own name."""
    if is_same(item, outcome.message):
        return True
    ours, theirs = (read_message(octets) for octets in (outcome.message, bytes.fromhex(item["message_hex"])))
    return speaks_for(item) and ours.header.originator == user(item) and ours.payload[5:] == theirs.payload[5:]


# Takes a few seconds: the set numbers many commands alike, and each of those needs a run of its own.
@pytest.mark.requirement("R-VER-5")
@pytest.mark.slow(6)
def test_the_reference_test_data_set_passes_or_is_refused_for_its_reason(tmp_path: Path) -> None:
    vectors = read_json("gbcs", "rtds.json")["vectors"]
    with founded(tmp_path / "home", lambda: NOW, kind="user") as house:
        published = Published(World(house, [NOW]))
        passed = 0
        for item, outcome in published.run(vectors):
            why = reason(published, item)
            if why:
                assert (outcome.result, why in codes(outcome)) == ("refused", True), item["name"]
            else:
                assert (outcome.result, codes(outcome)) == ("admitted", []), item["name"]
                assert came_out(item, outcome), item["name"]
                passed += 1
    assert passed, "some are admitted"


def test_where_the_policy_and_the_inventory_say_otherwise_the_rest_passes_too(tmp_path: Path) -> None:
    """Those too far ahead, an exporter's, and those whose device is believed to hold another supplier."""
    home = tmp_path / "home"
    with founded(home, lambda: NOW, kind="user"):
        policy = home / "policies" / "broker.toml"
        text = policy.read_text().replace('furthest = "366d"', 'furthest = "3660d"')
        policy.write_text(text.replace("enrolled = []", f'enrolled = ["{SUPPLIER}"]', 1))
    house = opened(home)
    published = Published(World(house, [NOW]), holder=_ELSE)
    vectors = [
        item
        for item in read_json("gbcs", "rtds.json")["vectors"]
        if item["kind"] == "command"
        and not reason(published, item, as_exporter=True)
        and (reason(published, item) or speaks_for(item))
    ]
    for item, outcome in published.run(vectors):
        assert (outcome.result, codes(outcome)) == ("admitted", []), item["name"]
        assert is_same(item, outcome.message), item["name"]
    house.workspace.close()


def test_what_was_altered_is_refused(tmp_path: Path) -> None:
    """Whose signature does not hold is refused for it, and nothing else is. MACs are not the broker's to judge."""
    vectors = [
        item
        for item in read_json("gbcs", "derived.json")["vectors"]
        if item["kind"] == "command" and (item["expected"].get("signature") or {}).get("valid") is not None
    ]
    with founded(tmp_path / "home", lambda: NOW, kind="user") as house:
        for item, outcome in Published(World(house, [NOW])).run(vectors):
            holds = item["expected"]["signature"]["valid"]
            assert ("broker.signature" in codes(outcome)) is not holds, item["name"]
            assert holds or outcome.result == "refused", item["name"]
