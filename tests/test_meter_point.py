"""Meter points and their check digits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smki.errors import InvalidInput
from smki.meter_point import Fuel, MeterPoint


@pytest.mark.parametrize(
    ("text", "fuel"),
    [
        ("1312345678907", Fuel.ELECTRICITY),  # the example of limejump/mpan
        ("13 1234 5678 907", Fuel.ELECTRICITY),
        ("2000000000006", Fuel.ELECTRICITY),  # 2 times 3
        ("3938424403", Fuel.GAS),  # the published example
        ("000101", Fuel.GAS),  # 1 times 1: the shortest
    ],
)
def test_what_the_industry_numbers_is_read(text: str, fuel: Fuel) -> None:
    point = MeterPoint.parse(text)
    assert point.fuel is fuel
    assert str(point) == text.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1312345678908", "meter-point.check"),
        ("3938424404", "meter-point.check"),
        ("", "meter-point.form"),
        ("12345", "meter-point.form"),
        ("12345678901", "meter-point.form"),
        ("131234567890x", "meter-point.form"),
        ("١٣١٢٣٤٥٦٧٨٩٠٧", "meter-point.form"),
        ("1312345678907" + " " * 100, "meter-point.form"),
        ("9" * 100_000, "meter-point.form"),
    ],
)
def test_what_nobody_numbers_is_refused(text: str, code: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        MeterPoint.parse(text)
    assert refusal.value.code == code
    assert len(refusal.value.message) < 100


def test_the_check_of_gas_can_be_left_out_and_that_of_electricity_cannot() -> None:
    assert MeterPoint.parse("3938424404", mprn_check=False).fuel is Fuel.GAS
    with pytest.raises(InvalidInput):
        MeterPoint.parse("1312345678908", mprn_check=False)


@given(st.text(alphabet="0123456789", min_size=12, max_size=12))
def test_of_ten_last_digits_exactly_one_fits(core: str) -> None:
    fits = []
    for digit in "0123456789":
        try:
            fits.append(MeterPoint.parse(core + digit))
        except InvalidInput as error:
            assert error.code == "meter-point.check"  # noqa: PT017 - the others are what is asked about
    assert len(fits) == 1
