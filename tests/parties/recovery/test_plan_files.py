"""Plans and lists of devices as files: what is none is told so."""

import pytest

from smki.errors import InvalidInput
from smki.parties.recovery.file import read_devices, read_plan_file
from smki.parties.recovery.plan import Plan
from smki.parties.recovery.rules import read_plan
from tests.authority.desk import code_of
from tests.parties.recovery.world import (
    NORTH,
    OPERATOR,
    World,
    listed,
)


def test_what_is_no_plan_is_refused(world: World, plan: Plan) -> None:
    text = plan.file.path.read_text()
    path = plan.file.path.with_name("other.toml")
    for old, new, code in (
        ('method = "3"', 'method = "4"', "settings.value"),
        ('kind = "recovery"', 'kind = "rescue"', "settings.value"),
        ('root = "oca-root"', 'root = "oca-root"\nwhy = "because"', "settings.unknown-key"),
        ("notified_at = 2026-11-21T12:00:00Z", "notified_at = 2026-11-21T12:00:00", "plan.time"),
        ('file = "plan.devices"', 'file = "../plan.devices"', "settings.value"),
        ('file = "plan.devices"', 'file = "none.devices"', "plan.unreadable"),
        ("count = 3", "count = 4", "plan.devices"),
        ('cell = "supplier digitalSignature"', 'cell = "supplier"', "cell.name"),
        ('certificate = "MII', 'certificate = "!!!', "plan.certificate"),
        ('certificate = "MII', 'certificate = "AAA', "cert.form"),
        ('root = "oca-root"', 'root = "no-root"', "authority.unknown"),
    ):
        assert old in text
        path.write_text(text.replace(old, new))
        assert code_of(lambda: read_plan(world.workspace, read_plan_file(path))) == code, new


@pytest.mark.parametrize(
    "lines",
    [
        b"",
        b"\xff",
        b"00-DB-12-34-00-00-00-01 ESME\n00-DB-12-34-00-00-00-01 ESME\n",
        b"00-DB-12-34-00-00-00-02 ESME\n00-DB-12-34-00-00-00-01 ESME\n",
        b"00-DB-12-34-00-00-00-01 KETTLE\n",
        b"00-DB-12-34-00-00-00-01\n",
        b"00-DB-12-34-00-00-00-01 ESME supplier\n",
        b"00-DB-12-34-00-00-00-01 ESME supplier=90-B3-D5-1F-30-01-00-00 supplier=90-B3-D5-1F-30-01-00-00\n",
        b"01-DB-12-34-00-00-00-01 ESME\n",
        b"00-DB-12-34-00-00-00-01 " + b"E" * 400,
    ],
)
def test_what_is_no_list_of_devices_is_refused(lines: bytes) -> None:
    with pytest.raises(InvalidInput):
        read_devices(lines, "a list")


def test_a_list_names_the_devices_where_the_inventory_does_not(world: World) -> None:
    lost = world.stolen()
    assert code_of(lambda: world.draft("none", serials=(str(lost.serial),))) == "plan.no-device"
    line = f"00-DB-12-34-00-00-00-07 ESME supplier={NORTH} networkOperator={OPERATOR}"
    plan = world.draft(serials=(str(lost.serial),), devices=listed(line))
    assert (plan.faults, plan.devices.count) == ((), 1)
    assert b"networkOperator" not in plan.devices.octets, "it does not matter to this plan"
