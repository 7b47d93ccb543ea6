"""The table of use cases, and what no file can make of it."""

from pathlib import Path

import pytest

from smki.authority.workspace import SHIPPED
from smki.entity import RemotePartyRole
from smki.errors import InvalidInput
from smki.gbcs.header import Cra, MessageCode
from smki.gbcs.message import Protection
from smki.gbcs.use_case import CRITICAL
from smki.gbcs.use_case_file import read_use_cases

TABLE: Path = SHIPPED / "policies" / "use-cases.toml"


def altered(old: str, new: str) -> bytes:
    text = TABLE.read_text(encoding="utf-8")
    assert text.count(old) >= 1
    return text.replace(old, new, 1).encode()


@pytest.mark.requirement("R-CRT-1")
def test_the_shipped_table_is_whole() -> None:
    table = read_use_cases(TABLE.read_bytes(), "use-cases.toml").value
    assert {row.code for row in table.all if row.critical} == CRITICAL
    opening = table[MessageCode(0x0050)]
    assert (opening.name, opening.critical) == ("ECS43", True)
    assert opening.protections == {Cra.COMMAND: (Protection.BOTH,), Cra.RESPONSE: (Protection.SIGNATURE,)}
    assert opening.senders == (RemotePartyRole.SUPPLIER,)
    assert len(table.find("CS02b")) == 10
    assert table.find("0x0050") == table.find("ecs43") == (opening,)
    for wrong in ("0x9999", "ECS99", "0xZZ"):
        with pytest.raises(InvalidInput):
            table.find(wrong)


OPEN = '"0x0050" = { name = "ECS43", title = "Remotely Open the Load Switch on the ESME", category = "SME.C.C",'


EMERGENCY = (
    '"0x0090" = { name = "PCS02", title = "Activate Emergency Credit on GSME from PPMID",'
    ' category = "SME.C.PPMID-GSME",'
)


@pytest.mark.requirement("R-LAY-4", "R-CRT-1")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f"{OPEN} critical = true", f"{OPEN} critical = false"),
        (f'{OPEN} critical = true, command = ["signature+mac"]', f'{OPEN} critical = true, command = ["mac"]'),
        (f'{OPEN} critical = true, command = ["signature+mac"]', f'{OPEN} critical = true, command = ["signature"]'),
        (f'{OPEN} critical = true, command = ["signature+mac"],', f"{OPEN} critical = true,"),
        ('"0x0050" =', '"0x9050" ='),
        (OPEN, OPEN.replace("SME.C.C", "SME.C.PPMID-GSME")),
        (EMERGENCY, EMERGENCY.replace("SME.C.PPMID-GSME", "SME.C.NC")),
        (
            f'{EMERGENCY} critical = false, command = ["mac"]',
            f'{EMERGENCY} critical = false, command = ["signature"]',
        ),
        (f"{OPEN} critical = true", f"{OPEN} critical = true, unheard_of = 1"),
        (f"{OPEN} critical = true", f'{OPEN} critical = true, alert = ["none"]'),
        ('senders = ["supplier"]', 'senders = ["anybody"]'),
        ('devices = ["ESME"]', 'devices = ["TOASTER"]'),
        ('"0x0001" =', '"1 and more" ='),
    ],
)
def test_what_a_file_cannot_do(old: str, new: str) -> None:
    with pytest.raises(InvalidInput):
        read_use_cases(altered(old, new), "use-cases.toml")
