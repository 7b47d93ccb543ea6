"""The soak of traffic, of a size for every day: ten times a habit is held at once, and nothing else is."""

from scripts.soaks.traffic_attacks import STRATEGIES
from scripts.soaks.traffic_report import soak

_SOME = {"ten times in an hour, large", "ten times over the day, large", "balances beyond all bounds"}


def test_an_attacker_with_a_valid_key_is_noticed_and_nobody_else_is() -> None:
    told: list[str] = []
    attacks = [one for one in STRATEGIES if one.name in _SOME]
    assert len(attacks) == len(_SOME)
    assert soak(1, 0, told.append, attacks, {"large", "operator 0"}) == []
    assert told[0].endswith("commands without attack, 0 held")
    assert any(line.startswith("balances beyond all bounds") and " 0.0%" in line for line in told)
