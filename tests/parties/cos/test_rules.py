"""Every rule of changing supplier, each broken alone; and that all are told, not the first."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from smki.device.cells import CellUse
from smki.device.update import MAX_COUNTER, Floors
from smki.entity import DeviceType, KeyUsage
from smki.parties.cos.rules import MOST_FLOOR
from smki.pki.keyid import KeyIdentifier
from smki.pki.path import PathCrl
from smki.store.estate_records import DeviceStatus
from tests.house import NOW
from tests.parties.cos.world import (
    COS,
    NORTH,
    ROLE,
    SOUTH,
    Party,
    codes,
    der,
    device,
    home,
    key,
    meter,
    north,
    point,
    south,
)
from tests.parties.people import certificate, issuing, root

DAY = timedelta(days=1)
DS, KA, TOP_UP = CellUse.DIGITAL_SIGNATURE, CellUse.KEY_AGREEMENT, CellUse.TOP_UP


def test_a_home_goes_to_who_is_registered_for_it(party: Party) -> None:
    (verdict,) = party.verdicts(south.request(home()))
    assert not verdict.faults
    assert verdict.device == meter(0)
    assert [str(cell) for cell in verdict.cells] == [
        "supplier digitalSignature",
        "supplier keyAgreement",
        "supplier prePaymentTopUp",
    ]


# Of the whole request


def _without_certificates(content: bytes) -> bytes:
    from smki.pki.signed_data import make_signed_data

    return make_signed_data(content, south.signer.certificate, key("south xml"), NOW)


def _other_role() -> Any:
    return certificate(key("south xml").public_key(), SOUTH, ROLE.SUPPLIER)


def _trio(**changed: Any) -> tuple[bytes, ...]:
    return tuple(changed.get(use.name, one) for use, one in zip((DS, KA, TOP_UP), south.trio, strict=True))


SIGNERS: list[tuple[str, Callable[[], bytes]]] = [
    ("cos.signer", lambda: _without_certificates(_content())),
    ("cos.signature", lambda: south.request(home(), signing=key("north xml"))),
    ("cos.signer-role", lambda: south.request(home(), signer=_other_role())),
    ("cos.signer-identity", lambda: south.request(home(), signer=north.signer, signing=key("north xml"))),
    ("path.expired", lambda: south.request(home(), signer=_short("south xml", ROLE.XML_SIGN))),
    ("path.signature", lambda: south.request(home(), signer=_forged())),
]


def _content() -> bytes:
    from smki.parties.cos.request import write_change

    return write_change(SOUTH, NOW, south.trio, Floors(0, 0), [home()])


def _short(name: str, role: Any) -> Any:
    return certificate(key(name).public_key(), SOUTH, role, since=NOW - 30 * DAY, days=7)


def _forged() -> Any:
    """As if by our authority: the last octets of its signature changed."""
    from smki.parties.keys import certified

    octets = bytearray(der(south.signer))
    octets[-3] ^= 1
    return certified(bytes(octets), "forged")


@pytest.mark.requirement("R-REP-2")
@pytest.mark.parametrize(("code", "make"), SIGNERS, ids=[code for code, _ in SIGNERS])
def test_who_is_not_the_supplier_is_not_heard(party: Party, code: str, make: Callable[[], bytes]) -> None:
    judgement = party.judge(make())
    assert code in codes(judgement)
    assert not judgement.believed
    assert not list(judgement.verdicts()), "nothing in it is looked at"


WHOLE: list[tuple[str, Callable[[], bytes]]] = [
    ("cos.made-later", lambda: south.request(home(), made=NOW + timedelta(minutes=6))),
    ("cos.stale", lambda: south.request(home(), made=NOW - timedelta(days=7, seconds=1))),
    ("cos.certificate", lambda: south.request(home(), trio=_trio(KEY_AGREEMENT=b"\x30\x00"))),
    ("cos.certificate-identity", lambda: south.request(home(), trio=_trio(KEY_AGREEMENT=north.trio[1]))),
    ("cos.certificate-identity", lambda: south.request(home(), trio=north.trio)),
    ("cos.certificate-role", lambda: south.request(home(), trio=_trio(TOP_UP=_as(TOP_UP, ROLE.NETWORK_OPERATOR)))),
    ("cos.certificate-usage", lambda: south.request(home(), trio=(south.trio[1], south.trio[0], south.trio[2]))),
    ("cos.certificate-usage", lambda: south.request(home(), trio=_trio(TOP_UP=_for_signatures()))),
    ("cos.certificate-keys", lambda: south.request(home(), trio=(south.trio[0], south.trio[1], south.trio[1]))),
    ("path.expired", lambda: south.request(home(), trio=_trio(KEY_AGREEMENT=_expired()))),
    ("cos.floor", lambda: south.request(home(), floors=Floors(MOST_FLOOR + 1, 0))),
    ("cos.floor", lambda: south.request(home(), floors=Floors(0, MAX_COUNTER))),
]


def _as(use: CellUse, role: Any) -> bytes:
    return der(south.certificate(use, role=role))


def _for_signatures() -> bytes:
    return der(south.certificate(TOP_UP, usage=KeyUsage.DIGITAL_SIGNATURE))


def _expired() -> bytes:
    return der(south.certificate(KA, since=NOW - 30 * DAY, days=7))


@pytest.mark.parametrize(("code", "make"), WHOLE, ids=[f"{n} {code}" for n, (code, _) in enumerate(WHOLE)])
def test_each_rule_of_a_request(party: Party, code: str, make: Callable[[], bytes]) -> None:
    judgement = party.judge(make())
    assert code in codes(judgement)
    (verdict,) = judgement.verdicts()
    assert code in codes(verdict), "no home of it is given away"


def test_limits_are_exact(party: Party) -> None:
    for request in (
        south.request(home(), made=NOW + timedelta(minutes=5)),
        south.request(home(), made=NOW - timedelta(days=7)),
        south.request(home(), floors=Floors(MOST_FLOOR, MOST_FLOOR)),
    ):
        assert not party.judge(request).faults


# Of a home


@dataclass(frozen=True)
class Case:
    """What is asked, and what the registration data says."""

    code: str
    at: datetime | None
    rows: tuple[tuple[datetime, Any], ...]


LATER = NOW + 10 * DAY
REGISTRATIONS = [
    Case("", None, ((NOW - DAY, SOUTH),)),
    Case("", LATER, ((NOW - DAY, SOUTH),)),
    Case("", LATER, ((NOW - DAY, NORTH), (LATER, SOUTH))),
    Case("", LATER + DAY, ((NOW - DAY, NORTH), (LATER, SOUTH))),
    Case("cos.not-registered", None, ((NOW - DAY, NORTH),)),
    Case("cos.not-registered", None, ()),
    Case("cos.not-registered", None, ((NOW - DAY, None),)),
    Case("cos.not-registered", None, ((NOW - 9 * DAY, SOUTH), (NOW - DAY, NORTH))),
    Case("cos.registered-later", None, ((NOW - DAY, NORTH), (LATER, SOUTH))),
    Case("cos.registered-later", LATER - timedelta(seconds=1), ((NOW - DAY, NORTH), (LATER, SOUTH))),
    Case("cos.registration-ends", LATER, ((NOW - DAY, SOUTH), (LATER, NORTH))),
]


@pytest.mark.requirement("R-REP-2")
@pytest.mark.parametrize("case", REGISTRATIONS)
def test_registration_decides(party: Party, case: Case) -> None:
    party.put(device(7))
    party.register(7, *case.rows)
    (verdict,) = party.verdicts(south.request(home(7, at=case.at)))
    assert codes(verdict) == ([case.code] if case.code else [])


def test_a_change_happens_neither_in_the_past_nor_in_a_year(party: Party) -> None:
    for at, code in (
        (NOW, "cos.past"),
        (NOW - DAY, "cos.past"),
        (NOW + timedelta(days=90, seconds=1), "cos.too-far"),
    ):
        (verdict,) = party.verdicts(south.request(home(at=at)))
        assert codes(verdict) == [code]
    (verdict,) = party.verdicts(south.request(home(at=NOW + timedelta(days=90))))
    assert not verdict.faults


@pytest.mark.requirement("R-TIM-2")
def test_certificates_are_valid_when_it_happens(party: Party) -> None:
    short = tuple(der(south.certificate(use, days=11)) for use in (DS, KA, TOP_UP))
    (good,) = party.verdicts(south.request(home(at=NOW + 10 * DAY), trio=short))
    assert not good.faults
    (bad,) = party.verdicts(south.request(home(at=NOW + 10 * DAY + timedelta(seconds=1)), trio=short))
    assert codes(bad) == ["cos.validity"] * 3


def test_nothing_is_asked_twice_in_one_request(party: Party) -> None:
    party.settle(range(1, 2))
    first, second, third = party.verdicts(
        south.request(home(0), home(0, reference="again"), home(1, reference="home 0"))
    )
    assert not first.faults
    assert codes(second) == ["cos.device-twice"]
    assert codes(third) == ["cos.reference-twice"]


# Of a device


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("cos.device-elsewhere", {"meter_point": point(0)}),
        ("cos.device-elsewhere", {"meter_point": None}),
        ("cos.device-kind", {"kind": DeviceType.CHF}),
        ("cos.device-kind", {"kind": DeviceType.PPMID}),
        *(
            ("cos.device-status", {"status": status})
            for status in DeviceStatus
            if status not in {DeviceStatus.COMMISSIONED, DeviceStatus.INSTALLED}
        ),
    ],
)
def test_each_rule_of_a_device(party: Party, code: str, changes: dict[str, Any]) -> None:
    party.register(5, (NOW - DAY, SOUTH))
    party.put(device(5, **changes))
    (verdict,) = party.verdicts(south.request(home(5, devices=(meter(5),))))
    assert codes(verdict) == [code]


def test_an_installed_device_may_change_and_an_unknown_one_may_not(party: Party) -> None:
    party.register(5, (NOW - DAY, SOUTH))
    party.put(device(5, status=DeviceStatus.INSTALLED))
    good, bad = party.verdicts(south.request(home(5, devices=(meter(5), meter(6)))))
    assert not good.faults
    assert codes(bad) == ["cos.device-unknown"]


def test_all_that_stand_there_are_those_with_a_place_for_a_supplier(party: Party) -> None:
    party.register(5, (NOW - DAY, SOUTH))
    party.put(
        device(5),
        device(6, meter_point=point(5), kind=DeviceType.PPMID),
        device(7, meter_point=point(5), kind=DeviceType.HCALCS),
        device(8, meter_point=point(5), status=DeviceStatus.DECOMMISSIONED),
    )
    found = party.verdicts(south.request(home(5)))
    assert [one.device for one in found] == [meter(5), meter(7)]
    assert [len(one.cells) for one in found] == [3, 2]
    party.register(9, (NOW - DAY, SOUTH))
    (none,) = party.verdicts(south.request(home(9)))
    assert codes(none) == ["cos.no-device"]


def test_all_broken_rules_are_told_not_the_first(party: Party) -> None:
    party.put(device(5, status=DeviceStatus.SUSPENDED))
    wrong = south.request(
        home(5, at=NOW - DAY, devices=(meter(5), meter(5))), trio=north.trio, floors=Floors(MAX_COUNTER, 0)
    )
    _, verdict = party.verdicts(wrong)
    assert {
        "cos.certificate-identity",
        "cos.floor",
        "cos.past",
        "cos.not-registered",
        "cos.device-status",
        "cos.device-twice",
    } <= set(codes(verdict))


# What came before


def test_the_last_word_counts(party: Party) -> None:
    first = south.request(home(), made=NOW - timedelta(hours=2))
    later = south.request(home(), made=NOW - timedelta(hours=1), floors=Floors(5, 5))
    assert [one.result for one in party.run(later)] == ["signed"]
    (verdict,) = party.verdicts(first)
    assert codes(verdict) == ["cos.superseded"]
    same_time = south.request(home(), made=NOW - timedelta(hours=1), floors=Floors(6, 6))
    (verdict,) = party.verdicts(same_time)
    assert codes(verdict) == ["cos.superseded"]
    assert [one.result for one in party.run(south.request(home()))] == ["signed"], "a newer one may be asked for"


# Revocation


def _crl(signer: Any, *serials: int, days: int = 30) -> PathCrl:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(signer.name)
        .last_update(NOW - DAY)
        .next_update(NOW + days * DAY)
        .add_extension(x509.CRLNumber(1), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier(KeyIdentifier.of(signer.key.public_key()).octets, None, None), critical=False
        )
    )
    for serial in serials:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - DAY).build()
        )
    return PathCrl.read(builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER))


def test_revoked_certificates_do_not_serve(party: Party) -> None:
    serial = x509.load_der_x509_certificate(south.trio[1]).serial_number
    good = [_crl(root()), _crl(issuing())]
    assert not party.judge(south.request(home()), crls=good).faults
    assert "path.revoked" in codes(party.judge(south.request(home()), crls=[_crl(root()), _crl(issuing(), serial)]))
    assert "path.no-crl" in codes(party.judge(south.request(home()), crls=[_crl(root())])), "not known is a no"
    signer = south.signer.certificate.serial_number
    judgement = party.judge(south.request(home()), crls=[_crl(root()), _crl(issuing(), signer)])
    assert "path.revoked" in codes(judgement)
    assert not judgement.believed


def test_a_policy_can_ask_for_revocation_lists(party: Party) -> None:
    path = party.house.home / "policies" / "revocation.toml"
    path.write_text(path.read_text().replace('unknown = "take"', 'unknown = "refuse"'))
    party.workspace.__dict__.pop("policies")
    assert "key.status-unknown" in codes(party.judge(south.request(home())))
    assert not party.judge(south.request(home()), crls=[_crl(root()), _crl(issuing())]).faults


def test_the_party_asks_for_no_home_itself(party: Party) -> None:
    """Whoever holds its key gives away what is registered for someone, and nothing else."""
    signer = certificate(key("cos xml").public_key(), COS, ROLE.XML_SIGN)
    judgement = party.judge(south.request(home(), signer=signer, signing=key("cos xml")))
    assert codes(judgement) == ["cos.signer-identity"]
