"""What the fuzzer found, each once: an input that ended in no documented error, or in too much memory."""

import json
import os
import tracemalloc
from pathlib import Path

import pytest

from scripts.fuzzing.files import _CONFIRMATION, _PROGRESS, _plans
from scripts.fuzzing.policy import files
from scripts.fuzzing.targets import TARGETS
from smki.authority.safe_files import read_bounded
from smki.cli.main import run
from smki.errors import InvalidInput
from smki.settings import MAX_FILE_OCTETS, octets_of
from tests.house import founded
from tests.vectors_folder import vectors

_ABOUT = f'"sha256": "{"00" * 32}", "workspace": "{"00" * 16}"'
_APPROVAL = f'{{"officer": "alice", {_ABOUT}, "at": "\\ud800", "signature": ""}}\n'
_ASKED = '{"use_case": "\\ud800", "target": "00-DB-12-34-56-78-90-A0", "counter": "5", "values": {}}'
_OFFICERS = 'kind = "officers"\npurpose = "p"\n[[officers]]\nname = "a"\npublic_key = "é"\n'
_OFFICER = '\n[[officer]]\nname = "a"\norganisation = "b"\nids = ["90-B3-D5"]\ncertificate = "é"\n'
_NAMES = 'names = {"a" = "é"}'
_CANCELLED = """{"form": "smki change of supplier 1", "act": "\\ud800", "supplier": "90-B3-D5-1F-30-01-00-00"}
{"reference": "a"}
"""
_CURVE = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM48AwEHBG0wawIBAQQgAAAAAAAAAAAAAAAA
AAAAAAAAAAAAAAAAAAAAAAAAAAWhRANCAARRWQt6UVFA0teEyFYIZo/f74yC/R9b
5SQhVUoNw9Az7eDBfaiQSnJ9iuG/Nr+KeSYNAS8A1NgIiNHQu0T9oW2k
-----END PRIVATE KEY-----
"""
_DERIVED = {
    "name": "a",
    "mode": "command",
    "originator_eui64": "90b3d51f30010000",
    "recipient_eui64": "00db1234567890a0",
    "counter_hex": "f" * 20,
    "key_ids": ["90b3d51f30000002-KA", "00db1234567890a0-KA"],
    "expected": {"other_info_hex": "", "derived_key_hex": ""},
}
FINDS: dict[str, tuple[str, bytes]] = {
    "a message whose JSON is not UTF-8": ("handed-in", b'{"message": "dd", "x\x8b": "0"}\n{"message": "\x8b"}'),
    "an officer's key that is not ASCII": ("ceremony", _OFFICERS.encode()),
    "a foreign officer's certificate that is not ASCII": (
        "policy-broker",
        files()["broker.toml"] + _OFFICER.encode(),
    ),
    "a policy authority's key that is not ASCII": (
        "policy-revocation",
        files()["revocation.toml"].replace(b"names = {}", _NAMES.encode()),
    ),
    "a plan's certificate that is not ASCII": (
        "plan",
        next(_plans()).replace(b'digitalSignature", certificate = "', 'digitalSignature", certificate = "é'.encode()),
    ),
    "an approval at half a character": ("approvals", _APPROVAL.encode()),
    "a progress file that is not UTF-8": ("progress", _PROGRESS.replace("smki", "\x8e", 1).encode("latin-1")),
    "a confirmation that is read and written otherwise": (
        "confirmation",
        _CONFIRMATION.replace("T10:00:00Z", "T10:0:00Z").encode(),
    ),
    "half a character that was asked for": ("lines", _ASKED.encode()),
    "half a character where a word is wanted": ("supplier-change", _CANCELLED.encode()),
    "an entry of the log that nests too deep": ("log", b'{"a":' * 5000),
    "a private key on a curve that nobody knows": ("keys", _CURVE.encode()),
    "a vector with a number that is too large": (
        "vectors",
        json.dumps({"schema": "gbcs-kdf/1", "kdf": [_DERIVED]}).encode(),
    ),
    "a file whose name has a NUL in it": ("options", b"a\0b"),
}


@pytest.mark.vectors
@pytest.mark.parametrize("find", FINDS)
def test_a_find_stays_mended(find: str) -> None:
    vectors("gbcs")
    name, octets = FINDS[find]
    TARGETS[name].runner()(octets)


def test_no_text_of_a_file_has_a_nul_in_it() -> None:
    """A file's name with one was a traceback, and a database's ended before it."""
    settings = next(iter(TARGETS["settings"].seeds())).replace(b"sqlite:smki.db", b"sqlite:\\u0000.db")
    with pytest.raises(InvalidInput, match=r"smki\.toml: a text with the character NUL") as caught:
        TARGETS["settings"].make()(settings)
    assert caught.value.code == "settings.value"


def test_a_checkpoint_that_is_no_text_is_told_as_none(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_bytes(b"\xff\n")
    with founded(tmp_path / "authority") as house:
        assert run(["--home", str(house.home), "audit", "growth", str(path)]) == InvalidInput.exit_status


def test_a_small_file_takes_little_memory(tmp_path: Path) -> None:
    """As much was set aside as the largest would take."""
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    tracemalloc.start()
    try:
        assert read_bounded(path, 1 << 28, "test") == b"abc"
        assert tracemalloc.get_traced_memory()[1] < 1 << 22
    finally:
        tracemalloc.stop()


def test_no_more_is_read_of_a_file_than_there_may_be(tmp_path: Path) -> None:
    """Of a pipe that never ends as well, and of a file without an end."""
    assert len(octets_of(Path("/dev/zero"))) == MAX_FILE_OCTETS + 1
    with pytest.raises(InvalidInput) as caught:
        read_bounded(Path("/dev/zero"), 1 << 21, "test")
    assert caught.value.code == "test.size"
    path = tmp_path / "file"
    path.write_bytes(bytes(3))
    assert read_bounded(path, 3, "test") == bytes(3)
    reader, writer = os.pipe()
    os.write(writer, b"abc")
    os.close(writer)
    assert read_bounded(Path(f"/dev/fd/{reader}"), 3, "test") == b"abc"
    os.close(reader)
