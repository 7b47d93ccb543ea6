"""What no table of use cases may say, whoever wrote it: row by row, role by role (GBCS 5, 13.3, 17)."""

from dataclasses import replace
from functools import cache

import pytest

from smki.authority.policies import load_policies
from smki.authority.workspace import SHIPPED
from smki.entity import DeviceType, RemotePartyRole
from smki.errors import InvalidInput
from smki.gbcs.header import Cra, MessageCode
from smki.gbcs.message import Protection
from smki.gbcs.use_case import CRITICAL, HOME_CODES, UseCase, UseCases

ROLE = RemotePartyRole
NONE, SIGNATURE, MAC, BOTH = Protection.NONE, Protection.SIGNATURE, Protection.MAC, Protection.BOTH
USUAL = {ROLE.SUPPLIER, ROLE.ACCESS_CONTROL_BROKER}
SENDERS = {
    0x0101: {ROLE.WAN_PROVIDER},
    0x0103: {ROLE.NETWORK_OPERATOR, ROLE.ACCESS_CONTROL_BROKER},
    0x0105: {ROLE.WAN_PROVIDER},
    0x0106: {ROLE.TRANSITIONAL_COS},
    0x0107: {ROLE.TRANSITIONAL_COS},
    0x0108: {ROLE.RECOVERY},
    0x0109: {ROLE.ROOT},
    0x011F: {ROLE.LOAD_CONTROLLER},
    0x0125: {ROLE.LOAD_CONTROLLER},
}
WITHOUT_BROKER = {0x0008, 0x011B, 0x0108, 0x0109}
OPENING, PREPAID = MessageCode(0x0050), MessageCode(0x0027)


@cache
def shipped() -> UseCases:
    return load_policies(SHIPPED / "policies").use_cases


def refusal(row: UseCase) -> str:
    """Why no table may have such a row; empty where it may."""
    try:
        UseCases({row.code: row})
    except InvalidInput as error:
        return error.message if error.code == "policy.use-case" else error.code
    return ""


def test_critical_commands_are_sent_by_those_who_may_and_by_nobody_else() -> None:
    for code in CRITICAL:
        row = shipped()[code]
        for role in ROLE:
            may = role in SENDERS.get(code, USUAL)
            assert refusal(replace(row, senders=(role,))) == (
                "" if may else f"use-cases.toml: {code} is sent by a role that may not"
            )
        assert refusal(replace(row, senders=())) == ""
    plain = shipped()[PREPAID]
    assert refusal(replace(plain, senders=tuple(ROLE))) == ""


def test_a_signature_alone_is_enough_for_four_commands() -> None:
    for row in shipped().all:
        alone = replace(row, protections={**row.protections, Cra.COMMAND: (SIGNATURE,)})
        told = refusal(alone)
        if row.code in WITHOUT_BROKER:
            assert told == ""
        else:
            assert ("without the broker's MAC" in told) or row.code in HOME_CODES, row.code
        assert told or row.code in WITHOUT_BROKER


def test_nothing_goes_without_protection() -> None:
    row = shipped()[PREPAID]
    for cra in Cra:
        assert "without protection" in refusal(replace(row, protections={**row.protections, cra: (MAC, NONE)}))


def test_what_is_critical_stays_so_and_is_signed_in_every_form() -> None:
    row = shipped()[OPENING]
    assert "is not critical" in refusal(replace(row, critical=False))
    for forms, said in (((), "has no command"), ((MAC,), "is not signed"), ((BOTH, MAC), "is not signed")):
        assert said in refusal(replace(row, protections={Cra.COMMAND: forms}))
    assert "has no command" in refusal(replace(row, protections={Cra.RESPONSE: (SIGNATURE,)}))
    assert refusal(replace(row, protections={Cra.COMMAND: (BOTH,)})) == ""
    more = replace(shipped()[PREPAID], critical=True)
    assert "is not signed" in refusal(more)
    assert refusal(replace(more, protections={Cra.COMMAND: (BOTH,)})) == ""


def test_what_devices_order_each_other_is_theirs_alone() -> None:
    assert {0x0090, 0x009B} == HOME_CODES
    for code in HOME_CODES:
        row = shipped()[code]
        assert "is not of the home network's category" in refusal(replace(row, category="SME.C.NC"))
        for wrong in (
            replace(row, protections={Cra.COMMAND: (BOTH,)}),
            replace(row, protections={Cra.COMMAND: (MAC, MAC)}),
            replace(row, protections={}),
            replace(row, sending_devices=()),
            replace(row, sending_devices=(DeviceType.PPMID, DeviceType.GPF)),
        ):
            assert "by a PPMID with its MAC" in refusal(wrong)
    assert "is of the home network's category" in refusal(replace(shipped()[PREPAID], category="SME.C.PPMID-GSME"))


def test_a_table_for_everybody_lacks_no_critical_row() -> None:
    shipped().check_whole()
    for code in (min(CRITICAL), OPENING, max(CRITICAL)):
        with pytest.raises(InvalidInput, match=f"{code} is not in the table"):
            UseCases({row.code: row for row in shipped().all if row.code != code}).check_whole()


def test_rows_are_found_by_code_and_by_name_in_order() -> None:
    rows = {row.code: row for row in reversed(shipped().all)}
    table = UseCases(rows)
    codes = [row.code for row in table.all]
    assert codes == sorted(codes)
    assert table.get(OPENING) is table[OPENING]
    assert table.get(MessageCode(0x9999)) is None
    for find in (lambda: table[MessageCode(0x9999)], lambda: table.find("0x9999"), lambda: table.find("ECS")):
        with pytest.raises(InvalidInput) as error:
            find()
        assert error.value.code == "gbcs.use-case"
    assert table.find("0X0050") == table.find("Ecs43") == (table[OPENING],)


def test_a_row_says_how_it_is_protected_and_what_it_is_called() -> None:
    row = shipped()[OPENING]
    assert row.label == "ECS43 Remotely Open the Load Switch on the ESME"
    assert replace(row, name="").label == row.title
    assert row.allows(Cra.COMMAND, BOTH)
    assert not row.allows(Cra.COMMAND, SIGNATURE)
    assert not row.allows(Cra.ALERT, SIGNATURE)
    assert row.is_signed
    for forms, signed in (((), False), ((MAC,), False), ((MAC, SIGNATURE), True), ((BOTH, MAC), True)):
        assert replace(row, protections={Cra.COMMAND: forms}).is_signed == signed
    assert not replace(row, protections={Cra.RESPONSE: (SIGNATURE,)}).is_signed
