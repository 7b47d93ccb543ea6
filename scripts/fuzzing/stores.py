"""What the log signed, and what brings a store back: notes, manifests, backups, the journal, entries of the log."""

import hashlib
import io
from collections.abc import Iterator
from contextlib import suppress
from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from scripts.fuzzing import certificates
from scripts.fuzzing.certificates import KEY
from scripts.fuzzing.target import NOW, Run, Target, folder
from smki.errors import SmkiError
from smki.pki.public_key import spki_of
from smki.store.store import Store

_WORKSPACE = bytes(range(16))
_NAME = f"smki/{_WORKSPACE.hex()}"


def _sign(data: bytes) -> bytes:
    return KEY.sign(data, ec.ECDSA(hashes.SHA256()))


def _spki() -> bytes:
    return spki_of(KEY.public_key())


def _notes() -> Run:
    """Notes and keys as they come, and the text of a note that the log's key signed."""
    from smki.store.note import read_checkpoint, read_verifier_key, sign_note, verifier_key

    def run(octets: bytes) -> None:
        text = octets.decode(errors="replace")
        with suppress(SmkiError):
            name, spki = read_verifier_key(text)
            assert verifier_key(name, spki) == text.strip(), "written, and read otherwise"
        with suppress(SmkiError):
            read_checkpoint(text, _spki())
        found = read_checkpoint(sign_note(text.partition("\n")[0], text.rstrip("\n") + "\n", _spki(), _sign), _spki())
        assert text.startswith(found.text().rstrip("\n")), "read, and written otherwise"

    return run


def _some_notes() -> Iterator[bytes]:
    from smki.store.note import Checkpoint, sign_checkpoint, verifier_key

    checkpoint = Checkpoint(_NAME, 5, bytes(32))
    yield checkpoint.text().encode()
    yield sign_checkpoint(checkpoint, _spki(), _sign).encode()
    yield verifier_key(_NAME, _spki()).encode()


def _manifest() -> Run:
    """As it came; and signed, so that all of it is read."""
    from smki.authority.publication.manifest import read_manifest
    from smki.store.note import sign_note

    def run(octets: bytes) -> None:
        with suppress(SmkiError):
            read_manifest(octets, _spki())
        text = octets.decode(errors="replace").rpartition("\n\n")[0] + "\n"
        note = sign_note(_NAME, text, _spki(), _sign).encode(errors="replace")
        assert read_manifest(note, _spki()).text() == text, "read, and written otherwise"

    return run


def _manifests() -> Iterator[bytes]:
    from smki.authority.publication.manifest import Listed, Manifest, sign_manifest

    files = {"index.html": "00" * 32, "crl/oca-issuing.crl": "11" * 32}
    lists = {"oca-issuing": Listed(3, 2)}
    yield sign_manifest(Manifest(_NAME, NOW, 5, bytes(32), lists, files), _spki(), _sign)


@cache
def _store(name: str) -> Store:
    """A store of ours that has done a few acts, and its journal."""
    from smki.store.journal import MARK
    from smki.store.records import Act, TokenRecord

    place = folder() / name
    journal = place / "journal"
    journal.mkdir(mode=0o700, parents=True)
    (journal / MARK).touch()
    store, _ = Store.create(f"sqlite:{place / 'smki.db'}", _WORKSPACE, journal)
    for number in range(2):
        with store.act(Act("test", "t", NOW, {"n": number, "serials": ["00"]})) as tx:
            tx.put_token(TokenRecord(f"t{number}", "softhsm", "Zoë", str(number)))
    return store


def _backup() -> Run:
    """As it came; and with the digests made right, so that what they guard is read."""
    from smki.store.backup.form import Reader

    def run(octets: bytes) -> None:
        for data in (_repaired(octets), octets):
            with suppress(SmkiError):
                for _ in Reader(io.BytesIO(data)).rows():
                    pass

    return run


def _repaired(octets: bytes) -> bytes:
    from smki.store.backup.form import MAGIC

    found, at = MAGIC, len(MAGIC)
    while 0 < (length := int.from_bytes(octets[at : at + 4])) <= len(octets) - at - 4:
        found += octets[at : at + 4 + length]
        found += hashlib.sha256(found).digest()
        at += 4 + length + 32
    return found


def _backups() -> Iterator[bytes]:
    from smki.store.backup.dump import dump

    file = io.BytesIO()
    _store("dumped")
    dump(f"sqlite:{folder() / 'dumped' / 'smki.db'}", file, NOW)
    yield file.getvalue()


def _journal() -> Run:
    """Replayed into a store that is then as it was: as it came, and with its digest made right."""
    from smki.store.journal import MARK
    from smki.store.replay import replay

    store = _store("replayed")
    place = folder() / "replayed-journal"
    place.mkdir(mode=0o700, exist_ok=True)
    (place / MARK).touch()
    path = place / f"{store.audit_size():016d}"

    class Undone(Exception):
        pass

    def run(octets: bytes) -> None:
        path.write_bytes(_framed(octets))
        with suppress(Undone), store._engine.transaction():
            with suppress(SmkiError):
                replay(place, store, store._engine)
            raise Undone

    return run


def _framed(octets: bytes) -> bytes:
    """With an end whose digest is right, where there are frames before it."""
    import msgspec

    found, at = b"", 0
    while 0 < (length := int.from_bytes(octets[at : at + 4])) <= len(octets) - at - 4:
        frame = octets[at + 4 : at + 4 + length]
        with suppress(ValueError, TypeError):
            read = msgspec.msgpack.decode(frame)
            if isinstance(read, list) and len(read) == 4 and read[0] == "end":
                frame = msgspec.msgpack.encode([*read[:3], hashlib.sha256(found).digest()])
        found += len(frame).to_bytes(4) + frame
        at += 4 + length
    return found + octets[at:]


def _acts() -> Iterator[bytes]:
    _store("dumped")
    for path in sorted((folder() / "dumped" / "journal").glob("[0-9]*")):
        yield path.read_bytes()


def _log() -> Run:
    """An entry of the log that somebody wrote into the database."""
    from smki.authority.auditing import _entry_faults
    from smki.authority.backup.account import account

    store = _store("logged")

    class Undone(Exception):
        pass

    def run(octets: bytes) -> None:
        with suppress(Undone), store._engine.transaction():
            store._engine.execute("UPDATE audit_entry SET body = ? WHERE seq = 0", (octets,))
            list(account(store._engine))
            list(_entry_faults(store, 0, 0, octets))
            raise Undone

    return run


def _entries() -> Iterator[bytes]:
    import json

    yield from (entry.body for entry in _store("logged").audit_entries())
    facts = {"certificates": ["00" * 32], "burnt": ["00" * 16], "serials": ["00" * 16], "authority": "a", "number": 1}
    for act in (
        "certificates.issued",
        "serials.reserved",
        "serials.burnt",
        "certificate.revoked",
        "crl.number-reserved",
    ):
        yield json.dumps({"act": act, "facts": {**facts, "serial": "00" * 16}, "seq": 0}).encode()
    named = {"certificates": {"a": "00" * 32}, "serials": {"a": "00" * 16}, "burnt": {"a": "00" * 16}}
    for act in ("ceremony.done", "ceremony.signing", "ceremony.resumed"):
        yield json.dumps({"act": act, "facts": named, "seq": 0}).encode()


def _published() -> Run:
    """A folder from a mirror: manifest, checkpoint, list, certificates: each the input, and named in the manifest."""
    from smki.authority.backup.published import read_published
    from smki.authority.publication.manifest import Listed, Manifest, sign_manifest
    from smki.authority.publication.verify import verify_published

    place = folder() / "mirror"
    names = ("audit/checkpoint", "crl/oca-issuing.crl", "ca/oca-issuing.cer", "ca/oca-issuing.pem", "trust/all.pem")
    for name in names:
        (place / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)

    def run(octets: bytes) -> None:
        for name in ("manifest", *names):
            (place / name).write_bytes(octets)
        read_published(place, _spki())
        verify_published(place, _NAME, _spki(), NOW)
        digests = dict.fromkeys(names[1:], hashlib.sha256(octets).hexdigest())
        signed = sign_manifest(
            Manifest(_NAME, NOW, 5, bytes(32), {"oca-issuing": Listed(3, 2)}, digests), _spki(), _sign
        )
        (place / "manifest").write_bytes(signed)
        verify_published(place, _NAME, _spki(), NOW)

    return run


def _everything_published() -> Iterator[bytes]:
    yield from _manifests()
    yield from _some_notes()
    yield from list(certificates.TARGETS["crl"].seeds())[-2:]
    yield from list(certificates.TARGETS["certificate"].seeds())[-2:]


TARGETS = {
    "notes": Target(_notes, _some_notes),
    "manifest": Target(_manifest, _manifests),
    "backup": Target(_backup, _backups),
    "journal": Target(_journal, _acts),
    "log": Target(_log, _entries),
    "published": Target(_published, _everything_published),
}
