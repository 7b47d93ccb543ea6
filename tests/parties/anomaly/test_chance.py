"""How many come by chance, compared with the sum of Poisson's own terms."""

from math import exp, fsum, lgamma, log

from hypothesis import given
from hypothesis import strategies as st

from smki.parties.anomaly.chance import most_by_chance


def exceeded(number: int, mean: float) -> float:
    """With what chance there are more."""
    return fsum(exp(k * log(mean) - mean - lgamma(k + 1)) for k in range(number + 1, number + 400))


@given(st.floats(0.001, 60), st.floats(-9, -2))
def test_it_is_the_least_number_that_chance_exceeds_seldom_enough(mean: float, digits: float) -> None:
    chance = 10.0**digits
    found = most_by_chance(mean, chance, 1_000)
    assert found is not None
    assert exceeded(found, mean) <= chance * 1.000001
    assert found == 0 or exceeded(found - 1, mean) > chance * 0.999999


def test_what_cannot_be_exceeded_has_no_limit() -> None:
    assert most_by_chance(2.0, 1e-6, 12) is None
    assert most_by_chance(2.0, 1e-6, 13) == 12
    assert most_by_chance(1e9, 1e-6, 3_600) is None
    assert most_by_chance(0.0, 1e-6, 3_600) == 0
