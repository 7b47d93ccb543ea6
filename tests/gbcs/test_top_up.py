"""Prepayment tokens: made, read back on the device, and refused when one digit differs."""

from contextlib import suppress
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from smki.entity import EntityId
from smki.errors import InvalidInput
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
from tests.vectors_folder import read_json

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
    with suppress(InvalidInput):
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


# As published (GBCS 14, and the test keys that everybody knows)

HUNDRED_POUNDS, PENCE_1234 = "73943333457189043313", "73947252416745201637"


def test_the_digits_say_class_value_and_ten_bits_of_the_number() -> None:
    hundred, pence = Utrn(HUNDRED_POUNDS), Utrn(PENCE_1234)
    assert (hundred.value_class, hundred.value, hundred.number_bits) == (ValueClass.POUNDS, 100, 1)
    assert (hundred.spoken, hundred.mac.hex()) == (0x0000A064, "d51ca60b")
    assert (pence.value_class, pence.value, pence.number_bits) == (ValueClass.PENCE, 1234, 4)
    assert (ValueClass.PENCE.word, ValueClass.POUNDS.word) == ("pence", "pounds")


@pytest.mark.vectors
def test_published_tokens_are_made_again() -> None:
    published = {one["key_id"]: one for one in read_json("gbcs", "keys.json")["keys"]}
    supplier, meter = published["90b3d51f30010000-KA-PP"], published["00db1234567890a0-KA"]
    mine = ec.derive_private_key(int(supplier["private_key_hex"], 16), ec.SECP256R1())
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bytes.fromhex(meter["public_key_hex"]))
    with agree(mine, theirs) as secret:
        for digits, top_up in (
            (HUNDRED_POUNDS, TopUp(SUPPLIER, METER, 1, ValueClass.POUNDS, 100)),
            (PENCE_1234, TopUp(SUPPLIER, METER, 4, ValueClass.PENCE, 1234)),
        ):
            made = make_utrn(top_up, secret)
            assert made.digits == digits
            assert utrn_holds(made, top_up, secret)
            assert not utrn_holds(made, replace(top_up, value=top_up.value + 1), secret)
            assert not utrn_holds(made, replace(top_up, number=top_up.number + 1024), secret)


def _digits(token: int) -> str:
    """Twenty of them, for what a token says and its MAC."""
    nineteen = f"{token + 7394156990786306048:019d}"
    return nineteen + check_digit(nineteen)


def test_tokens_are_those_whose_first_seven_bits_are_zero() -> None:
    for token in (0, (1 << 57) - 1):
        assert Utrn(_digits(token)).mac == (token & 0xFFFFFFFF).to_bytes(4)
    for token in (-1, 1 << 57):
        with pytest.raises(InvalidInput) as refusal:
            Utrn(_digits(token))
        assert refusal.value.code == "topup.form"


def test_each_fault_of_what_was_keyed_in_has_its_code() -> None:
    for digits, code in (
        (HUNDRED_POUNDS[:-1], "topup.form"),
        (HUNDRED_POUNDS + "0", "topup.form"),
        (HUNDRED_POUNDS[:-1] + "x", "topup.form"),
        (HUNDRED_POUNDS[:-1] + "4", "topup.check-digit"),
    ):
        with pytest.raises(InvalidInput) as refusal:
            Utrn(digits)
        assert refusal.value.code == code
    for number in (2, 3):  # value classes that nobody has
        with pytest.raises(InvalidInput) as refusal:
            _ = Utrn(_digits(number << 45)).value_class
        assert refusal.value.code == "topup.class"


def test_values_and_numbers_have_their_bits() -> None:
    assert TopUp(SUPPLIER, METER, (1 << 32) - 1, ValueClass.PENCE, 8191).counter == ((1 << 32) - 1) << 32
    assert TopUp(SUPPLIER, METER, 0, ValueClass.PENCE, 0).counter == 0
    for number, value, code in ((-1, 1, "topup.number"), (1 << 32, 1, "topup.number"), (1, 8192, "topup.value")):
        with pytest.raises(InvalidInput) as refusal:
            TopUp(SUPPLIER, METER, number, ValueClass.PENCE, value)
        assert refusal.value.code == code


def test_a_number_is_read_no_further_than_512_from_the_highest() -> None:
    """GBCS annex table 27: s = r + 1024 if r < p - 512; r - 1024 if r > p + 512; else r."""

    def number(bits: int, highest: int) -> int:
        return read_top_up(Utrn(_digits(bits << 47 | 1 << 45)), SUPPLIER, METER, highest).number

    for highest, bits, found in (
        (5 * 1024 + 600, 88, 5 * 1024 + 88),
        (5 * 1024 + 600, 87, 6 * 1024 + 87),
        (5 * 1024 + 400, 912, 5 * 1024 + 912),
        (5 * 1024 + 400, 913, 4 * 1024 + 913),
        (5 * 1024, 0, 5 * 1024),
        (0, 512, 512),
        ((1 << 32) - 1, 1023, (1 << 32) - 1),
        ((1 << 32) - 1024 + 512, 0, (1 << 32) - 1024),
    ):
        assert number(bits, highest) == found, (highest, bits)
    for highest, bits in ((0, 513), ((1 << 32) - 1, 510)):
        with pytest.raises(InvalidInput) as refusal:
            number(bits, highest)
        assert (refusal.value.code, "out of reach" in refusal.value.message) == ("topup.number", True)
