"""Which certificates may go into cells, each rule by itself: roots, links, parties, the supplier's cells."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.device.cells import CellName, CellUse
from smki.device.modes import BROKER_CELL, ROOT_CELL, SUPPLIER_CELLS
from smki.device.replacing import judge
from smki.device.update import Put
from smki.gbcs.payload.credentials import CellIdentifier, CellUsage, Mode, StatusCode
from smki.gbcs.payload.declared import KEY_CERT_SIGN
from smki.pki.keyid import KeyIdentifier
from smki.pki.name import authority_name
from tests.device.home import (
    AT,
    BROKER,
    COS,
    FIRST,
    NORTH,
    OPERATOR,
    OTHER_OPERATOR,
    ROLE,
    SECOND,
    SOUTH,
    authority,
    cells,
    link,
    supplier_set,
    update,
)

CONTINGENCY, RECOVERY = Mode.ANY_BY_CONTINGENCY, Mode.ANY_EXCEPT_ABNORMAL_ROOT_BY_RECOVERY
ONE_SECOND = timedelta(seconds=1)
KEY, OTHER = ec.derive_private_key(4711, ec.SECP256R1()), ec.derive_private_key(4712, ec.SECP256R1())
ROOT, ISSUING = authority_name(ROLE.ROOT, "ZC"), authority_name(ROLE.ISSUING_AUTHORITY, "ZC")
LOAD = CellName(ROLE.LOAD_CONTROLLER, CellUse.DIGITAL_SIGNATURE)
OPERATOR_SIGNS = CellName(ROLE.NETWORK_OPERATOR, CellUse.DIGITAL_SIGNATURE)
SUCCESS, BAD, NO_ANCHOR = StatusCode.SUCCESS, StatusCode.BAD_CERTIFICATE, StatusCode.NO_TRUST_ANCHOR
MISSING = StatusCode.TRUST_ANCHOR_NOT_FOUND


@dataclass(frozen=True)
class Certificate:
    """One of an authority, as one wants it."""

    subject: x509.Name = ROOT
    issuer: x509.Name = ROOT
    key: ec.EllipticCurvePrivateKey = KEY
    signer: ec.EllipticCurvePrivateKey = KEY
    begins: datetime = AT - timedelta(days=1)
    ends: datetime = AT + timedelta(days=9000)
    is_authority: bool = True
    bits: tuple[int, ...] | None = (5, 6)

    def der(self) -> bytes:
        public, signer = self.key.public_key(), self.signer.public_key()
        made = x509.CertificateBuilder().subject_name(self.subject).issuer_name(self.issuer).public_key(public)
        made = made.serial_number(0x4300112233445566).not_valid_before(self.begins).not_valid_after(self.ends)
        made = made.add_extension(x509.BasicConstraints(self.is_authority, None), critical=True)
        if self.bits is not None:
            made = made.add_extension(x509.KeyUsage(*(bit in self.bits for bit in range(9))), critical=True)
        made = made.add_extension(x509.SubjectKeyIdentifier(KeyIdentifier.of(public).octets), critical=False)
        above = x509.AuthorityKeyIdentifier(KeyIdentifier.of(signer).octets, None, None)
        if self.subject != self.issuer:
            policy = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), None)])
            made = made.add_extension(above, critical=False).add_extension(policy, critical=True)
        return made.sign(self.signer, hashes.SHA256()).public_bytes(Encoding.DER)


def status(mode: Mode, name: CellName, der: bytes, at: datetime = AT, **more: object) -> StatusCode:
    """Of one replacement, which is judged alone."""
    (found,) = judge(cells(), update(mode, 1, [Put.into(name, der)], **more), at)  # type: ignore[arg-type]
    assert (found.cell is not None) == (found.status is SUCCESS)
    return found.status


# Roots


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        (Certificate(), SUCCESS),
        (Certificate(signer=OTHER), BAD),
        (Certificate(issuer=authority_name(ROLE.ROOT, "ZD")), BAD),
        (Certificate(is_authority=False), BAD),
        (Certificate(bits=(6,)), BAD),
        (Certificate(bits=None), BAD),
        (Certificate(subject=ISSUING, issuer=ISSUING), BAD),
        (Certificate(begins=AT), SUCCESS),
        (Certificate(ends=AT), SUCCESS),
        (Certificate(begins=AT + ONE_SECOND), BAD),
        (Certificate(ends=AT - ONE_SECOND), BAD),
    ],
    ids=["sound", "signature", "issued", "no-authority", "no-certificates", "no-usage", "no-root", "first-second",
         "last-second", "too-early", "too-late"],
)  # fmt: skip
def test_even_the_contingency_puts_only_sound_roots(root: Certificate, expected: StatusCode) -> None:
    key = authority(FIRST).symmetric
    assert status(CONTINGENCY, ROOT_CELL, root.der(), symmetric_key=key) is expected
    if root.begins > AT or root.ends < AT:
        assert status(CONTINGENCY, ROOT_CELL, root.der(), symmetric_key=key, disapply_time=True) is SUCCESS


def test_the_root_that_is_held_may_be_put_again() -> None:
    assert status(RECOVERY, ROOT_CELL, authority(FIRST).root.der, path=()) is SUCCESS


def test_what_is_no_certificate_is_no_root() -> None:
    assert status(CONTINGENCY, ROOT_CELL, b"\x30\x03\x02\x01\x01") is BAD


def test_a_device_without_that_cell_takes_no_certificate_for_it() -> None:
    without = {name: cell for name, cell in cells().items() if name not in {ROOT_CELL, BROKER_CELL}}
    puts = [Put.into(ROOT_CELL, authority(FIRST).root.der), BROKER.put(BROKER_CELL)]
    nobody = CellIdentifier(role=ROLE.ROOT, key_usage=KEY_CERT_SIGN, cell_usage=CellUsage.PREPAYMENT_TOP_UP)
    puts.append(Put(nobody, authority(FIRST).root.der))
    puts.append(Put.into(CellName(ROLE.ROOT, CellUse.DIGITAL_SIGNATURE), authority(FIRST).root.der))
    assert {one.status for one in judge(without, update(RECOVERY, 1, puts), AT)} == {MISSING}


def _link(**more: object) -> bytes:
    """The second root's name and key, signed by the first; or with something else said."""
    first, second = authority(FIRST).root, authority(SECOND).root
    usual = Certificate(second.name, first.name, second.key, first.key)
    return replace(usual, **more).der()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ([_link()], SUCCESS),
        ([b"\x30\x03\x02\x01\x01", _link()], SUCCESS),
        ([_link(subject=ROOT), _link()], SUCCESS),
        ([_link(subject=ROOT)], NO_ANCHOR),
        ([_link(key=KEY)], NO_ANCHOR),
        ([_link(signer=KEY)], NO_ANCHOR),
        ([_link(ends=AT - ONE_SECOND)], NO_ANCHOR),
        ([_link(is_authority=False)], NO_ANCHOR),
        ([_link(bits=(6,))], NO_ANCHOR),
        ([_link(issuer=authority(FIRST).issuing.name, signer=authority(FIRST).issuing.key),
          authority(FIRST).issuing.der], NO_ANCHOR),
        ([], NO_ANCHOR),
    ],
    ids=["link", "after-junk", "after-anothers", "another-name", "another-key", "forged", "expired", "no-authority",
         "no-certificates", "issuing-authoritys", "none"],
)  # fmt: skip
def test_a_root_follows_by_a_link_that_the_held_one_signed(path: list[bytes], expected: StatusCode) -> None:
    assert status(RECOVERY, ROOT_CELL, authority(SECOND).root.der, path=tuple(path)) is expected


def test_what_hangs_from_the_old_root_is_good_beside_a_new_one_but_not_for_the_contingency() -> None:
    cos_signs = CellName(ROLE.TRANSITIONAL_COS, CellUse.DIGITAL_SIGNATURE)
    puts = [Put.into(ROOT_CELL, authority(SECOND).root.der), COS.put(cos_signs)]
    path = (link(), authority(FIRST).issuing.der)
    assert [one.status for one in judge(cells(), update(RECOVERY, 1, puts, path=path), AT)] == [SUCCESS, SUCCESS]
    assert [one.status for one in judge(cells(), update(CONTINGENCY, 1, puts, path=path), AT)] == [SUCCESS, NO_ANCHOR]
    alone = update(CONTINGENCY, 1, puts[1:])
    assert [one.status for one in judge(cells(), alone, AT)] == [SUCCESS]


# Parties


@pytest.mark.parametrize("mode", [RECOVERY, CONTINGENCY])
def test_only_the_broker_stands_in_and_only_for_supplier_and_operator(mode: Mode) -> None:
    signs = CellUse.DIGITAL_SIGNATURE
    assert status(mode, OPERATOR_SIGNS, BROKER.certificate(signs)) is SUCCESS
    assert status(mode, OPERATOR_SIGNS, NORTH.certificate(signs)) is BAD
    assert status(mode, CellName(ROLE.TRANSITIONAL_COS, signs), BROKER.certificate(signs)) is BAD
    assert status(Mode.NETWORK_OPERATOR_BY_NETWORK_OPERATOR, OPERATOR_SIGNS, BROKER.certificate(signs)) is BAD


def test_whoever_is_let_controls_load() -> None:
    held = {**cells(), LOAD: cells()[OPERATOR_SIGNS]}
    for who in (NORTH, OTHER_OPERATOR, BROKER):
        what = update(Mode.LOAD_CONTROLLER_BY_LOAD_CONTROLLER, 1, [Put.into(LOAD, who.certificate(LOAD.use))])
        assert [one.status for one in judge(held, what, AT)] == [SUCCESS]


def test_certificates_of_parties_hang_from_the_root_cell_and_from_no_other() -> None:
    """A cell of the root's role for another use holds nobody who issues."""
    strange = {**cells(), CellName(ROLE.SUPPLIER, CellUse.KEY_CERT_SIGN): cells()[ROOT_CELL]}
    del strange[ROOT_CELL]
    what = update(Mode.SUPPLIER_BY_TRANS_COS, 1, supplier_set(SOUTH))
    assert {one.status for one in judge(strange, what, AT)} == {NO_ANCHOR}


def test_no_partys_certificate_goes_into_a_cell_for_issuing() -> None:
    """A device may have come with one; whom a party issues to would be believed."""
    issues = CellName(ROLE.SUPPLIER, CellUse.KEY_CERT_SIGN)
    held = {**cells(), issues: cells()[ROOT_CELL]}
    for use in (CellUse.DIGITAL_SIGNATURE, CellUse.KEY_AGREEMENT):
        what = update(Mode.SUPPLIER_BY_SUPPLIER, 1, [Put.into(issues, NORTH.certificate(use))])
        assert [one.status for one in judge(held, what, AT)] == [BAD]


# The supplier's cells together


def test_what_fails_for_two_suppliers_leaves_the_others_their_own_status() -> None:
    bad = Put.into(SUPPLIER_CELLS[1], OPERATOR.certificate(CellUse.KEY_AGREEMENT))
    operators = OTHER_OPERATOR.put(OPERATOR_SIGNS)
    found = judge(cells(), update(RECOVERY, 1, [supplier_set(SOUTH)[0], bad, operators]), AT)
    assert [one.status for one in found] == [StatusCode.OTHER, BAD, SUCCESS]
    assert [one.cell is not None for one in found] == [False, False, True]


def test_where_nothing_of_the_suppliers_changes_two_suppliers_change_nothing() -> None:
    """As a device may have come from its maker."""
    held = {**cells(), SUPPLIER_CELLS[0]: cells()[OPERATOR_SIGNS]}
    found = judge(held, update(RECOVERY, 1, [OTHER_OPERATOR.put(OPERATOR_SIGNS)]), AT)
    assert [one.status for one in found] == [SUCCESS]


def test_a_device_without_top_ups_has_two_cells_of_one_supplier() -> None:
    held = {name: cell for name, cell in cells().items() if name != SUPPLIER_CELLS[2]}
    found = judge(held, update(Mode.SUPPLIER_BY_TRANS_COS, 1, supplier_set(SOUTH)[:2]), AT)
    assert [one.status for one in found] == [SUCCESS, SUCCESS]
