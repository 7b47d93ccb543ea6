"""Orders about credentials as values: what they may say, how much of it, and that reading is writing's inverse."""

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat import asn1

from smki.device.modes import MODES_BY_WORD, RULES, RULES_BY_CODE, SUPPLIER_CELLS, identifier, named
from smki.device.update import CANCELLED, CredentialUpdate, Floors, Put, counter_change, read_update
from smki.entity import RemotePartyRole
from smki.errors import InvalidInput
from smki.gbcs.payload.credentials import (
    CellIdentifier,
    CellUsage,
    Control,
    CounterUsage,
    Mode,
    Replacement,
    SpecialCounter,
    TimeChecks,
    Update,
    UpdateCommand,
)
from smki.gbcs.payload.declared import KEY_CERT_SIGN, element, write_declared
from tests.device.home import AT

MOST = (1 << 63) - 1  # SeqNumber of GBCS 13.3
CERTIFICATE = b"\x30\x03\x02\x01\x01"
PUT = Put.into(SUPPLIER_CELLS[0], CERTIFICATE)
WHOLE = CredentialUpdate(
    mode=Mode.ANY_BY_CONTINGENCY,
    counter=MOST,
    puts=tuple(Put.into(name, CERTIFICATE) for name in SUPPLIER_CELLS),
    path=(b"\x30\x00", CERTIFICATE),
    authorising=SUPPLIER_CELLS[2],
    disapply_time=True,
    own_floor=0,
    own_top_up_floor=MOST,
    other_floors=((RemotePartyRole.SUPPLIER, Floors(MOST, 0)), (RemotePartyRole.RECOVERY, Floors(0))),
    at=AT,
    symmetric_key=b"0123456789abcdef",
)


def refused(make: Any, *args: Any, **more: Any) -> str:
    with pytest.raises(InvalidInput) as refusal:
        make(*args, **more)
    assert refusal.value.code == "credentials.form"
    return refusal.value.message


def test_what_is_written_is_read() -> None:
    plain = CredentialUpdate(Mode.SUPPLIER_BY_SUPPLIER, 0, (PUT,), ())
    for one in (WHOLE, plain, replace(WHOLE, disapply_time=False, at=CANCELLED), replace(WHOLE, other_floors=())):
        again = read_update(one.encode())
        assert [(put.name, put.certificate) for put in again.puts] == [
            (put.name, put.certificate) for put in one.puts
        ]
        assert replace(again, puts=one.puts) == one


def test_no_counter_has_its_top_bit() -> None:
    for name in ("counter", "own_floor", "own_top_up_floor"):
        most: dict[str, Any] = {name: MOST}
        assert replace(WHOLE, **most)
        for wrong in (-1, MOST + 1):
            assert "out of range" in refused(replace, WHOLE, **{name: wrong})
    for good in ((0, 0), (MOST, MOST), (0, None)):
        assert Floors(*good)
    for bad in ((-1, 0), (MOST + 1, 0), (0, -1), (0, MOST + 1)):
        assert "out of range" in refused(Floors, *bad)


def test_an_order_fills_some_cells_and_not_hundreds() -> None:
    assert len(replace(WHOLE, puts=(PUT,) * 32, path=(CERTIFICATE,) * 8).puts) == 32
    for wrong in ({"puts": ()}, {"puts": (PUT,) * 33}, {"path": (CERTIFICATE,) * 9}):
        assert "replacements" in refused(replace, WHOLE, **wrong)
    assert len(Put.into(SUPPLIER_CELLS[0], bytes(4096)).certificate) == 4096
    assert "4097 octets" in refused(Put.into, SUPPLIER_CELLS[0], bytes(4097))


def test_the_contingencys_key_is_in_no_text_that_is_made_of_an_order() -> None:
    assert "0123456789abcdef" not in repr(WHOLE)


def _payload(**said: Any) -> bytes:
    """An order, or one whose control says something else."""
    control = {
        "mode": Mode.SUPPLIER_BY_SUPPLIER, "symmetric_key": None, "time_checks": TimeChecks.APPLY,
        "authorising_cell": identifier(SUPPLIER_CELLS[0]), "originator_counter": 1, "new_floor": None,
        "new_special_floors": None, "other_floors": None,
    }  # fmt: skip
    put = Replacement(certificate=element(CERTIFICATE), cell=identifier(SUPPLIER_CELLS[0]))
    made = Control(**{**control, **said})
    return write_declared(
        UpdateCommand(
            payload=Update(control=made, replacements=[put], path_certificates=[], execution_date_time=None)
        )
    )


def test_an_order_that_contradicts_itself_is_none() -> None:
    assert read_update(_payload()).authorising == SUPPLIER_CELLS[0]
    odd = CellIdentifier(
        role=RemotePartyRole.SUPPLIER, key_usage=KEY_CERT_SIGN, cell_usage=CellUsage.PREPAYMENT_TOP_UP
    )
    assert "no device has" in refused(read_update, _payload(authorising_cell=odd))
    one = SpecialCounter(usage=CounterUsage.PREPAYMENT_TOP_UP, counter=5)
    assert read_update(_payload(new_special_floors=[one])).own_top_up_floor == 5
    for several in ([], [one, one]):
        assert "there is one" in refused(read_update, _payload(new_special_floors=several))
    supplier, recovery = RemotePartyRole.SUPPLIER, RemotePartyRole.RECOVERY
    changes = [counter_change(role, Floors(1, 2)) for role in (supplier, recovery, supplier)]
    found = read_update(_payload(other_floors=changes[:2]))
    assert found.other_floors == ((supplier, Floors(1, 2)), (recovery, Floors(1, 2)))
    assert "changed twice" in refused(read_update, _payload(other_floors=changes))


def test_what_is_no_order_is_refused_with_an_error_of_ours() -> None:
    whole = WHOLE.encode()
    for octets in (b"", b"\x30\x00", whole[:-1], whole + b"\0"):
        with pytest.raises(InvalidInput):
            read_update(octets)


# The table of GBCS 13.3 and 13.9: mode, message code, whose authority, whose cells, code of the alert

MODES = """
rootBySupplier 0100 supplier root 00CB
rootByWanProvider 0101 wanProvider root 00CB
supplierBySupplier 0102 supplier supplier 00CB
networkOperatorByNetworkOperator 0103 networkOperator networkOperator 00CB
accessControlBrokerByACB 0104 accessControlBroker accessControlBroker 00CB
wanProviderByWanProvider 0105 wanProvider wanProvider 00CB
transCoSByTransCoS 0106 transitionalCoS transitionalCoS 00CB
supplierByTransCoS 0107 transitionalCoS supplier 00CB
anyExceptAbnormalRootByRecovery 0108 recovery * 00CB
anyByContingency 0109 - * 00CB
loadControllerByLoadController 0125 loadController loadController 0124
loadControllerBySupplier 0126 supplier loadController 0124
"""


def test_modes_are_those_of_the_specification() -> None:
    found = []
    for word, mode in MODES_BY_WORD.items():
        rule = RULES[mode]
        assert (rule.word, rule.mode, RULES_BY_CODE[rule.code]) == (word, mode, rule)
        by = "-" if rule.authorising is None else rule.authorising.role.word
        whose = "*" if rule.targets == set(RemotePartyRole) else " ".join(role.word for role in rule.targets)
        found.append(f"{word} {rule.code:04X} {by} {whose} {rule.alert_code:04X}")
        assert rule.authorising is None or rule.authorising.use.value == "digitalSignature"
        for name in SUPPLIER_CELLS:
            assert rule.may_fill(name) == (whose in {"supplier", "*"})
    assert sorted(found) == sorted(MODES.split("\n")[1:-1])
    assert len(RULES) == len(RULES_BY_CODE) == len(Mode) == len(found)
    assert [mode.value for mode in Mode] == [MODES_BY_WORD[line.split()[0]] for line in MODES.split("\n")[1:-1]]
    assert {rule.mode for rule in RULES.values() if rule.may_be_unnamed} == {Mode.ACCESS_CONTROL_BROKER_BY_ACB}
    stand_in = {Mode.ANY_EXCEPT_ABNORMAL_ROOT_BY_RECOVERY, Mode.ANY_BY_CONTINGENCY}
    assert {rule.mode for rule in RULES.values() if rule.puts_broker} == stand_in


def test_a_cell_is_named_by_role_key_usage_and_what_it_is_for() -> None:
    """The published octets: roles of one octet, key usage as bits, top-ups said, management not (GBCS 13.1)."""
    texts = ("300702010203020780", "300702010203020308", "300a0201020302030802 0101".replace(" ", ""))
    for name, text in zip(SUPPLIER_CELLS, texts, strict=True):
        assert asn1.encode_der(identifier(name)).hex() == text
        assert named(identifier(name)) == name
    for usage, cell_usage in (
        (KEY_CERT_SIGN, CellUsage.PREPAYMENT_TOP_UP),
        (asn1.BitString(b"\x60", 5), CellUsage.MANAGEMENT),
    ):
        assert named(CellIdentifier(role=RemotePartyRole.ROOT, key_usage=usage, cell_usage=cell_usage)) is None
