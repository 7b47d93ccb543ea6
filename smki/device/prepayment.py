"""A meter pays a prepayment token: once, if the supplier in its top-up cell made it for this meter (GBCS 14).

A token comes in a command of the supplier's, whose counter says its number; or from a customer's hands by way of a
PPMID, and then ten bits of its number must do.
"""

from dataclasses import replace

from smki.device import verdict as rules
from smki.device.cells import Cell, CellName, CellUse
from smki.device.state import TOKENS_KEPT, DeviceKeys, DeviceState
from smki.device.verdict import Failed
from smki.entity import RemotePartyRole
from smki.errors import InvalidInput
from smki.gbcs.message import Message
from smki.gbcs.top_up import UTRN_DIGITS, TopUp, Utrn, read_top_up, utrn_holds

_TOP_UP = CellName(RemotePartyRole.SUPPLIER, CellUse.TOP_UP)


def pay_command(state: DeviceState, keys: DeviceKeys, message: Message, content: object) -> tuple[DeviceState, str]:
    """A token in a command (CS01a, CS01b)."""
    utrn, cell = _utrn(content), _cell(state)
    header = message.header
    top_up = TopUp(header.originator, header.target, header.counter >> 32, utrn.value_class, utrn.value)
    return _pay(state, keys, cell, utrn, top_up)


def pay_digits(state: DeviceState, keys: DeviceKeys, content: object) -> tuple[DeviceState, TopUp]:
    """A token that someone keyed in (PCS01)."""
    try:
        utrn, cell = _utrn(content), _cell(state)
        top_up = read_top_up(utrn, cell.entity, state.device, max((*state.tokens, state.token_floor)))
    except InvalidInput as error:
        raise Failed(rules.TOKEN, error.message) from None
    return _pay(state, keys, cell, utrn, top_up)[0], top_up


def is_used(state: DeviceState, number: int) -> bool:
    return number <= state.token_floor or number in state.tokens


def _utrn(content: object) -> Utrn:
    if not isinstance(content, bytes) or not content.isdigit() or len(content) != UTRN_DIGITS:
        raise Failed(rules.TOKEN, f"no token of {UTRN_DIGITS} digits")
    return Utrn(content.decode())


def _cell(state: DeviceState) -> Cell:
    cell = state.cells.get(_TOP_UP)
    if cell is None:
        raise Failed(rules.TOKEN, "no supplier to check a token with")
    return cell


def _pay(state: DeviceState, keys: DeviceKeys, cell: Cell, utrn: Utrn, top_up: TopUp) -> tuple[DeviceState, str]:
    if is_used(state, top_up.number):  # by one and the same command even, which says it twice
        raise Failed(rules.TOKEN_REPLAY, f"token number {top_up.number} was used, or is older than all that are kept")
    with keys.secrets.with_peer(cell.public_key, cell.certificate) as secret:
        if not utrn_holds(utrn, top_up, secret):
            raise Failed(rules.TOKEN, "the token is not by the supplier for this meter")
    tokens = tuple(sorted((*state.tokens, top_up.number)))
    floor = state.token_floor if len(tokens) <= TOKENS_KEPT else tokens[-TOKENS_KEPT - 1]
    state = replace(state, tokens=tokens[-TOKENS_KEPT:], token_floor=floor)
    return state, f"paid {top_up.value} {top_up.value_class.word}, token number {top_up.number}"
