"""The soak of traffic, of a size for every day: ten times a habit is held at once, and nothing else is."""

import pytest

from scripts.soaks.traffic_attacks import STRATEGIES
from scripts.soaks.traffic_report import figures, run

_SOME = {
    "ten times in an hour, middle",
    "ten times over the day, large",
    "ten times over the day, small, who announces",
    "balances beyond all bounds",
}


@pytest.mark.slow(12)
def test_an_attacker_with_a_valid_key_is_noticed_and_nobody_else_is() -> None:
    attacks = [one for one in STRATEGIES if one.name in _SOME]
    assert len(attacks) == len(_SOME)
    told = list[str]()
    over = run(1, 0, told.append, attacks, {"large", "middle", "small", "operator 0"})
    assert over.wrong == []
    assert (over.held, over.judged > 5_000) == (0, True)
    assert all(one.through < one.excess / 4 for one in over.attacks)
    found = {one["name"]: one for one in figures([over, over])["attacks"]}
    assert found["ten times over the day, small, who announces"]["after"] == "0"
    assert found["ten times over the day, small, who announces"]["passed"] == 0
    assert found["balances beyond all bounds"]["by"] == "balance of an electricity meter"
    assert any(line.startswith("balances beyond all bounds") and " 0.0%" in line for line in told)
