"""Lists that a workspace is given: by whom it believes, whole, newer than before; what they say of certificates."""

import fcntl
import os
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.lists import FOLDER, MOST_FILES, listings
from smki.authority.lists_intake import take_in
from smki.authority.safe_files import write_over
from smki.authority.standing import Word, standing_of
from smki.entity import KeyUsage, RemotePartyRole
from smki.errors import SmkiError
from smki.pki.holder import load_certificate
from smki.pki.reason import Reason
from tests.authority.desk import code_of
from tests.house import NOW, House, founded, opened
from tests.parties.lists import DAY, made_list
from tests.parties.people import SUPPLIER, believe, certificate, issuing, root
from tests.pki.hierarchy import make

_KEY = ec.generate_private_key(ec.SECP256R1())
ONE = certificate(_KEY.public_key(), SUPPLIER, RemotePartyRole.SUPPLIER, KeyUsage.DIGITAL_SIGNATURE).certificate
SERIAL = ONE.serial_number


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> House:
    with founded(tmp_path_factory.mktemp("lists") / "user", kind="user") as house:
        believe(house.home)
        return house


@pytest.fixture
def user(shared: House) -> House:
    """The same workspace, without a list."""
    for path in (shared.home / FOLDER).glob("*"):
        path.unlink()
    shared.workspace.clock = lambda: NOW
    return shared


def word(user: House) -> Word:
    return standing_of(user.workspace, ONE).word


def test_a_list_says_what_is_revoked_and_what_is_good(user: House) -> None:
    assert word(user) is Word.UNKNOWN
    assert take_in(user.workspace, made_list(5)).is_new
    assert word(user) is Word.GOOD
    since = NOW - 3 * DAY
    taken = take_in(user.workspace, made_list(SERIAL, 5, number=2, compromised=since))
    assert (taken.number, taken.entries, taken.is_delta) == (2, 2, False)
    found = standing_of(user.workspace, ONE)
    assert (found.word, found.reason, found.compromised_at) == (Word.REVOKED, Reason.KEY_COMPROMISE, since)
    assert found.at == NOW - timedelta(hours=1)
    assert "key-compromise" in found.text
    (path,) = (user.home / FOLDER).iterdir()
    assert path.stat().st_mode & 0o077 == 0


def test_many_questions_are_answered_as_few_are(user: House) -> None:
    others = [int.from_bytes(b"\x43" + bytes((n,)) * 15) for n in range(1, 40)]
    # A number that begins inside another one, and looks like one there, hides nothing.
    nested = int.from_bytes(b"\x43\x02\x10" + bytes(13))
    take_in(user.workspace, made_list(*others, nested, 7, SERIAL))
    (one,) = listings(user.workspace)
    for _ in range(2):
        assert all(one.entry(serial) for serial in (*others, nested, 7, SERIAL))
        assert not any(one.entry(serial + 1) for serial in (*others, nested, 7, SERIAL))


@pytest.mark.requirement("R-REV-6")
def test_numbers_and_time_only_go_forward(user: House) -> None:
    second = made_list(SERIAL, number=2)
    assert take_in(user.workspace, second).is_new
    assert not take_in(user.workspace, second).is_new
    for octets in (
        made_list(number=1),
        made_list(number=2),
        made_list(number=3, since=NOW - 2 * DAY),
    ):
        assert code_of(lambda octets=octets: take_in(user.workspace, octets)) == "crl.older"  # type: ignore[misc]
    assert word(user) is Word.REVOKED


def test_a_delta_adds_to_the_list_before_it(user: House) -> None:
    delta = made_list(SERIAL, number=8, base=7)
    assert code_of(lambda: take_in(user.workspace, delta)) == "crl.no-base"
    take_in(user.workspace, made_list(number=7))
    assert word(user) is Word.GOOD
    assert take_in(user.workspace, delta).is_delta
    assert word(user) is Word.REVOKED
    assert code_of(lambda: take_in(user.workspace, made_list(number=8, base=7))) == "crl.older"
    take_in(user.workspace, made_list(number=9))
    assert word(user) is Word.REVOKED, "whichever list said so"


def test_a_list_covers_what_it_is_about(user: House) -> None:
    def scope(**more: bool) -> tuple[tuple[x509.ExtensionType, bool], ...]:
        plain = {
            "only_contains_user_certs": False,
            "only_contains_ca_certs": False,
            "indirect_crl": False,
            "only_contains_attribute_certs": False,
        }
        said = {**plain, **more}
        return ((x509.IssuingDistributionPoint(None, None, only_some_reasons=None, **said), True),)

    take_in(user.workspace, made_list(SERIAL, more=scope(only_contains_ca_certs=True)))
    assert word(user) is Word.UNKNOWN
    take_in(user.workspace, made_list(number=2, more=scope(only_contains_user_certs=True)))
    assert word(user) is Word.GOOD
    indirect = made_list(number=3, more=scope(indirect_crl=True))
    assert code_of(lambda: take_in(user.workspace, indirect)) == "path.crl-scope"


@pytest.mark.requirement("R-TIM-4")
def test_a_list_in_the_past_or_to_come_says_nothing_good(user: House) -> None:
    take_in(user.workspace, made_list())
    for moment in (NOW + 2 * DAY, NOW - 2 * DAY):
        user.workspace.clock = lambda moment=moment: moment  # type: ignore[misc]
        assert word(user) is Word.UNKNOWN


def test_a_list_older_than_the_policy_likes_says_nothing_good(user: House) -> None:
    take_in(user.workspace, made_list(since=NOW - 8 * DAY, until=NOW + 30 * DAY))
    assert word(user) is Word.UNKNOWN


@pytest.mark.requirement("R-REV-6")
def test_nobody_else_makes_a_list(user: House) -> None:
    stranger = make("issuing-oca", make("root-oca", None))
    for octets in (made_list(SERIAL, signer=stranger), made_list(SERIAL, signer=make("root-oca", None))):
        assert code_of(lambda octets=octets: take_in(user.workspace, octets)) in {"crl.signer", "crl.form"}  # type: ignore[misc]
    changed = bytearray(made_list(SERIAL))
    changed[-1] ^= 1
    assert code_of(lambda: take_in(user.workspace, bytes(changed))) in {"crl.form", "path.form"}
    assert word(user) is Word.UNKNOWN


@pytest.mark.parametrize(
    "octets", [b"", b"\x30\x80", b"\xff" * 100, b"-----BEGIN X509 CRL-----\nAAAA\n", b"-----BEGIN"]
)
def test_what_is_no_list_is_refused(user: House, octets: bytes) -> None:
    assert code_of(lambda: take_in(user.workspace, octets)).split(".")[1] == "form"


def test_a_file_that_was_changed_is_not_passed_over(user: House) -> None:
    take_in(user.workspace, made_list(SERIAL))
    assert word(user) is Word.REVOKED
    (path,) = (user.home / FOLDER).iterdir()
    octets = bytearray(path.read_bytes())
    octets[-1] ^= 1
    path.write_bytes(bytes(octets))
    with pytest.raises(SmkiError):
        word(user)


def test_the_folder_is_guarded(user: House, tmp_path: Path) -> None:
    take_in(user.workspace, made_list(SERIAL))
    (path,) = (user.home / FOLDER).iterdir()
    path.chmod(0o666)
    try:
        assert code_of(lambda: opened(user.home)) == "workspace.loose-mode"
    finally:
        path.chmod(0o600)


def test_the_roots_list_is_about_authorities(user: House) -> None:
    taken = take_in(user.workspace, made_list(77, signer=root()))
    assert taken.entries == 1
    assert word(user) is Word.UNKNOWN


def test_an_older_list_does_not_come_over_a_newer_when_two_come_at_once(user: House) -> None:
    take_in(user.workspace, made_list(number=1))
    (path,) = (user.home / FOLDER).iterdir()
    told: list[str] = []

    def older() -> None:
        other = opened(user.home)
        told.append(code_of(lambda: take_in(other.workspace, made_list(number=2))))
        other.workspace.close()

    folder = os.open(user.home / FOLDER, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)  # as whoever takes in list 3 at the same time
    thread = threading.Thread(target=older)
    thread.start()
    thread.join(1)
    assert thread.is_alive(), "it waits"
    write_over(path, made_list(SERIAL, number=3), 0o600)
    os.close(folder)
    thread.join(30)
    assert told == ["crl.older"]
    assert word(user) is Word.REVOKED


def test_no_list_is_passed_over_where_there_are_many(user: House) -> None:
    take_in(user.workspace, made_list(SERIAL))
    for number in range(MOST_FILES):
        (user.home / FOLDER / f"0{number}").write_bytes(b"")
    assert code_of(lambda: word(user)) == "crl.count"


def test_a_revoked_authority_makes_no_list(user: House) -> None:
    serial = load_certificate(issuing().der, "it").serial_number
    take_in(user.workspace, made_list(number=1))
    take_in(user.workspace, made_list(serial, signer=root()))
    assert code_of(lambda: take_in(user.workspace, made_list(number=1 << 60))) == "key.revoked"
