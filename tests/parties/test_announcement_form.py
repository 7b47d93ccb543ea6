"""The form of announcements: what is written reads the same, and nothing that comes instead is more than refused."""

import hashlib
from datetime import UTC, datetime

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import example, given
from hypothesis import strategies as st

from smki.entity import EntityId
from smki.errors import InvalidInput
from smki.parties.announcement import Announcement, read_announcement
from smki.pki.public_key import spki_of
from smki.store.note import sign_note
from tests.house import NOW

KEY = ec.derive_private_key(9, ec.SECP256R1())
SPKI = spki_of(KEY.public_key())
NORTH = EntityId.parse("90-B3-D5-1F-30-01-00-00")


def refused(octets: bytes) -> bool:
    """By its form, or because the key did not sign it."""
    try:
        return read_announcement(octets).signed_by(SPKI) is None
    except InvalidInput as error:
        return error.code == "announcement.form"


def note(said: Announcement) -> bytes:
    name = str(said.originator)
    return sign_note(name, said.text(), SPKI, lambda data: KEY.sign(data, ec.ECDSA(hashes.SHA256()))).encode()


GOOD = note(Announcement(NORTH, 7, 3, NOW, (bytes(32), b"\1" * 32)))


@given(
    originator=st.binary(min_size=8, max_size=8).map(EntityId),
    number=st.integers(1, 10**15 - 1),
    second=st.integers(0, 32_472_144_000),
    digests=st.sets(st.binary(min_size=32, max_size=32), min_size=1, max_size=20),
    data=st.data(),
)
def test_what_is_written_reads_the_same(
    originator: EntityId, number: int, second: int, digests: set[bytes], data: st.DataObject
) -> None:
    after, at = data.draw(st.integers(0, number - 1)), datetime.fromtimestamp(second, UTC)
    said = Announcement(originator, number, after, at, tuple(digests))
    unchecked = read_announcement(note(said))
    assert (unchecked.originator, unchecked.number) == (originator, number)
    assert unchecked.signed_by(SPKI) == said


@given(st.binary(max_size=300))
@example(GOOD.partition(b"\n\n")[0])
@example(GOOD.replace(b"\n\n", b"\n"))
def test_octets_of_any_kind_are_refused(octets: bytes) -> None:
    assert refused(octets)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_no_octet_can_be_another(place: int, change: int) -> None:
    octets = bytearray(GOOD)
    octets[place] ^= change
    assert refused(bytes(octets))


def test_what_is_announced_is_found_by_sha256sum() -> None:
    command = b"a signed pre-command"
    text = Announcement(NORTH, 1, 0, NOW, (hashlib.sha256(command).digest(),)).text()
    assert text.splitlines()[-1] == hashlib.sha256(command).hexdigest()
