"""A conformance run for laboratories: whatever a vector says otherwise than this program does is told."""

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from smki.authority.policies import load_policies
from smki.authority.workspace import SHIPPED
from smki.errors import InvalidInput
from smki.gbcs.conformance import Report, TestKeys, read_document, read_keys, run
from smki.gbcs.payload.names import Names
from tests.vectors_folder import read_json, vectors

pytestmark = pytest.mark.vectors
Path = tuple[str | int, ...]
MESSAGES = (
    "CCS01_8.11_ERROR_COMMAND",  # a supplementary party
    "ECS17b_4.1.1_SINGLE_SUCCESS_RESPONSE",  # a date and time, an encrypted part
    "CS02aSignature_NA_ERROR_RESPONSE",  # a signature alone
    "CS02bNOByNO_6.15.1_SUCCESS_COMMAND",  # both
    "CS02bNOByNO_6.15.1_SUCCESS_PRECOMMAND",  # neither
    "NEG0_ENC_TAG_GCS15b_4.4.2_SUCCESS_RESPONSE",  # several encrypted parts, one of them changed
    "EXAMPLE_MALFORMED_2",  # no message
)
# What a vector says for people, and what this program does not make on its way.
UNCOMPARED = {
    "name", "origin", "use_case", "service_reference", "scenario", "kind", "message_name", "source", "related",
    "container", "becomes", "derived_from", "derivation", "aad_hex", "gcm_tag_hex", "ptut_hex",
    "shared_secret_hex",
}  # fmt: skip
WHAT = {
    "parse": "parse", "protection": "protection", "wrapper": "wrapper", "offset": "payload offset",
    "length": "payload length", "format": "payload format", "kdf_other_info_hex": "OtherInfo",
    "derived_key_hex": "derived key", "plaintext_hex": "plaintext", "payload_offset": "encrypted parts",
}  # fmt: skip


@cache
def names() -> Names:
    return load_policies(SHIPPED / "policies").names


@cache
def keys() -> TestKeys:
    return read_keys(vectors("gbcs", "keys.json").read_bytes(), "keys.json")


@cache
def cases() -> dict[str, dict[str, Any]]:
    documents = (read_json("gbcs", f"{name}.json") for name in ("rtds", "examples", "derived"))
    return {case["name"]: case for document in documents for case in document["vectors"]}


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    match value:
        case dict():
            for name, one in value.items():
                if name not in UNCOMPARED:
                    yield from leaves(one, (*path, name))
        case list():
            for place, one in enumerate(value):
                yield from leaves(one, (*path, place))
        case _:
            yield path, value


def otherwise(value: Any) -> Any:
    match value:
        case None:
            return True
        case bool():
            return not value
        case int():
            return value + 1
        case _:
            return f"{value}0" if value != "ok" else "error"


def altered(case: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    found = copy.deepcopy(case)
    inner: Any = found
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return found


def told(document: dict[str, Any]) -> set[str]:
    """What disagrees; or that the file is not of its form."""
    report = Report()
    try:
        run(document, keys(), names(), report)
    except InvalidInput as error:
        return {error.code}
    return {one.what for one in report.disagreements}


@pytest.mark.parametrize("name", MESSAGES)
def test_each_thing_that_a_message_is_said_to_be_is_compared(name: str) -> None:
    case = cases()[name]
    assert told({"schema": "gbcs-vectors/1", "vectors": [case]}) == set()
    for path, value in leaves(case):
        found = told({"schema": "gbcs-vectors/1", "vectors": [altered(case, path, otherwise(value))]})
        last = str(path[-1])
        wanted = f"header {last}" if path[0] == "header" else WHAT.get(last)
        if path[0] == "expected" and path[-2:] in {("signature", "field"), ("mac", "field")}:
            wanted = {"signature": "signature field", "mac": "MAC field"}[str(path[1])]
        if path[-1] == "length" and path[1] == "encrypted_blocks":
            wanted = "encrypted parts"
        assert found, path
        assert wanted is None or wanted in found, (path, found)


def test_every_comparison_is_counted() -> None:
    """So that a laboratory sees what a run was about."""
    report = Report()
    chosen = [cases()[name] for name in MESSAGES]
    run({"schema": "gbcs-vectors/1", "vectors": chosen}, keys(), names(), report)
    assert (report.vectors, report.disagreements) == (len(MESSAGES), [])
    read = len(MESSAGES) - 1
    said = {what: count for what, count in report.compared.items() if not what.startswith("header ")}
    assert said == {
        "parse": read + 1, "re-encode": read, "protection": read, "payload offset": read, "payload length": read,
        "payload format": read, "wrapper": read, "signature field": read, "signature": 2, "MAC field": read,
        "MAC": 4, "OtherInfo": said["derived key"], "derived key": 4 + said["decryption"], "encrypted parts": 2,
        "decryption": said["decryption"], "plaintext": said["decryption"] - 1, "signed octets": 1,
    }  # fmt: skip
    assert said["decryption"] > 3
    headers = {what.removeprefix("header "): count for what, count in report.compared.items() if what not in said}
    always = (
        "cra_flag", "originator_counter", "originator_counter_hex", "originator_eui64", "recipient_eui64",
        "date_time_hex", "message_code", "other_information_length",
    )  # fmt: skip
    extra = ("supplementary_remote_party_eui64", "supplementary_remote_party_counter_hex")
    assert headers == {**dict.fromkeys(always, read), **dict.fromkeys(extra, 1)}


def test_a_supplementary_counter_and_certificate_are_compared() -> None:
    """In a response to somebody unknown, and in the command before it (GBCS 7.2.7)."""
    field = "supplementary_originator_counter_hex"
    response = next(one for one in cases().values() if field in one.get("header", ()))
    command = next(one for one in cases().values() if one.get("header", {}).get("other_information_length", 0) > 26)
    for case, name in ((response, field), (command, "other_information_length")):
        path: Path = ("header", name)
        assert told({"schema": "gbcs-vectors/1", "vectors": [case]}) == set()
        document = {"schema": "gbcs-vectors/1", "vectors": [altered(case, path, otherwise(case["header"][name]))]}
        assert told(document) == {f"header {name}"}
        without = copy.deepcopy(case)
        del without["header"][name]
        assert told({"schema": "gbcs-vectors/1", "vectors": [without]}) == {f"header {name}"}


def test_what_is_signed_of_a_command_is_what_its_pre_command_said() -> None:
    before, after = (cases()[f"CS02bNOByNO_6.15.1_SUCCESS_{kind}"] for kind in ("PRECOMMAND", "COMMAND"))
    other = cases()["CCS01_8.11_ERROR_COMMAND"]
    assert told({"schema": "gbcs-vectors/1", "vectors": [after, before]}) == set()
    wrong = {**before, "becomes": other["name"]}
    assert told({"schema": "gbcs-vectors/1", "vectors": [other, wrong]}) == {"signed octets"}


# Tokens and keys


def test_each_thing_that_a_token_is_said_to_be_is_compared() -> None:
    document = read_json("gbcs", "utrn.json")
    assert told(document) == set()
    case = {**document["utrn"][0], "value_class": "pounds"}
    for path, value in leaves(case):
        if path[-1] in {"kdf_other_info_hex", "derived_key_hex"}:
            continue
        other = "pence" if value == "pounds" else otherwise(value)
        assert told({"schema": "gbcs-utrn/1", "utrn": [altered(case, path, other)]}), path
    pennies = next(one for one in document["utrn"] if one["value_class"] == "pennies")
    assert told({"schema": "gbcs-utrn/1", "utrn": [{**pennies, "value_class": "pence"}]}) == set()
    good = {"name": "good", "value": 1, "value_class": "pounds"}
    assert told({"schema": "gbcs-utrn/1", "utrn": [], "errors": [good]}) == {"refused"}
    for one in document["check_digit"]:
        wrong = {**one, "valid": not one["valid"]}
        assert told({"schema": "gbcs-utrn/1", "utrn": [], "check_digit": [wrong]}) == {"check digit"}


def test_each_thing_that_a_derivation_is_said_to_give_is_compared() -> None:
    document = read_json("gbcs", "kdf.json")
    report = Report()
    run(document, keys(), names(), report)
    assert not report.disagreements
    assert report.vectors == len(document["kdf"]) + len(document["gcm"])
    for part in ("kdf", "gcm"):
        case = document[part][0]
        for path, value in leaves(case):
            changed = {"schema": "gbcs-kdf/1", "kdf": [], part: [altered(case, path, otherwise(value))]}
            assert told(changed), path


def test_a_derivation_takes_the_private_half_of_either_key() -> None:
    case = read_json("gbcs", "kdf.json")["kdf"][0]
    swapped = {**case, "key_ids": case["key_ids"][::-1]}
    assert told({"schema": "gbcs-kdf/1", "kdf": [case, swapped]}) == set()
    public = TestKeys([{**one, "private_key_hex": None} for one in read_json("gbcs", "keys.json")["keys"]])
    with pytest.raises(InvalidInput, match="no private key"):
        run({"schema": "gbcs-kdf/1", "kdf": [case]}, public, names(), Report())


# What is told, and of what


def test_a_disagreement_is_told_in_short_and_in_characters_that_can_be_shown() -> None:
    report = Report()
    assert report.compare("v", "w", 7, 7)
    assert not report.compare("v", "w", 1, True)
    assert not report.compare("v" * 300, "w", "\ud800", None)
    first, second = report.disagreements
    assert first.as_json() == {"vector": "v", "what": "w", "expected": "1", "found": "True"}
    assert (second.vector, second.expected, second.found) == ("v" * 200, "\\ud800", "None")
    assert report.compared == {"w": 3}


def test_files_of_another_form_are_refused_by_their_fault() -> None:
    for data, code in ((b"{", "check.form"), (b"[" * 100_000, "check.form"), (bytes((1 << 28) + 1), "check.size")):
        with pytest.raises(InvalidInput) as refusal:
            read_document(data, "a file")
        assert refusal.value.code == code
    assert read_document(b"[7]", "a file") == [7]
    for data, code in (
        (b"7", "check.schema"),
        (b"{}", "check.schema"),
        (b'{"schema": "gbcs-keys/2", "keys": []}', "check.schema"),
        (b'{"schema": "gbcs-keys/1"}', "check.form"),
        (b'{"schema": "gbcs-keys/1", "keys": [{}]}', "check.form"),
        (b'{"schema": "gbcs-keys/1", "keys": 7}', "check.form"),
    ):
        with pytest.raises(InvalidInput) as refusal:
            read_keys(data, "a file")
        assert refusal.value.code == code
    for document, code in (
        ([], "check.schema"),
        ({"schema": 7}, "check.schema"),
        ({"schema": "gbcs-keys/1"}, "check.schema"),
        ({"schema": "gbcs-vectors/1"}, "check.form"),
        ({"schema": "gbcs-vectors/1", "vectors": [{"name": "x", "message_hex": "x"}]}, "check.form"),
    ):
        with pytest.raises(InvalidInput) as refusal:
            run(document, keys(), names(), Report())
        assert refusal.value.code == code
