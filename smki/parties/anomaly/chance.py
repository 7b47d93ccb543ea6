"""How many come by chance where so many are usual, by Poisson's law: pure arithmetic."""

from math import exp


def most_by_chance(mean: float, chance: float, ceiling: int) -> int | None:
    """The least number that is exceeded with no greater chance than that; None where it is not below `ceiling`."""
    now = exp(-mean)  # of so many exactly; 0.0 where the mean is far above any number that is asked about
    left = 1.0 - now
    for number in range(ceiling):
        if left <= chance:
            return number
        now *= mean / (number + 1)
        left -= now
    return None
