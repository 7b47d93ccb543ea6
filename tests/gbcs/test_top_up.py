"""Prepayment tokens: made, read back on the device, and refused when one digit differs."""

from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from smki.entity import EntityId
from smki.errors import InvalidInput, Refused
from smki.gbcs.agreement import agree
from smki.gbcs.top_up import (
    MAX_TOKEN_NUMBER,
    TopUp,
    Utrn,
    ValueClass,
    check_digit,
    make_utrn,
    read_top_up,
    utrn_holds,
)

SUPPLIER, METER = EntityId.parse("90-B3-D5-1F-30-01-00-00"), EntityId.parse("00-DB-12-34-56-78-90-A0")
OURS, THEIRS = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
top_ups = st.builds(
    TopUp,
    st.just(SUPPLIER),
    st.just(METER),
    st.integers(0, MAX_TOKEN_NUMBER),
    st.sampled_from(ValueClass),
    st.integers(0, 8191),
)


@given(top_ups, st.integers(-500, 500))
def test_a_token_says_what_it_was_made_for(top_up: TopUp, distance: int) -> None:
    highest = min(max(top_up.number + distance, 0), MAX_TOKEN_NUMBER)
    with agree(OURS, THEIRS.public_key()) as made, agree(THEIRS, OURS.public_key()) as checked:
        utrn = Utrn(str(make_utrn(top_up, made)))
        read = read_top_up(utrn, SUPPLIER, METER, highest)
        assert read == top_up
        assert utrn_holds(utrn, read, checked)


@pytest.mark.requirement("R-CTR-6")
@given(top_ups, st.integers(0, 18), st.integers(1, 9))
def test_one_digit_wrong_is_noticed(top_up: TopUp, place: int, by: int) -> None:
    with agree(OURS, THEIRS.public_key()) as secret:
        digits = str(make_utrn(top_up, secret))
    wrong = digits[:place] + str((int(digits[place]) + by) % 10) + digits[place + 1 :]
    with pytest.raises(InvalidInput):
        Utrn(wrong)


@given(st.text(alphabet="0123456789", min_size=19, max_size=19).map(lambda digits: digits + check_digit(digits)))
def test_any_twenty_digits_are_read_or_refused(digits: str) -> None:
    with suppress(InvalidInput, Refused):
        read_top_up(Utrn(digits), SUPPLIER, METER, 5)


@pytest.mark.parametrize("digits", ["", "1" * 19, "1" * 21, "٧٣٩٤٣٣٣٣٤٥٧١٨٩٠٤٣٣١٣", "7394333345718904331x"])
def test_what_is_no_token_is_refused(digits: str) -> None:
    with pytest.raises(InvalidInput):
        Utrn(digits)


@pytest.mark.parametrize("value", [-1, 8192])
def test_values_out_of_reach_are_refused(value: int) -> None:
    with pytest.raises(InvalidInput):
        TopUp(SUPPLIER, METER, 1, ValueClass.PENCE, value)
    with pytest.raises(InvalidInput):
        TopUp(SUPPLIER, METER, -1, ValueClass.PENCE, 1)


def test_the_nearest_number_is_meant() -> None:
    """The specification's own example: 807 seen of 1024, whichever side the ten bits lie on."""
    with agree(OURS, THEIRS.public_key()) as secret:
        for highest, number in ((5 * 1024 + 807, 6 * 1024 + 3), (5 * 1024 + 100, 4 * 1024 + 900), (807, 808)):
            utrn = make_utrn(TopUp(SUPPLIER, METER, number, ValueClass.POUNDS, 1), secret)
            assert read_top_up(utrn, SUPPLIER, METER, highest).number == number
