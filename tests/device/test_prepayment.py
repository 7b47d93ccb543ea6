"""Prepayment tokens in a meter: paid once, however often a command says them, and in their one form (GBCS 14)."""

from dataclasses import replace

import pytest

from smki.device import verdict as rules
from smki.device.cells import CellName, CellUse
from smki.device.prepayment import pay_digits
from smki.device.verdict import Failed
from smki.entity import RemotePartyRole
from smki.gbcs.agreement import agree
from smki.gbcs.message import Message
from smki.gbcs.top_up import TopUp, ValueClass, make_utrn
from tests.device.desk import Desk, key, keys, paying, with_mac
from tests.parties.people import METER, SUPPLIER

_ITEM = bytes.fromhex("0300730000132800ff01")  # execute method 1 of the token gateway
TOP_UP = CellName(RemotePartyRole.SUPPLIER, CellUse.TOP_UP)


def digits(number: int, value: int = 10) -> bytes:
    top_up = TopUp(SUPPLIER, METER, number, ValueClass.POUNDS, value)
    with agree(key(TOP_UP), keys().agreement.public_key()) as secret:
        return make_utrn(top_up, secret).digits.encode()


def saying(number: int, *values: bytes) -> Message:
    """A command that says several things, each under its own specification."""
    plain = replace(paying(number), signature=None, mac=None)
    assert plain.payload[6:].startswith(b"\x01" + _ITEM)
    count = bytes((len(values),))
    return with_mac(
        replace(plain, payload=plain.payload[:6] + count + _ITEM * len(values) + count + b"".join(values))
    )


def test_a_command_that_says_a_token_twice_pays_nothing() -> None:
    desk = Desk()
    token = b"\x09\x14" + digits(7)
    found = desk.receive(saying(7, token, token))
    assert (found.verdict.code, found.changes, found.state.tokens) == (rules.TOKEN_REPLAY.code, (), ())
    assert desk.receive(saying(7, token)).verdict.accepted
    assert desk.state.tokens == (7,)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"\x00", rules.TOKEN),
        (b"\x09\x13" + b"1" * 19, rules.TOKEN),
        (b"\x09\x15" + b"1" * 21, rules.TOKEN),
        (b"\x09\x14" + b"1" * 19 + b"x", rules.TOKEN),
        (b"\x09\x14" + b"\xff" * 20, rules.TOKEN),
        (b"\x09\x14" + b"1" * 20, rules.PAYLOAD),
    ],
)
def test_what_is_no_token_pays_nothing(said: bytes, code: rules.Rule) -> None:
    desk = Desk()
    found = desk.receive(saying(7, said))
    assert found.verdict.code == code.code
    assert not found.state.tokens


@pytest.mark.parametrize(
    "said",
    [None, 7, b"", digits(7)[:-1], digits(7) + b"0", b"\xff" * 20, b"x" * 20, b"1" * 20],
    ids=["nothing", "a number", "no digits", "too few", "too many", "octets", "letters", "another's"],
)
def test_what_somebody_keyed_in_is_a_token_or_is_refused(said: object) -> None:
    with pytest.raises(Failed) as failure:
        pay_digits(Desk().state, keys(), said)
    assert failure.value.verdict.code == rules.TOKEN.code


def test_without_a_supplier_nobody_pays() -> None:
    desk = Desk()
    cells = {name: cell for name, cell in desk.state.cells.items() if name != TOP_UP}
    desk.state = replace(desk.state, cells=cells)
    found = desk.receive(paying(7)).verdict
    assert (found.code, "no supplier" in found.message) == (rules.TOKEN.code, True)
    with pytest.raises(Failed, match="no supplier"):
        pay_digits(desk.state, keys(), digits(7))


def test_ten_bits_of_a_tokens_number_are_read_from_the_highest_that_was_used() -> None:
    state = replace(Desk().state, tokens=(5000,), token_floor=10)
    after, top_up = pay_digits(state, keys(), digits(5400))
    assert (top_up.number, after.tokens) == (5400, (5000, 5400))
    state = replace(state, tokens=(), token_floor=5000)
    assert pay_digits(state, keys(), digits(5400))[1].number == 5400
    with pytest.raises(Failed) as failure:
        pay_digits(state, keys(), digits(4999))
    assert failure.value.verdict.code == rules.TOKEN_REPLAY.code


def test_what_was_paid_is_told() -> None:
    assert Desk().receive(paying(7, value=25)).changes == ("paid 25 pounds, token number 7",)
