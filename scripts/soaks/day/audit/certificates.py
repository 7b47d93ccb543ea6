"""What the authority issued, revoked and published, and which keys there are."""

import base64
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from scripts.soaks.day.audit.scene import Checked, Scene


def _hex(octets: bytes) -> str:
    return bytes(octets).hex().upper()


def _spki(key: Any) -> bytes:
    octets: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return octets


def stored(scene: Scene) -> dict[str, x509.Certificate]:
    """By serial number. Of two with one number the second would be lost: `issued` counts the rows."""
    rows = scene.rows("authority", "SELECT serial, der FROM certificate")
    return {_hex(serial): x509.load_der_x509_certificate(bytes(der)) for serial, der in rows}


def issued(scene: Scene) -> Iterator[Checked]:
    """Each certificate once, each serial number once, each key once; signed by its issuer; in the log just once."""
    rows = scene.rows("authority", "SELECT serial, der FROM certificate")
    logged = _digests_in_log(scene)
    by_name: dict[bytes, x509.Certificate] = {}
    for _, der in rows:
        one = x509.load_der_x509_certificate(bytes(der))
        by_name.setdefault(one.subject.public_bytes(), one)
    serials, keys, whole = (
        Checked("certificates: each serial number once"),
        Checked("certificates: each key once"),
        Checked("certificates: signed by their issuer, in the log once"),
    )
    seen: Counter[str] = Counter(_hex(serial) for serial, _ in rows)
    certified: Counter[bytes] = Counter()
    for serial, der in rows:
        one = x509.load_der_x509_certificate(bytes(der))
        name = _hex(serial)
        certified[_spki(one.public_key())] += 1
        serials.holds(
            seen[name] == 1 and one.serial_number == int(name, 16),
            f"certificate {name} is not the only one, or another inside",
        )
        whole.same(
            logged.pop(hashlib.sha256(bytes(der)).hexdigest(), 0),
            1,
            f"certificate {name} is not in the log just once",
        )
        whole.holds(
            _signed(one, by_name.get(one.issuer.public_bytes())), f"certificate {name} is not signed by its issuer"
        )
    for digest in logged:
        whole.wrong.append(f"the log tells of certificate {digest[:16]}, and none is stored")
    for key, count in certified.items():
        keys.same(count, 1, f"key {hashlib.sha256(key).hexdigest()[:16]} is certified {count} times")
    yield from (serials, keys, whole)


def _digests_in_log(scene: Scene) -> Counter[str]:
    found: Counter[str] = Counter()
    for facts in scene.facts("authority", "certificates.issued"):
        found.update(facts["certificates"])
    for facts in scene.facts("authority", "ceremony.done"):
        found.update(facts["certificates"].values())
    found.update(facts["certificate"] for facts in scene.facts("authority", "ocsp.appointed"))
    return found


def _signed(one: x509.Certificate, issuer: x509.Certificate | None) -> bool:
    key = None if issuer is None else issuer.public_key()
    algorithm = one.signature_hash_algorithm
    if not isinstance(key, ec.EllipticCurvePublicKey) or algorithm is None:
        return False
    try:
        key.verify(one.signature, one.tbs_certificate_bytes, ec.ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True


def numbers(scene: Scene) -> Checked:
    """Every serial number that was ever set aside is a certificate's, or stands as one that nothing uses."""
    told = Checked("serial numbers: set aside in the log, used once or kept unused")
    drawn: Counter[str] = Counter()
    for facts in scene.facts("authority", "serials.reserved"):
        drawn.update(facts["serials"])
    for act in ("ceremony.signing", "ceremony.resumed"):
        for facts in scene.facts("authority", act):
            drawn.update(facts["serials"].values())
    drawn.update(facts["serial"] for facts in scene.facts("authority", "ocsp.appointing"))
    used = {_hex(serial) for (serial,) in scene.rows("authority", "SELECT serial FROM certificate")}
    unused = {_hex(serial) for (serial,) in scene.rows("authority", "SELECT serial FROM reservation")}
    for serial in drawn | Counter(used) | Counter(unused):
        told.holds(
            drawn[serial] == 1 and (serial in used) != (serial in unused),
            f"serial number {serial}: {drawn[serial]} times drawn, used {serial in used}, kept {serial in unused}",
        )
    return told


def requests(scene: Scene) -> Checked:
    """Each request has one outcome, a certificate of its key; nothing else was issued to a device."""
    told = Checked("requests: one outcome each, and nothing that nobody asked for")
    asked = {hashlib.sha256(octets).hexdigest(): _request_key(octets) for octets in _requests(scene)}
    certificates, outcomes = stored(scene), defaultdict[str, set[str]](set)
    for path in (scene.folder / "desk" / "meters.jsonl", *scene.files("*.results")):
        for line in map(json.loads, path.read_bytes().splitlines()):
            serial, request = line.get("serial", "none"), line["request"]
            one = certificates.get(serial)
            outcomes[request].add(serial)
            told.holds(
                one is not None and asked.get(request) == _spki(one.public_key()),
                f"{path.name}: {line['result']}, serial number {serial}, is no certificate of what was asked",
            )
    for request in asked:
        found = sorted(outcomes[request])
        told.holds(len(found) <= 1, f"request {request[:16]} has the certificates {found}")
    issuer, keys = scene.certificate("dca-issuing-1").subject, set(asked.values())
    for serial, one in certificates.items():
        if one.issuer == issuer and _is_device(one):
            told.holds(_spki(one.public_key()) in keys, f"certificate {serial} was issued, and nobody asked for it")
    return told


def _is_device(one: x509.Certificate) -> bool:
    try:
        one.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return True
    return False  # a responder's


def _requests(scene: Scene) -> Iterator[bytes]:
    for path in (scene.folder / "meters" / "made" / "requests").iterdir():
        yield path.read_bytes()
    for _, line in scene.lines("*-devices.jsonl"):
        yield base64.b64decode(line["request"])


def _request_key(octets: bytes) -> bytes:
    pem = octets.startswith(b"-----BEGIN")
    return _spki((x509.load_pem_x509_csr if pem else x509.load_der_x509_csr)(octets).public_key())


# Revocation


def revocations(scene: Scene) -> Checked:
    """What the log says is revoked is so in the store, on the last list and in the responder's answers."""
    told = Checked("revocations: in log, store, last list and OCSP alike")
    logged = {facts["serial"] for facts in scene.facts("authority", "certificate.revoked")}
    kept = {_hex(serial) for (serial,) in scene.rows("authority", "SELECT serial FROM revocation")}
    listed = set[str]()
    for path in (scene.published / "crl").glob("*.crl"):
        listed |= {f"{one.serial_number:032X}" for one in x509.load_der_x509_crl(path.read_bytes())}
    for serial in sorted(logged | kept | listed):
        told.holds(
            serial in logged and serial in kept and serial in listed,
            f"{serial} is revoked: log {serial in logged}, store {serial in kept}, list {serial in listed}",
        )
    for serial, said in scene.answered.items():
        told.same(
            said,
            "revoked" if serial in logged else "good",
            f"OCSP says {said} of {serial}, revoked: {serial in logged}",
        )
    for serial in logged - scene.answered.keys():
        told.wrong.append(f"nobody asked by OCSP about {serial}, which is revoked")
    return told


def lists(scene: Scene) -> Iterator[Checked]:
    """Of all that a mirror saw and the store keeps: no number twice, none after a higher, no entry that vanished."""
    told = Checked("lists: numbers ascend without twins, nothing older is published later")
    kept = scene.folder / "kept"
    names = sorted({path.name.rsplit("-", 1)[0] for path in kept.glob("*.crl-*")})
    for name in names:
        last: x509.CertificateRevocationList | None = None
        digests: dict[int, bytes] = {}
        for path in [*sorted(kept.glob(f"{name}-*")), scene.published / "crl" / name]:
            one = x509.load_der_x509_crl(path.read_bytes())
            number = _number(one)
            told.same(
                digests.setdefault(number, one.signature), one.signature, f"two lists of {name} have number {number}"
            )
            if last is not None:
                told.holds(_number(last) <= number, f"{name}: list {number} was published after {_number(last)}")
                told.holds(
                    last.last_update_utc <= one.last_update_utc,
                    f"{name}: list {number} says it is older than the one before",
                )
                gone = {item.serial_number for item in last} - {item.serial_number for item in one}
                told.holds(not gone, f"{name}: list {number} has lost {len(gone)} entries")
            last = one
    yield told
    numbered = Checked("lists: each number set aside once in the log")
    drawn = Counter(
        (facts["authority"], facts["number"]) for facts in scene.facts("authority", "crl.number-reserved")
    )
    for (authority, number), count in drawn.items():
        numbered.same(count, 1, f"{authority}: list number {number} was set aside {count} times")
    yield numbered


def _number(one: x509.CertificateRevocationList) -> int:
    return one.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


# Keys


def keys(scene: Scene) -> Checked:
    """Every key pair in every token has its record: a certificate, the audit key's, an authority's, a responder's."""
    told = Checked("keys: every one that exists has its record")
    certified = {_spki(one.public_key()) for one in stored(scene).values()}
    for name in scene.workspaces:
        known = certified | {bytes.fromhex(facts["public_key"]) for facts in scene.facts(name, "audit.key-made")}
        for facts in scene.facts(name, "ceremony.keys-made"):
            known |= {bytes.fromhex(facts[word]) for word in ("public_key", "contingency_key") if facts.get(word)}
        ids = {bytes(key) for (key,) in scene.rows(name, "SELECT key_id FROM responder")}
        for token, label, key_id, spki in _pairs(scene.at(name)):
            told.holds(
                spki in known or key_id in ids, f"{name}: token {token} has a key {label!r} that nothing tells of"
            )
    return told


def _pairs(home: Path) -> Iterator[tuple[str, str, bytes, bytes]]:
    """Every key pair, as the tokens themselves tell."""
    from smki.authority.workspace import Person, Workspace
    from tests.house import no_prompt

    workspace = Workspace(home, lambda: datetime.now(UTC), no_prompt, Person("auditor"))
    try:
        for name in workspace.tokens:
            token = workspace.open_token(name)
            for info in token.key_pairs():
                yield name, info.label, info.key_id, b"" if info.public_key is None else _spki(info.public_key)
    finally:
        workspace.close()
