"""The manifest's only form, its signature, and what its reader refuses."""

import base64
import dataclasses
import json
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from smki.authority.publication.manifest import (
    MAX_MANIFEST_OCTETS,
    Listed,
    Manifest,
    read_manifest,
    sign_manifest,
)
from smki.errors import InvalidInput
from smki.pki.public_key import spki_of
from smki.store.note import (
    key_id,
    read_checkpoint,
    read_verifier_key,
    sign_checkpoint,
    sign_note,
    verifier_key,
)

KEY, OTHER = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
SPKI = spki_of(KEY.public_key())
MANIFEST = Manifest(
    workspace="smki/" + "ab" * 16,
    made_at=datetime(2026, 11, 21, 12, 0, tzinfo=UTC),
    log_size=17,
    log_root=bytes(range(32)),
    lists={"oca-root": Listed(0, 0), "oca-issuing-1": Listed(12, 3)},
    files={"ca/oca-root.pem": "0" * 64, "SHA256SUMS": "f" * 64},
)


def sign(data: bytes) -> bytes:
    return KEY.sign(data, ec.ECDSA(hashes.SHA256()))


def noted(text: str, name: str = MANIFEST.workspace) -> bytes:
    return sign_note(name, text, SPKI, sign).encode()


def code_of(octets: bytes, spki: bytes = SPKI) -> str:
    with pytest.raises(InvalidInput) as caught:
        read_manifest(octets, spki)
    return caught.value.code


def test_what_is_signed_is_read() -> None:
    note = sign_manifest(MANIFEST, SPKI, sign)
    assert read_manifest(note, SPKI) == MANIFEST
    assert MANIFEST.version == 17
    assert MANIFEST.lists["oca-issuing-1"].number == 12


def test_a_manifest_is_no_checkpoint_and_a_checkpoint_no_manifest() -> None:
    with pytest.raises(InvalidInput, match="no checkpoint"):
        read_checkpoint(sign_manifest(MANIFEST, SPKI, sign).decode(), SPKI)
    assert code_of(sign_checkpoint(MANIFEST.checkpoint, SPKI, sign).encode()) == "manifest.form"


NOTE = sign_manifest(MANIFEST, SPKI, sign)


@given(st.data())
def test_no_octet_can_change(data: st.DataObject) -> None:
    note = bytearray(NOTE)
    place = data.draw(st.integers(0, len(note) - 2))  # whether the last line ends is not signed
    note[place] ^= data.draw(st.integers(1, 255))
    assert code_of(bytes(note)).startswith("manifest.")


def test_only_the_logs_key_in_the_logs_name_counts() -> None:
    text = MANIFEST.text()
    assert code_of(noted(text), spki_of(OTHER.public_key())) == "manifest.signature"
    assert code_of(noted(text, name="smki/" + "cd" * 16)) == "manifest.signature"
    blob = base64.b64encode(key_id(SPKI) + OTHER.sign(text.encode(), ec.ECDSA(hashes.SHA256()))).decode()
    forged = f"{text}\n— {MANIFEST.workspace} {blob}\n"
    assert code_of(forged.encode()) == "manifest.signature"
    assert read_manifest((forged + noted(text).decode().splitlines()[-1]).encode(), SPKI) == MANIFEST


def changed(**changes: object) -> str:
    return json.dumps({**json.loads(MANIFEST.text()), **changes}, indent=1, sort_keys=True) + "\n"


@pytest.mark.requirement("R-VER-4")
@pytest.mark.parametrize(
    "text",
    [
        changed(form="smki-manifest/2"),
        changed(more=1),
        changed(made_at="2026-13-01T00:00:00Z"),
        changed(workspace="smki/elsewhere"),
        changed(log={"size": -1, "root": "0" * 64}),
        changed(log={"size": 1 << 64, "root": "0" * 64}),
        changed(log={"size": 1, "root": "0" * 62}),
        changed(authorities={"../up": {"list": 1, "revocations": 1}}),
        changed(authorities={"oca": {"list": True, "revocations": 1}}),
        changed(files={"/etc/passwd": "0" * 64}),
        changed(files={"ca/../../x": "0" * 64}),
        changed(files={".hidden": "0" * 64}),
        changed(files={"ca/.hidden": "0" * 64}),
        changed(files={"ca/x.pem\n": "0" * 64}),
        changed(files={"ca/x.pem": "F" * 64}),
        MANIFEST.text().replace(" ", "  "),
        MANIFEST.text().replace('"log"', '"made_at": "2026-11-21T12:00:00Z",\n "log"'),
        MANIFEST.text()[:-2] + "\n",
        "[" * 10_000 + "\n",
        "\n",
    ],
)
def test_another_form_is_refused_though_it_is_signed(text: str) -> None:
    assert code_of(noted(text)) == "manifest.form"


def test_its_size_is_bounded_before_it_is_read() -> None:
    assert code_of(b" " * (MAX_MANIFEST_OCTETS + 1)) == "manifest.size"
    many = dataclasses.replace(MANIFEST, files={f"ca/a{number}.pem": "0" * 64 for number in range(20_000)})
    with pytest.raises(InvalidInput, match="octets"):
        sign_manifest(many, SPKI, sign)


def test_what_its_reader_would_refuse_is_not_signed() -> None:
    with pytest.raises(InvalidInput):
        sign_manifest(dataclasses.replace(MANIFEST, files={"ca/<b>.pem": "0" * 64}), SPKI, sign)


def test_a_verifier_key_is_read_back_and_nothing_else_is() -> None:
    line = verifier_key("smki/1", SPKI)
    assert read_verifier_key(f"{line}\n") == ("smki/1", SPKI)
    other_kind = "smki/1+" + key_id(SPKI).hex() + "+" + base64.b64encode(b"\x01" + SPKI).decode()
    no_key = "smki/1+" + key_id(SPKI).hex() + "+" + base64.b64encode(b"\x02" + SPKI[:-1]).decode()
    for wrong in ("", "smki/1", line[:-4], line.replace("smki/1+", "smki/1+0"), f"+{line}", other_kind, no_key):
        with pytest.raises(InvalidInput) as caught:
            read_verifier_key(wrong)
        assert caught.value.code == "verifier-key.form"
