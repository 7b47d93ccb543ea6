"""credentials.toml narrows what devices know, and widens nothing."""

import pytest

from smki.authority.credentials import CredentialsFile, CredentialsPolicy
from smki.authority.policies import load_policies
from smki.authority.workspace import SHIPPED
from smki.device.modes import RULES, SUPPLIER_CELLS
from smki.errors import Refused, SmkiError
from smki.gbcs.payload.credentials import Mode
from smki.settings import read_toml

SHIPPED_TEXT = (SHIPPED / "policies" / "credentials.toml").read_text()


def read(text: str) -> CredentialsPolicy:
    policy = read_toml(text.encode(), "credentials.toml", CredentialsFile).value.checked()
    policy.check_use_cases(load_policies(SHIPPED / "policies").use_cases)
    return policy


def mode(text: str, word: str, old: str, new: str) -> str:
    """The file with one line of one mode changed, or added where `old` is empty."""
    head, found, tail = text.partition(f"[modes.{word}]\n")
    assert found
    assert not old or old in tail
    return head + found + (tail.replace(old, new, 1) if old else new + "\n" + tail)


def test_what_is_shipped_has_every_mode_as_devices_know_it() -> None:
    policy = read(SHIPPED_TEXT)
    assert set(policy.modes) == set(Mode)
    for one in policy.modes.values():
        assert one.targets <= RULES[one.rule.mode].targets
        assert one.may_be_unnamed <= one.rule.may_be_unnamed
        assert one.broker_elsewhere <= one.rule.puts_broker
    assert policy.set_of(SUPPLIER_CELLS[1]) == SUPPLIER_CELLS


WIDER = {
    "another's authority": (
        "supplierBySupplier",
        '"supplier digitalSignature"',
        '"networkOperator digitalSignature"',
    ),
    "no authority": ("supplierBySupplier", 'authorising = "supplier digitalSignature"\n', ""),
    "more targets": ("supplierBySupplier", '["supplier"]', '["supplier", "networkOperator"]'),
    "no targets": ("supplierBySupplier", '["supplier"]', "[]"),
    "less protection": ("supplierBySupplier", '["signature+mac"]', '["signature"]'),
    "none at all": ("supplierBySupplier", '["signature+mac"]', '["none"]'),
    "an unnamed authority": ("supplierBySupplier", "", "unnamed = true"),
    "a handover by another": ("transCoSByTransCoS", "", "handover = true"),
    "another's home without registration data": ("supplierBySupplier", "own_certificates = true\n", ""),
    "the same, said": ("supplierBySupplier", "own_certificates = true", "own_certificates = false"),
    "the broker elsewhere": ("supplierByTransCoS", "", "broker_elsewhere = true"),
    "control without a floor": ("supplierByTransCoS", 'floors = ["supplier"]', "floors = []"),
    "load control without a floor": ("loadControllerBySupplier", 'floors = ["loadController"]', "floors = []"),
    "a MAC on recovery": ("anyExceptAbnormalRootByRecovery", '["signature"]', '["signature+mac"]'),
}


@pytest.mark.requirement("R-LAY-4", "R-ROL-5")
@pytest.mark.parametrize("case", WIDER)
def test_a_file_that_widens_is_refused(case: str) -> None:
    with pytest.raises(Refused) as refusal:
        read(mode(SHIPPED_TEXT, *WIDER[case]))
    assert refusal.value.code == "policy.credentials"


def test_a_file_that_lets_a_home_be_shared_is_refused() -> None:
    line = '    ["supplier digitalSignature", "supplier keyAgreement", "supplier prePaymentTopUp"],\n'
    with pytest.raises(Refused):
        read(SHIPPED_TEXT.replace(line, ""))
    with pytest.raises(Refused):
        read(SHIPPED_TEXT.replace(line, line * 2))


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("[modes.rootBySupplier]", "[modes.rootByAnybody]", "policy.credentials"),
        ("handover = true", "hand_over = true", "settings.unknown-key"),
        ('targets = ["root"]', 'targets = ["king"]', "policy.value"),
        ('targets = ["root"]\n', "", "settings.missing-key"),
    ],
)
def test_a_file_that_is_not_understood_is_refused(old: str, new: str, code: str) -> None:
    with pytest.raises(SmkiError) as refusal:
        read(SHIPPED_TEXT.replace(old, new, 1))
    assert refusal.value.code == code


def test_a_file_may_ask_for_less() -> None:
    head, _, rest = SHIPPED_TEXT.partition("[modes.anyByContingency]")
    without = head + rest[rest.index("[modes.") :]
    without = mode(without, "anyExceptAbnormalRootByRecovery", '    "root", "recovery", ', '    "recovery", ')
    policy = read(without)
    assert Mode.ANY_BY_CONTINGENCY not in policy.modes
    assert len(policy.modes[Mode.ANY_EXCEPT_ABNORMAL_ROOT_BY_RECOVERY].targets) == 7
