"""Every published command, received by the device it is for: the verdict its notes say, and the response it gives."""

from datetime import UTC, datetime
from typing import Any

import pytest

from smki.device.receive import receive
from smki.device.verdict import ACCEPTED, Step
from smki.gbcs.message import Protection, read_message
from smki.gbcs.protection import signature_holds
from tests.device.vectors import TestWorld
from tests.vectors_folder import vectors

pytestmark = pytest.mark.vectors
AT = datetime(2015, 1, 1, tzinfo=UTC)
_NOT_HERE = {"receive.not-done", "receive.payload", "receive.token"}  # passed every check; the act is another matter


def cases() -> list[dict[str, Any]]:
    import json

    found = []
    for path in sorted(vectors("gbcs").glob("*.json")):
        found += json.loads(path.read_text()).get("vectors", [])
    return [case for case in found if case["kind"] in {"command", "pre-command"}]


@pytest.fixture(scope="module")
def world() -> TestWorld:
    return TestWorld()


def expected_codes(case: dict[str, Any]) -> set[str] | None:
    """What a device must say; None where the keys to know it were not published."""
    expected = case["expected"]
    if expected["parse"] == "error":
        return {"receive.form"}
    signature, mac = expected["signature"], expected["mac"]
    if case["kind"] == "pre-command":
        return {"receive.protection", "receive.role", "receive.originator"}
    if mac["field"] == "present" and mac["valid"] is None:
        return None
    if mac["field"] == "present" and not mac["valid"]:
        return {"receive.mac"}
    if signature["field"] == "present":
        if signature["valid"] is None:
            return None
        if not signature["valid"]:
            return {"receive.signature"}
    return {ACCEPTED, *_NOT_HERE}


@pytest.mark.requirement("R-VER-5")
def test_every_command_gets_the_verdict_its_notes_say(world: TestWorld) -> None:
    judged, everything = 0, cases()
    for case in everything:
        codes = expected_codes(case)
        header: dict[str, Any] | None = case.get("header") or _any_header(case, everything)
        ready = None if header is None else world.device(header)
        if codes is None or ready is None or header is None:
            continue
        if header["originator_eui64"] not in world.roles:
            codes = {"receive.originator"}  # nobody published a certificate that a cell could hold
        state, keys = ready
        found = receive(state, keys, bytes.fromhex(case["message_hex"]), AT)
        assert found.verdict.code in codes, (case["name"], found.verdict)
        judged += 1
        if found.verdict.code == ACCEPTED:
            again = receive(found.state, keys, bytes.fromhex(case["message_hex"]), AT)
            assert again.verdict.step is Step.COUNTER, case["name"]
    assert judged


def _any_header(case: dict[str, Any], all_cases: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Of a message that does not parse: the header of what it was made from."""
    for other in all_cases:
        if other["name"] == case.get("derived_from"):
            header: dict[str, Any] = other["header"]
            return header
    return None


def test_responses_have_the_form_of_the_published_ones(world: TestWorld) -> None:
    """The same header but for its time, the same protection; the signature is the device's own."""
    import json

    everything = {}
    for path in sorted(vectors("gbcs").glob("*.json")):
        for case in json.loads(path.read_text()).get("vectors", []):
            everything[case["name"]] = case
    compared = 0
    for case in everything.values():
        if case["kind"] != "command" or case["expected"]["parse"] != "ok":
            continue
        responses = [everything[name] for name in case.get("related", []) if name in everything]
        responses = [other for other in responses if other["kind"] == "response"]
        ready = world.device(case["header"])
        if ready is None or not responses:
            continue
        state, keys = ready
        found = receive(state, keys, bytes.fromhex(case["message_hex"]), AT)
        if found.verdict.code != ACCEPTED:
            continue
        assert found.answer is not None
        ours, theirs = read_message(found.answer), read_message(bytes.fromhex(responses[0]["message_hex"]))
        for part in ("cra", "counter", "originator", "target", "code"):
            assert getattr(ours.header, part) == getattr(theirs.header, part), (case["name"], part)
        assert bool(ours.header.date_time) == bool(theirs.header.date_time), case["name"]
        _compare_supplements(ours.header.supplementary, theirs.header.supplementary, case["name"])
        assert ours.protection is theirs.protection, case["name"]
        if ours.protection is Protection.SIGNATURE:
            assert signature_holds(ours, keys.signing.public_key())
        compared += 1
    assert compared


def _compare_supplements(ours: Any, theirs: Any, name: str) -> None:
    assert (ours is None) == (theirs is None), name
    if ours is not None:
        assert (ours.party, ours.counter) == (theirs.party, theirs.counter), name
        if theirs.originator_counter is not None:
            assert ours.originator_counter is not None, name
