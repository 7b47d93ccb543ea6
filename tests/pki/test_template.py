"""Templates: what is filled is what pyca would have built."""

import hashlib
import itertools
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from smki.entity import EntityId, KeyUsage
from smki.errors import IntegrityFailure, InvalidInput, Refused, SmkiError
from smki.pki.name import person_or_system_name
from smki.pki.serial import Serial
from smki.pki.template import (
    Fields,
    Template,
    _build,
    assemble,
    check_lifetime,
    check_signature,
    compile_template,
    draft,
    finish,
)
from smki.pki.validity import Validity
from tests.pki.hierarchy import POLICIES, PROFILES, draft_for, make, subject_for, validity_for

ISSUER = make("issuing-oca", make("root-oca", None)).issuer
TEMPLATES: dict[str, Template] = {
    name: compile_template(draft_for(profile, None if name.startswith("root") else ISSUER), os.urandom)
    for name, profile in PROFILES.items()
}
KEYS = [ec.generate_private_key(ec.SECP256R1()).public_key() for _ in range(8)]
SERIALS = st.binary(min_size=15, max_size=15).map(lambda tail: Serial(b"\x01" + tail))


@pytest.mark.requirement("R-SUB-2")
@pytest.mark.parametrize("name", sorted(TEMPLATES))
@given(serial=SERIALS, entity=st.binary(min_size=8, max_size=8), key=st.sampled_from(KEYS))
@settings(max_examples=15, deadline=None)
def test_a_filled_template_is_what_pyca_builds(
    name: str, serial: Serial, entity: bytes, key: ec.EllipticCurvePublicKey
) -> None:
    template = TEMPLATES[name]
    fields = Fields(
        serial,
        validity_for(template.draft.profile),
        key,
        EntityId(entity) if template.draft.has_entity else None,
    )
    assert template.fill(fields) == _build(template.draft, fields, os.urandom)


def test_dates_of_another_form_are_refused() -> None:
    template = TEMPLATES["organisation"]
    late = Validity(datetime(2051, 1, 1, tzinfo=UTC), datetime(2052, 1, 1, tzinfo=UTC))
    with pytest.raises(InvalidInput) as refusal:
        template.fill(Fields(Serial(b"\x01" * 16), late, KEYS[0], EntityId(b"12345678")))
    assert refusal.value.code == "template.dates"


def test_an_entity_is_wanted_exactly_where_the_profile_has_one() -> None:
    for name, entity in (("device", None), ("organisation", None), ("issuing-oca", EntityId(b"12345678"))):
        with pytest.raises(InvalidInput) as refusal:
            TEMPLATES[name].fill(Fields(Serial(b"\x01" * 16), validity_for(PROFILES[name]), KEYS[0], entity))
        assert refusal.value.code == "template.entity"


@pytest.mark.parametrize(
    ("profile", "change"),
    [
        ("root-oca", {"issuer": ISSUER}),
        ("issuing-oca", {"issuer": None}),
        ("issuing-oca", {"usage": KeyUsage.DIGITAL_SIGNATURE}),
        ("organisation", {"usage": None}),
        ("organisation", {"policies": ()}),
        ("organisation", {"contingency": b"\x30\x00"}),
        ("root-oca", {"contingency": None}),
        ("officer", {"usage": KeyUsage.KEY_AGREEMENT}),
    ],
)
def test_parts_that_do_not_fit_the_kind_are_refused(profile: str, change: dict[str, object]) -> None:
    chosen = PROFILES[profile]
    plan = draft_for(chosen, None if profile.startswith("root") else ISSUER)
    parts: dict[str, object] = {
        "issuer": plan.issuer,
        "subject": lambda entity: subject_for(chosen, entity),
        "policies": POLICIES,
        "validity": validity_for(chosen),
        "usage": plan.usage,
        "contingency": plan.contingency,
    }
    with pytest.raises(Refused) as refusal:
        draft(chosen, **{**parts, **change})  # type: ignore[arg-type]
    assert refusal.value.code == "profile.parts"


def test_a_longer_life_than_the_profile_allows_is_refused() -> None:
    with pytest.raises(Refused) as refusal:
        draft(
            PROFILES["organisation"],
            issuer=ISSUER,
            subject=lambda entity: subject_for(PROFILES["organisation"], entity),
            policies=POLICIES,
            validity=Validity.years(datetime(2026, 1, 1, tzinfo=UTC).date(), 11),
            usage=KeyUsage.KEY_AGREEMENT,
        )
    assert refusal.value.code == "profile.lifetime"


def test_a_life_may_end_within_the_day_after_the_last() -> None:
    """Where it begins later than midnight, so do real ones."""
    profile = PROFILES["organisation"]
    begin = datetime(2026, 1, 1, 15, tzinfo=UTC)
    last = Validity.years(begin.date(), 10).not_after + timedelta(days=1)
    check_lifetime(profile, Validity(begin, last))
    with pytest.raises(Refused):
        check_lifetime(profile, Validity(begin, last + timedelta(seconds=1)))
    check_lifetime(PROFILES["device"], Validity(begin, begin.replace(year=9999)))


def test_a_specimen_in_which_a_hole_stands_twice_is_refused() -> None:
    with pytest.raises(IntegrityFailure) as failure:
        compile_template(draft_for(PROFILES["device"], ISSUER), lambda count: b"\x01" * count)
    assert failure.value.code == "template.hole"


def test_a_template_that_differs_from_the_builder_is_refused() -> None:
    plan = draft_for(PROFILES["officer"], ISSUER)
    names = (person_or_system_name(f"Ann {number:03}") for number in itertools.count())
    with pytest.raises(IntegrityFailure) as failure:
        compile_template(replace(plan, subject=lambda _: next(names)), os.urandom)
    assert failure.value.code == "template.proof"


@pytest.mark.requirement("R-SPC-8")
def test_r_and_s_of_an_hsm_are_the_certificates_signature_once_they_verify() -> None:
    key = ec.derive_private_key(5, ec.SECP256R1())
    digest = hashlib.sha256(b"signed").digest()
    r, s = decode_dss_signature(key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256()))))
    plain = r.to_bytes(32) + s.to_bytes(32)
    made = finish(b"\x30\x00", digest, plain, key.public_key())
    assert made == assemble(b"\x30\x00", encode_dss_signature(r, s))
    for wrong in (plain[:-1] + bytes((plain[-1] ^ 1,)), plain[32:] + plain[:32], bytes(64), plain[1:]):
        with pytest.raises(IntegrityFailure) as failure:
            finish(b"\x30\x00", digest, wrong, key.public_key())
        assert failure.value.code == "signature.wrong"


@pytest.mark.requirement("R-SPC-8")
@pytest.mark.parametrize("wrong", [b"", b"\x30\x06\x02\x01\x01\x02\x01\x01", b"junk" * 16])
def test_what_an_hsm_returns_is_not_believed(wrong: bytes) -> None:
    with pytest.raises(IntegrityFailure):
        check_signature(wrong, b"data", KEYS[0])


@given(octets=st.binary(max_size=20))
def test_a_serial_number_has_sixteen_octets_on_the_wire(octets: bytes) -> None:
    try:
        serial = Serial(octets)
    except SmkiError:
        assert len(octets) != 16 or not 0 < octets[0] < 0x80
    else:
        assert serial.number.bit_length() in range(121, 128)
        assert Serial.parse(str(serial)) == serial


def test_serials_drawn_from_poor_entropy_are_drawn_again() -> None:
    draws = iter([b"\x00" * 16, b"\x80" + b"\x00" * 15, b"\xff" * 16])
    assert Serial.from_entropy(lambda _: next(draws)).octets == b"\x7f" + b"\xff" * 15


@pytest.mark.requirement("R-UID-3")
def test_a_drawn_serial_number_begins_with_its_time_and_is_else_random() -> None:
    at = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    first, second = Serial.draw(os.urandom, at), Serial.draw(os.urandom, at + timedelta(seconds=4))
    assert first.octets[:4] < second.octets[:4]
    assert first.octets[4:] != second.octets[4:]
    for year in (2020, 2026, 2099, 2155, 2300):
        octets = Serial.draw(os.urandom, at.replace(year=year)).octets
        assert 0x40 <= octets[0] < 0x80
        assert len(octets) == 16
