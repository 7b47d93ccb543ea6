"""Batch manifests, made with openssl and believed by us only when they are exactly what they should be."""

import subprocess
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from smki.errors import InvalidInput, Refused, SmkiError
from smki.pki.manifest import Manifest, open_manifest

KEY = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1()).public_key()
DIGEST = sha256(b"a batch").digest()
LIST = f"{DIGEST.hex()}  batch.zip\n"


def cms(folder: Path, *options: str, content: str = LIST) -> bytes:
    """What `openssl cms -sign` makes of a list."""
    pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key").write_bytes(pem)
    (folder / "list").write_text(content)
    for command in (
        ["openssl", "req", "-x509", "-new", "-key", "key", "-subj", "/CN=Ann Ash", "-out", "certificate"],
        ["openssl", "cms", "-sign", "-binary", "-outform", "DER", "-in", "list", "-signer", "certificate", "-inkey",
         "key", "-out", "manifest", *options],
    ):  # fmt: skip
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return (folder / "manifest").read_bytes()


def code(data: bytes, *keys: ec.EllipticCurvePublicKey) -> str:
    with pytest.raises(SmkiError) as caught:
        open_manifest(data, keys or [KEY.public_key()])
    return caught.value.code


@pytest.mark.parametrize("options", [("-nodetach",), ("-nodetach", "-nocerts"), ("-nodetach", "-nosmimecap")])
def test_what_openssl_signs_is_opened(tmp_path: Path, options: tuple[str, ...]) -> None:
    opened = open_manifest(cms(tmp_path, *options), [OTHER, KEY.public_key()])
    assert opened == Manifest(1, frozenset({DIGEST}))


@pytest.mark.parametrize(
    ("options", "content", "expected"),
    [
        ((), LIST, "manifest.form"),  # detached
        (("-nodetach", "-noattr"), LIST, "manifest.form"),
        (("-nodetach", "-md", "sha384"), LIST, "manifest.form"),
        (("-nodetach", "-keyid"), LIST, "manifest.form"),
        (("-nodetach",), "no list\n", "manifest.form"),
        (("-nodetach",), LIST.upper(), "manifest.form"),
    ],
)
def test_every_other_form_is_refused(tmp_path: Path, options: tuple[str, ...], content: str, expected: str) -> None:
    assert code(cms(tmp_path, *options, content=content)) == expected


def test_a_stranger_or_a_change_is_refused(tmp_path: Path) -> None:
    good = cms(tmp_path, "-nodetach")
    assert code(good, OTHER) == "manifest.signer"
    assert code(good.replace(DIGEST.hex().encode(), sha256(b"another").hexdigest().encode())) == "manifest.digest"
    assert code(b"") == "manifest.form"
    assert code(good + b"\x00") == "manifest.form"


def test_any_changed_octet_is_noticed_or_means_nothing(tmp_path: Path) -> None:
    """Only what nobody signed may change: the certificates that come along, and version numbers."""
    good = cms(tmp_path, "-nodetach", "-nocerts")

    @settings(max_examples=400, deadline=None)
    @given(st.integers(0, len(good) - 1), st.integers(1, 255))
    def change(at: int, by: int) -> None:
        changed = good[:at] + bytes((good[at] ^ by,)) + good[at + 1 :]
        with suppress(InvalidInput, Refused):
            assert open_manifest(changed, [KEY.public_key()]).digests == {DIGEST}

    change()
