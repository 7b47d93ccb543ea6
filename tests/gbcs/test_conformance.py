"""The vectors nobody here wrote: every message, key and token found, through the run that laboratories use."""

import copy
from typing import Any

import pytest

from smki.authority.policies import load_policies
from smki.authority.workspace import SHIPPED
from smki.errors import InvalidInput
from smki.gbcs.conformance import Report, TestKeys, read_document, read_keys, run
from smki.gbcs.header import Cra
from smki.gbcs.message import Protection, read_message
from smki.gbcs.payload.names import Names
from smki.gbcs.words import Vocabulary, as_json, counter_agrees, read
from tests.vectors_folder import vectors

pytestmark = pytest.mark.vectors


@pytest.fixture(scope="module")
def names() -> Names:
    return load_policies(SHIPPED / "policies").names


@pytest.fixture(scope="module")
def vocabulary(names: Names) -> Vocabulary:
    return Vocabulary(load_policies(SHIPPED / "policies").use_cases, names)


def keys() -> TestKeys:
    path = vectors("gbcs", "keys.json")
    return read_keys(path.read_bytes(), path.name)


def documents() -> dict[str, Any]:
    """Every file of the folder that is not the keys."""
    folder = vectors("gbcs")
    return {
        path.name: read_document(path.read_bytes(), path.name)
        for path in sorted(folder.glob("*.json"))
        if path.name != "keys.json"
    }


@pytest.mark.requirement("R-VER-5")
def test_every_vector_agrees(names: Names) -> None:
    found = documents()
    assert found
    for name, document in found.items():
        report = Report()
        run(document, keys(), names, report)
        assert report.vectors, name
        assert not report.disagreements, (name, report.disagreements[:5])


@pytest.mark.parametrize(
    ("place", "change", "what"),
    [
        (("expected", "signature", "valid"), lambda value: not value, "signature"),
        (("expected", "mac", "valid"), lambda value: not value, "MAC"),
        (("expected", "mac", "derived_key_hex"), lambda _: "00" * 16, "derived key"),
        (("header", "message_code"), lambda _: "ffff", "header message_code"),
        (("header", "originator_counter"), lambda value: value + "0", "header originator_counter"),
        (("payload", "length"), lambda value: value + 1, "payload length"),
        (("expected", "parse"), lambda _: "error", "parse"),
    ],
)
def test_a_vector_that_says_otherwise_is_told(names: Names, place: tuple[str, ...], change: Any, what: str) -> None:
    for document in documents().values():
        for case in document.get("vectors", []):
            if case.get("protection") == "signature+mac" and case["expected"]["mac"].get("valid"):
                altered = copy.deepcopy(case)
                inner = altered
                for key in place[:-1]:
                    inner = inner[key]
                inner[place[-1]] = change(inner[place[-1]])
                report = Report()
                run({"schema": "gbcs-vectors/1", "vectors": [altered]}, keys(), names, report)
                assert [item.what for item in report.disagreements] == [what]
                return
    raise AssertionError("no vector with both protections")


def test_files_that_are_no_vectors_are_refused(names: Names) -> None:
    wrong: tuple[Any, ...] = ({"schema": "gbcs-vectors/9"}, [], {"schema": "gbcs-vectors/1", "vectors": [{}]})
    for document in wrong:
        with pytest.raises(InvalidInput):
            run(document, keys(), names, Report())
    for data in (b"{", b"[" * 100_000, b"{}", b'{"schema": "gbcs-keys/1"}'):
        with pytest.raises(InvalidInput):
            read_keys(data, "a file")


def test_every_message_reads_in_words_and_fits_its_use_case(vocabulary: Vocabulary) -> None:
    """What the reference set shows of use cases is what the table says; only altered messages may not read."""
    read_so_far = 0
    for document in documents().values():
        for case in document.get("vectors", []):
            if case["expected"]["parse"] != "ok":
                continue
            message = read_message(bytes.fromhex(case["message_hex"]))
            reading = read(message, vocabulary)
            assert reading.use_case is not None, case["name"]
            whole = case["origin"] != "derived"
            assert reading.fault is None or not whole, (case["name"], reading.fault)
            if whole:
                form = message.protection
                half_made = message.header.cra is Cra.COMMAND and form in {Protection.NONE, Protection.SIGNATURE}
                assert half_made or reading.use_case.allows(message.header.cra, form), case["name"]
            if case["kind"] == "pre-command" and whole:
                assert counter_agrees(reading), case["name"]
            told = as_json(reading, vocabulary)
            assert told["values"] or not reading.payload.nodes
            read_so_far += 1
    assert read_so_far
