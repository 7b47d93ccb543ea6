"""No way around the desk, and none from it to anything else."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from smki.device.modes import SUPPLIER_CELLS
from smki.device.update import CredentialUpdate, Floors, Put
from smki.errors import Refused
from smki.gbcs.header import MessageCode
from smki.gbcs.message import Message
from smki.gbcs.payload.credentials import Mode
from smki.gbcs.protection import digest_to_sign
from smki.parties.cos.desk import CosDesk
from smki.parties.signing_rules import Shown
from smki.parties.supplier import SigningDesk
from tests.house import NOW, founded
from tests.parties.cos.world import (
    COS,
    ROLE,
    SOUTH,
    Party,
    codes,
    meter,
    south,
)
from tests.parties.people import User, arming, certificate, given, issuing

DAY = timedelta(days=1)
LATER = NOW + 10 * DAY


def _change(party: Party, counter: int = 900) -> Message:
    """A change of supplier that is right in every octet, and that no desk has judged."""
    from smki.device.modes import RULES

    update = CredentialUpdate(
        mode=Mode.SUPPLIER_BY_TRANS_COS,
        counter=counter,
        puts=tuple(Put.into(*one) for one in zip(SUPPLIER_CELLS, south.trio, strict=True)),
        path=(issuing().der,),
        authorising=RULES[Mode.SUPPLIER_BY_TRANS_COS].authorising,
        other_floors=((ROLE.SUPPLIER, Floors(0, 0)),),
    )
    return update.command(COS, meter(0))


@pytest.mark.requirement("R-LEA-2")
def test_message_sign_changes_no_supplier(party: Party) -> None:
    desk = SigningDesk(party.workspace, "keys", "cos", party.certificate)
    (outcome,) = list(desk.sign(desk.judge([given(_change(party))], None), Shown.SEEN))
    assert (outcome.result, outcome.message) == ("refused", b"")
    assert codes(outcome) == ["sign.cos-unjudged"]
    vouched = {digest_to_sign(_change(party, 901)): b""}
    (outcome,) = list(desk.sign(desk.judge([given(_change(party))], None, vouched), Shown.JUDGED))
    assert codes(outcome) == ["sign.cos-unjudged"], "another command's judgement serves for none"


@pytest.mark.requirement("R-LEA-2")
@pytest.mark.parametrize("code", [0x0050, 0x0008, 0x0100, 0x0102, 0x0108, 0x0109, 0x0126])
def test_the_partys_key_signs_nothing_else_whatever_a_policy_says(party: Party, code: int) -> None:
    """CS02a (0x0008) is one that the shipped table of use cases lets it send."""
    desk = SigningDesk(party.workspace, "keys", "cos", party.certificate)
    message = replace(
        arming(5, originator=COS), header=replace(arming(5, originator=COS).header, code=MessageCode(code))
    )
    (outcome,) = list(desk.sign(desk.judge([given(message)], None), Shown.SEEN))
    assert "sign.cos-mode" in codes(outcome)
    assert not outcome.message


@pytest.mark.requirement("R-LEA-2")
def test_the_partys_key_replaces_its_own_certificate(party: Party) -> None:
    from smki.device.cells import CellName
    from smki.device.modes import RULES
    from tests.parties.cos.world import der

    update = CredentialUpdate(
        mode=Mode.TRANS_COS_BY_TRANS_COS,
        counter=5,
        puts=(Put.into(CellName.parse("transitionalCoS digitalSignature"), der(party.certificate)),),
        path=(issuing().der,),
        authorising=RULES[Mode.TRANS_COS_BY_TRANS_COS].authorising,
    )
    desk = SigningDesk(party.workspace, "keys", "cos", party.certificate)
    (outcome,) = list(desk.sign(desk.judge([given(update.command(COS, meter(0)))], None), Shown.SEEN))
    assert outcome.result == "signed"


def test_no_other_role_sits_at_the_desk(party: Party) -> None:
    made = party.workspace.open_token("keys").generate_key("ds", b"1" * 16, "sign")
    one = certificate(made.public_key(), SOUTH, ROLE.SUPPLIER)
    with pytest.raises(Refused, match=r"cos\.role"):
        CosDesk(party.workspace, "keys", "ds", one)


def test_a_supplier_signs_no_change_of_supplier_even_vouched_for(tmp_path: Path) -> None:
    with founded(tmp_path / "user", kind="user") as house:
        user = User(house)
        message = replace(arming(1), header=replace(arming(1).header, code=MessageCode(0x0107)))
        vouched = {digest_to_sign(message): b""}
        (outcome,) = list(user.desk.sign(user.desk.judge([given(message)], None, vouched), Shown.JUDGED))
        assert "sign.cos-unjudged" in codes(outcome)
