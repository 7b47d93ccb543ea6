"""Tokens and keys, on a real SoftHSM: what works, and what each misfortune is called."""

import copy
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509 import ocsp

from smki.errors import IntegrityFailure, InvalidInput, Refused, SmkiError, Unavailable
from smki.hsm.errors import CryptokiError, explained
from smki.hsm.module import pin_state
from smki.hsm.pin import Pin, PinSource
from smki.hsm.selftest import self_test
from smki.hsm.token import Hsm, Token, TokenRef
from tests.hsm.conftest import PIN, REF, pin

DIGEST = b"d" * 32
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def code_of(work: Callable[[], object]) -> str:
    with pytest.raises(SmkiError) as refusal:
        work()
    assert refusal.value.remedy
    assert PIN not in f"{refusal.value!r} {refusal.value}"
    return refusal.value.code


@pytest.mark.requirement("R-LEA-1")
def test_a_key_signs_and_cannot_leave(token: Token) -> None:
    key = token.generate_key("ca", b"id", "sign")
    for algorithm, data in ((hashes.SHA256(), b"data"), (Prehashed(hashes.SHA256()), DIGEST)):
        key.public_key().verify(key.sign(data, ec.ECDSA(algorithm)), data, ec.ECDSA(algorithm))
    assert len(key.sign_digest(DIGEST)) == 64
    (info,) = token.key_pairs()
    assert (info.label, info.protected, info.signs, info.agrees) == ("ca", True, True, False)
    assert code_of(key.private_numbers) == "hsm.key-not-extractable"
    encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    assert code_of(lambda: key.private_bytes(*encoding)) == "hsm.key-not-extractable"
    assert code_of(lambda: key.sign(b"", ec.ECDSA(hashes.SHA384()))) == "hsm.algorithm"
    deterministic = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    assert code_of(lambda: key.sign(b"", deterministic)) == "hsm.algorithm"
    assert code_of(lambda: key.sign_digest(b"short")) == "hsm.digest"
    assert copy.copy(key) is key
    assert copy.deepcopy(key) is key
    assert repr(key) == "HsmPrivateKey('ca' in token 'one')"
    with pytest.raises(TypeError):
        pickle.dumps(key)


def test_a_key_agrees(token: Token) -> None:
    key = token.generate_key("ka", b"id", "agree")
    peer = ec.generate_private_key(ec.SECP256R1())
    assert key.exchange(ec.ECDH(), peer.public_key()) == peer.exchange(ec.ECDH(), key.public_key())
    other = ec.generate_private_key(ec.SECP384R1()).public_key()
    assert code_of(lambda: key.exchange(ec.ECDH(), other)) == "hsm.algorithm"
    assert token.find_key(label="ka", public_key=key.public_key()).key_id == b"id"


def test_pyca_builders_take_the_key(token: Token) -> None:
    """No promise of pyca's says so: this pins it."""
    key = token.generate_key("ca", b"id", "sign")
    public = key.public_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(public)
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(1))
        .sign(key, hashes.SHA256())
    )
    certificate.verify_directly_issued_by(certificate)
    assert x509.CertificateSigningRequestBuilder().subject_name(NAME).sign(key, hashes.SHA256()).is_signature_valid
    crl = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(NAME)
        .last_update(NOW)
        .next_update(NOW + timedelta(1))
        .sign(key, hashes.SHA256())
    )
    assert crl.is_signature_valid(public)
    answer = (
        ocsp.OCSPResponseBuilder()
        .add_response(certificate, certificate, hashes.SHA256(), ocsp.OCSPCertStatus.GOOD, NOW, None, None, None)
        .responder_id(ocsp.OCSPResponderEncoding.NAME, certificate)
        .sign(key, hashes.SHA256())
    )
    public.verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(hashes.SHA256()))


def test_names_are_never_taken_twice_and_never_guessed(token: Token) -> None:
    key = token.generate_key("ca", b"id", "sign")
    assert code_of(lambda: token.generate_key("ca", b"other", "sign")) == "hsm.key-exists"
    assert code_of(lambda: token.generate_key("other", b"id", "sign")) == "hsm.key-exists"
    assert code_of(lambda: token.find_key(label="none")) == "hsm.key-missing"
    stranger = ec.generate_private_key(ec.SECP256R1()).public_key()
    assert code_of(lambda: token.find_key(label="ca", public_key=stranger)) == "hsm.key-mismatch"
    assert token.find_key(label="ca", public_key=key.public_key()).label == "ca"


def test_two_keys_of_one_label_are_refused(token: Token) -> None:
    from smki.hsm.objects import make_pair

    token.generate_key("ca", b"id", "sign")
    # Another program made a second one: our own calls would refuse.
    token._do(lambda objects: make_pair(objects._session, "ca", b"id2", "sign", store=True))
    assert code_of(lambda: token.find_key(label="ca")) == "hsm.key-ambiguous"


def test_a_lone_half_is_cleared(token: Token) -> None:
    from pkcs11 import ObjectClass

    token.generate_key("ca", b"id", "sign")
    token._do(lambda objects: objects._search(ObjectClass.PRIVATE_KEY, id=b"id")[0].destroy())
    assert not token.has_key(b"id")
    token.clear_unfinished(b"id")
    assert token.generate_key("ca", b"id", "sign")
    token.clear_unfinished(b"id")
    assert token.has_key(b"id")


def test_a_wrong_pin_is_sent_once(hsm: Hsm) -> None:
    asked = []

    def wrong() -> Pin:
        asked.append(1)
        return Pin("wrong pin")

    assert code_of(lambda: hsm.open(REF, wrong, None)) == "hsm.pin-incorrect"
    assert len(asked) == 1


def test_a_locked_pin_is_told() -> None:
    """SoftHSM never locks a PIN: the answers of HSMs that do, through the same table."""
    error = explained(CryptokiError("C_Login", 0xA4), "token one")
    assert (type(error), error.code) == (Refused, "hsm.pin-locked")
    assert [pin_state(flags) for flags in (0x40000, 0x20000, 0x10000, 0)] == [
        "locked",
        "last try",
        "wrong before",
        "good",
    ]


def test_a_token_taken_away_and_brought_back(hsm: Hsm, token: Token, tmp_path: Path) -> None:
    key = token.generate_key("ca", b"id", "sign")
    info = hsm.find(REF)
    assert info is not None
    assert info.folder is not None
    for _ in range(2):
        info.folder.rename(tmp_path / "away")
        assert code_of(lambda: key.sign_digest(DIGEST)) == "hsm.unavailable"
        assert code_of(token.key_pairs) == "hsm.unavailable"
        assert not hsm.is_present(REF)
        (tmp_path / "away").rename(info.folder)
        assert len(key.sign_digest(DIGEST)) == 64
        assert hsm.is_present(REF)


def test_a_token_emptied_by_a_death_during_login_is_mended(
    new_hsm: Callable[[], Hsm], hsm: Hsm, token: Token
) -> None:
    token.generate_key("ca", b"id", "sign")
    info = hsm.find(REF)
    assert info is not None
    assert info.folder is not None
    hsm = new_hsm()
    hsm.open(REF, pin, None)
    hsm.close()
    own = info.folder / "token.object"
    assert own.stat().st_size
    own.write_bytes(b"")
    half = own.with_name(".token.object.new")  # whoever mended it before was killed as well
    half.write_bytes(b"half")
    assert len(new_hsm().open(REF, pin, info.serial).find_key(label="ca").sign_digest(DIGEST)) == 64
    assert not half.exists()


def test_a_token_re_initialised_under_us(token: Token, tmp_path: Path) -> None:
    key = token.generate_key("ca", b"id", "sign")
    environment = {**os.environ, "SOFTHSM2_CONF": str(tmp_path / "softhsm2.conf")}
    pins = ["--so-pin", "security officer", "--pin", PIN]
    subprocess.run(
        ["softhsm2-util", "--init-token", "--token", "one", "--label", "one", *pins],
        env=environment, check=True, capture_output=True,
    )  # fmt: skip
    assert code_of(lambda: key.sign_digest(DIGEST)) == "hsm.token-changed"


def test_another_token_of_the_same_label_is_refused(new_hsm: Callable[[], Hsm], hsm: Hsm) -> None:
    assert code_of(lambda: hsm.open(REF, pin, "0123456789abcdef")) == "hsm.token-changed"
    info = hsm.find(REF)
    assert info is not None
    assert hsm.find(TokenRef("one", "softhsm", None, info.serial)) == info
    assert code_of(lambda: hsm.create_token(REF, Pin("security officer"), pin())) == "hsm.token-exists"
    environment = {**os.environ}
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", "one", "--so-pin", "12345678", "--pin", "12345678"],
        env=environment, check=True, capture_output=True,
    )  # fmt: skip
    assert code_of(lambda: new_hsm().find(REF)) == "hsm.token-ambiguous"


def test_a_missing_or_broken_module_is_told(tmp_path: Path) -> None:
    from smki.hsm.description import Description
    from smki.settings import Sourced

    def layer(module: str) -> Hsm:
        return Hsm({"x": Sourced(Description(title="X", module=[module]), "x.toml", b"")}, tmp_path)

    ref = TokenRef("t", "x", "t", None)
    assert code_of(lambda: layer("/none.so").find(ref)) == "hsm.module-missing"
    (tmp_path / "broken.so").write_text("not a library")
    assert code_of(lambda: layer(str(tmp_path / "broken.so")).find(ref)) == "hsm.module-broken"
    assert code_of(lambda: layer("/none.so").find(TokenRef("t", "y", "t", None))) == "hsm.no-kind"


def test_the_limit_of_sessions_is_told(hsm: Hsm, token: Token) -> None:
    key = token.generate_key("ca", b"id", "sign")
    limit = hsm.description("softhsm").sessions
    outcome: list[int] = []
    threads = [
        threading.Thread(target=lambda: outcome.append(len(key.sign_digest(DIGEST)))) for _ in range(3 * limit)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcome == [64] * (3 * limit)
    connection = token._connection
    assert connection is not None
    assert connection.opened <= limit
    error = explained(CryptokiError("C_OpenSession", 0xB1), "token one")
    assert (type(error), error.code) == (Unavailable, "hsm.session-limit")


def test_another_workspace_must_wait_for_the_library(hsm: Hsm, tmp_path: Path) -> None:
    other = Hsm(hsm._descriptions, tmp_path / "other")
    assert hsm.module("softhsm").tokens()
    assert code_of(lambda: other.module("softhsm")) == "hsm.module-in-use"


def test_a_forked_child_is_refused(token: Token) -> None:
    key = token.generate_key("ca", b"id", "sign")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            key.sign_digest(DIGEST)
        except SmkiError as error:
            os.write(writer, error.code.encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    assert os.read(reader, 100) == b"hsm.forked"
    os.close(reader)


STARTER = """
import sys
from pathlib import Path
from smki.hsm.description import load_descriptions
from smki.hsm.pin import Pin
from smki.hsm.token import Hsm, TokenRef
hsm = Hsm(load_descriptions([Path(sys.argv[1])]), Path(sys.argv[2]))
token = hsm.open(TokenRef("one", "softhsm", "one", None), lambda: Pin(sys.stdin.read()), None)
print(len(token.find_key(label="ca").sign_digest(b"d" * 32)))
hsm.close()
"""


def test_many_processes_start_at_once(hsm: Hsm, token: Token, tmp_path: Path) -> None:
    from tests.hsm.conftest import DESCRIPTIONS

    token.generate_key("ca", b"id", "sign")
    for _ in range(2):
        children = [
            subprocess.Popen(
                [sys.executable, "-c", STARTER, str(DESCRIPTIONS), str(tmp_path)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for _ in range(8)
        ]  # fmt: skip
        assert [child.communicate(PIN) for child in children] == [("64\n", "")] * 8


def test_the_contingency_secret_can_be_read_out(token: Token) -> None:
    assert not token.has_secret(b"secret")
    token.generate_secret("s", b"secret")
    assert token.has_secret(b"secret")
    assert len(token.reveal_secret(b"secret")) == 32
    assert code_of(lambda: token.reveal_secret(b"none")) == "hsm.key-missing"


def test_the_self_test_speaks_and_leaves_nothing(hsm: Hsm, token: Token) -> None:
    found = self_test(token, hsm.mechanisms(REF))
    assert [finding.outcome for finding in found] == ["ok", "ok", "ok", "fallback", "fallback"]
    assert token.key_pairs() == []


@pytest.mark.requirement("R-NTK-1")
@pytest.mark.parametrize("text", ["", "file:", "secret", "env:", "prompt:x"])
def test_a_pin_written_in_place_of_its_source_is_not_repeated(text: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        PinSource.parse(text)
    assert "secret" not in f"{refusal.value!r}"


@pytest.mark.requirement("R-NTK-1")
def test_pins_come_from_private_places_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(_: str) -> str:
        return "typed"

    assert PinSource.parse("prompt").obtain(ask, tmp_path) == Pin("typed")
    monkeypatch.setenv("SMKI_TEST_PIN", "from there")
    assert PinSource.parse("env:SMKI_TEST_PIN").obtain(ask, tmp_path).reveal() == "from there"
    path = tmp_path / "pin"
    path.write_text("in a file\n")
    path.chmod(0o600)
    source = PinSource.parse("file:pin")
    assert source.obtain(ask, tmp_path).reveal() == "in a file"
    path.chmod(0o640)
    assert code_of(lambda: source.obtain(ask, tmp_path)) == "pin.loose-mode"
    path.chmod(0o600)
    (tmp_path / "link").symlink_to(path)
    assert code_of(lambda: PinSource.parse("file:link").obtain(ask, tmp_path)) == "pin.missing"
    assert code_of(lambda: PinSource.parse("env:SMKI_NONE").obtain(ask, tmp_path)) == "pin.missing"
    assert "typed" not in repr(Pin("typed"))


def test_a_key_that_fell_from_the_token_is_an_integrity_failure(token: Token) -> None:
    with pytest.raises(IntegrityFailure):
        token.find_key(key_id=b"none")
