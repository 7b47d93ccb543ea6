"""Prepayment tokens as a supplier makes and checks them: each number is used up, durably, before a token has it."""

from smki.authority.log import act, seal
from smki.authority.workspace import Workspace
from smki.entity import EntityId
from smki.errors import Refused
from smki.gbcs.agreement import SharedSecret
from smki.gbcs.top_up import TopUp, Utrn, ValueClass, make_utrn, read_top_up, utrn_holds
from smki.parties.keys import Certified


def make(
    workspace: Workspace,
    supplier: Certified,
    secret: SharedSecret,
    device: EntityId,
    worth: tuple[int, ValueClass],
    number: int | None,
) -> tuple[TopUp, Utrn]:
    """A token for a device. Without a number it gets the one after the last of this key, the first of all being 1."""
    value, value_class = worth
    after_last = max(0, workspace.store.signatures.last_counter(supplier.key_hash)) + 1
    with_number = after_last if number is None else number
    top_up = TopUp(supplier.holder.entity, device, with_number, value_class, value)
    utrn = make_utrn(top_up, secret)
    with act(
        workspace,
        "topup.made",
        supplier=str(top_up.originator),
        device=str(device),
        number=top_up.number,
        value=value,
        value_class=value_class.word,
        certificate=supplier.serial,
    ) as tx:
        tx.reserve_counter(supplier.key_hash, top_up.number)
    seal(workspace)
    return top_up, utrn


def check(supplier: EntityId, secret: SharedSecret, device: EntityId, utrn: Utrn, near: int) -> TopUp:
    """What a token is worth, if this supplier made it for this device. `near` is a number close to the token's."""
    top_up = read_top_up(utrn, supplier, device, near)
    if not utrn_holds(utrn, top_up, secret):
        raise Refused(
            "topup.not-authentic",
            f"the token is not by {supplier} for {device}, with a number near {near}",
            "check the device and the supplier; give --near if its number is far from the last one made",
        )
    return top_up
