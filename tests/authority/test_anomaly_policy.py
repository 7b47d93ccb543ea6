"""anomaly.toml says what is too much; that something is, no file turns off."""

import re
from datetime import timedelta

import pytest

from smki.authority.anomaly import CountRule, Detectors, RateRule, SequenceRule
from smki.authority.anomaly_file import AnomalyFile
from smki.authority.policies import load_policies
from smki.authority.workspace import SHIPPED
from smki.entity import EntityId
from smki.errors import SmkiError
from smki.parties.anomaly.limits import Campaign, Limit
from smki.settings import read_toml
from tests.parties.anomaly.streams import AT, OFF, TARIFF, USERS

SHIPPED_TEXT = (SHIPPED / "policies" / "anomaly.toml").read_text()
POLICIES = load_policies(SHIPPED / "policies")


def read(text: str) -> Detectors:
    return read_toml(text.encode(), "anomaly.toml", AnomalyFile).value.checked(POLICIES.use_cases)


def changed(name: str, key: str, value: str) -> str:
    """The shipped file with another value at one key of one detector."""
    head, found, tail = SHIPPED_TEXT.partition(f'name = "{name}"\n')
    assert found
    mine, mark, rest = tail.partition("[[detector]]")
    other, number = re.subn(rf"^{key} = .*$", f"{key} = {value}", mine, flags=re.MULTILINE)
    assert number == 1
    return head + found + other + mark + rest


def test_what_is_shipped_has_every_kind() -> None:
    found = read(SHIPPED_TEXT)
    assert {rule.kind for rule in found.rules} == {
        "count", "rate", "surge", "area", "mix", "value", "sequence", "waiting", "unannounced",
    }  # fmt: skip
    assert found.remembered >= {0x0050, 0x0081, 0x004F}
    assert found.by_area == {0x0050, 0x0081}
    assert found.paths(0x001C) == {"1. Execute Meter balance (Credit): update_amount"}
    assert found.paths(OFF) == frozenset()


def test_words_stand_for_use_cases() -> None:
    rules = {rule.name: rule for rule in read(SHIPPED_TEXT).rules}
    critical = {int(row.code) for row in POLICIES.use_cases.all if row.critical}
    assert rules["everything"].codes is None
    assert rules["critical"].codes == frozenset(critical)
    assert rules["supply off"].codes == frozenset({0x0050, 0x0081})
    assert rules["change of supplier, hour"].codes == frozenset({0x0106, 0x0107})
    sequence = rules["on, and off at once"]
    assert isinstance(sequence, SequenceRule)
    assert (sequence.steps, sequence.within) == ((frozenset({0x004F}),), timedelta(hours=1))


def test_a_file_may_ask_for_less() -> None:
    found = read(changed("supply off", "count", "0"))
    assert any(isinstance(rule, CountRule) and rule.count == 0 for rule in found.rules)
    rates = [rule for rule in read(changed("supply off, hour", "factor", "1")).rules if isinstance(rule, RateRule)]
    assert any(rule.factor == 1 for rule in rates)


FORBIDDEN = {
    "no guard of each": changed("supply off", "count", "10_001"),
    "no guard of all": changed("supply off, all together", "count", "20_001"),
    "a guard that only warns": changed("supply off, all together", "action", '"warn"'),
    "a guard for half a day": changed("supply off", "window", '"12h"'),
    "a guard of one role": changed("supply off", "of", '"each"\nroles = ["networkOperator"]'),
    "a guard of electricity alone": changed("supply off, all together", "use_cases", '["ECS43"]'),
    "not every use case": changed("everything", "use_cases", '["critical"]'),
    "every use case, warned of": changed("everything", "action", '"warn"'),
    "a window too long": changed("critical", "window", '"8d"'),
    "a count too high": changed("everything", "count", "100_000_001"),
    "a count below none": changed("critical", "count", "-1"),
    "a factor below one": changed("supply off, day", "factor", "0.9"),
    "a factor without end": changed("supply off, day", "factor", "inf"),
    "a stretch longer than seconds are looked at": changed("supply off, surge", "windows", '["10m", "2h"]'),
    "a stretch twice": changed("supply off, surge", "windows", '["10m", "10m"]'),
    "no stretch": changed("supply off, surge", "windows", "[]"),
    "a stretch of spells and a half": changed("supply off, surge", "spell", "45"),
    "a spell of no length": changed("supply off, surge", "spell", "0"),
    "a spell too long": changed("supply off, surge", "spell", "601"),
    "a chance that is none": changed("supply off, surge", "chance", "0.0"),
    "a chance too good": changed("supply off, surge", "chance", "0.02"),
    "less than nothing to start with": changed("supply off, surge", "start", "-1"),
    "no room for time to notice": SHIPPED_TEXT.replace("settle = 7 ", "settle = 2 "),
    "a history longer than kept": SHIPPED_TEXT.replace("history = 70 ", "history = 84 "),
    "a share above all": changed("share of what darkens homes", "share", "1.1"),
    "a name twice": changed("critical", "action", '"hold"').replace('name = "critical"', 'name = "supply off"'),
    "nobody's use case": changed("critical", "use_cases", '["ECS99z"]'),
    "no use case": changed("critical", "use_cases", "[]"),
    "no bounds": SHIPPED_TEXT.replace("least = 0\nmost = 1_799\n", ""),
    "bounds with nothing between": changed("randomised offset", "least", "2_000"),
    "a value of every use case": changed("randomised offset", "use_cases", '["*"]'),
    "an area of every use case": changed("supply off in one area", "use_cases", '["*"]'),
    "a sequence without steps": changed("off twice", "after", "[]"),
    "a step of every use case": changed("off twice", "after", '[["*"]]'),
    "a stranger's role": changed("critical", "of", '"each"\nroles = ["plumber"]'),
    "an unknown kind": changed("critical", "kind", '"oracle"'),
    "a key of another kind": changed("critical", "of", '"each"\nfactor = 2.0'),
    "an unknown action": changed("critical", "action", '"shrug"'),
}


@pytest.mark.requirement("R-CRT-5")
@pytest.mark.parametrize("case", FORBIDDEN)
def test_a_file_that_guards_too_little_or_is_not_understood_is_refused(case: str) -> None:
    with pytest.raises(SmkiError) as refused:
        read(FORBIDDEN[case])
    assert refused.value.code in {
        "policy.anomaly",
        "policy.stretch",
        "settings.value",
        "settings.unknown-key",
        "policy.value",
    }
    assert refused.value.remedy


def campaign(codes: frozenset[int], hours: float, count: int = 10) -> Campaign:
    return Campaign("prices", USERS[0], codes, AT, AT + timedelta(hours=hours), count)


@pytest.mark.requirement("R-CRT-5")
def test_nothing_that_turns_supply_off_is_a_campaign_and_none_lasts() -> None:
    assert campaign(frozenset({TARIFF}), 168).count == 10
    for codes, hours, count in (
        (frozenset({TARIFF, OFF}), 6, 10),
        (frozenset({TARIFF}), 169, 10),
        (frozenset({TARIFF}), 0, 10),
    ):
        with pytest.raises(SmkiError, match="prices") as refused:
            campaign(codes, hours, count)
        assert refused.value.code == "limits.campaign"
    with pytest.raises(SmkiError, match="count"):
        campaign(frozenset({TARIFF}), 1, -1)


def test_a_limit_has_bounds_of_its_own() -> None:
    assert isinstance(USERS[0], EntityId)
    for count, window in ((-1, timedelta(hours=1)), (1, timedelta(days=8)), (1, timedelta())):
        with pytest.raises(SmkiError, match="mine"):
            Limit("mine", None, count, window)
