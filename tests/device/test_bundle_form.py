"""What a trust bundle must say before a device believes it: whole, for this device, in the one form it has."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from smki.device.bundle import Bundle, open_bundle, use_cases_as_json, use_cases_from_json
from smki.device.cells import CellUse
from smki.device.network import rules_as_json
from smki.entity import DeviceType, KeyUsage, RemotePartyRole
from smki.errors import InvalidInput, Refused
from smki.pki.path import PathCertificate, TrustAnchor
from smki.pki.signed_data import make_signed_data
from tests.device.desk import policies
from tests.device.home import NORTH, PARTIES, SOUTH, meter
from tests.device.home import own as made_own
from tests.parties.people import METER
from tests.pki.hierarchy import Made, chain

AT = datetime(2026, 6, 1, tzinfo=UTC)
COUNTERS = {role: number for number, role in enumerate(PARTIES)}
Told = dict[str, Any]


@cache
def signers() -> list[Made]:
    """Root, issuing authority, officer."""
    return chain("infrastructure", "officer")


def anchor() -> TrustAnchor:
    return TrustAnchor.of_certificate(PathCertificate.read(signers()[0].der))


@cache
def own() -> dict[KeyUsage, bytes]:
    return made_own()


@cache
def crl() -> bytes:
    key = ec.derive_private_key(4711, ec.SECP256R1())
    made = x509.CertificateRevocationListBuilder().issuer_name(x509.Name([])).last_update(AT)
    return made.next_update(AT + timedelta(days=1)).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def named(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()


def manifest() -> Told:
    """As one is exported for a meter."""
    return {
        "form": "smki-bundle/1",
        "version": "5",
        "device": str(METER),
        "device_type": "ESME",
        "cells": {str(name): named(cell.certificate) for name, cell in meter().cells.items()},
        "counters": {role.word: str(counter) for role, counter in COUNTERS.items()},
        "top_up_floor": "9",
        "own": {usage.value: named(der) for usage, der in own().items()},
        "certificates": [named(signers()[1].der)],
        "crls": [named(crl())],
        "use_cases": use_cases_as_json(policies().use_cases, DeviceType.ESME),
        "joins": rules_as_json(policies().joins.given_to_devices([])),
    }


def sealed(told: Told | bytes, *more: bytes, signer: Made | None = None, beside: bool = True) -> bytes:
    """Signed by the officer, or by somebody else, with all certificates that it names beside it."""
    _, issuing, officer = signers()
    one = signer or officer
    parties = [NORTH.certificate(use) for use in (CellUse.DIGITAL_SIGNATURE, CellUse.KEY_AGREEMENT)]
    ders = {*(cell.certificate for cell in meter().cells.values()), *own().values(), *parties}
    ders |= {issuing.der, *more, *({one.der} if beside else ())}
    content = told if isinstance(told, bytes) else json.dumps(told).encode()
    certificate = x509.load_der_x509_certificate(one.der)
    return make_signed_data(content, certificate, one.key, AT, certificates=sorted(ders), crls=[crl()])


def opened(told: Told | bytes) -> Bundle:
    return open_bundle(sealed(told), [anchor()], AT)


def refused(told: Told | bytes) -> str:
    with pytest.raises(InvalidInput) as refusal:
        opened(told)
    assert refusal.value.code == "bundle.form"
    return refusal.value.message


def test_a_bundle_says_what_was_told() -> None:
    found = opened(manifest())
    assert (found.version, found.device, found.kind, found.top_up_floor) == (5, METER, DeviceType.ESME, 9)
    assert (dict(found.cells), dict(found.counters), dict(found.own)) == (meter().cells, COUNTERS, own())
    assert (found.certificates, found.crls) == ((signers()[1].der,), (crl(),))
    assert found.joins == policies().joins.given_to_devices([])
    assert found.manifest == manifest()
    known = {row.code for row in policies().use_cases.all if DeviceType.ESME in row.devices}
    assert {row.code for row in found.use_cases.all} == known


def test_nothing_may_be_left_out() -> None:
    for name in manifest():
        told = manifest()
        del told[name]
        assert "KeyError" in refused(told), name


def _swap(told: Told) -> None:
    first, second = told["own"]
    told["own"] = {first: told["own"][second], second: told["own"][first]}


def _partys(told: Told) -> None:
    """Certificates of a party, in whose name the device is."""
    told["device"] = str(NORTH.entity)
    told["own"] = {usage.value: named(NORTH.certificate(use)) for usage, use in _USES}


_USES = (
    (KeyUsage.DIGITAL_SIGNATURE, CellUse.DIGITAL_SIGNATURE),
    (KeyUsage.KEY_AGREEMENT, CellUse.KEY_AGREEMENT),
)


def _row(**said: object) -> Callable[[Told], object]:
    """A use case that says something else."""
    return lambda told: next(iter(told["use_cases"].values())).update(said)


WRONG: dict[str, tuple[Callable[[Told], object], str]] = {
    "another form": (lambda told: told.update(form="smki-bundle/2"), "is known here"),
    "no form": (lambda told: told.update(form=None), "is known here"),
    "a certificate that did not come along": (
        lambda told: told["cells"].update({"supplier digitalSignature": named(SOUTH.certificate(CellUse.TOP_UP))}),
        "KeyError",
    ),
    "no certificate of its own": (lambda told: told.update(own={}), "lacks one"),
    "one certificate of its own": (lambda told: told["own"].popitem(), "lacks one"),
    "its certificates swapped": (_swap, "is not the device's"),
    "another device": (lambda told: told.update(device="00-DB-12-34-56-78-90-A1"), "is not the device's"),
    "a party as device": (_partys, "is not the device's"),
    "no counter of a role": (lambda told: told["counters"].pop("supplier"), "no counter for supplier"),
    "a use case critical perhaps": (_row(critical="true"), "TypeError"),
    "a use case dated perhaps": (_row(dated=1), "TypeError"),
    "cells in a list": (lambda told: told.update(cells=[]), "AttributeError"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_says_something_else_is_no_bundle(name: str) -> None:
    change, said = WRONG[name]
    told = manifest()
    change(told)
    assert said in refused(told)


def test_what_is_no_manifest_is_no_bundle() -> None:
    for content in (b"", b"[]", b"7", b"{", b"\xff", b"[" * 100_000):
        refused(content)
    with pytest.raises(InvalidInput) as refusal:
        open_bundle(b"\x30\x00", [anchor()], AT)
    assert refusal.value.code == "bundle.form"


def test_counters_are_texts_of_digits_that_devices_can_hold() -> None:
    """Other readers of JSON round what has more than 53 bits (RFC 7493 2.2)."""
    most = (1 << 63) - 1
    for text, number in (("0", 0), (str(most), most), ("0" * 19 + "7", 7)):
        assert opened({**manifest(), "top_up_floor": text}).top_up_floor == number
    for wrong in (7, None, "", "-1", "+1", "1e3", " 1", "\u0661", str(most + 1), "0" * 20 + "7"):
        refused({**manifest(), "top_up_floor": wrong})


def test_more_than_sixteen_mebibytes_are_not_read() -> None:
    for octets, said in ((16_777_216, "is the limit"), (16_777_217, "is the limit")):
        with pytest.raises(InvalidInput) as refusal:
            open_bundle(bytes(octets), [anchor()], AT)
        assert (said in refusal.value.message) == (octets > 16_777_216)


# Who signed it


def _unsigned(octets: bytes, anchors: list[TrustAnchor], at: datetime = AT) -> str:
    with pytest.raises(Refused) as refusal:
        open_bundle(octets, anchors, at)
    assert refusal.value.code == "bundle.signer"
    return refusal.value.message


def test_a_bundle_is_believed_for_an_anchors_sake() -> None:
    other = TrustAnchor.of_certificate(PathCertificate.read(chain("infrastructure", "officer")[0].der))
    whole = sealed(manifest())
    _unsigned(whole, [other])
    _unsigned(whole, [])
    assert open_bundle(whole, [other, anchor()], AT).version == 5
    assert "key that signed it" not in _unsigned(whole, [anchor()], AT + timedelta(days=36_500))


def test_the_certificate_of_who_signed_it_comes_along() -> None:
    assert "no certificate in it is of the key that signed it" in _unsigned(
        sealed(manifest(), beside=False), [anchor()]
    )


def test_nobody_signs_by_laying_an_officers_certificate_beside() -> None:
    stranger = chain("infrastructure", "officer")[2]
    _unsigned(sealed(manifest(), signers()[2].der, signer=stranger), [anchor()])


def test_a_certificate_that_nobody_here_can_read_does_not_hide_the_signers() -> None:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    made = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(x509.Name([]))
    made = made.public_key(key.public_key()).serial_number(5)
    made = made.not_valid_before(AT).not_valid_after(AT + timedelta(days=1))
    strange = made.sign(key, None).public_bytes(Encoding.DER)
    assert open_bundle(sealed(manifest(), strange), [anchor()], AT).version == 5


# Use cases in it


def test_use_cases_are_read_as_they_were_written() -> None:
    """But for what only concerns those who send: whose devices they are, by which service, for which user."""
    shared = ("code", "name", "title", "category", "critical", "protections", "dated", "senders", "sending_devices")
    table = policies().use_cases
    for kind in (None, *DeviceType):
        again = use_cases_from_json(json.loads(json.dumps(use_cases_as_json(table, kind))))
        rows = [row for row in table.all if kind is None or kind in row.devices]
        assert [[getattr(row, name) for name in shared] for row in again.all] == [
            [getattr(row, name) for name in shared] for row in rows
        ]
        assert {(*row.devices, *row.services, *row.users) for row in again.all} <= {()}
    assert any(RemotePartyRole.SUPPLIER in row.senders for row in table.all)
